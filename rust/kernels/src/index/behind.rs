//! Which patterns stand behind the episodes nearest to a task.

use super::space::Space;
use crate::evidence::{Interval, Ledger, Slice, Summary};
use crate::facts::Id;
use rustc_hash::FxHashMap;

/// How many patterns are looked at closely for each that is wanted.
const LOOKED_AT: usize = 2;

/// A pattern behind the nearest episodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Behind {
    pub pattern: Id,
    /// The weights of the nearest episodes that show it, summed.
    pub support: f64,
    /// What all the namespace's evidence says of it.
    pub summary: Summary,
}

/// The patterns of some episodes with the weight of the episodes that show them.
pub(super) struct BehindNearest<'a> {
    space: &'a Space,
    namespace: &'a str,
    ledger: &'a Ledger,
    support: Vec<(u32, f64)>,
}

impl<'a> BehindNearest<'a> {
    pub(super) fn of(
        space: &'a Space,
        namespace: &'a str,
        ledger: &'a Ledger,
        nearest: impl Iterator<Item = (u32, f64)>,
    ) -> Self {
        let mut support: FxHashMap<u32, f64> = FxHashMap::default();
        for (document, weight) in nearest {
            for kept in space.taught.of(document, None) {
                *support.entry(kept.number).or_default() += weight;
            }
        }
        Self { space, namespace, ledger, support: support.into_iter().collect() }
    }

    /// Those that succeed more often than not, by support times the lower bound of their success.
    pub(super) fn working(&self, limit: usize) -> Vec<Behind> {
        self.best(limit, |mean| mean, |interval| interval.low)
    }

    /// Those that fail more often than not, by support times the lower bound of their failure.
    pub(super) fn failing(&self, limit: usize) -> Vec<Behind> {
        self.best(limit, |mean| 1.0 - mean, |interval| 1.0 - interval.high)
    }

    /// At most half (rounded up) are of one kind, as long as there are others.
    fn best(&self, limit: usize, rate: fn(f64) -> f64, bound: fn(&Interval) -> f64) -> Vec<Behind> {
        let mut likely = self.likely(limit, rate, bound);
        likely.sort_unstable_by(Likely::order);
        let (mut chosen, mut left_over): (Vec<Likely>, Vec<Likely>) = Default::default();
        for each in likely {
            let alike = chosen.iter().filter(|other| other.kind == each.kind).count();
            if alike < limit.div_ceil(2) { chosen.push(each) } else { left_over.push(each) }
        }
        chosen.extend(left_over);
        chosen.truncate(limit);
        chosen.sort_unstable_by(Likely::order);
        chosen.into_iter().filter_map(|each| self.behind(each)).collect()
    }

    /// A few times as many as are wanted, of each kind, by their plain rates; each with what it is worth.
    fn likely(&self, limit: usize, rate: fn(f64) -> f64, bound: fn(&Interval) -> f64) -> Vec<Likely> {
        let rate = |number: u32| rate(self.space.taught.mean(number));
        let rated = self.support.iter().filter(|(number, _)| rate(*number) > 0.5);
        let mut likely: Vec<Likely> = rated
            .filter_map(|(number, support)| {
                let (pattern, kind) = self.ledger.pattern(self.space.taught.symbol(*number))?;
                Some(Likely { worth: support * rate(*number), pattern, kind, support: *support })
            })
            .collect();
        likely.sort_unstable_by(Likely::order);
        let mut of_kind: FxHashMap<u8, usize> = FxHashMap::default();
        likely.retain(|each| {
            let seen = of_kind.entry(each.kind).or_default();
            *seen += 1;
            *seen <= limit * LOOKED_AT
        });
        for each in &mut likely {
            let interval = self.ledger.interval(self.namespace, &each.pattern, &Slice::default());
            each.worth = interval.map_or(0.0, |interval| each.support * bound(&interval));
        }
        likely
    }

    fn behind(&self, likely: Likely) -> Option<Behind> {
        let Likely { pattern, support, .. } = likely;
        let summary = self.ledger.summary(self.namespace, &pattern, &Slice::default())?;
        Some(Behind { pattern, support, summary })
    }
}

/// A pattern that may be among the best.
struct Likely {
    worth: f64,
    pattern: Id,
    kind: u8,
    support: f64,
}

impl Likely {
    /// The most worth first; ties by id.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.worth.total_cmp(&self.worth).then(self.pattern.cmp(&other.pattern))
    }
}
