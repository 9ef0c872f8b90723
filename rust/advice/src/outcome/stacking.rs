//! The effect of a new task from the nearest tasks: three estimates, weighed by logistic regression (stacking).

use super::mixed_effects::{Effect, sigmoid};

/// How many tasks each estimate reads.
const NEAREST: usize = 5;
const WEIGHED: usize = 10;
pub(super) const NEIGHBOURS: usize = 20;
/// The share of a task's effect that tasks of the same words have in common.
const SHARED: f64 = 0.9;
/// Weight of "no effect" among the weighed.
const NO_EFFECT_WEIGHT: f64 = 0.05;
/// The least information that an effect counts as observed with.
const LEAST_INFORMATION: f64 = 1e-3;

pub(super) const INPUTS: usize = 5;
/// The prior weight of each input, and the number of tasks that it counts for.
const PRIOR: [f64; INPUTS] = [0.9, 0.3, 0.3, 0.3, 0.0];
const PRIOR_WEIGHT: f64 = 10.0;
const STEPS: usize = 15;

/// Estimates of a task's effect from its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct NeighbourEstimates {
    /// The best linear prediction with a covariance in proportion to the cosine (kriging).
    pub kriged: f64,
    /// Of the nearest ten, by squared cosine.
    pub weighed: f64,
    /// The mean of the nearest five; absent ones say 0.
    pub nearest: f64,
    /// How much of the variance of the effect is explained.
    pub explained: f64,
}

/// `cosines` are those of the neighbours with the task, the nearest first; `between` those among the neighbours.
pub(super) fn neighbour_estimates(
    cosines: &[f64],
    between: &[f64],
    effects: &[Effect],
    variance: f64,
) -> NeighbourEstimates {
    let nearest = effects.iter().take(NEAREST).map(|effect| effect.value).sum::<f64>() / NEAREST as f64;
    let weighed = cosines
        .iter()
        .zip(effects)
        .take(WEIGHED)
        .fold((0.0, NO_EFFECT_WEIGHT), |(sum, weight), (cosine, effect)| {
            (sum + cosine * cosine * effect.value, weight + cosine * cosine)
        });
    let (kriged, explained) = krige(cosines, between, effects, variance);
    NeighbourEstimates { kriged, weighed: weighed.0 / weighed.1, nearest, explained }
}

/// The prediction, and the variance that it explains.
fn krige(cosines: &[f64], between: &[f64], effects: &[Effect], variance: f64) -> (f64, f64) {
    let n = effects.len();
    let mut covariance: Vec<f64> = between.iter().map(|cosine| variance * SHARED * cosine).collect();
    let mut observed = vec![0.0; n];
    for (i, effect) in effects.iter().enumerate() {
        let information = (effect.precision - 1.0 / variance).max(LEAST_INFORMATION);
        observed[i] = effect.value * effect.precision / information;
        covariance[i * n + i] = variance + 1.0 / information;
    }
    let with_task: Vec<f64> = cosines.iter().map(|cosine| variance * SHARED * cosine).collect();
    let Some(weights) = solve(&mut covariance, with_task.clone()) else { return (0.0, 0.0) };
    (inner(&weights, &observed), inner(&weights, &with_task))
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The solution of a symmetric positive definite system, by Cholesky's factors in place; `None` means not definite.
fn solve(matrix: &mut [f64], mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    for i in 0..n {
        for j in 0..=i {
            let (head, row) = matrix.split_at_mut(i * n);
            let other = if j < i { &head[j * n..j * n + j] } else { &[] };
            let sum = if j < i { inner(other, &row[..j]) } else { inner(&row[..i], &row[..i]) };
            let pivot = row[j] - sum;
            row[j] = match j < i {
                true => pivot / head[j * n + j],
                false if pivot > 0.0 => pivot.sqrt(),
                false => return None,
            };
        }
        right[i] = (right[i] - inner(&matrix[i * n..i * n + i], &right[..i])) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let later: f64 = (i + 1..n).map(|j| matrix[j * n + i] * right[j]).sum();
        right[i] = (right[i] - later) / matrix[i * n + i];
    }
    Some(right)
}

/// Attempts at one task, as the stack sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackingCase {
    pub inputs: [f64; INPUTS],
    pub trials: f64,
    pub successes: f64,
}

/// The weight of each input of the log-odds: the log-odds of agent and domain, the three estimates, and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StackingWeights(pub [f64; INPUTS]);

impl Default for StackingWeights {
    fn default() -> Self {
        Self(PRIOR)
    }
}

