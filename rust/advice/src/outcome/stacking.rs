//! The effect of a new task from the nearest tasks: three estimates, weighed by logistic regression (stacking).

use super::mixed_effects::{Effect, sigmoid};
use tacit_kernels::linear::solve;

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

/// The parts of the log-odds of agent and domain: mean and agent, domain, agent within the domain.
pub(super) const OFFSETS: usize = 3;
/// Those, the four estimates, and 1.
pub(super) const INPUTS: usize = OFFSETS + 5;
/// The prior of the weights if nothing else is known: each of the neighbours' estimates counts a little.
const PRIOR: StackPrior<INPUTS> = StackPrior { mean: [0.9, 0.9, 0.9, 0.3, 0.3, 0.3, 0.0, 0.0], weight: 10.0 };
/// Other priors that held-out tasks may prefer: the agent alone, agent and domain, with the words, with all estimates, or
/// with the nearest five.
const MEANS: [[f64; INPUTS]; 6] = [
    PRIOR.mean,
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [1.0, 0.5, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0],
    [0.9, 0.9, 0.9, 0.3, 0.25, 0.25, 0.2, 0.0],
    [1.0, 0.5, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0],
];
const WEIGHTS: [f64; 3] = [3.0, 10.0, 40.0];
/// With fewer tasks no prior is chosen.
const FEWEST_TASKS: usize = 20;
pub(super) const FOLDS: usize = 5;
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
    /// The effect by the words alone.
    pub words: f64,
    /// How much of the variance of the effect is explained.
    pub explained: f64,
}

/// `cosines` are those of the neighbours with the task, the nearest first; `between` those among the neighbours.
pub(super) fn neighbour_estimates(
    cosines: &[f64],
    between: &[f64],
    effects: &[Effect],
    variance: f64,
    words: f64,
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
    NeighbourEstimates { kriged, weighed: weighed.0 / weighed.1, nearest, words, explained }
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

/// Attempts at one task, as the stack sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackingCase<const N: usize> {
    pub inputs: [f64; N],
    pub trials: f64,
    pub successes: f64,
}

/// The weight of each input of the log-odds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stack<const N: usize>(pub [f64; N]);

/// The weights that a fit is drawn to, and the strength of the pull.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StackPrior<const N: usize> {
    pub mean: [f64; N],
    pub weight: f64,
}

impl<const N: usize> Stack<N> {
    /// Ridge logistic regression around the prior, by Newton's method.
    pub(super) fn fit<'a>(
        cases: impl Iterator<Item = &'a StackingCase<N>> + Clone,
        prior: &StackPrior<N>,
    ) -> Self {
        let mut stack = Self(prior.mean);
        for _ in 0..STEPS {
            let (gradient, mut curvature) = stack.slopes(cases.clone(), prior);
            let Some(step) = solve(&mut curvature, gradient) else { break };
            stack.0.iter_mut().zip(&step).for_each(|(weight, step)| *weight += step);
            if step.iter().all(|step| step.abs() < 1e-6) {
                break;
            }
        }
        if stack.0.iter().all(|weight| weight.is_finite()) { stack } else { Self(prior.mean) }
    }

    fn slopes<'a>(
        &self,
        cases: impl Iterator<Item = &'a StackingCase<N>>,
        prior: &StackPrior<N>,
    ) -> (Vec<f64>, Vec<f64>) {
        let mut gradient: Vec<f64> =
            prior.mean.iter().zip(&self.0).map(|(mean, weight)| prior.weight * (mean - weight)).collect();
        let mut curvature = vec![0.0; N * N];
        (0..N).for_each(|i| curvature[i * N + i] = prior.weight);
        for case in cases {
            let p = sigmoid(inner(&self.0, &case.inputs));
            let (error, spread) = (case.successes - case.trials * p, case.trials * p * (1.0 - p));
            for i in 0..N {
                gradient[i] += error * case.inputs[i];
                for j in 0..N {
                    curvature[i * N + j] += spread * case.inputs[i] * case.inputs[j];
                }
            }
        }
        (gradient, curvature)
    }

    /// How badly a case is predicted: its negative log-likelihood.
    fn loss(&self, case: &StackingCase<N>) -> f64 {
        let p = sigmoid(inner(&self.0, &case.inputs)).clamp(1e-6, 1.0 - 1e-6);
        -case.successes * p.ln() - (case.trials - case.successes) * (1.0 - p).ln()
    }
}

/// The weights of a new task's log-odds: of agent and domain, of the four estimates, and of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StackingWeights(pub Stack<INPUTS>);

impl Default for StackingWeights {
    fn default() -> Self {
        Self(Stack(PRIOR.mean))
    }
}

