//! Patterns of the episodes nearest to a task.

use super::namespace_index::{Ledgers, NamespaceIndex};
use super::usage::Usages;
use crate::evidence::{FEWEST_COMPARED, Interval, OddsRatio, Slice, Summary};
use crate::facts::Id;
use rustc_hash::FxHashMap;

/// The number of patterns of each kind that are judged in full for each that is wanted.
const LOOKED_AT: usize = 2;
/// The chance that anything is called a pitfall in a namespace without one.
const FALSE_PITFALLS: f64 = 0.05;
/// Intervals that are kept for the next question.
const MOST_INTERVALS: usize = 8_192;

/// A pattern behind the nearest episodes.
#[derive(Clone, Debug, PartialEq)]
pub struct SupportedPattern {
    pub pattern: Id,
    /// The weights of the nearest episodes that show it, summed.
    pub support: f64,
    /// The evidence of the whole namespace.
    pub summary: Summary,
    /// Its episodes beside those that are comparable.
    pub odds_ratio: OddsRatio,
}

/// Intermediate results that the next question needs again.
#[derive(Default)]
pub(super) struct Support {
    sums: Vec<f64>,
    touched: Vec<u32>,
    of_document: Vec<u32>,
    /// Intervals by the bits of successes and trials: most patterns share a few small counts.
    intervals: FxHashMap<(u64, u64), (f64, f64)>,
}

impl Support {
    fn add(&mut self, number: u32, weight: f64) {
        let sum = &mut self.sums[number as usize];
        if *sum == 0.0 {
            self.touched.push(number);
        }
        *sum += weight;
    }

    fn clear(&mut self, patterns: usize) {
        for number in self.touched.drain(..) {
            self.sums[number as usize] = 0.0;
        }
        self.sums.resize(patterns, 0.0);
        if self.intervals.len() > MOST_INTERVALS {
            self.intervals.clear();
        }
    }

    /// Both bounds of the interval.
    fn bounds(&mut self, (successes, trials): (f64, f64)) -> (f64, f64) {
        let key = (successes.to_bits(), trials.to_bits());
        *self.intervals.entry(key).or_insert_with(|| {
            let interval = Interval::from_counts(successes, trials);
            (interval.low, interval.high)
        })
    }
}

/// The patterns of some episodes with the weight of the episodes that show them.
pub(super) struct SupportingPatterns<'a> {
    ledgers: &'a Ledgers,
    space: &'a NamespaceIndex,
    namespace: &'a str,
    slice: &'a Slice<'a>,
    support: &'a mut Support,
    shown: Vec<Likely>,
}

/// The side of one half that a pattern's success must be on.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Working,
    Failing,
}

impl Side {
    fn rate(self, mean: f64) -> f64 {
        if self == Self::Working { mean } else { 1.0 - mean }
    }

    /// Returns true if patterns of this plain rate are looked at: beside one half and the rate of the namespace.
    fn may_be(self, mean: f64, base: f64) -> bool {
        if self == Self::Working { mean > base.min(0.5) } else { mean < base }
    }

    fn bound(self, (low, high): (f64, f64)) -> f64 {
        if self == Self::Working { low } else { 1.0 - high }
    }
}

impl<'a> SupportingPatterns<'a> {
    pub(super) fn new(
        ledgers: &'a Ledgers,
        space: &'a NamespaceIndex,
        namespace: &'a str,
        slice: &'a Slice<'a>,
        nearest: impl Iterator<Item = (u32, f64)>,
        support: &'a mut Support,
    ) -> Self {
        support.clear(space.taught.patterns());
        for (document, weight) in nearest {
            if space.survivors.is_empty() {
                space.taught.of(document, None).for_each(|kept| support.add(kept.number, weight));
            } else {
                let mut shown = std::mem::take(&mut support.of_document);
                let survivor = |number: u32| space.survivors.get(&number).copied().unwrap_or(number);
                shown.extend(space.taught.of(document, None).map(|kept| survivor(kept.number)));
                shown.sort_unstable();
                shown.dedup();
                shown.drain(..).for_each(|number| support.add(number, weight));
                support.of_document = shown;
            }
        }
        let shown = support.touched.iter().filter_map(|number| {
            let (pattern, kind) = ledgers.all.pattern(space.taught.symbol(*number))?;
            let (mean, support) = (space.taught.mean(*number), support.sums[*number as usize]);
            Some(Likely { worth: 0.0, pattern, kind, mean, support })
        });
        let shown = shown.collect();
        Self { ledgers, space, namespace, slice, support, shown }
    }

    /// Patterns that succeed more often than not, or than the namespace, and are not worse than their alternatives, by support times the
    /// lower bound of their success.
    pub(super) fn working(&mut self, limit: usize) -> Vec<SupportedPattern> {
        self.best(limit, Side::Working)
    }

    /// Patterns that succeed less often than the episodes of their domains and agents and are surely worse than their
    /// alternatives, by support times the lower bound of their failure.
    pub(super) fn failing(&mut self, limit: usize) -> Vec<SupportedPattern> {
        self.best(limit, Side::Failing)
    }

