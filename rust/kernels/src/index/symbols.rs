//! Sequences of tools: the similarity of two beginnings, and the next tool.

use super::lexical::{check_varints, read_spans, read_varint, span, write_varint};
use crate::image::{Image, ImageReader};
use crate::msgpack::Result;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The tools of every document, in order, a byte each as long as there are few.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Runs {
    pub(super) fn push(&mut self, tools: &[u32]) {
        tools.iter().for_each(|tool| write_varint(*tool, &mut self.bytes));
        self.ends.push(self.bytes.len() as u32);
    }

    pub(super) fn iter(&self, document: u32) -> impl Iterator<Item = u32> {
        let bytes = &self.bytes[span(&self.ends, document)];
        let mut at = 0;
        std::iter::from_fn(move || (at < bytes.len()).then(|| read_varint(bytes, &mut at)))
    }

    pub(super) fn retain(&mut self, keep: &[bool]) {
        super::lexical::retain_spans(&mut self.bytes, &mut self.ends, keep);
    }

    /// The number of documents.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

impl Image for Runs {
    fn write(&self, out: &mut Vec<u8>) {
        self.bytes.write(out);
        self.ends.write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let (bytes, ends) = read_spans(input)?;
        (0..ends.len() as u32).try_for_each(|document| check_varints(&bytes[span(&ends, document)]))?;
        Ok(Self { bytes, ends })
    }
}

/// The keys of a run of tools: each pair of neighbours, the start counting as one; ascending, each once.
pub(super) fn pairs(tools: &[u64]) -> Vec<u64> {
    let mut before = 0u64;
    let mut pairs: Vec<u64> = tools
        .iter()
        .map(|tool| {
            let bytes = [std::mem::replace(&mut before, *tool).to_le_bytes(), tool.to_le_bytes()].concat();
            xxh3_64_with_seed(&bytes, 0)
        })
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// The steps so far, ready to be compared with many runs. Of more than 64 steps the last 64 count.
#[derive(Default)]
pub(super) struct Prefix {
    /// For each tool by number, a bit for each place in the steps.
    masks: Vec<u64>,
    used: Vec<u32>,
    len: u32,
    is_whole: bool,
}

impl Prefix {
    /// `tools` are numbers below `names`, or 0 for a tool that no document has.
    pub(super) fn set(&mut self, tools: &[u32], names: usize) {
        for tool in self.used.drain(..) {
            self.masks[tool as usize] = 0;
        }
        self.masks.resize(names + 1, 0);
        let last = &tools[tools.len().saturating_sub(64)..];
        for (place, tool) in last.iter().enumerate().filter(|(_, tool)| **tool > 0) {
            self.masks[*tool as usize] |= 1 << place;
            self.used.push(*tool);
        }
        self.len = last.len() as u32;
        self.is_whole = last.len() == tools.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// 1 less the edit distance between the steps and the start of `run` that they match best, over the longer of
    /// the two. Bit-parallel: one column of the distance table is two words.
    pub(super) fn similarity(&self, run: impl Iterator<Item = u32>) -> f32 {
        let last = 1u64 << (self.len - 1);
        let (mut plus, mut minus, mut distance) = (u64::MAX, 0u64, self.len);
        let mut best = 0.0f32;
        for (index, tool) in run.enumerate() {
            let equal = self.masks[tool as usize];
            let vertical = equal | minus;
            let horizontal = (((equal & plus).wrapping_add(plus)) ^ plus) | equal;
            let up = minus | !(horizontal | plus);
            let down = plus & horizontal;
            distance = distance + u32::from(up & last != 0) - u32::from(down & last != 0);
            let up = up << 1 | u64::from(self.is_whole);
            let down = down << 1;
            plus = down | !(vertical | up);
            minus = up & vertical;
            best = best.max(self.share(distance, index as u32 + 1));
        }
        best
    }

    #[inline]
    fn share(&self, distance: u32, length: u32) -> f32 {
        let longer = if self.is_whole { self.len.max(length) } else { self.len };
        1.0 - distance as f32 / longer as f32
    }
}

/// The number that stands for "no further step".
pub(super) const FINISH: u32 = 0;
const LONGEST_CONTEXT: usize = 4;
/// The number of observations of a longer context that weighs as much as all shorter ones.
const BACK_OFF: f64 = 1.0;

/// One tool that may come next.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NextTool {
    /// The tool's number; `FINISH` for none.
    pub tool: u32,
    /// The share of all that may come next: shares sum to 1.
    pub share: f64,
    /// The times that it came next after the longest context seen, and the runs with that context.
    pub seen: u32,
    pub of: u32,
    /// The number of last steps in that context.
    pub context: usize,
}

/// The tools after `tools`, by runs with weights: each longer context (up to four last steps) corrects the estimate
/// of the shorter ones by as much as it has been seen. In no order.
pub(super) fn next_steps(tools: &[u32], runs: &[(f64, Vec<u32>)]) -> Vec<NextTool> {
    let mut shares: FxHashMap<u32, f64> = FxHashMap::default();
    let (mut seen, mut of, mut context) = (FxHashMap::default(), 0, 0);
    for length in 0..=tools.len().min(LONGEST_CONTEXT) {
        let counts = after(&tools[tools.len() - length..], runs);
        let whole = counts.weight + if shares.is_empty() { 0.0 } else { BACK_OFF };
        // Runs that weigh nothing say nothing: they are not like what is asked about.
        if counts.occurrences == 0 || whole == 0.0 {
            break;
        }
        shares.values_mut().for_each(|share| *share *= BACK_OFF / whole);
        for (tool, weight) in &counts.by_tool {
            *shares.entry(*tool).or_default() += weight / whole;
        }
        (seen, of, context) = (counts.times, counts.occurrences, length);
    }
    shares
        .into_iter()
        .map(|(tool, share)| NextTool {
            tool,
            share,
            seen: seen.get(&tool).copied().unwrap_or(0),
            of,
            context,
        })
        .collect()
}

#[derive(Default)]
struct Counts {
    by_tool: FxHashMap<u32, f64>,
    times: FxHashMap<u32, u32>,
    weight: f64,
    occurrences: u32,
}

/// The tools after `context` in the runs, each occurrence with its run's weight.
fn after(context: &[u32], runs: &[(f64, Vec<u32>)]) -> Counts {
    let mut counts = Counts::default();
    for (weight, run) in runs {
        for end in context.len()..=run.len() {
            if run[..end].ends_with(context) {
                let next = run.get(end).copied().unwrap_or(FINISH);
                *counts.by_tool.entry(next).or_default() += weight;
                *counts.times.entry(next).or_default() += 1;
                counts.weight += weight;
                counts.occurrences += 1;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook table, row by row: distances of `a` to every prefix of `b`.
    fn distances_to_prefixes(a: &[u32], b: &[u32]) -> Vec<usize> {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut next = vec![i + 1];
            for (j, y) in b.iter().enumerate() {
                next.push((row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1));
            }
            row = next;
        }
        row
    }

    proptest! {
        #[test]
        fn a_prefix_is_as_similar_as_the_table_says(
            steps in prop::collection::vec(1u32..5, 1..64),
            run in prop::collection::vec(1u32..6, 0..80),
        ) {
            let mut prefix = Prefix::default();
            prefix.set(&[3; 20], 9);
            prefix.set(&steps, 9);
            let table = distances_to_prefixes(&steps, &run);
            let expected = (1..=run.len())
                .map(|length| 1.0 - table[length] as f32 / steps.len().max(length) as f32)
                .fold(0.0, f32::max);
            prop_assert_eq!(prefix.similarity(run.into_iter()), expected);
        }

        #[test]
        fn shares_of_what_comes_next_sum_to_one(
            tools in prop::collection::vec(1u32..4, 0..6),
            runs in prop::collection::vec((0.1f64..1.0, prop::collection::vec(1u32..4, 0..9)), 1..6),
        ) {
            let steps = next_steps(&tools, &runs);
            prop_assert!((steps.iter().map(|step| step.share).sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(steps.iter().all(|step| step.seen <= step.of));
        }

        #[test]
        fn runs_come_back(all in prop::collection::vec(prop::collection::vec(0u32..1000, 0..9), 1..9)) {
            let mut runs = Runs::default();
            all.iter().for_each(|tools| runs.push(tools));
            for (document, tools) in all.iter().enumerate() {
                prop_assert_eq!(&runs.iter(document as u32).collect::<Vec<_>>(), tools);
            }
        }
    }

    #[test]
    fn the_last_steps_of_a_long_run_are_found_anywhere_in_another() {
        let mut prefix = Prefix::default();
        let steps: Vec<u32> = (0..100).map(|step| step % 7 + 1).collect();
        prefix.set(&steps, 9);
        assert_eq!(prefix.similarity(steps.iter().copied()), 1.0);
    }

    #[test]
    fn the_longest_context_seen_decides() {
        let runs = [(1.0, vec![1, 2, 3]), (1.0, vec![1, 2, 3]), (1.0, vec![4, 2, 5])];
        let best = |tools: &[u32]| {
            next_steps(tools, &runs).into_iter().max_by(|a, b| a.share.total_cmp(&b.share)).unwrap()
        };
        let step = best(&[1, 2]);
        assert_eq!((step.tool, step.seen, step.of, step.context), (3, 2, 2, 2));
        assert_eq!(best(&[1, 2, 3]).tool, FINISH);
        assert_eq!(best(&[9]).context, 0);
        assert!(next_steps(&[1], &[]).is_empty());
    }

    #[test]
    fn runs_without_weight_say_nothing_about_the_next_step() {
        assert!(next_steps(&[1], &[(0.0, vec![1, 2])]).is_empty());
        let beside = next_steps(&[1], &[(0.0, vec![1, 2]), (0.5, vec![1, 3])]);
        assert!(beside.iter().all(|step| step.share.is_finite()));
    }
}
