//! Random effects on the log-odds of success, by empirical Bayes.
//!
//! logit P = mean + agent + domain + agent within the domain + task. Each kind of effect is normal around 0; its
//! variance is estimated with two groups of variance 1 added (EM on the Laplace approximation).

use rustc_hash::FxHashMap;

const SWEEPS: usize = 40;
/// Rounds of EM for the variance around the neighbours' suggestions.
const ROUNDS: usize = 20;
/// A sweep that moves nothing by more than this was the last.
const CONVERGED: f64 = 1e-7;
/// Newton's step for the mean, shortened: the effects move in the same sweep.
const MEAN_STEP: f64 = 0.7;
/// Groups that are added to the data of a variance, each at `FIRST_VARIANCE`.
const PRIOR_GROUPS: f64 = 2.0;
const FIRST_VARIANCE: f64 = 1.0;
pub(super) const KINDS: usize = 4;
const TASK: usize = 3;

/// Attempts that share all groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observation {
    /// Numbers of agent, domain, agent within the domain, task; each from 0 without gaps.
    pub groups: [u32; KINDS],
    pub trials: f64,
    pub successes: f64,
}

/// An effect and its precision, that of its prior included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effect {
    pub value: f64,
    pub precision: f64,
}

/// One kind of effect.
#[derive(Clone, Debug)]
pub(super) struct EffectKind {
    pub variance: f64,
    pub effects: Vec<Effect>,
}

#[derive(Clone, Debug)]
pub(super) struct FittedEffects {
    pub mean: Effect,
    pub kinds: [EffectKind; KINDS],
}

impl FittedEffects {
    pub(super) fn task_effects(&self) -> &[Effect] {
        &self.kinds[TASK].effects
    }
}

pub(super) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

pub(super) fn logit(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}

/// Sums of (successes - expected) and of the variance of the expected.
#[derive(Clone, Copy, Debug, Default)]
struct LogLikelihoodSlope {
    gradient: f64,
    information: f64,
}

impl LogLikelihoodSlope {
    fn add(&mut self, trials: f64, successes: f64, z: f64) {
        let p = sigmoid(z);
        self.gradient += successes - trials * p;
        self.information += trials * p * (1.0 - p);
    }
}

/// The effects by coordinate-wise Newton steps, in the order of the observations.
pub(super) fn fit(observations: &[Observation]) -> FittedEffects {
    let mut fitted = start(observations);
    let mut z = vec![fitted.mean.value; observations.len()];
    for _ in 0..SWEEPS {
        let mut moved = move_mean(&mut fitted.mean, observations, &mut z);
        for (number, kind) in fitted.kinds.iter_mut().enumerate() {
            moved = moved.max(move_kind(kind, number, observations, &mut z));
        }
        if moved < CONVERGED {
            break;
        }
    }
    fitted
}

fn start(observations: &[Observation]) -> FittedEffects {
    let (mut trials, mut successes) = (1.0, 0.5);
    for observation in observations {
        trials += observation.trials;
        successes += observation.successes;
    }
    let kind = |number: usize| {
        let groups = observations.iter().map(|observation| observation.groups[number] as usize + 1).max();
        let effect = Effect { value: 0.0, precision: 1.0 / FIRST_VARIANCE };
        EffectKind { variance: FIRST_VARIANCE, effects: vec![effect; groups.unwrap_or(0)] }
    };
    let mean = Effect { value: logit(successes / trials), precision: 0.25 };
    FittedEffects { mean, kinds: std::array::from_fn(kind) }
}

/// Half a success in one more attempt keeps the mean finite if all outcomes are equal.
fn move_mean(mean: &mut Effect, observations: &[Observation], z: &mut [f64]) -> f64 {
    let mut slope = LogLikelihoodSlope::default();
    slope.add(1.0, 0.5, mean.value);
    for (observation, z) in observations.iter().zip(z.iter()) {
        slope.add(observation.trials, observation.successes, *z);
    }
    let step = MEAN_STEP * slope.gradient / slope.information;
    z.iter_mut().for_each(|z| *z += step);
    *mean = Effect { value: mean.value + step, precision: slope.information };
    step.abs()
}

fn move_kind(kind: &mut EffectKind, number: usize, observations: &[Observation], z: &mut [f64]) -> f64 {
    let mut slopes = vec![LogLikelihoodSlope::default(); kind.effects.len()];
    for (observation, z) in observations.iter().zip(z.iter()) {
        slopes[observation.groups[number] as usize].add(observation.trials, observation.successes, *z);
    }
    let steps: Vec<f64> = kind
        .effects
        .iter_mut()
        .zip(&slopes)
        .map(|(effect, slope)| step(effect, slope, kind.variance))
        .collect();
    for (observation, z) in observations.iter().zip(z.iter_mut()) {
        *z += steps[observation.groups[number] as usize];
    }
    let before = kind.variance;
    kind.variance = variance(&kind.effects);
    steps.into_iter().map(f64::abs).fold((kind.variance - before).abs(), f64::max)
}

