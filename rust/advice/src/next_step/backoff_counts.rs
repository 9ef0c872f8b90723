//! Counts of next steps under contexts from general to specific, smoothed by Witten and Bell's rule.
//!
//! A context is a hash of a run before a step: its last tools, their results, agent, domain. Seven chains
//! of contexts describe a run from seven sides. Within a chain each known context smooths the one before it:
//! `p = (c + u p) / (n + u)` for a step taken `c` times of `n`, with `u` different steps taken there (Witten, Bell 1991).

use rustc_hash::FxHashMap;
use tacit_kernels::trajectory::symbol_of_bytes;

/// The number of chains.
pub(super) const CHAINS: usize = 7;
/// The number of different contexts in all chains.
const CONTEXTS: usize = 22;
/// Steps beyond this number are counted as this many.
pub(super) const MOST_POSITION: u32 = 12;
/// Runs of one tool beyond this length are counted as this long.
pub(super) const MOST_RUN: u32 = 6;
/// The symbol before the first step.
pub(super) const START: u64 = 1;

/// The contexts of a run before its next step, general ones first; 0 means that a part of one is not known.
pub(super) type ContextKeys = [u64; CONTEXTS];

/// The contexts of each chain, by their place in `ContextKeys`.
const CHAIN_CONTEXTS: [&[usize]; CHAINS] = [
    &[ANY, LAST, LAST + 1, LAST + 2, LAST + 3],
    &[ANY, DOMAIN, DOMAIN + 1, DOMAIN + 2, DOMAIN + 3],
    &[LAST, AGENT, AGENT + 1, AGENT + 2, AGENT + 3],
    &[LAST, RESULT, RESULT + 1, RESULT + 2],
    &[LAST, USED, USED + 1],
    &[LAST, REPEAT, REPEAT + 1],
    &[LAST, POSITION, POSITION + 1],
];
const ANY: usize = 0;
const LAST: usize = 1;
const DOMAIN: usize = 5;
const AGENT: usize = 9;
const RESULT: usize = 13;
const USED: usize = 16;
const REPEAT: usize = 18;
const POSITION: usize = 20;

/// Two symbols as one; their order matters.
pub(super) fn join(a: u64, b: u64) -> u64 {
    let mixed = (a ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(29) ^ b;
    let mixed = mixed.wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 32)
}

/// One step as the contexts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepSymbol {
    /// The symbol of its tool.
    pub tool: u64,
    /// The symbol of its error class, 0 if it did not fail.
    pub class: u64,
}

impl StepSymbol {
    pub(super) const START: Self = Self { tool: START, class: 0 };

    /// The symbol of a tool with its result.
    pub(super) fn result(self) -> u64 {
        join(self.tool, self.class)
    }
}

/// The steps so far, as the parts of contexts.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    pub domain: u64,
    /// 0 means that the agent is not known.
    pub agent: u64,
    /// The last four steps, the last one first.
    pub last: [StepSymbol; 4],
    /// Each tool used so far with its number of uses, in order of first use.
    pub used: Vec<(u64, u32)>,
    /// The symbol of the set of tools used so far.
    pub set: u64,
    /// How many of the last steps used the last tool.
    pub run: u32,
    pub position: u32,
}

impl Prefix {
    pub(super) fn new(domain: u64, agent: u64) -> Self {
        let last = [StepSymbol::START; 4];
        Self { domain, agent, last, used: Vec::new(), set: 0, run: 0, position: 0 }
    }

    pub(super) fn step(&mut self, next: StepSymbol) {
        self.run = if self.position > 0 && self.last[0].tool == next.tool { self.run + 1 } else { 1 };
        self.last.rotate_right(1);
        self.last[0] = next;
        self.position += 1;
        match self.used.iter_mut().find(|(tool, _)| *tool == next.tool) {
            Some((_, uses)) => *uses += 1,
            None => {
                self.used.push((next.tool, 1));
                self.set = self.set.wrapping_add(join(next.tool, 2));
            }
        }
    }

    /// The symbols of the last 1, 2, 3 and 4 tools.
    pub(super) fn tools(&self) -> [u64; 4] {
        let mut found = START;
        self.last.map(|each| {
            found = join(found, each.tool);
            found
        })
    }

