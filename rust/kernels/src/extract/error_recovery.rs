//! Recoveries: the step after an error, and if it helped.

use super::finding::{Found, GAVE_UP, distinct_tools, pattern_id, write_map, write_str, write_strs};
use crate::facts::Id;
use crate::text::TextVersion;
use crate::trajectory::Trajectory;
use std::ops::Range;

/// The most tools of the next batch that are looked at.
const MOST_OF_A_BATCH: usize = 32;

/// Each error with its next step. An occurrence is ok if that step succeeded and the same error of the same tool
/// did not come back in the episode. If the run ended with that step, it is as ok as the outcome. Giving up is no fix.
///
/// Calls of one batch are no fixes for each other: the next steps are those after the batch, each tool once.
pub fn error_recoveries(trajectory: &Trajectory, limit: usize) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for error in errors(trajectory) {
        let came_back = error.came_back(trajectory);
        for next in error.next_tools(trajectory) {
            let ok = if came_back { 0.0 } else { error.share_of(trajectory, next) };
            let each = finding(trajectory, &error, next, ok);
            match found.iter_mut().find(|known| known.pattern == each.pattern) {
                Some(known) => known.ok.push(ok),
                None => found.push(each),
            }
        }
    }
    found.sort_by_key(|each| std::cmp::Reverse(each.ok.len()));
    found.truncate(limit);
    found
}

/// An error of an episode.
struct ErrorAt<'a> {
    step: usize,
    class: &'a str,
    /// The steps after it that are no part of its batch, up to the end of the next batch.
    next: Range<usize>,
}

fn errors(trajectory: &Trajectory) -> impl Iterator<Item = ErrorAt<'_>> {
    let end = trajectory.len();
    let stretches = trajectory.in_order();
    let following: Vec<Range<usize>> = (0..stretches.len())
        .flat_map(|at| {
            let next = stretches.get(at + 1).cloned().unwrap_or(end..end);
            stretches[at].clone().map(move |_| next.clone())
        })
        .collect();
    let classes = trajectory.error_classes.iter().enumerate();
    classes.filter_map(move |(step, class)| {
        Some(ErrorAt { step, class: class.as_deref()?, next: following[step].clone() })
    })
}

impl ErrorAt<'_> {
    fn came_back(&self, trajectory: &Trajectory) -> bool {
        let tool = trajectory.tool_indices[self.step];
        (self.next.start..trajectory.len()).any(|later| {
            trajectory.tool_indices[later] == tool
                && trajectory.error_classes[later].as_deref() == Some(self.class)
        })
    }

    /// The tools that came next; `None` means that the run ended.
    fn next_tools(&self, trajectory: &Trajectory) -> Vec<Option<u32>> {
        if self.next.is_empty() {
            return vec![None];
        }
        let tools = distinct_tools(trajectory, self.next.clone());
        tools.into_iter().take(MOST_OF_A_BATCH).map(Some).collect()
    }

    /// The share to which the next step worked: a step that ends the run is judged by the outcome. While that is unknown
    /// only a success of the tool that failed counts.
    fn share_of(&self, trajectory: &Trajectory, next: Option<u32>) -> f64 {
        let went_well = |step: usize| Some(trajectory.tool_indices[step]) == next && trajectory.ok[step] == 1;
        if !self.next.clone().any(went_well) {
            return 0.0;
        }
        let is_of_failed_tool = next == Some(trajectory.tool_indices[self.step]);
        if self.next.end < trajectory.len() || trajectory.text_version < TextVersion::V3 {
            1.0
        } else {
            trajectory.base.unwrap_or(f64::from(u8::from(is_of_failed_tool)))
        }
    }
}

/// The tool, its error's class, and the tool that came next, for each error of the episode.
pub(crate) fn recoveries(trajectory: &Trajectory) -> impl Iterator<Item = (&str, &str, &str)> {
    errors(trajectory).flat_map(move |error| {
        let (tool, class) = (name(trajectory, error.step), error.class);
        let next = error.next_tools(trajectory);
        next.into_iter().map(move |next| (tool, class, next_name(trajectory, next)))
    })
}

/// The identity of a way out of an error.
pub(crate) fn recovery_id(tool: &str, class: &str, next: &str) -> Id {
    pattern_id(KIND, &content(tool, class, next))
}

const KIND: &str = "error_recovery";

fn name(trajectory: &Trajectory, step: usize) -> &str {
    &trajectory.tool_names[trajectory.tool_indices[step] as usize]
}

fn next_name(trajectory: &Trajectory, next: Option<u32>) -> &str {
    next.map_or(GAVE_UP, |tool| &trajectory.tool_names[tool as usize])
}

