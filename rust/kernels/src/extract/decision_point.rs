//! Choices of an episode: the state it was in and the tool it took next.

use rustc_hash::FxHashMap;

use super::finding::{CountedFinding, FINISH, Found, keep, write_map, write_optional, write_str};
use crate::text::TextVersion;
use crate::trajectory::Trajectory;

/// Words that make a step an explicit decision.
const DECISION_WORDS: [&str; 7] = ["if", "when", "check", "verify", "validate", "ensure", "decide"];
const CONDITION_BYTES: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Decision<'a> {
    after: Option<&'a str>,
    /// `ok`, `none`, or the class of the error.
    result: Option<&'a str>,
    condition: Option<String>,
    choose: &'a str,
}

/// Each distinct choice, the one that ended the episode included.
pub fn decision_points(trajectory: &Trajectory, limit: usize) -> Vec<Found> {
    if trajectory.is_empty() {
        return Vec::new();
    }
    let mut counts: FxHashMap<Decision<'_>, (usize, usize)> = FxHashMap::default();
    for step in 0..=trajectory.len() {
        counts.entry(choice_before(trajectory, step)).or_insert((0, step)).0 += 1;
    }
    let counted = counts
        .into_iter()
        .map(|(choice, (count, first))| CountedFinding { what: choice, rank: 0, count, first })
        .collect();
    let share = trajectory.base.unwrap_or(0.0);
    keep(counted, limit).iter().map(|choice| finding(choice, share)).collect()
}

fn choice_before(trajectory: &Trajectory, step: usize) -> Decision<'_> {
    let choose = if step == trajectory.len() { FINISH } else { tool_at(trajectory, step) };
    match step.checked_sub(1) {
        None => Decision { after: None, result: None, condition: None, choose },
        Some(last) => Decision {
            after: Some(tool_at(trajectory, last)),
            result: Some(result_of(trajectory, last)),
            condition: condition_at(trajectory, last),
            choose,
        },
    }
}

fn tool_at(trajectory: &Trajectory, step: usize) -> &str {
    &trajectory.tool_names[trajectory.tool_indices[step] as usize]
}

fn result_of(trajectory: &Trajectory, step: usize) -> &str {
    match (trajectory.ok[step], &trajectory.error_classes[step]) {
        (1, _) => "ok",
        (0, Some(class)) => class,
        _ => "none",
    }
}

/// The condition that the last step stated in words, else "failed again" for a second failure in a row.
fn condition_at(trajectory: &Trajectory, last: usize) -> Option<String> {
    let stated = trajectory.actions[last].as_deref().filter(|action| decides(action));
    let stated = stated.map(|action| stated_condition(trajectory.text_version, action));
    let failed_again = last > 0 && trajectory.ok[last] == 0 && trajectory.ok[last - 1] == 0;
    stated.or_else(|| failed_again.then(|| "failed again".into()))
}

fn decides(action: &str) -> bool {
    action
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| DECISION_WORDS.iter().any(|decision| word.eq_ignore_ascii_case(decision)))
}

fn stated_condition(version: TextVersion, action: &str) -> String {
    let words = version.normalised(action).to_lowercase();
    let words = words.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    let mut condition = words.collect::<Vec<_>>().join(" ");
    condition.truncate(condition.floor_char_boundary(CONDITION_BYTES));
    condition
}

fn finding(choice: &CountedFinding<Decision<'_>>, share: f64) -> Found {
    let what = &choice.what;
    let mut content = Vec::with_capacity(128);
    write_map(&mut content, 4);
    write_str(&mut content, "after");
    write_optional(&mut content, what.after);
    write_str(&mut content, "choose");
    write_str(&mut content, what.choose);
    write_str(&mut content, "condition");
    write_optional(&mut content, what.condition.as_deref());
    write_str(&mut content, "result");
    write_optional(&mut content, what.result);
    Found::new("decision_point", &content, None, vec![share; choice.count])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trajectory(steps: &[(u32, i8, Option<&str>)]) -> Trajectory {
        Trajectory {
            base: Some(1.0),
            tool_names: vec!["look".into(), "act".into()],
            tool_indices: steps.iter().map(|step| step.0).collect(),
            tools: vec![0; steps.len()],
            ok: steps.iter().map(|step| step.1).collect(),
            error_classes: steps.iter().map(|step| (step.1 == 0).then(|| "not found".into())).collect(),
            actions: steps.iter().map(|step| step.2.map(str::to_owned)).collect(),
            ..Trajectory::default()
        }
    }

    #[test]
    fn the_first_choice_and_the_end_are_choices_too() {
        let found = decision_points(&trajectory(&[(0, 1, None)]), 32);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn the_state_is_the_last_tool_and_what_came_of_it() {
        let steps = trajectory(&[(0, 0, None), (1, 1, None)]);
        let choice = choice_before(&steps, 1);
        assert_eq!((choice.after, choice.result, choice.choose), (Some("look"), Some("not found"), "act"));
        assert_eq!(choice_before(&steps, 2).choose, FINISH);
    }

    #[test]
    fn a_decision_is_said_in_words_not_in_letters_within_words() {
        assert!(decides("Check whether the order exists"));
        assert!(!decides("notify the customer of the gift"));
        let steps = trajectory(&[(0, 1, Some("Verify order 17 first")), (1, 1, None)]);
        assert_eq!(choice_before(&steps, 1).condition.as_deref(), Some("verify order first"));
    }

    #[test]
    fn a_second_failure_running_is_a_condition() {
        let steps = trajectory(&[(0, 0, None), (0, 0, None), (1, 1, None)]);
        assert_eq!(choice_before(&steps, 1).condition, None);
        assert_eq!(choice_before(&steps, 2).condition.as_deref(), Some("failed again"));
    }

    #[test]
    fn an_episode_without_steps_chose_nothing() {
        assert!(decision_points(&trajectory(&[]), 32).is_empty());
    }
}
