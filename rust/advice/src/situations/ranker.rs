//! A log-linear ranking of the actions that are possible in a situation.

use super::features::Feature;
use super::tokens::{Token, is_content};
use rustc_hash::FxHashMap;

/// The least Jaccard index of the words of two tasks of one kind.
const SAME_KIND: f32 = 0.5;
/// Weights below it are left out.
const LEAST_WEIGHT: f32 = 0.01;
const RATE: f32 = 0.3;
/// The pull of every weight to nothing, at each example that has the feature.
const SHRINKAGE: f32 = 1e-3;

/// The kinds of tasks that were recorded: each is known by the words of one of its tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskKinds(Vec<Vec<Token>>);

impl TaskKinds {
    /// The kind of a task, as a number.
    pub(super) fn of(&self, task: &[Token]) -> Option<u64> {
        let words = distinct(task);
        let likeness = self.0.iter().map(|other| jaccard(&words, other));
        let best = likeness.enumerate().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        best.filter(|(_, likeness)| *likeness >= SAME_KIND).map(|(kind, _)| kind as u64 + 1)
    }

    pub(super) fn add(&mut self, task: &[Token]) {
        if self.of(task).is_none() {
            self.0.push(distinct(task));
        }
    }
}

fn distinct(tokens: &[Token]) -> Vec<Token> {
    let mut words: Vec<Token> = tokens.iter().copied().filter(|token| is_content(*token)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn jaccard(a: &[Token], b: &[Token]) -> f32 {
    let shared = a.iter().filter(|word| b.binary_search(word).is_ok()).count() as f32;
    shared / (a.len() as f32 + b.len() as f32 - shared).max(1.0)
}

/// The weights of features.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranker {
    weights: FxHashMap<u64, f32>,
}

impl Ranker {
    pub(super) fn score(&self, features: &[Feature]) -> f32 {
        features
            .iter()
            .map(|(number, value)| self.weights.get(number).map_or(0.0, |weight| weight * value))
            .sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.weights.capacity() * 14
    }
}

/// One recorded choice: the features of each candidate. The first was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Example {
    /// Below 0: the choice is one to avoid.
    pub(super) weight: f32,
    /// The end of each candidate's features.
    pub(super) ends: Vec<u32>,
    pub(super) features: Vec<(u32, f32)>,
}

impl Example {
    /// Leaves out the features that `is_kept` refuses.
    fn retain(&mut self, is_kept: impl Fn(u32) -> bool) {
        let mut kept = Vec::with_capacity(self.features.len());
        let mut start = 0;
        for end in &mut self.ends {
            let here = &self.features[start..*end as usize];
            kept.extend(here.iter().copied().filter(|(at, _)| is_kept(*at)));
            start = *end as usize;
            *end = kept.len() as u32;
        }
        self.features = kept;
    }
}

/// Collects examples; features become consecutive numbers.
#[derive(Debug, Default)]
pub(super) struct Training {
    numbers: FxHashMap<u64, u32>,
    /// For each feature the last run that had it, and how many did.
    runs: Vec<(u32, u32)>,
    examples: Vec<Example>,
}

impl Training {
    pub(super) fn add(&mut self, run: u32, weight: f32, candidates: &[Vec<Feature>]) {
        let mut example = Example { weight, ..Example::default() };
        for features in candidates {
            for (number, value) in features {
                let next = self.numbers.len() as u32;
                let at = *self.numbers.entry(*number).or_insert(next);
                if at == next {
                    self.runs.push((run, 1));
                }
                let seen = &mut self.runs[at as usize];
                if seen.0 != run {
                    *seen = (run, seen.1 + 1);
                }
                example.features.push((at, *value));
            }
            example.ends.push(example.features.len() as u32);
        }
        self.examples.push(example);
    }