fn content(tool: &str, class: &str, next: &str) -> Vec<u8> {
    let mut content = Vec::with_capacity(128);
    write_map(&mut content, 3);
    for (key, value) in [("error", class), ("next", next), ("tool", tool)] {
        write_str(&mut content, key);
        write_str(&mut content, value);
    }
    content
}

fn finding(trajectory: &Trajectory, error: &ErrorAt<'_>, next: Option<u32>, ok: f64) -> Found {
    let content = content(name(trajectory, error.step), error.class, next_name(trajectory, next));
    let mut detail = Vec::with_capacity(64);
    write_map(&mut detail, 1);
    write_str(&mut detail, "steps");
    let start = error.next.start;
    let worked = (start..trajectory.len()).find(|later| trajectory.ok[*later] == 1);
    let tried = start..worked.map_or(trajectory.len(), |at| at + 1);
    write_strs(&mut detail, tried.map(|step| name(trajectory, step)));
    Found::new(KIND, &content, Some(&detail), vec![ok])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trajectory(steps: &[(u32, i8)]) -> Trajectory {
        Trajectory {
            tool_names: vec!["select".into(), "show".into()],
            tool_indices: steps.iter().map(|step| step.0).collect(),
            tools: vec![0; steps.len()],
            ok: steps.iter().map(|step| step.1).collect(),
            error_classes: steps
                .iter()
                .map(|step| (step.1 == 0).then(|| "table doesn't exist".into()))
                .collect(),
            ..Trajectory::default()
        }
    }

    fn outcomes(steps: &[(u32, i8)], base: Option<f64>) -> Vec<Vec<f64>> {
        let judged = Trajectory { base, ..trajectory(steps) };
        error_recoveries(&judged, 32).into_iter().map(|found| found.ok).collect()
    }

    #[test]
    fn another_tool_that_worked_helped() {
        assert_eq!(outcomes(&[(0, 0), (1, 1), (0, 1)], None), [[1.0]]);
        assert_eq!(outcomes(&[(0, 0), (1, 1), (0, 1)], Some(0.0)), [[1.0]]);
    }

    #[test]
    fn a_next_step_that_ends_the_run_is_judged_by_the_outcome() {
        for (base, switched, retried) in
            [(Some(0.0), 0.0, 0.0), (Some(1.0), 1.0, 1.0), (Some(0.5), 0.5, 0.5), (None, 0.0, 1.0)]
        {
            assert_eq!(outcomes(&[(0, 0), (1, 1)], base), [[switched]]);
            assert_eq!(outcomes(&[(0, 0), (0, 1)], base), [[retried]]);
            assert_eq!(outcomes(&[(0, 0), (1, 0)], base)[0], [0.0]);
        }
        assert_eq!(outcomes(&[(0, 0)], Some(1.0)), [[0.0]], "giving up is no fix");
    }

    #[test]
    fn versions_before_3_ask_only_if_the_last_step_went_well() {
        let judged =
            Trajectory { base: Some(0.0), text_version: TextVersion::V2, ..trajectory(&[(0, 0), (1, 1)]) };
        assert_eq!(error_recoveries(&judged, 32)[0].ok, [1.0]);
    }

    #[test]
    fn calls_of_one_batch_are_no_fixes_for_each_other() {
        let batched =
            Trajectory { batches: vec![1, 1, 2, 2], ..trajectory(&[(0, 0), (1, 1), (1, 1), (0, 1)]) };
        let batched = Trajectory { base: Some(1.0), ..batched };
        let nexts: Vec<_> = recoveries(&batched).map(|(_, _, next)| next).collect();
        assert_eq!(nexts, ["select", "show"]);
        let same_error_twice =
            Trajectory { batches: vec![1, 1, 0, 0], ..trajectory(&[(0, 0), (0, 0), (1, 1), (1, 1)]) };
        assert_eq!(error_recoveries(&same_error_twice, 32)[0].ok, [1.0, 1.0]);
    }

    #[test]
    fn it_did_not_help_where_the_same_error_came_back() {
        assert_eq!(outcomes(&[(0, 0), (1, 1), (0, 0), (1, 1)], Some(1.0)), [[0.0, 1.0]]);
    }

    #[test]
    fn an_error_that_nothing_follows_was_given_up() {
        let found = error_recoveries(&trajectory(&[(0, 0)]), 32);
        assert!(String::from_utf8_lossy(&found[0].record).contains(GAVE_UP));
        assert_eq!(found[0].ok, [0.0]);
    }

    #[test]
    fn trying_again_and_switching_are_recoveries_of_their_own() {
        assert_eq!(outcomes(&[(0, 0), (0, 0), (1, 1)], None).len(), 2);
    }
}