impl StackingWeights {
    /// `tasks` has the cases of each task. Another prior is taken if held-out tasks are predicted better by it, beyond two
    /// standard errors.
    pub(super) fn fit(tasks: &[Vec<StackingCase<INPUTS>>]) -> Self {
        let mut best = (0.0, PRIOR);
        if tasks.len() >= FEWEST_TASKS {
            let usual = held_out_losses(tasks, &PRIOR);
            for (mean, weight) in MEANS.into_iter().flat_map(|mean| WEIGHTS.map(|weight| (mean, weight))) {
                let prior = StackPrior { mean, weight };
                let gain = sure_gain(&usual, &held_out_losses(tasks, &prior));
                if gain > best.0 {
                    best = (gain, prior);
                }
            }
        }
        Self(Stack::fit(tasks.iter().flatten(), &best.1))
    }

    /// The weights of the parts of the log-odds of agent and domain, and the constant.
    pub(super) fn offsets(&self) -> ([f64; OFFSETS], f64) {
        let [agent, domain, pair, .., constant] = self.0.0;
        ([agent, domain, pair], constant)
    }

    /// The effect of a task that its neighbours and its words suggest.
    pub(super) fn suggestion(&self, estimates: &NeighbourEstimates) -> f64 {
        let [_, _, _, kriged, weighed, nearest, words, _] = self.0.0;
        kriged * estimates.kriged
            + weighed * estimates.weighed
            + nearest * estimates.nearest
            + words * estimates.words
    }
}

/// The loss of each task, each fold predicted by weights of the others.
fn held_out_losses(tasks: &[Vec<StackingCase<INPUTS>>], prior: &StackPrior<INPUTS>) -> Vec<f64> {
    let stacks: [Stack<INPUTS>; FOLDS] = std::array::from_fn(|held| {
        let others = tasks.iter().enumerate().filter(move |(at, _)| at % FOLDS != held);
        Stack::fit(others.flat_map(|(_, cases)| cases), prior)
    });
    let loss = |(at, cases): (usize, &Vec<StackingCase<INPUTS>>)| {
        cases.iter().map(|case| stacks[at % FOLDS].loss(case)).sum()
    };
    tasks.iter().enumerate().map(loss).collect()
}

/// How much less the other loss is in the mean, less two standard errors.
fn sure_gain(usual: &[f64], other: &[f64]) -> f64 {
    let n = usual.len() as f64;
    let gains = || usual.iter().zip(other).map(|(usual, other)| usual - other);
    let mean = gains().sum::<f64>() / n;
    let variance = gains().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean - 2.0 * (variance / n).sqrt()
}

pub(super) fn inputs(offsets: &[f64; OFFSETS], estimates: &NeighbourEstimates) -> [f64; INPUTS] {
    let [agent, domain, pair] = *offsets;
    let NeighbourEstimates { kriged, weighed, nearest, words, .. } = *estimates;
    [agent, domain, pair, kriged, weighed, nearest, words, 1.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_of_the_same_words_says_most() {
        let effects = [Effect { value: 1.0, precision: 50.0 }, Effect { value: -1.0, precision: 50.0 }];
        let estimates = neighbour_estimates(&[1.0, 0.1], &[1.0, 0.1, 0.1, 1.0], &effects, 1.0, 0.0);
        assert!(estimates.kriged > 0.7 && estimates.weighed > 0.7, "{estimates:?}");
        assert!((estimates.nearest - 0.0).abs() < 1e-12);
        assert!(estimates.explained > 0.7 && estimates.explained < 1.0);
    }

    #[test]
    fn no_neighbours_say_nothing() {
        assert_eq!(neighbour_estimates(&[], &[], &[], 1.0, 0.0), NeighbourEstimates::default());
    }

    #[test]
    fn an_estimate_that_tells_gets_its_weight_and_one_that_does_not_loses_it() {
        let case = |kriged: f64, nearest: f64| StackingCase {
            inputs: [0.0, 0.0, 0.0, kriged, 0.0, nearest, 0.0, 1.0],
            trials: 10.0,
            successes: if kriged > 0.0 { 9.0 } else { 1.0 },
        };
        let cases: Vec<Vec<StackingCase<INPUTS>>> = (0..200)
            .map(|i| vec![case(if i % 2 == 0 { 1.0 } else { -1.0 }, if i % 4 < 2 { 1.0 } else { -1.0 })])
            .collect();
        let StackingWeights(Stack(weights)) = StackingWeights::fit(&cases);
        assert!(weights[3] > 1.5 && weights[5].abs() < 0.2, "{weights:?}");
        assert_eq!(StackingWeights::fit(&[]), StackingWeights::default());
    }
}
