//! A log-linear ranker of the candidates for a slot, "none of these" included.

use crate::halt::Halt;
use std::ops::Range;

/// How often each example is looked at.
const PASSES: usize = 4;
const RATE: f32 = 0.25;
/// How strongly weights that are touched are drawn back to 0.
const SHRINK: f32 = 2e-4;
/// Errors that are too small to learn from.
const LEAST_ERROR: f32 = 1e-3;
/// Weights in the smallest and the largest table.
const TABLE: (usize, usize) = (1 << 10, 1 << 18);

/// A table of weights that features fall into by their hash.
#[derive(Debug, Clone)]
pub(super) struct RankerWeights {
    table: Vec<f32>,
    mask: u32,
}

impl Default for RankerWeights {
    fn default() -> Self {
        Self::with_room(0)
    }
}

impl RankerWeights {
    fn with_room(features: usize) -> Self {
        let room = features.next_power_of_two().clamp(TABLE.0, TABLE.1);
        Self { table: vec![0.0; room], mask: room as u32 - 1 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.table.len() * 4
    }

    pub(super) fn sum(&self, features: &[u32]) -> f32 {
        features.iter().map(|feature| self.table[(feature & self.mask) as usize]).sum()
    }
}

/// Examples laid end to end: each is a run of candidates, each candidate a run of features.
#[derive(Debug, Default)]
pub(super) struct RankerExamples {
    features: Vec<u32>,
    /// The end of each candidate's features.
    candidates: Vec<u32>,
    examples: Vec<RankerExample>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RankerExample {
    pub(super) slot: u32,
    /// The right candidate, counted from the example's first.
    pub(super) right: u32,
    pub(super) weight: f32,
    /// Attempts at one task are in one half.
    pub(super) half: bool,
    /// The end of its candidates.
    pub(super) end: u32,
}

impl RankerExamples {
    pub(super) fn len(&self) -> usize {
        self.examples.len()
    }

    pub(super) fn get(&self, place: usize) -> &RankerExample {
        &self.examples[place]
    }

    pub(super) fn add_candidate(&mut self, features: &[u32]) {
        self.features.extend_from_slice(features);
        self.candidates.push(self.features.len() as u32);
    }

    /// The candidates since the last example are those of this one.
    pub(super) fn add(&mut self, example: RankerExample) {
        self.examples.push(RankerExample { end: self.candidates.len() as u32, ..example });
    }

    fn candidates_of(&self, example: usize) -> Range<usize> {
        let start = example.checked_sub(1).map_or(0, |before| self.examples[before].end as usize);
        start..self.examples[example].end as usize
    }

    fn features_of(&self, candidate: usize) -> &[u32] {
        let start = candidate.checked_sub(1).map_or(0, |before| self.candidates[before] as usize);
        &self.features[start..self.candidates[candidate] as usize]
    }
}

/// Trains the weights, on one half of the examples if one is named, by stochastic gradient descent with a rate of
/// its own for each weight (Duchi, Hazan, Singer 2011). None: it was halted.
pub(super) fn learn(examples: &RankerExamples, half: Option<bool>, halt: &Halt) -> Option<RankerWeights> {
    let mut weights = RankerWeights::with_room(examples.features.len() / 2);
    let mut squares = vec![1e-2; weights.table.len()];
    let mut chances = Vec::new();
    let (count, stride) = (examples.len(), stride_of(examples.len()));
    let mut place = 0;
    for _ in 0..PASSES * count {
        halt.go_on()?;
        place = (place + stride) % count;
        let example = examples.get(place);
        if half.is_none_or(|half| half == example.half) {
            chances_of(examples, place, &weights, &mut chances);
            for (which, candidate) in examples.candidates_of(place).enumerate() {
                let wanted = f32::from(u8::from(which == example.right as usize));
                let error = (chances[which] - wanted) * example.weight;
                weights.correct(examples.features_of(candidate), error, &mut squares);
            }
        }
    }
    Some(weights)
}

impl RankerWeights {
    fn correct(&mut self, features: &[u32], error: f32, squares: &mut [f32]) {
        if error.abs() < LEAST_ERROR {
            return;
        }
        for feature in features {
            let at = (feature & self.mask) as usize;
            let slope = error + SHRINK * self.table[at];
            squares[at] += slope * slope;
            self.table[at] -= RATE * slope / squares[at].sqrt();
        }
    }
}

/// The chance of each candidate of an example.
pub(super) fn chances_of(
    examples: &RankerExamples,
    place: usize,
    weights: &RankerWeights,
    chances: &mut Vec<f32>,
) {
    chances.clear();
    let candidates = examples.candidates_of(place);
    chances.extend(candidates.map(|candidate| weights.sum(examples.features_of(candidate))));
    softmax(chances);
}

/// The best choice but for "none of these", the first.
pub(super) fn best_of(chances: &[f32]) -> Option<usize> {
    (1..chances.len()).max_by(|a, b| chances[*a].total_cmp(&chances[*b]))
}

pub(super) fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// A step that comes to every place once and visits neighbours far apart.
fn stride_of(count: usize) -> usize {
    let mut stride = (count as f64 * 0.618_034) as usize | 1;
    while common_divisor(stride, count.max(1)) != 1 {
        stride += 2;
    }
    stride
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(right: u32, half: bool) -> RankerExample {
        RankerExample { slot: 0, right, weight: 1.0, half, end: 0 }
    }

    #[test]
    fn what_marks_the_right_candidate_is_learned() {
        let mut examples = RankerExamples::default();
        for turn in 0..40 {
            examples.add_candidate(&[1]);
            examples.add_candidate(if turn % 2 == 0 { &[2, 7] } else { &[3, 7] });
            examples.add_candidate(if turn % 2 == 0 { &[3, 7] } else { &[2, 7] });
            examples.add(example(1 + turn % 2, turn % 4 < 2));
        }
        let weights = learn(&examples, None, &Halt::default()).unwrap();
        assert!(weights.sum(&[2]) > weights.sum(&[3]));
        let mut chances = Vec::new();
        chances_of(&examples, 0, &weights, &mut chances);
        assert_eq!(best_of(&chances), Some(1));
        assert!((chances.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn every_place_is_visited_once_a_pass() {
        for count in 1..200 {
            let stride = stride_of(count);
            let mut places: Vec<usize> = (0..count).map(|turn| turn * stride % count).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..count));
        }
    }
}
