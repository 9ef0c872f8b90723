//! Which patterns stand behind the episodes nearest to a task.

use super::space::Space;
use crate::evidence::{Ledger, Slice, Summary};
use crate::facts::Id;
use rustc_hash::FxHashMap;

/// How many patterns are looked at closely for each that is wanted.
const LOOKED_AT: usize = 4;

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
        self.best(limit, |mean| mean, |summary| summary.low)
    }

    /// Those that fail more often than not, by support times the lower bound of their failure.
    pub(super) fn failing(&self, limit: usize) -> Vec<Behind> {
        self.best(limit, |mean| 1.0 - mean, |summary| 1.0 - summary.high)
    }

    /// At most half (rounded up) are of one kind, as long as there are others.
    fn best(&self, limit: usize, rate: fn(f64) -> f64, bound: fn(&Summary) -> f64) -> Vec<Behind> {
        let mut behind = self.likely(limit, rate);
        let worth = |each: &Behind| each.support * bound(&each.summary);
        behind.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.pattern.cmp(&b.pattern)));
        let (mut chosen, mut left_over) = (Vec::with_capacity(limit), Vec::new());
        for each in behind {
            let alike =
                chosen.iter().filter(|other: &&Behind| other.summary.kind == each.summary.kind).count();
            if alike < limit.div_ceil(2) { chosen.push(each) } else { left_over.push(each) }
        }
        chosen.extend(left_over);
        chosen.truncate(limit);
        chosen.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.pattern.cmp(&b.pattern)));
        chosen
    }

    /// A few times as many as are wanted, of each kind, by their plain rates.
    fn likely(&self, limit: usize, rate: fn(f64) -> f64) -> Vec<Behind> {
        let rate = |number: u32| rate(self.space.taught.mean(number));
        let rated = self.support.iter().filter(|(number, _)| rate(*number) > 0.5);
        let mut ranked: Vec<(f64, Id, u8, f64)> = rated
            .filter_map(|(number, support)| {
                let (pattern, kind) = self.ledger.pattern(self.space.taught.symbol(*number))?;
                Some((support * rate(*number), pattern, kind, *support))
            })
            .collect();
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut of_kind: FxHashMap<u8, usize> = FxHashMap::default();
        ranked.retain(|(_, _, kind, _)| {
            let seen = of_kind.entry(*kind).or_default();
            *seen += 1;
            *seen <= limit * LOOKED_AT
        });
        let summary = |pattern: &Id| self.ledger.summary(self.namespace, pattern, &Slice::default());
        let behind = ranked.into_iter().filter_map(|(_, pattern, _, support)| {
            Some(Behind { pattern, support, summary: summary(&pattern)? })
        });
        behind.collect()
    }
}