    /// The symbols of the last one and the last two steps with their results.
    pub(super) fn results(&self) -> [u64; 2] {
        let last = join(START, self.last[0].result());
        [last, join(last, self.last[1].result())]
    }

    pub(super) fn contexts(&self) -> ContextKeys {
        let [one, two, three, four] = self.tools();
        let [result, two_results] = self.results();
        let (agent, place) = (join(self.agent, 3), join(one, u64::from(self.position.min(MOST_POSITION))));
        let (both, again) = (join(agent, self.domain), join(one, u64::from(self.run.min(MOST_RUN))));
        let used = join(one, self.set);
        let made = [
            0,
            one,
            two,
            three,
            four, // last tools
            self.domain,
            join(self.domain, one),
            join(self.domain, two),
            join(self.domain, three),
            join(agent, one),
            join(both, one),
            join(both, two),
            join(both, three),
            result,
            two_results,
            join(agent, two_results),
            used,
            join(agent, used),
            again,
            join(both, again),
            place,
            join(both, place),
        ];
        let mut contexts = [0; CONTEXTS];
        for (at, (context, made)) in contexts.iter_mut().zip(made).enumerate() {
            let is_known = self.agent != 0 || !NAMES_AGENT.contains(&at);
            *context = if is_known { join(at as u64 + 1, made).max(1) } else { 0 };
        }
        contexts
    }
}

/// The contexts that say who runs.
const NAMES_AGENT: [usize; 8] =
    [AGENT, AGENT + 1, AGENT + 2, AGENT + 3, RESULT + 2, USED + 1, REPEAT + 1, POSITION + 1];

/// The symbol of a name; 0 for none.
pub(super) fn symbol_of(name: Option<&str>) -> u64 {
    name.map_or(0, |name| symbol_of_bytes(name.as_bytes()).max(2))
}

/// The count of each next step in each context. It does not depend on the order of counting.
#[derive(Debug, Default)]
pub(super) struct ContextCounts {
    /// A context with one kind of next step holds it here; others hold the place of their row.
    places: FxHashMap<u32, u32>,
    rows: Vec<Vec<NextCount>>,
    free: Vec<u32>,
}

/// A next step and how often it was taken.
pub(super) type NextCount = (u32, u32);

const IS_ROW: u32 = 1 << 31;
const COUNT_BITS: u32 = 15;

/// The counts of one context.
pub(super) enum ContextRow<'a> {
    None,
    One([NextCount; 1]),
    Many(&'a [NextCount]),
}

impl ContextRow<'_> {
    /// Each next step that was taken, with how often.
    pub(super) fn counts(&self) -> &[NextCount] {
        match self {
            ContextRow::None => &[],
            ContextRow::One(count) => count,
            ContextRow::Many(counts) => counts,
        }
    }
}

impl ContextCounts {
    /// Counts `next` in each context; 0 is no context.
    pub(super) fn add(&mut self, contexts: &[u64], next: u32) {
        contexts
            .iter()
            .filter(|context| **context != 0)
            .for_each(|context| self.add_one(key(*context), next));
    }

    /// Takes back one `add`.
    pub(super) fn remove(&mut self, contexts: &[u64], next: u32) {
        contexts
            .iter()
            .filter(|context| **context != 0)
            .for_each(|context| self.remove_one(key(*context), next));
    }

