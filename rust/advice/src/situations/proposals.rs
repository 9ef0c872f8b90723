//! Actions to propose where none are given: those of the nearest situations, with the values of this one.

use super::kept::KeptRuns;
use super::nearest::NearSituation;
use super::situation::Situation;
use super::tokens::{Token, note_spelling};
use super::values::{placed_values, value_contexts};
use rustc_hash::{FxHashMap, FxHashSet};

/// Actions that are proposed.
const MOST_PROPOSED: usize = 48;
/// Values that are tried for one slot.
const MOST_VALUES: usize = 3;

/// The texts of actions: those of the nearest situations, first as they were, then with values that stand beside the same
/// words here. Empty if most of those situations hold calls with parameters, or words alone.
pub(super) fn proposals(
    kept: &KeptRuns,
    situation: &Situation<'_>,
    near: &[NearSituation],
    mut spelling: FxHashMap<Token, String>,
) -> Vec<String> {
    let mut proposed: Vec<String> = Vec::new();
    let mut seen = FxHashSet::default();
    let mut phrases = 0;
    for each in near {
        let run = &kept.runs[each.run as usize];
        let step = &run.steps[each.step as usize];
        let (tokens, text) = (kept.actions.tokens(step.action), kept.actions.text(step.action));
        let Some(text) = text.filter(|_| tokens.len() > 1) else { continue };
        phrases += 1;
        note_spelling(text, &mut spelling);
        let state = kept.state(step);
        let there = kept.situation(run, each.step as usize, &[], &state);
        let parsed = kept.actions.parse(tokens);
        let mut actions = vec![tokens.to_vec()];
        let slots: Vec<_> = parsed.slots.iter().zip(parsed.values(tokens)).collect();
        for (slot, value) in slots.into_iter().rev() {
            let contexts = value_contexts(&there, value);
            let mut values = placed_values(situation, &contexts);
            values.truncate(MOST_VALUES);
            let (start, end) = (slot.0 as usize, slot.1 as usize);
            let mut replaced: Vec<Vec<Token>> = Vec::new();
            for action in &actions {
                replaced
                    .extend(values.iter().map(|value| [&action[..start], *value, &action[end..]].concat()));
            }
            actions.append(&mut replaced);
        }
        for action in actions {
            let is_own = action == tokens;
            let spelled = if is_own { text.to_owned() } else { spelled(&action, &spelling) };
            if proposed.len() < MOST_PROPOSED && seen.insert(spelled.clone()) {
                proposed.push(spelled);
            }
        }
    }
    if phrases * 2 > near.len() { proposed } else { Vec::new() }
}

fn spelled(action: &[Token], spelling: &FxHashMap<Token, String>) -> String {
    let words = action.iter().filter_map(|token| spelling.get(token).map(String::as_str));
    words.collect::<Vec<_>>().join(" ")
}