    /// At most half (rounded up) are of one kind, as long as there are others.
    fn best(&mut self, limit: usize, side: Side) -> Vec<SupportedPattern> {
        let (mut chosen, mut left_over): (Vec<Likely>, Vec<Likely>) = Default::default();
        for each in self.likely(limit, side) {
            let alike = chosen.iter().filter(|other| other.kind == each.kind).count();
            if alike < limit.div_ceil(2) { chosen.push(each) } else { left_over.push(each) }
        }
        let frequent = self.ledgers.all.frequent(self.namespace);
        let admitted = chosen
            .into_iter()
            .chain(left_over)
            .filter_map(|each| Some((self.supported(&each, self.admitted(&each, side, frequent)?)?, each)));
        let mut best: Vec<(SupportedPattern, Likely)> = admitted.take(limit).collect();
        best.sort_unstable_by(|a, b| a.1.order(&b.1));
        best.into_iter().map(|(behind, _)| behind).collect()
    }

    /// A few times as many patterns of each kind as are wanted, by their plain rates; each with its worth, the
    /// largest first.
    fn likely(&mut self, limit: usize, side: Side) -> Vec<Likely> {
        let mut of_kind: FxHashMap<u8, Vec<Likely>> = FxHashMap::default();
        let (episodes, outcomes) = self.ledgers.all.rates(self.namespace, &Slice::default());
        let base = outcomes / episodes.max(1) as f64;
        for each in self.shown.iter().filter(|each| side.may_be(each.mean, base)) {
            of_kind
                .entry(each.kind)
                .or_default()
                .push(Likely { worth: each.support * side.rate(each.mean), ..*each });
        }
        let mut likely: Vec<Likely> = Vec::new();
        for mut each in of_kind.into_values() {
            let wanted = limit * LOOKED_AT;
            if each.len() > wanted {
                each.select_nth_unstable_by(wanted, Likely::order);
                each.truncate(wanted);
            }
            likely.append(&mut each);
        }
        for each in &mut likely {
            let seen = self.ledgers.all.weighed(self.namespace, &each.pattern, self.slice);
            each.worth = seen.map_or(0.0, |seen| each.support * side.bound(self.support.bounds(seen)));
        }
        likely.sort_unstable_by(Likely::order);
        likely
    }

    /// The odds ratio of a pattern that is shown on this side; `None` if it is not.
    ///
    /// Patterns worse than their alternatives are not recommended. A pitfall succeeds less often than the episodes of its
    /// domains and agents and is surely worse than its alternatives, so a pattern that every run shows is none. If `frequent`
    /// patterns could be found to be worse, the p-value of each is multiplied by their number (Bonferroni): whatever is
    /// asked, the chance of one false pitfall in the whole namespace stays below `FALSE_PITFALLS`.
    fn admitted(&self, likely: &Likely, side: Side, frequent: usize) -> Option<OddsRatio> {
        let Likely { pattern, kind, .. } = likely;
        // The counts of the pattern cost less than its comparison, and rule out most pitfalls.
        if side == Side::Failing && !self.fails_often(pattern) {
            return None;
        }
        let odds_ratio = self.ledgers.odds_ratio(self.space, self.namespace, pattern, *kind, self.slice);
        let is_admitted = match side {
            Side::Working => odds_ratio.high >= 1.0,
            Side::Failing => odds_ratio.high < 1.0 && odds_ratio.p_value * frequent as f64 <= FALSE_PITFALLS,
        };
        is_admitted.then_some(odds_ratio)
    }

    /// Returns true if enough episodes show the pattern, and succeed less often than those of its domains and agents.
    fn fails_often(&self, pattern: &Id) -> bool {
        let ledger = &self.ledgers.all;
        let Some((episodes, outcomes)) = ledger.episodes_of(self.namespace, pattern, self.slice) else {
            return false;
        };
        let base_rate = || ledger.base_rate(self.namespace, pattern, self.slice);
        episodes >= FEWEST_COMPARED && base_rate().is_some_and(|base| outcomes < base * episodes as f64)
    }

    fn supported(&self, likely: &Likely, odds_ratio: OddsRatio) -> Option<SupportedPattern> {
        let Likely { pattern, support, .. } = *likely;
        let summary = self.ledgers.all.summary(self.namespace, &pattern, self.slice)?;
        Some(SupportedPattern { pattern, support, summary, odds_ratio })
    }
}

/// The best of these patterns: support times the lower bound of success, times twice the effectiveness.
pub(super) fn best_used(
    usages: &Usages,
    mut behind: Vec<SupportedPattern>,
    limit: usize,
) -> Vec<SupportedPattern> {
    if usages.is_credited() {
        let worth = |each: &SupportedPattern| {
            each.support * each.summary.low * 2.0 * usages.effectiveness(&each.pattern).unwrap_or(0.5)
        };
        behind.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.pattern.cmp(&b.pattern)));
        behind.truncate(limit);
    }
    behind
}

/// A pattern that may be among the best.
#[derive(Clone, Copy)]
struct Likely {
    worth: f64,
    pattern: Id,
    kind: u8,
    /// The mean over the evidence of the namespace.
    mean: f64,
    support: f64,
}

impl Likely {
    /// The most worth first; ties by id.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.worth.total_cmp(&self.worth).then(self.pattern.cmp(&other.pattern))
    }
}
