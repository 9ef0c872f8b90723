//! A log-linear ranking of the actions that are possible in a situation.

use super::features::Feature;
use super::tokens::{Token, is_content};
use crate::halt::Halt;
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
pub(super) struct TaskKinds {
    /// How many words each kind has.
    sizes: Vec<u32>,
    /// The kinds with each word.
    kinds: FxHashMap<Token, Vec<u32>>,
}

impl TaskKinds {
    /// The kind of a task, as a number; of equally alike ones the first.
    pub(super) fn of(&self, task: &[Token]) -> Option<u64> {
        self.nearest(&distinct(task))
    }

    pub(super) fn add(&mut self, task: &[Token]) {
        let words = distinct(task);
        if self.nearest(&words).is_none() {
            let kind = self.sizes.len() as u32;
            words.iter().for_each(|word| self.kinds.entry(*word).or_default().push(kind));
            self.sizes.push(words.len() as u32);
        }
    }

    fn nearest(&self, words: &[Token]) -> Option<u64> {
        let mut shared = vec![0_u32; self.sizes.len()];
        for kind in words.iter().filter_map(|word| self.kinds.get(word)).flatten() {
            shared[*kind as usize] += 1;
        }
        let likeness =
            |(shared, size): (&u32, &u32)| *shared as f32 / (words.len() as u32 + size - shared) as f32;
        let met = shared.iter().zip(&self.sizes).enumerate().filter(|(_, (shared, _))| **shared > 0);
        let best = met
            .map(|(kind, sizes)| (kind, likeness(sizes)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        best.filter(|(_, likeness)| *likeness >= SAME_KIND).map(|(kind, _)| kind as u64 + 1)
    }
}

fn distinct(tokens: &[Token]) -> Vec<Token> {
    let mut words: Vec<Token> = tokens.iter().copied().filter(|token| is_content(*token)).collect();
    words.sort_unstable();
    words.dedup();
    words
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
        let (mut kept, mut start) = (0, 0);
        for end in &mut self.ends {
            for at in start..*end as usize {
                if is_kept(self.features[at].0) {
                    self.features[kept] = self.features[at];
                    kept += 1;
                }
            }
            start = *end as usize;
            *end = kept as u32;
        }
        self.features.truncate(kept);
    }
}

/// Features whose numbers are found without a look into the whole table.
const RECENT: usize = 1 << 12;

/// Collects examples; features become consecutive numbers.
#[derive(Debug, Default)]
pub(super) struct Training {
    numbers: FxHashMap<u64, u32>,
    /// The features that were numbered last, each at the place that its low bits name: candidates share most of theirs.
    recent: Vec<(u64, u32)>,
    /// For each feature the last run that had it, and how many did.
    runs: Vec<(u32, u32)>,
    examples: Vec<Example>,
}

impl Training {
    pub(super) fn add(&mut self, run: u32, weight: f32, candidates: &[Vec<Feature>]) {
        let room = candidates.iter().map(Vec::len).sum();
        let mut example = Example { weight, features: Vec::with_capacity(room), ..Example::default() };
        for features in candidates {
            for (number, value) in features {
                let at = self.number(*number, run);
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

    /// The number of a feature; a new one was seen in this run alone.
    fn number(&mut self, feature: u64, run: u32) -> u32 {
        self.recent.resize(RECENT, (0, u32::MAX));
        let place = feature as usize % RECENT;
        let (last, at) = self.recent[place];
        if last == feature && at != u32::MAX {
            return at;
        }
        let next = self.numbers.len() as u32;
        let at = *self.numbers.entry(feature).or_insert(next);
        if at == next {
            self.runs.push((run, 1));
        }
        self.recent[place] = (feature, at);
        at
    }

    /// Fits a conditional logit by stochastic gradients with a rate for each weight (AdaGrad, Duchi et al. 2011).
    ///
    /// A feature of fewer than `least_runs` runs is left out: it would explain its own run and nothing else.
    pub(super) fn fit(mut self, epochs: usize, least_runs: u32, halt: &Halt) -> Option<Ranker> {
        let runs = std::mem::take(&mut self.runs);
        for example in &mut self.examples {
            example.retain(|at| runs[at as usize].1 >= least_runs);
        }
        let mut weights = vec![LearnedWeight::default(); self.numbers.len()];
        let mut order: Vec<u32> = (0..self.examples.len() as u32).collect();
        for epoch in 0..epochs as u64 {
            order.sort_by_cached_key(|at| super::tokens::mix(&[epoch, u64::from(*at)]));
            for at in &order {
                halt.go_on()?;
                step(&self.examples[*at as usize], &mut weights);
            }
        }
        let kept = self.numbers.into_iter().map(|(number, at)| (number, weights[at as usize].weight));
        Some(Ranker { weights: kept.filter(|(_, weight)| weight.abs() > LEAST_WEIGHT).collect() })
    }
}

/// One weight as it is learned.
#[derive(Clone, Copy)]
struct LearnedWeight {
    weight: f32,
    /// The sum of its squared slopes.
    squares: f32,
    gradient: f32,
}

impl Default for LearnedWeight {
    fn default() -> Self {
        Self { weight: 0.0, squares: 1e-6, gradient: 0.0 }
    }
}

/// One step down the gradient of one example.
fn step(example: &Example, weights: &mut [LearnedWeight]) {
    let mut start = 0;
    let mut scores = Vec::with_capacity(example.ends.len());
    for end in &example.ends {
        let features = &example.features[start..*end as usize];
        scores.push(features.iter().map(|(at, value)| weights[*at as usize].weight * value).sum::<f32>());
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
                weights[*at as usize].gradient += error * value;
            }
        }
        start = *end as usize;
    }
    for (at, _) in &example.features {
        let LearnedWeight { weight, squares, gradient } = &mut weights[*at as usize];
        let slope = *gradient - SHRINKAGE * *weight * f32::from(u8::from(*gradient != 0.0));
        if slope != 0.0 {
            *squares += slope * slope;
            *weight += RATE * slope / squares.sqrt();
        }
        *gradient = 0.0;
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
        assert_eq!(kinds.sizes.len(), 2);
        assert_eq!(kinds.of(&read("Bring the coin to the attic")), Some(1));
        assert_eq!(kinds.of(&read("Paint a fence")), None);
    }

    #[test]
    fn a_feature_of_every_choice_ranks_first_and_one_of_a_single_run_counts_nothing() {
        let mut training = Training::default();
        for run in 0..4 {
            training.add(run, 1.0, &[vec![(1, 1.0), (100 + u64::from(run), 1.0)], vec![(2, 1.0)]]);
        }
        let ranker = training.fit(6, 2, &Halt::default()).unwrap();
        assert!(ranker.score(&[(1, 1.0)]) > ranker.score(&[(2, 1.0)]));
        assert_eq!(ranker.score(&[(100, 1.0)]), 0.0);
    }

    #[test]
    fn a_choice_to_avoid_ranks_below_the_others() {
        let mut training = Training::default();
        for run in 0..4 {
            training.add(run, -0.5, &[vec![(1, 1.0)], vec![(2, 1.0)]]);
        }
        let ranker = training.fit(6, 2, &Halt::default()).unwrap();
        assert!(ranker.score(&[(1, 1.0)]) < ranker.score(&[(2, 1.0)]));
    }
}
