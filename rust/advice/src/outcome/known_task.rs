//! The odds of a known task from its own attempts, as bold as leaving attempts out shows they may be.
//!
//! Normal effects are timid about tasks that always went the same way. So each of the memory's own attempts is predicted
//! from the others at its task, and a logistic regression on the parts of those log-odds learns how far each is to be trusted.

use super::mixed_effects::{TaskPrior, Trials};
use super::stacking::{Stack, StackPrior, StackingCase};

/// Without the task's own attempts; their effect; the logarithm of their number if all went one way, with its sign; 1.
pub(super) const INPUTS: usize = 4;
/// With nothing left out the parts add up as they are.
const PRIOR: StackPrior<INPUTS> = StackPrior { mean: [1.0, 1.0, 0.0, 0.0], weight: 10.0 };

/// The parts of the log-odds of one more attempt at a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KnownTaskParts {
    /// The effect of the task beyond its prior mean, and its precision.
    pub own: f64,
    pub precision: f64,
    pub unanimous: f64,
}

impl KnownTaskParts {
    pub(super) fn new(prior: &TaskPrior, attempts: &[Trials]) -> Self {
        let effect = prior.after(attempts);
        let (trials, successes) = attempts
            .iter()
            .fold((0.0, 0.0), |(trials, successes), each| (trials + each.trials, successes + each.successes));
        let unanimous = match successes {
            none if none <= 0.0 => -f64::ln_1p(trials),
            all if all >= trials => f64::ln_1p(trials),
            _ => 0.0,
        };
        Self { own: effect.value - prior.mean, precision: effect.precision, unanimous }
    }
}

/// How far each part of a known task's log-odds is trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KnownTaskStack(pub Stack<INPUTS>);

impl Default for KnownTaskStack {
    fn default() -> Self {
        Self(Stack(PRIOR.mean))
    }
}

impl KnownTaskStack {
    /// `tasks` has the prior of each task and its attempts.
    pub(super) fn fit(tasks: &[(TaskPrior, &[Trials])]) -> Self {
        let cases: Vec<StackingCase<INPUTS>> =
            tasks.iter().flat_map(|(prior, attempts)| left_out(prior, attempts)).collect();
        Self(Stack::fit(cases.iter(), &PRIOR))
    }
}

/// Each attempt at a task, predicted from the others; one attempt alone says nothing.
fn left_out(prior: &TaskPrior, attempts: &[Trials]) -> Vec<StackingCase<INPUTS>> {
    let mut cases = Vec::new();
    for (at, cell) in attempts.iter().enumerate() {
        for (successes, number) in [(1.0, cell.successes), (0.0, cell.trials - cell.successes)] {
            if number < 1.0 {
                continue;
            }
            let mut others = attempts.to_vec();
            others[at].trials -= 1.0;
            others[at].successes = (others[at].successes - successes).clamp(0.0, others[at].trials);
            others.retain(|other| other.trials > 0.0);
            if others.is_empty() {
                continue;
            }
            let parts = KnownTaskParts::new(prior, &others);
            let inputs = [cell.offset + prior.mean, parts.own, parts.unanimous, 1.0];
            cases.push(StackingCase { inputs, trials: number, successes: successes * number });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::mixed_effects::sigmoid;

    fn task(offset: f64, trials: f64, successes: f64) -> Vec<Trials> {
        vec![Trials { offset, trials, successes }]
    }

    const ANY: TaskPrior = TaskPrior { mean: 0.0, variance: 1.0 };

    fn odds(stack: &KnownTaskStack, attempts: &[Trials]) -> f64 {
        let parts = KnownTaskParts::new(&ANY, attempts);
        let [offset, own, unanimous, constant] = stack.0.0;
        sigmoid(offset * attempts[0].offset + own * parts.own + unanimous * parts.unanimous + constant)
    }

    #[test]
    fn tasks_that_always_go_one_way_are_predicted_boldly_and_coin_flips_are_not() {
        let of =
            |successes: fn(usize) -> f64| (0..60).map(|at| task(0.0, 4.0, successes(at))).collect::<Vec<_>>();
        let fit = |tasks: &[Vec<Trials>]| {
            KnownTaskStack::fit(&tasks.iter().map(|task| (ANY, task.as_slice())).collect::<Vec<_>>())
        };
        let always = fit(&of(|at| if at % 2 == 0 { 4.0 } else { 0.0 }));
        assert!(odds(&always, &task(0.0, 3.0, 3.0)) > 0.9);
        assert!(odds(&always, &task(0.0, 3.0, 0.0)) < 0.1);
        let flips = fit(&of(|at| [1.0, 2.0, 2.0, 3.0, 2.0, 1.0, 3.0][at % 7]));
        assert!(odds(&flips, &task(0.0, 3.0, 3.0)) < 0.75);
    }

    #[test]
    fn tasks_with_one_attempt_leave_the_parts_as_they_are() {
        let one = task(0.3, 1.0, 1.0);
        assert_eq!(KnownTaskStack::fit(&[(ANY, one.as_slice())]), KnownTaskStack::default());
    }
}
