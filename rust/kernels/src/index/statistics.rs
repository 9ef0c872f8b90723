//! Statistics of one domain's episodes: exact medians and ranks that cost little to keep.

use crate::image::{Image, ImageReader, check};
use crate::msgpack::Result;

/// Numbers in ascending order: inserting, removing and ranking take about the square root of their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sorted {
    blocks: Vec<Vec<f64>>,
    len: usize,
}

const FULL_BLOCK: usize = 512;

impl Sorted {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `value` is not NaN.
    pub(super) fn insert(&mut self, value: f64) {
        let index = self.block_of(value);
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
        }
        let block = &mut self.blocks[index];
        block.insert(block.partition_point(|other| *other < value), value);
        if block.len() >= FULL_BLOCK {
            let upper = block.split_off(FULL_BLOCK / 2);
            self.blocks.insert(index + 1, upper);
        }
        self.len += 1;
    }

    /// Takes one number equal to `value` out, if there is one.
    pub(super) fn remove(&mut self, value: f64) {
        let index = self.block_of(value);
        let Some(block) = self.blocks.get_mut(index) else { return };
        let place = block.partition_point(|other| *other < value);
        if block.get(place) == Some(&value) {
            block.remove(place);
            self.len -= 1;
            if block.is_empty() {
                self.blocks.remove(index);
            }
        }
    }

    /// The first block whose last number is not below `value`; the last block if all are.
    fn block_of(&self, value: f64) -> usize {
        let index = self.blocks.partition_point(|block| block[block.len() - 1] < value);
        index.min(self.blocks.len().saturating_sub(1))
    }

    /// The number of numbers below `value`.
    pub(super) fn below(&self, value: f64) -> usize {
        self.count_while(|other| other < value)
    }

    /// The share of the numbers below `value`, those equal to it counted half; 0.5 of no numbers.
    pub(super) fn mid_rank(&self, value: f64) -> f64 {
        if self.is_empty() {
            return 0.5;
        }
        let (below, up_to) = (self.below(value), self.count_while(|other| other <= value));
        (below + up_to) as f64 / (2 * self.len) as f64
    }

    fn count_while(&self, holds: impl Fn(f64) -> bool) -> usize {
        let whole = self.blocks.partition_point(|block| holds(block[block.len() - 1]));
        let part = self.blocks.get(whole).map_or(0, |block| block.partition_point(|other| holds(*other)));
        self.blocks[..whole].iter().map(Vec::len).sum::<usize>() + part
    }

    /// The middle number, or the mean of the two in the middle.
    pub(super) fn median(&self) -> Option<f64> {
        let upper = self.nth(self.len / 2)?;
        let lower = if self.len.is_multiple_of(2) { self.nth(self.len / 2 - 1)? } else { upper };
        Some(lower.midpoint(upper))
    }

    fn nth(&self, mut place: usize) -> Option<f64> {
        for block in &self.blocks {
            if place < block.len() {
                return Some(block[place]);
            }
            place -= block.len();
        }
        None
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.capacity() * 8 + size_of::<Vec<f64>>()).sum()
    }
}

impl Image for Sorted {
    fn write(&self, out: &mut Vec<u8>) {
        self.blocks.concat().write(out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let all: Vec<f64> = Vec::read(input)?;
        check(all.is_sorted(), "numbers out of order")?;
        Ok(Self { blocks: all.chunks(FULL_BLOCK / 2).map(<[f64]>::to_vec).collect(), len: all.len() })
    }
}

/// The measures of one episode for its domain's statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    pub total: Option<f64>,
    /// False while the outcome is unknown: such an episode counts in no median and in no number of episodes.
    pub is_judged: bool,
    pub is_success: bool,
    pub seconds: Option<f64>,
    pub steps: u32,
    pub failed_steps: u32,
}

impl Measures {
    fn error_rate(&self) -> f64 {
        f64::from(self.failed_steps) / f64::from(self.steps.max(1))
    }
}

/// The medians of a domain's successes, and of how many episodes the domain consists.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Medians {
    /// The median; `None` means that no success carries times.
    pub seconds: Option<f64>,
    pub steps: Option<f64>,
    pub error_rate: Option<f64>,
    pub episodes: usize,
}

