//! The effect of a task by its words alone: ridge logistic regression around the log-odds of agent and domain.
//!
//! Nearest tasks say what happened at a few alike ones; these weights say what a word meant at all tasks that had it.

use super::mixed_effects::{Trials, sigmoid};
use crate::tasks::neighbours::WordRow;
use rustc_hash::FxHashMap;

/// The penalty of a weight: that of a normal prior with variance 1.
const RIDGE: f64 = 1.0;
const SWEEPS: usize = 15;
/// A sweep that moves no weight by more than this was the last.
const CONVERGED: f64 = 1e-3;

/// A task: its words, and its attempts.
pub(super) struct WordCase<'a> {
    pub row: &'a WordRow,
    pub trials: &'a [Trials],
}

impl WordCase<'_> {
    /// Successes beyond those that are expected if the words add `effect`, and the variance of the expected.
    fn slope(&self, effect: f64) -> (f64, f64) {
        self.trials.iter().fold((0.0, 0.0), |(gradient, information), trials| {
            let p = sigmoid(trials.offset + effect);
            (gradient + trials.successes - trials.trials * p, information + trials.trials * p * (1.0 - p))
        })
    }
}

/// The weight of each word, by its bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct WordEffects(FxHashMap<u16, f64>);

impl WordEffects {
    /// By coordinate-wise Newton steps, word by word.
    pub(super) fn fit(cases: &[WordCase<'_>]) -> Self {
        let mut words: FxHashMap<u16, Vec<(usize, f64)>> = FxHashMap::default();
        for (at, case) in cases.iter().enumerate() {
            for (word, value) in case.row {
                words.entry(*word).or_default().push((at, f64::from(*value)));
            }
        }
        let mut words: Vec<(u16, Vec<(usize, f64)>)> = words.into_iter().collect();
        words.sort_unstable_by_key(|(word, _)| *word);
        let mut weights = vec![0.0; words.len()];
        let mut effects = vec![0.0; cases.len()];
        let mut slopes: Vec<(f64, f64)> = cases.iter().map(|case| case.slope(0.0)).collect();
        for _ in 0..SWEEPS {
            let mut moved: f64 = 0.0;
            for (weight, (_, places)) in weights.iter_mut().zip(&words) {
                let (mut gradient, mut information) = (-RIDGE * *weight, RIDGE);
                for (at, value) in places {
                    gradient += value * slopes[*at].0;
                    information += value * value * slopes[*at].1;
                }
                let step: f64 = (gradient / information).clamp(-1.0, 1.0);
                *weight += step;
                moved = moved.max(step.abs());
                for (at, value) in places {
                    effects[*at] += step * value;
                    slopes[*at] = cases[*at].slope(effects[*at]);
                }
            }
            if moved < CONVERGED {
                break;
            }
        }
        Self(words.into_iter().zip(weights).map(|((word, _), weight)| (word, weight)).collect())
    }

    /// The effect of a text with these words.
    pub(super) fn effect(&self, row: &WordRow) -> f64 {
        row.iter().map(|(word, value)| self.0.get(word).copied().unwrap_or(0.0) * f64::from(*value)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(successes: f64) -> Vec<Trials> {
        vec![Trials { offset: 0.0, trials: 4.0, successes }]
    }

    /// Tasks of a word that decides and one that says nothing.
    fn cases() -> Vec<(WordRow, Vec<Trials>)> {
        let of = |at: u16| {
            let decides = at % 2;
            (vec![(decides, 0.8), (10 + at % 3, 0.6)], trials(if decides == 1 { 4.0 } else { 0.0 }))
        };
        (0..30).map(of).collect()
    }

    fn as_cases(owned: &[(WordRow, Vec<Trials>)]) -> Vec<WordCase<'_>> {
        owned.iter().map(|(row, trials)| WordCase { row, trials }).collect()
    }

    #[test]
    fn a_word_of_tasks_that_succeed_raises_the_effect_and_an_unknown_one_says_nothing() {
        let owned = cases();
        let effects = WordEffects::fit(&as_cases(&owned));
        assert!(effects.effect(&vec![(1, 1.0)]) > 1.0 && effects.effect(&vec![(0, 1.0)]) < -1.0);
        assert!(effects.effect(&vec![(10, 1.0)]).abs() < 0.3);
        assert_eq!(effects.effect(&vec![(99, 1.0)]), 0.0);
    }

    #[test]
    fn every_weight_is_where_its_gradient_vanishes() {
        let owned = cases();
        let cases = as_cases(&owned);
        let effects = WordEffects::fit(&cases);
        for (word, weight) in &effects.0 {
            let gradient: f64 = cases
                .iter()
                .flat_map(|case| case.row.iter().map(move |entry| (case, entry)))
                .filter(|(_, (each, _))| each == word)
                .map(|(case, (_, value))| f64::from(*value) * case.slope(effects.effect(case.row)).0)
                .sum();
            assert!((gradient - RIDGE * weight).abs() < 0.05, "{word}: {gradient} {weight}");
        }
    }
}
