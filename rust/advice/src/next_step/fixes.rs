//! Fixes for an error: counts of the next steps that worked.
//!
//! Calls of one batch are no fixes for each other. A next step that ends the run worked if the run succeeded.

use super::backoff_counts::{ContextCounts, NextCount, StepSymbol, interpolate, join};
use super::tools::FINISH;
use tacit_kernels::facts::Id;

/// The contexts of a failure, from general to specific; those from `FIRST_RARE` on say who ran and what was done before.
const LEVELS: usize = 5;
const FIRST_RARE: usize = 2;
/// With fewer errors to learn from than this, rare contexts weigh as little as at first.
const FEWEST_ERRORS: usize = 20;
/// The discount of a rare context at first, and those it may be given: the last one leaves it out.
const FIRST_DISCOUNT: f64 = 8.0;
const DISCOUNTS: [f64; 6] = [1.0, 2.0, 4.0, 8.0, 32.0, f64::INFINITY];
/// How much the mean logarithmic loss must fall for a context to weigh more.
const LEAST_GAIN: f64 = 0.002;

/// A fix for an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// None: the run may finish.
    pub tool: Option<String>,
    /// How likely the next step that works is this one; all ways sum to 1.
    pub probability: f64,
    /// How many next steps worked after the most specific known error of this kind.
    pub support: f64,
    /// The newest successful runs in which this tool went well right after the error; empty if the tool is not known.
    pub episodes: Vec<Id>,
}

/// An error of a run and its circumstances.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// 0 means that the tool is not known.
    pub tool: u64,
    pub class: u64,
    /// 0 means that the agent is not known.
    pub agent: u64,
    /// The two steps before the one that failed, the last first; `None` means that they are not known.
    pub before: Option<[StepSymbol; 2]>,
}

/// Counts of the steps after errors, and after any step.
#[derive(Debug, Default)]
pub(super) struct FixCounts {
    worked: ContextCounts,
    followed: ContextCounts,
}

impl Failure {
    /// From general to specific; 0 means that a part is not known.
    fn contexts(&self) -> [u64; LEVELS] {
        let error = join(self.tool, self.class);
        let by_agent = join(error, self.agent);
        let before = self.before.map(|[last, first]| {
            let last = join(by_agent, last.result());
            [join(4, last), join(5, join(last, first.result()))]
        });
        let [last, both] = before.unwrap_or([0, 0]);
        let tool = if self.tool == 0 { 0 } else { join(1, self.tool) };
        [tool, join(2, error), if self.agent == 0 { 0 } else { join(3, by_agent) }, last, both]
    }

    /// The same of a caller who names the error alone.
    fn without_tool(&self) -> Self {
        Self { tool: 0, before: None, ..*self }
    }
}

impl FixCounts {
    /// Counts the next step of each error and step of a run, or takes them back, by the numbers of tools.
    ///
    /// `starts` holds the place of the first step of each stretch: of a step, or of a batch of calls.
    pub(super) fn count(
        &mut self,
        agent: u64,
        steps: &[(u32, StepSymbol)],
        starts: &[usize],
        succeeded: bool,
        change: fn(&mut ContextCounts, &[u64], u32),
    ) {
        for (failure, followers) in followed_steps(agent, steps, starts, succeeded) {
            for (number, worked) in &followers {
                if *number != FINISH || succeeded {
                    change(&mut self.followed, &[FOLLOWED, join(FOLLOWED, failure.tool)], *number);
                }
                if failure.class != 0 && *worked {
                    change(&mut self.worked, &failure.contexts(), *number);
                    change(&mut self.worked, &failure.without_tool().contexts(), *number);
                }
            }
        }
    }

    /// Each fix with its probability, and the number that worked in the most specific known context of the failure.
    pub(super) fn ranked(&self, failure: &Failure, discounts: &FixDiscounts) -> (Vec<(u32, f64)>, u32) {
        let all = self.followed.row(FOLLOWED);
        let mut known: Vec<u32> = all.counts().iter().map(|(next, _)| *next).collect();
        known.sort_unstable();
        let mut expected = vec![1.0 / known.len() as f64; known.len()];
        let place = |next: u32| known.binary_search(&next).ok();
        interpolate(&mut expected, all.counts(), 1.0, place);
        interpolate(&mut expected, self.followed.row(join(FOLLOWED, failure.tool)).counts(), 1.0, place);
        let mut support = 0;
        for (context, discount) in failure.contexts().into_iter().zip(discounts.0) {
            let row = self.worked.row(context);
            interpolate(&mut expected, row.counts(), discount, place);
            let total: u32 = row.counts().iter().map(|(_, count): &NextCount| count).sum();
            support = if total > 0 { total } else { support };
        }
        (known.into_iter().zip(expected).collect(), support)
    }