fn step(effect: &mut Effect, slope: &LogLikelihoodSlope, variance: f64) -> f64 {
    let precision = slope.information + 1.0 / variance;
    let step = (slope.gradient - effect.value / variance) / precision;
    *effect = Effect { value: effect.value + step, precision };
    step
}

/// One group alone says nothing of a variance.
fn variance(effects: &[Effect]) -> f64 {
    if effects.len() < 2 {
        return FIRST_VARIANCE;
    }
    let squares: f64 =
        effects.iter().map(|effect| effect.value * effect.value + 1.0 / effect.precision).sum();
    (squares + PRIOR_GROUPS * FIRST_VARIANCE) / (effects.len() as f64 + PRIOR_GROUPS)
}

/// The effects of agents, domains and pairs, and the variance of tasks' effects.
#[derive(Clone, Debug)]
pub(super) struct Effects {
    pub mean: Effect,
    variances: [f64; KINDS],
    agents: FxHashMap<u64, Effect>,
    domains: FxHashMap<u64, Effect>,
    pairs: FxHashMap<(u64, u64), Effect>,
}

impl Default for Effects {
    fn default() -> Self {
        Self {
            mean: Effect { value: 0.0, precision: 0.25 },
            variances: [FIRST_VARIANCE; KINDS],
            agents: FxHashMap::default(),
            domains: FxHashMap::default(),
            pairs: FxHashMap::default(),
        }
    }
}

/// The log-odds of an agent in a domain, without the effect of a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownOffset {
    pub mean: f64,
    /// Of agent, domain, and agent within the domain.
    pub effects: [f64; TASK],
    pub variance: f64,
    /// Set if the agent or the domain has attempts.
    pub is_known: bool,
}

impl KnownOffset {
    /// The mean with the agent's effect, the domain's effect, and that of the agent within the domain.
    pub(super) fn inputs(&self) -> [f64; TASK] {
        let [agent, domain, pair] = self.effects;
        [self.mean + agent, domain, pair]
    }

    pub(super) fn sum(&self) -> f64 {
        self.mean + self.effects.iter().sum::<f64>()
    }
}

impl Effects {
    /// `agents`, `domains` and `pairs` name the groups in the order of their numbers.
    pub(super) fn new(fitted: &FittedEffects, agents: &[u64], domains: &[u64], pairs: &[(u64, u64)]) -> Self {
        let [agent, domain, pair, _] = &fitted.kinds;
        Self {
            mean: fitted.mean,
            variances: std::array::from_fn(|kind| fitted.kinds[kind].variance),
            agents: agents.iter().copied().zip(agent.effects.iter().copied()).collect(),
            domains: domains.iter().copied().zip(domain.effects.iter().copied()).collect(),
            pairs: pairs.iter().copied().zip(pair.effects.iter().copied()).collect(),
        }
    }

    /// Moves the log-odds of all attempts.
    pub(super) fn set_mean(&mut self, value: f64) {
        self.mean.value = value;
    }

    pub(super) fn task_variance(&self) -> f64 {
        self.variances[TASK]
    }

    pub(super) fn offset(&self, agent: u64, domain: u64) -> KnownOffset {
        let found = [self.agents.get(&agent), self.domains.get(&domain), self.pairs.get(&(agent, domain))];
        let unmet = |kind: usize| Effect { value: 0.0, precision: 1.0 / self.variances[kind] };
        let effects: [Effect; TASK] =
            std::array::from_fn(|kind| found[kind].copied().unwrap_or_else(|| unmet(kind)));
        KnownOffset {
            mean: self.mean.value,
            effects: effects.map(|effect| effect.value),
            variance: 1.0 / self.mean.precision
                + effects.iter().map(|effect| 1.0 / effect.precision).sum::<f64>(),
            is_known: found[0].is_some() || found[1].is_some(),
        }
    }

    /// The prior of a task's effect without its words.
    pub(super) fn any_task(&self) -> TaskPrior {
        TaskPrior { mean: 0.0, variance: self.task_variance() }
    }
}

/// The prior of the effect of a task, before its own attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TaskPrior {
    pub mean: f64,
    pub variance: f64,
}

/// Attempts at one task: the log-odds that are expected without its effect, how many, and how many succeeded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trials {
    pub offset: f64,
    pub trials: f64,
    pub successes: f64,
}

impl TaskPrior {
    /// The effect of the task, these attempts at it known.
    pub(super) fn after(&self, attempts: &[Trials]) -> Effect {
        let mut beyond = Effect { value: 0.0, precision: 1.0 / self.variance };
        for _ in 0..SWEEPS {
            let mut slope = LogLikelihoodSlope::default();
            for trials in attempts {
                slope.add(trials.trials, trials.successes, trials.offset + self.mean + beyond.value);
            }
            if step(&mut beyond, &slope, self.variance).abs() < CONVERGED {
                break;
            }
        }
        Effect { value: self.mean + beyond.value, ..beyond }
    }
}