/// One domain's episodes within a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Statistics {
    episodes: usize,
    totals: Sorted,
    seconds: Sorted,
    steps: Sorted,
    error_rates: Sorted,
}

impl Image for Statistics {
    fn write(&self, out: &mut Vec<u8>) {
        (self.episodes as u64).write(out);
        [&self.totals, &self.seconds, &self.steps, &self.error_rates].iter().for_each(|each| each.write(out));
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        Ok(Self {
            episodes: u64::read(input)? as usize,
            totals: Sorted::read(input)?,
            seconds: Sorted::read(input)?,
            steps: Sorted::read(input)?,
            error_rates: Sorted::read(input)?,
        })
    }
}

/// From how many episodes on a reward's score is its rank.
const RANKED_FROM: usize = 20;

impl Statistics {
    pub(super) fn add(&mut self, measures: &Measures) {
        self.episodes += usize::from(measures.is_judged);
        self.each(measures, Sorted::insert);
    }

    pub(super) fn remove(&mut self, measures: &Measures) {
        self.episodes -= usize::from(measures.is_judged);
        self.each(measures, Sorted::remove);
    }

    fn each(&mut self, measures: &Measures, change: fn(&mut Sorted, f64)) {
        if let Some(total) = measures.total {
            change(&mut self.totals, total);
        }
        if measures.is_success {
            change(&mut self.steps, f64::from(measures.steps));
            change(&mut self.error_rates, measures.error_rate());
            if let Some(seconds) = measures.seconds {
                change(&mut self.seconds, seconds);
            }
        }
    }

    pub(super) fn medians(&self) -> Medians {
        Medians {
            seconds: self.seconds.median(),
            steps: self.steps.median(),
            error_rate: self.error_rates.median(),
            episodes: self.episodes,
        }
    }

    /// A reward's score in 0 to 1: its mid-rank once 20 rewards are known, total / (1 + total) before.
    pub(super) fn score(&self, total: f64) -> f64 {
        if self.totals.len() < RANKED_FROM { unranked(total) } else { self.totals.mid_rank(total) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.totals.bytes() + self.seconds.bytes() + self.steps.bytes() + self.error_rates.bytes()
    }
}

/// A reward's score if too few others are known: total / (1 + total).
pub(super) fn unranked(total: f64) -> f64 {
    let total = total.max(0.0);
    total / (1.0 + total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranks_and_medians_are_those_of_a_sorted_list(
            values in prop::collection::vec(0u8..40, 0..1500),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..300),
        ) {
            let mut expected: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
            let mut sorted = Sorted::default();
            expected.iter().for_each(|value| sorted.insert(*value));
            for index in gone {
                if !expected.is_empty() {
                    sorted.remove(expected.swap_remove(index.index(expected.len())));
                }
            }
            sorted.remove(1e9);
            expected.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(sorted.len(), expected.len());
            let n = expected.len();
            let median = (n > 0).then(|| (expected[(n - 1) / 2] + expected[n / 2]) / 2.0);
            prop_assert_eq!(sorted.median(), median);
            for value in [0.0, 3.0, 7.5, 39.0, 50.0] {
                let below = expected.iter().filter(|other| **other < value).count();
                let equal = expected.iter().filter(|other| **other == value).count();
                prop_assert_eq!(sorted.below(value), below);
                let rank = if n == 0 { 0.5 } else { (2 * below + equal) as f64 / (2 * n) as f64 };
                prop_assert_eq!(sorted.mid_rank(value), rank);
            }
        }
    }

    #[test]
    fn a_score_is_a_rank_once_twenty_rewards_are_known() {
        let mut statistics = Statistics::default();
        let of = |total| Measures {
            total: Some(total),
            is_judged: true,
            is_success: true,
            seconds: None,
            steps: 4,
            failed_steps: 1,
        };
        (0..19).for_each(|total| statistics.add(&of(f64::from(total))));
        assert_eq!(statistics.score(1.0), 0.5);
        statistics.add(&of(19.0));
        assert_eq!(statistics.score(1.0), 0.075);
        assert_eq!(
            statistics.medians(),
            Medians { seconds: None, steps: Some(4.0), error_rate: Some(0.25), episodes: 20 }
        );
    }
}