    /// The counts of a context.
    pub(super) fn row(&self, context: u64) -> ContextRow<'_> {
        match self.places.get(&key(context)) {
            Some(place) if context != 0 => self.row_at(*place),
            _ => ContextRow::None,
        }
    }

    fn row_at(&self, place: u32) -> ContextRow<'_> {
        if place & IS_ROW != 0 {
            ContextRow::Many(&self.rows[(place ^ IS_ROW) as usize])
        } else {
            ContextRow::One([unpack(place)])
        }
    }

    fn add_one(&mut self, key: u32, next: u32) {
        let Some(place) = self.places.get(&key).copied() else {
            let place = pack((next, 1)).unwrap_or_else(|| self.new_row(vec![(next, 1)]));
            self.places.insert(key, place);
            return;
        };
        if place & IS_ROW != 0 {
            return add_to(&mut self.rows[(place ^ IS_ROW) as usize], next);
        }
        let (only, count) = unpack(place);
        let grown = if only == next { pack((next, count + 1)) } else { None };
        let place = grown.unwrap_or_else(|| {
            let mut row = vec![(only, count)];
            add_to(&mut row, next);
            self.new_row(row)
        });
        self.places.insert(key, place);
    }

    fn remove_one(&mut self, key: u32, next: u32) {
        let Some(place) = self.places.get(&key).copied() else { return };
        if place & IS_ROW == 0 {
            match unpack(place) {
                (only, 1) if only == next => drop(self.places.remove(&key)),
                (only, count) if only == next => drop(self.places.insert(key, place_of((only, count - 1)))),
                _ => {}
            }
            return;
        }
        let at = place ^ IS_ROW;
        let row = &mut self.rows[at as usize];
        if let Some(found) = row.iter().position(|(each, _)| *each == next) {
            row[found].1 -= 1;
            if row[found].1 == 0 {
                row.swap_remove(found);
            }
        }
        if row.is_empty() {
            self.rows[at as usize] = Vec::new();
            self.free.push(at);
            self.places.remove(&key);
        }
    }

    fn new_row(&mut self, row: Vec<NextCount>) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Vec::new());
            self.rows.len() as u32 - 1
        });
        self.rows[at as usize] = row;
        at | IS_ROW
    }

    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(|row| size_of::<Vec<NextCount>>() + row.capacity() * 8).sum();
        self.places.capacity() * 9 + rows + self.free.capacity() * 4
    }
}

/// The upper half of a context's hash: one pair in four thousand million shares it.
fn key(context: u64) -> u32 {
    (context >> 32) as u32
}

fn add_to(row: &mut Vec<NextCount>, next: u32) {
    match row.iter_mut().find(|(each, _)| *each == next) {
        Some((_, count)) => *count += 1,
        None => row.push((next, 1)),
    }
}

/// `None` means that step or count do not fit into one place.
fn pack((next, count): NextCount) -> Option<u32> {
    (next < 1 << (31 - COUNT_BITS) && count < 1 << COUNT_BITS).then(|| place_of((next, count)))
}

fn place_of((next, count): NextCount) -> u32 {
    next << COUNT_BITS | count
}

fn unpack(place: u32) -> NextCount {
    (place >> COUNT_BITS, place & ((1 << COUNT_BITS) - 1))
}

/// Smooths the counts of a more specific context with `expected`: `discount` sightings for each different step are left
/// to `expected`, 1 is the rule of Witten and Bell; an infinite discount leaves the context out. `place` is the position of
/// a step in `expected`, None for one that is not asked about.
pub(super) fn interpolate(
    expected: &mut [f64],
    counts: &[NextCount],
    discount: f64,
    place: impl Fn(u32) -> Option<usize>,
) {
    let total: u32 = counts.iter().map(|(_, count)| count).sum();
    if total == 0 || discount.is_infinite() {
        return;
    }
    let left = discount * counts.len() as f64;
    let scale = 1.0 / (f64::from(total) + left);
    expected.iter_mut().for_each(|each| *each *= left * scale);
    for (next, count) in counts {
        if let Some(at) = place(*next) {
            expected[at] += f64::from(*count) * scale;
        }
    }
}

/// The counts of each context of a run.
pub(super) type ContextRows<'a> = [&'a [NextCount]; CONTEXTS];

/// The probability of each of `expected.len() / CHAINS` next steps by each chain: a chain's steps stand together.
pub(super) fn expected_shares(
    rows: &ContextRows<'_>,
    expected: &mut [f64],
    place: impl Fn(u32) -> Option<usize>,
) {
    let steps = (expected.len() / CHAINS).max(1);
    for (chain, expected) in CHAIN_CONTEXTS.iter().zip(expected.chunks_exact_mut(steps)) {
        expected.fill(1.0 / steps as f64);
        chain.iter().for_each(|at| interpolate(expected, rows[*at], 1.0, &place));
    }
}

