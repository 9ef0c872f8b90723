//! Fixes for an error: counts of the next steps that worked.

use super::backoff_counts::{ContextCounts, NextCount, StepSymbol, interpolate, join};
use super::tools::FINISH;

/// A fix for an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// None: the run may finish.
    pub tool: Option<String>,
    /// How likely the next step that works is this one; all ways sum to 1.
    pub probability: f64,
    /// How many next steps worked after the most specific known error of this kind.
    pub support: f64,
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
    fn contexts(&self) -> [u64; 5] {
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
    pub(super) fn count(
        &mut self,
        agent: u64,
        steps: &[(u32, StepSymbol)],
        succeeded: bool,
        change: fn(&mut ContextCounts, &[u64], u32),
    ) {
        for (at, (_, this)) in steps.iter().enumerate() {
            let next = steps.get(at + 1);
            let (number, worked) =
                next.map_or((FINISH, succeeded), |(number, next)| (*number, next.class == 0));
            if next.is_some() || succeeded {
                change(&mut self.followed, &[FOLLOWED, join(FOLLOWED, this.tool)], number);
            }
            if this.class != 0 && worked {
                let failure =
                    Failure { tool: this.tool, class: this.class, agent, before: Some(before(steps, at)) };
                change(&mut self.worked, &failure.contexts(), number);
                change(&mut self.worked, &failure.without_tool().contexts(), number);
            }
        }
    }

    /// Each fix with its probability, and the number that worked in the most specific known context of the failure.
    pub(super) fn ranked(&self, failure: &Failure) -> (Vec<(u32, f64)>, u32) {
        let all = self.followed.row(FOLLOWED);
        let mut known: Vec<u32> = all.counts().iter().map(|(next, _)| *next).collect();
        known.sort_unstable();
        let mut expected = vec![1.0 / known.len() as f64; known.len()];
        let place = |next: u32| known.binary_search(&next).ok();
        interpolate(&mut expected, all.counts(), place);
        interpolate(&mut expected, self.followed.row(join(FOLLOWED, failure.tool)).counts(), place);
        let mut support = 0;
        for context in failure.contexts() {
            let row = self.worked.row(context);
            interpolate(&mut expected, row.counts(), place);
            let total: u32 = row.counts().iter().map(|(_, count): &NextCount| count).sum();
            support = if total > 0 { total } else { support };
        }
        (known.into_iter().zip(expected).collect(), support)
    }

    pub(super) fn bytes(&self) -> usize {
        self.worked.bytes() + self.followed.bytes()
    }
}

/// The context of every next step.
const FOLLOWED: u64 = 1;

/// The two steps before a step, the last first.
pub(super) fn before(steps: &[(u32, StepSymbol)], at: usize) -> [StepSymbol; 2] {
    [1, 2].map(|back| at.checked_sub(back).map_or(StepSymbol::START, |at| steps[at].1))
}
