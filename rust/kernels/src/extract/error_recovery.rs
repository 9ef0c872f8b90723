//! Recoveries: the step after an error, and if it helped.

use super::finding::{Found, GAVE_UP, pattern_id, write_map, write_str, write_strs};
use crate::facts::Id;
use crate::trajectory::Trajectory;

/// Each error with its next step. An occurrence is ok if that step succeeded and the same error of the same tool
/// did not come back in the episode.
pub fn error_recoveries(trajectory: &Trajectory, limit: usize) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (step, class) in errors(trajectory) {
        let ok = if helped(trajectory, step, class) { 1.0 } else { 0.0 };
        let each = finding(trajectory, step, class, ok);
        match found.iter_mut().find(|known| known.pattern == each.pattern) {
            Some(known) => known.ok.push(ok),
            None => found.push(each),
        }
    }
    found.sort_by_key(|each| std::cmp::Reverse(each.ok.len()));
    found.truncate(limit);
    found
}

fn errors(trajectory: &Trajectory) -> impl Iterator<Item = (usize, &str)> {
    trajectory.error_classes.iter().enumerate().filter_map(|(step, class)| Some((step, class.as_deref()?)))
}

fn helped(trajectory: &Trajectory, step: usize, class: &str) -> bool {
    let tool = trajectory.tool_indices[step];
    let came_back = errors(trajectory)
        .any(|(later, other)| later > step && other == class && trajectory.tool_indices[later] == tool);
    trajectory.ok.get(step + 1) == Some(&1) && !came_back
}

/// The tool, its error's class, and the tool that came next, for each error of the episode.
pub(crate) fn recoveries(trajectory: &Trajectory) -> impl Iterator<Item = (&str, &str, &str)> {
    errors(trajectory).map(|(step, class)| (name(trajectory, step), class, next_after(trajectory, step)))
}

/// The identity of a way out of an error.
pub(crate) fn recovery_id(tool: &str, class: &str, next: &str) -> Id {
    pattern_id(KIND, &content(tool, class, next))
}

const KIND: &str = "error_recovery";

fn name(trajectory: &Trajectory, step: usize) -> &str {
    &trajectory.tool_names[trajectory.tool_indices[step] as usize]
}

fn next_after(trajectory: &Trajectory, step: usize) -> &str {
    if step + 1 < trajectory.len() { name(trajectory, step + 1) } else { GAVE_UP }
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

fn finding(trajectory: &Trajectory, step: usize, class: &str, ok: f64) -> Found {
    let content = content(name(trajectory, step), class, next_after(trajectory, step));
    let mut detail = Vec::with_capacity(64);
    write_map(&mut detail, 1);
    write_str(&mut detail, "steps");
    let worked = (step + 1..trajectory.len()).find(|later| trajectory.ok[*later] == 1);
    let tried = step + 1..worked.map_or(trajectory.len(), |at| at + 1);
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

    fn outcomes(steps: &[(u32, i8)]) -> Vec<Vec<f64>> {
        error_recoveries(&trajectory(steps), 32).into_iter().map(|found| found.ok).collect()
    }

    #[test]
    fn another_tool_that_worked_helped() {
        assert_eq!(outcomes(&[(0, 0), (1, 1), (0, 1)]), [[1.0]]);
    }

    #[test]
    fn it_did_not_help_where_the_same_error_came_back() {
        assert_eq!(outcomes(&[(0, 0), (1, 1), (0, 0), (1, 1)]), [[0.0, 1.0]]);
    }

    #[test]
    fn an_error_that_nothing_follows_was_given_up() {
        let found = error_recoveries(&trajectory(&[(0, 0)]), 32);
        assert!(String::from_utf8_lossy(&found[0].record).contains(GAVE_UP));
        assert_eq!(found[0].ok, [0.0]);
    }

    #[test]
    fn trying_again_and_switching_are_recoveries_of_their_own() {
        assert_eq!(outcomes(&[(0, 0), (0, 0), (1, 1)]).len(), 2);
    }
}