/// How many steps were counted after the longest run of last tools that is known.
pub(super) fn support_of(rows: &ContextRows<'_>) -> u32 {
    let totals = CHAIN_CONTEXTS[0].iter().rev().map(|at| rows[*at].iter().map(|(_, count)| count).sum());
    totals.into_iter().find(|total| *total > 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(contexts: &[(u64, u32)]) -> ContextCounts {
        let mut counts = ContextCounts::default();
        contexts.iter().for_each(|(context, next)| counts.add(&[*context], *next));
        counts
    }

    fn sorted(row: ContextRow<'_>) -> Vec<NextCount> {
        let mut counts = row.counts().to_vec();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn a_context_refines_what_is_expected_by_how_much_and_how_varied_it_was() {
        let mut expected = [0.5, 0.25, 0.25];
        interpolate(&mut expected, &[(0, 1), (2, 3)], 1.0, |next| Some(next as usize));
        assert_eq!(expected, [(1.0 + 2.0 * 0.5) / 6.0, 0.5 / 6.0, (3.0 + 2.0 * 0.25) / 6.0]);
        let before = expected;
        interpolate(&mut expected, &[], 1.0, |_| None);
        interpolate(&mut expected, &[(0, 9)], f64::INFINITY, |next| Some(next as usize));
        assert_eq!(before, expected);
    }

    #[test]
    fn steps_and_counts_too_large_for_one_place_have_a_row() {
        let context = 7 << 32;
        let mut counts = ContextCounts::default();
        (0..40_000).for_each(|_| counts.add(&[context], 3));
        counts.add(&[9 << 32], 1 << 20);
        assert_eq!(sorted(counts.row(context)), [(3, 40_000)]);
        assert_eq!(sorted(counts.row(9 << 32)), [(1 << 20, 1)]);
    }

    #[test]
    fn nothing_is_counted_where_a_context_is_not_known() {
        let mut counts = ContextCounts::default();
        counts.add(&[0], 1);
        assert!(counts.row(0).counts().is_empty());
        assert_eq!(
            Prefix::new(5, 0).contexts().iter().filter(|context| **context == 0).count(),
            NAMES_AGENT.len()
        );
    }

    #[test]
    fn the_order_of_first_uses_is_not_part_of_the_set() {
        let prefix = |tools: [u64; 3]| {
            let mut prefix = Prefix::new(5, 6);
            tools.iter().for_each(|tool| prefix.step(StepSymbol { tool: *tool, class: 0 }));
            prefix
        };
        let (one, other) = (prefix([8, 9, 9]), prefix([9, 8, 9]));
        assert_eq!((one.set, one.run, other.run), (other.set, 2, 1));
        assert_ne!(one.tools(), other.tools());
    }

    proptest! {
        #[test]
        fn what_was_taken_back_was_never_counted(
            kept in prop::collection::vec((1u64..6, 0u32..4), 0..40),
            gone in prop::collection::vec((1u64..6, 0u32..4), 0..40),
        ) {
            let wide = |each: &(u64, u32)| (each.0 << 32, each.1);
            let (kept, gone): (Vec<_>, Vec<_>) = (kept.iter().map(wide).collect(), gone.iter().map(wide).collect());
            let mut counts = counted(&gone);
            kept.iter().rev().for_each(|(context, next)| counts.add(&[*context], *next));
            gone.iter().for_each(|(context, next)| counts.remove(&[*context], *next));
            let expected = counted(&kept);
            prop_assert_eq!(counts.places.len(), expected.places.len());
            for context in 1u64..6 {
                prop_assert_eq!(sorted(counts.row(context << 32)), sorted(expected.row(context << 32)));
            }
        }

        #[test]
        fn every_chain_expects_one_step(rows in prop::collection::vec((0usize..CONTEXTS, 0u32..5, 1u32..9), 0..60)) {
            let mut held = vec![Vec::new(); CONTEXTS];
            for (context, next, count) in rows {
                if !held[context].iter().any(|(each, _)| *each == next) {
                    held[context].push((next, count));
                }
            }
            let rows: ContextRows<'_> = std::array::from_fn(|at| held[at].as_slice());
            let mut expected = vec![0.0; CHAINS * 5];
            expected_shares(&rows, &mut expected, |next| Some(next as usize));
            for chain in expected.chunks(5) {
                prop_assert!((chain.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
    }
}