    /// The errors of a run whose next step worked, each as the counts of all other runs see it.
    pub(super) fn held_out(
        &self,
        agent: u64,
        steps: &[(u32, StepSymbol)],
        starts: &[usize],
        succeeded: bool,
    ) -> Vec<HeldOutError> {
        let mut own = Self::default();
        own.count(agent, steps, starts, succeeded, ContextCounts::add);
        let errors = followed_steps(agent, steps, starts, succeeded)
            .into_iter()
            .filter(|(failure, _)| failure.class != 0);
        let fixed = errors.flat_map(|(failure, followers)| {
            followers
                .into_iter()
                .filter(|(next, worked)| *worked && *next != FINISH)
                .map(move |(next, _)| (failure, next))
        });
        let mut found = Vec::new();
        for (failure, next) in fixed {
            let level = |context: u64| {
                let (all, mine) = (self.worked.row(context), own.worked.row(context));
                let mine = |each: u32| {
                    mine.counts().iter().find(|(other, _)| *other == each).map_or(0, |(_, count)| *count)
                };
                let others = all.counts().iter().map(|(each, count)| (*each, count - mine(*each)));
                others.filter(|(_, count)| *count > 0).fold(LevelCounts::default(), |sum, (each, count)| {
                    LevelCounts {
                        total: sum.total + f64::from(count),
                        different: sum.different + 1.0,
                        right: sum.right + if each == next { f64::from(count) } else { 0.0 },
                    }
                })
            };
            found.push(HeldOutError(failure.contexts().map(level)));
        }
        found
    }

    pub(super) fn bytes(&self) -> usize {
        self.worked.bytes() + self.followed.bytes()
    }
}

/// Each step of a run, as a failure may be, with the tools that followed and whether they worked.
fn followed_steps(
    agent: u64,
    steps: &[(u32, StepSymbol)],
    starts: &[usize],
    succeeded: bool,
) -> Vec<(Failure, Vec<(u32, bool)>)> {
    let end_of = |at: usize| starts.get(at + 1).copied().unwrap_or(steps.len());
    let mut found = Vec::with_capacity(steps.len());
    for (at, start) in starts.iter().enumerate() {
        let next = &steps[end_of(at)..end_of(at + 1)];
        let followers = next_numbers(next, end_of(at + 1) == steps.len(), succeeded);
        for (_, this) in &steps[*start..end_of(at)] {
            let before = Some(before(steps, *start));
            found.push((Failure { tool: this.tool, class: this.class, agent, before }, followers.clone()));
        }
    }
    found
}

/// The tools of the next stretch, each once with whether it worked; the end if there is none.
fn next_numbers(next: &[(u32, StepSymbol)], is_last: bool, succeeded: bool) -> Vec<(u32, bool)> {
    if next.is_empty() {
        return vec![(FINISH, succeeded)];
    }
    let worked = |step: &(u32, StepSymbol)| (step.0, step.1.class == 0 && (succeeded || !is_last));
    let mut numbers: Vec<(u32, bool)> = next.iter().map(worked).collect();
    numbers.sort_unstable_by_key(|(number, worked)| (*number, !*worked));
    numbers.dedup_by_key(|(number, _)| *number);
    numbers
}

/// The context of every next step.
const FOLLOWED: u64 = 1;

/// The two steps before a step, the last first.
pub(super) fn before(steps: &[(u32, StepSymbol)], at: usize) -> [StepSymbol; 2] {
    [1, 2].map(|back| at.checked_sub(back).map_or(StepSymbol::START, |at| steps[at].1))
}

/// How often any step worked in a context, how many different ones did, and how often the one that came.
#[derive(Clone, Copy, Debug, Default)]
struct LevelCounts {
    total: f64,
    different: f64,
    right: f64,
}

/// An error whose fix is known, by the counts of the other runs.
pub(super) struct HeldOutError([LevelCounts; LEVELS]);

