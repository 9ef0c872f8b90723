//! Choices of an episode: the state it was in and the tool it took next.
//!
//! A batch of calls is one choice for each of its tools, and leaves one state for each of its calls.

use rustc_hash::FxHashMap;

use super::finding::{
    CountedFinding, FINISH, Found, distinct_tools, keep, write_map, write_optional, write_str,
};
use crate::text::TextVersion;
use crate::trajectory::Trajectory;
use std::ops::Range;

/// Words that make a step an explicit decision.
const DECISION_WORDS: [&str; 7] = ["if", "when", "check", "verify", "validate", "ensure", "decide"];
const CONDITION_BYTES: usize = 80;
/// The most calls of one batch that are looked at.
const MOST_OF_A_BATCH: usize = 32;

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
    let stretches = trajectory.in_order();
    for at in 0..=stretches.len() {
        let first = stretches.get(at).map_or(trajectory.len(), |stretch| stretch.start);
        for choice in choices_before(trajectory, &stretches, at) {
            counts.entry(choice).or_insert((0, first)).0 += 1;
        }
    }
    let counted = counts
        .into_iter()
        .map(|(choice, (count, first))| CountedFinding { what: choice, rank: 0, count, first })
        .collect();
    let share = trajectory.base.unwrap_or(0.0);
    keep(counted, limit).iter().map(|choice| finding(choice, share)).collect()
}

/// The choices before a stretch, each once: each of its tools after each call of the stretch before it.
fn choices_before<'a>(
    trajectory: &'a Trajectory,
    stretches: &[Range<usize>],
    at: usize,
) -> Vec<Decision<'a>> {
    let chosen = stretches.get(at).map_or_else(
        || vec![FINISH],
        |stretch| {
            let tools = distinct_tools(trajectory, stretch.clone());
            tools.iter().map(|tool| trajectory.tool_names[*tool as usize].as_str()).collect()
        },
    );
    let mut choices = Vec::with_capacity(1);
    for choose in chosen.into_iter().take(MOST_OF_A_BATCH) {
        let Some(before) = at.checked_sub(1) else {
            choices.push(Decision { after: None, result: None, condition: None, choose });
            continue;
        };
        choices.extend(stretches[before].clone().take(MOST_OF_A_BATCH).map(|last| Decision {
            after: Some(tool_at(trajectory, last)),
            result: Some(result_of(trajectory, last)),
            condition: condition_at(trajectory, stretches, before, last),
            choose,
        }));
    }
    if choices.len() > 1 {
        choices.sort_unstable();
        choices.dedup();
    }
    choices
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
fn condition_at(
    trajectory: &Trajectory,
    stretches: &[Range<usize>],
    at: usize,
    last: usize,
) -> Option<String> {
    let stated = trajectory.actions[last].as_deref().filter(|action| decides(action));
    let stated = stated.map(|action| stated_condition(trajectory.text_version, action));
    let failed = |step: usize| trajectory.ok[step] == 0;
    let failed_again = at > 0 && failed(last) && stretches[at - 1].clone().any(failed);
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

    fn choice_before(trajectory: &Trajectory, step: usize) -> Decision<'_> {
        choices_before(trajectory, &trajectory.in_order(), step).remove(0)
    }

    #[test]
    fn a_call_is_no_choice_after_another_call_of_its_batch() {
        let steps = |second, third| trajectory(&[(0, 1, None), (second, 1, None), (third, 1, None)]);
        let batched = |second, third| Trajectory { batches: vec![0, 7, 7], ..steps(second, third) };
        let ids = |trajectory: &Trajectory| {
            let mut ids: Vec<_> = decision_points(trajectory, 32).iter().map(|found| found.pattern).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(&batched(0, 1)), ids(&batched(1, 0)));
        let chosen = choices_before(&batched(0, 1), &[0..1, 1..3], 1).len();
        assert_eq!((ids(&batched(0, 1)).len(), chosen), (5, 2));
        assert!(!ids(&batched(0, 1)).iter().all(|id| ids(&steps(0, 1)).contains(id)));
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