    /// Fits a conditional logit by stochastic gradients with a rate for each weight (AdaGrad, Duchi et al. 2011).
    ///
    /// A feature of fewer than `least_runs` runs is left out: it would explain its own run and nothing else.
    pub(super) fn fit(mut self, epochs: usize, least_runs: u32) -> Ranker {
        let runs = std::mem::take(&mut self.runs);
        for example in &mut self.examples {
            example.retain(|at| runs[at as usize].1 >= least_runs);
        }
        let count = self.numbers.len();
        let (mut weights, mut squares) = (vec![0.0_f32; count], vec![1e-6_f32; count]);
        let mut gradient = vec![0.0_f32; count];
        let mut order: Vec<u32> = (0..self.examples.len() as u32).collect();
        for epoch in 0..epochs as u64 {
            order.sort_by_cached_key(|at| super::tokens::mix(&[epoch, u64::from(*at)]));
            for at in &order {
                step(&self.examples[*at as usize], &mut weights, &mut squares, &mut gradient);
            }
        }
        let kept = self.numbers.into_iter().map(|(number, at)| (number, weights[at as usize]));
        Ranker { weights: kept.filter(|(_, weight)| weight.abs() > LEAST_WEIGHT).collect() }
    }
}

/// One step down the gradient of one example.
fn step(example: &Example, weights: &mut [f32], squares: &mut [f32], gradient: &mut [f32]) {
    let mut start = 0;
    let mut scores = Vec::with_capacity(example.ends.len());
    for end in &example.ends {
        let features = &example.features[start..*end as usize];
        scores.push(features.iter().map(|(at, value)| weights[*at as usize] * value).sum::<f32>());
        start = *end as usize;
    }
    let shares = softmax(&scores);
    // d log p / d s = [chosen] - share; for a choice to avoid, d log(1 - p) / d s = -p / (1 - p) of that
    let scale = if example.weight >= 0.0 {
        example.weight
    } else {
        example.weight * shares[0] / (1.0 - shares[0]).max(0.05)
    };
    start = 0;
    for (at, (end, share)) in example.ends.iter().zip(&shares).enumerate() {
        let error = scale * (f32::from(u8::from(at == 0)) - share);
        if error.abs() > 1e-4 {
            for (at, value) in &example.features[start..*end as usize] {
                gradient[*at as usize] += error * value;
            }
        }
        start = *end as usize;
    }
    for (at, _) in &example.features {
        let at = *at as usize;
        let slope = gradient[at] - SHRINKAGE * weights[at] * f32::from(u8::from(gradient[at] != 0.0));
        if slope != 0.0 {
            squares[at] += slope * slope;
            weights[at] += RATE * slope / squares[at].sqrt();
        }
        gradient[at] = 0.0;
    }
}

/// Scores as shares of 1.
fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tests::read;
    use super::*;

    #[test]
    fn tasks_that_share_half_of_their_words_are_of_one_kind() {
        let mut kinds = TaskKinds::default();
        for task in ["Bring the coin to the kitchen", "Bring the coin to the garden", "Boil water"] {
            kinds.add(&read(task));
        }
        assert_eq!(kinds.0.len(), 2);
        assert_eq!(kinds.of(&read("Bring the coin to the attic")), Some(1));
        assert_eq!(kinds.of(&read("Paint a fence")), None);
    }

    #[test]
    fn a_feature_of_every_choice_ranks_first_and_one_of_a_single_run_counts_nothing() {
        let mut training = Training::default();
        for run in 0..4 {
            training.add(run, 1.0, &[vec![(1, 1.0), (100 + u64::from(run), 1.0)], vec![(2, 1.0)]]);
        }
        let ranker = training.fit(6, 2);
        assert!(ranker.score(&[(1, 1.0)]) > ranker.score(&[(2, 1.0)]));
        assert_eq!(ranker.score(&[(100, 1.0)]), 0.0);
    }

    #[test]
    fn a_choice_to_avoid_ranks_below_the_others() {
        let mut training = Training::default();
        for run in 0..4 {
            training.add(run, -0.5, &[vec![(1, 1.0)], vec![(2, 1.0)]]);
        }
        let ranker = training.fit(6, 2);
        assert!(ranker.score(&[(1, 1.0)]) < ranker.score(&[(2, 1.0)]));
    }
}