impl HeldOutError {
    fn loss(&self, discounts: &FixDiscounts) -> f64 {
        let mut share = FLOOR;
        for (level, discount) in self.0.iter().zip(discounts.0) {
            if level.total > 0.0 && discount.is_finite() {
                let lost = discount * level.different;
                share = (level.right + lost * share) / (level.total + lost);
            }
        }
        -share.max(FLOOR).ln()
    }
}

/// The probability of a step that no context knows.
const FLOOR: f64 = 0.01;

/// How much of the probability each context leaves to the more general ones: this many sightings for each different step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FixDiscounts([f64; LEVELS]);

impl Default for FixDiscounts {
    fn default() -> Self {
        let mut discounts = [1.0; LEVELS];
        discounts[FIRST_RARE..].fill(FIRST_DISCOUNT);
        Self(discounts)
    }
}

impl FixDiscounts {
    /// The discounts by which errors are predicted best from other runs: a rare context must earn its weight.
    pub(super) fn fit(errors: &[HeldOutError]) -> Self {
        let mut best = Self::default();
        if errors.len() < FEWEST_ERRORS {
            return best;
        }
        best.0[FIRST_RARE..].fill(f64::INFINITY);
        let loss = |discounts: &Self| {
            errors.iter().map(|error| error.loss(discounts)).sum::<f64>() / errors.len() as f64
        };
        let mut least = loss(&best);
        for level in (FIRST_RARE..LEVELS).chain(FIRST_RARE..LEVELS) {
            for discount in DISCOUNTS {
                let mut tried = best;
                tried.0[level] = discount;
                let found = loss(&tried);
                if found < least - LEAST_GAIN {
                    (best, least) = (tried, found);
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every step is a stretch of its own.
    fn starts(steps: &[(u32, StepSymbol)]) -> Vec<usize> {
        (0..steps.len()).collect()
    }

    fn step(tool: u64, class: u64) -> (u32, StepSymbol) {
        (tool as u32, StepSymbol { tool, class })
    }

    /// Runs in which tool 3 fails after tool `before(number)` and tool `fix(number)` follows.
    fn fitted(before: fn(u64) -> u64, fix: fn(u64) -> u64) -> FixDiscounts {
        let runs: Vec<Vec<(u32, StepSymbol)>> =
            (0..60).map(|number| vec![step(before(number), 0), step(3, 9), step(fix(number), 0)]).collect();
        let mut counts = FixCounts::default();
        runs.iter().for_each(|run| counts.count(7, run, &starts(run), true, ContextCounts::add));
        let errors: Vec<HeldOutError> =
            runs.iter().flat_map(|run| counts.held_out(7, run, &starts(run), true)).collect();
        assert_eq!(errors.len(), 60);
        FixDiscounts::fit(&errors)
    }

    #[test]
    fn steps_before_an_error_weigh_if_they_decide_the_fix() {
        let FixDiscounts(decides) = fitted(|number| 10 + number % 2, |number| 20 + number % 2);
        assert!(decides[3].min(decides[4]) <= 2.0, "{decides:?}");
    }

    #[test]
    fn contexts_that_are_seen_once_are_left_out_if_they_say_nothing() {
        let FixDiscounts(rare) = fitted(|number| 100 + number / 2, |number| 20 + number * 7 % 5 / 3);
        assert!(rare[3..].iter().all(|discount| *discount >= 8.0), "{rare:?}");
    }

    #[test]
    fn with_few_errors_a_context_seen_once_does_not_outvote_the_table() {
        let mut counts = FixCounts::default();
        let run = |before: u64, fix: u64| vec![step(before, 0), step(3, 9), step(fix, 0)];
        (0..4).for_each(|number| {
            counts.count(7, &run(30 + number, 20), &starts(&run(30 + number, 20)), true, ContextCounts::add)
        });
        counts.count(7, &run(50, 21), &starts(&run(50, 21)), true, ContextCounts::add);
        let steps = run(50, 21);
        let failure = Failure { tool: 3, class: 9, agent: 7, before: Some(before(&steps, 1)) };
        let best = |discounts: &FixDiscounts| {
            let (ranked, _) = counts.ranked(&failure, discounts);
            ranked.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
        };
        assert_eq!(best(&FixDiscounts::default()), 20);
        assert_eq!(best(&FixDiscounts([1.0; LEVELS])), 21, "half of the probability was the context's");
    }
}