/// The variance of tasks' effects around their neighbours' suggestions, by EM: the suggestion for each task with
/// its attempts. It starts at the variance around 0, at which two tasks more hold it.
pub(super) fn variance_around(suggested: &[(f64, Vec<Trials>)], variance: f64) -> f64 {
    let mut residual = variance;
    for _ in 0..ROUNDS {
        let mut squares = PRIOR_GROUPS * variance;
        for (mean, attempts) in suggested {
            let effect = TaskPrior { mean: *mean, variance: residual }.after(attempts);
            squares += (effect.value - mean).powi(2) + 1.0 / effect.precision;
        }
        residual = squares / (suggested.len() as f64 + PRIOR_GROUPS);
    }
    residual
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn observation(groups: [u32; KINDS], trials: f64, successes: f64) -> Observation {
        Observation { groups, trials, successes }
    }

    #[test]
    fn an_agent_that_succeeds_more_has_the_higher_effect_and_less_than_its_share_says() {
        let fitted = fit(&[observation([0, 0, 0, 0], 20.0, 18.0), observation([1, 0, 1, 1], 20.0, 6.0)]);
        let [better, worse] = [fitted.kinds[0].effects[0].value, fitted.kinds[0].effects[1].value];
        assert!(better > 0.0 && worse < 0.0);
        assert!(fitted.mean.value + better < logit(0.9));
    }

    #[test]
    fn where_all_went_well_the_odds_stay_finite() {
        let fitted = fit(&[observation([0, 0, 0, 0], 50.0, 50.0)]);
        let z = fitted.mean.value + fitted.kinds.iter().map(|kind| kind.effects[0].value).sum::<f64>();
        assert!(sigmoid(z) > 0.9 && sigmoid(z) < 0.9999, "{z}");
    }

    #[test]
    fn a_task_found_afterwards_has_the_effect_of_the_fit() {
        let observations: Vec<Observation> = (0..12)
            .map(|task| observation([task % 2, 0, task % 2, task], 5.0, f64::from((task * 7) % 6)))
            .collect();
        let fitted = fit(&observations);
        let effects = Effects::new(&fitted, &[10, 11], &[20], &[(10, 20), (11, 20)]);
        for (observation, effect) in observations.iter().zip(&fitted.kinds[TASK].effects) {
            let offset = effects.offset(10 + u64::from(observation.groups[0]), 20).sum();
            let Observation { trials, successes, .. } = *observation;
            let found = effects.any_task().after(&[Trials { offset, trials, successes }]);
            assert!((found.value - effect.value).abs() < 1e-3, "{} {}", found.value, effect.value);
        }
    }

    #[test]
    fn suggestions_that_hold_leave_little_variance_and_others_leave_it_all() {
        let trials = |successes: f64| vec![Trials { offset: 0.0, trials: 20.0, successes }];
        let good: Vec<_> =
            (0..60).map(|i| if i % 2 == 0 { (1.5, trials(16.0)) } else { (-1.5, trials(4.0)) }).collect();
        let bad: Vec<_> =
            (0..60).map(|i| if i % 2 == 0 { (1.5, trials(4.0)) } else { (-1.5, trials(16.0)) }).collect();
        assert!(variance_around(&good, 2.0) < 0.5);
        assert!(variance_around(&bad, 2.0) > 2.0);
    }

    proptest! {
        #[test]
        fn every_effect_is_where_its_gradient_vanishes(
            rows in prop::collection::vec((0u32..3, 0u32..2, 0u32..5, 1u32..6, 0.0f64..=1.0), 1..40),
        ) {
            let of = |row: &(u32, u32, u32, u32, f64)| {
                let groups = [row.0, row.1, row.0 * 2 + row.1, row.2];
                observation(groups, f64::from(row.3), (f64::from(row.3) * row.4).round())
            };
            let observations: Vec<Observation> = rows.iter().map(of).collect();
            let fitted = fit(&observations);
            for (number, kind) in fitted.kinds.iter().enumerate() {
                prop_assert!(kind.variance > 0.0);
                for (group, effect) in kind.effects.iter().enumerate() {
                    let mut slope = LogLikelihoodSlope::default();
                    for row in observations.iter().filter(|row| row.groups[number] == group as u32) {
                        let z = fitted.mean.value + (0..KINDS).map(|kind| fitted.kinds[kind].effects[row.groups[kind] as usize].value).sum::<f64>();
                        slope.add(row.trials, row.successes, z);
                    }
                    prop_assert!((slope.gradient - effect.value / kind.variance).abs() < 0.2);
                }
            }
        }
    }
}