impl StackingWeights {
    /// Ridge logistic regression around the prior, by Newton's method.
    pub(super) fn fit(cases: &[StackingCase]) -> Self {
        let mut stack = Self::default();
        for _ in 0..STEPS {
            let (gradient, mut curvature) = stack.slopes(cases);
            let Some(step) = solve(&mut curvature, gradient) else { break };
            stack.0.iter_mut().zip(&step).for_each(|(weight, step)| *weight += step);
            if step.iter().all(|step| step.abs() < 1e-9) {
                break;
            }
        }
        if stack.0.iter().all(|weight| weight.is_finite()) { stack } else { Self::default() }
    }

    /// The effect of a task that its neighbours suggest.
    pub(super) fn suggestion(&self, estimates: &NeighbourEstimates) -> f64 {
        let [_, kriged, weighed, nearest, _] = self.0;
        kriged * estimates.kriged + weighed * estimates.weighed + nearest * estimates.nearest
    }

    fn slopes(&self, cases: &[StackingCase]) -> (Vec<f64>, Vec<f64>) {
        let mut gradient: Vec<f64> = (0..INPUTS).map(|i| PRIOR_WEIGHT * (PRIOR[i] - self.0[i])).collect();
        let mut curvature = vec![0.0; INPUTS * INPUTS];
        (0..INPUTS).for_each(|i| curvature[i * INPUTS + i] = PRIOR_WEIGHT);
        for case in cases {
            let p = sigmoid(inner(&self.0, &case.inputs));
            let (error, spread) = (case.successes - case.trials * p, case.trials * p * (1.0 - p));
            for i in 0..INPUTS {
                gradient[i] += error * case.inputs[i];
                for j in 0..INPUTS {
                    curvature[i * INPUTS + j] += spread * case.inputs[i] * case.inputs[j];
                }
            }
        }
        (gradient, curvature)
    }
}

pub(super) fn inputs(offset: f64, estimates: &NeighbourEstimates) -> [f64; INPUTS] {
    [offset, estimates.kriged, estimates.weighed, estimates.nearest, 1.0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_neighbour_of_the_same_words_says_most() {
        let effects = [Effect { value: 1.0, precision: 50.0 }, Effect { value: -1.0, precision: 50.0 }];
        let estimates = neighbour_estimates(&[1.0, 0.1], &[1.0, 0.1, 0.1, 1.0], &effects, 1.0);
        assert!(estimates.kriged > 0.7 && estimates.weighed > 0.7, "{estimates:?}");
        assert!((estimates.nearest - 0.0).abs() < 1e-12);
        assert!(estimates.explained > 0.7 && estimates.explained < 1.0);
    }

    #[test]
    fn no_neighbours_say_nothing() {
        assert_eq!(neighbour_estimates(&[], &[], &[], 1.0), NeighbourEstimates::default());
    }

    #[test]
    fn an_estimate_that_tells_gets_its_weight_and_one_that_does_not_loses_it() {
        let case = |kriged: f64, nearest: f64| StackingCase {
            inputs: [0.0, kriged, 0.0, nearest, 1.0],
            trials: 10.0,
            successes: if kriged > 0.0 { 9.0 } else { 1.0 },
        };
        let cases: Vec<StackingCase> = (0..200)
            .map(|i| case(if i % 2 == 0 { 1.0 } else { -1.0 }, if i % 4 < 2 { 1.0 } else { -1.0 }))
            .collect();
        let StackingWeights(weights) = StackingWeights::fit(&cases);
        assert!(weights[1] > 1.5 && weights[3].abs() < 0.2, "{weights:?}");
        assert_eq!(StackingWeights::fit(&[]), StackingWeights::default());
    }

    proptest! {
        #[test]
        fn the_solution_of_a_definite_system_solves_it(
            rows in prop::collection::vec(prop::collection::vec(-1.0f64..1.0, 6), 6),
            right in prop::collection::vec(-1.0f64..1.0, 6),
        ) {
            let mut matrix: Vec<f64> =
                (0..36).map(|at| inner(&rows[at / 6], &rows[at % 6]) + if at / 6 == at % 6 { 0.1 } else { 0.0 }).collect();
            let kept = matrix.clone();
            let solution = solve(&mut matrix, right.clone()).unwrap();
            for i in 0..6 {
                prop_assert!((inner(&kept[i * 6..][..6], &solution) - right[i]).abs() < 1e-6);
            }
        }
    }
}
