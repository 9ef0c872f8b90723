//! The recorded situations most like a given one.

use super::kept::{KeptRun, KeptRuns};
use super::situation::Situation;
use super::tokens::Token;
use rustc_hash::FxHashMap;

/// How much each part of a situation counts.
const TASK: f32 = 1.0;
const LAST_RESULT: f32 = 1.5;
const STATE: f32 = 1.0;
const LAST_ACTION: f32 = 1.0;
const LAST_TWO_ACTIONS: f32 = 0.7;
const ALL: f32 = TASK + LAST_RESULT + STATE + LAST_ACTION + LAST_TWO_ACTIONS;

/// A recorded situation, and how like the given one it is, within 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NearSituation {
    pub(super) likeness: f32,
    pub(super) run: u32,
    pub(super) step: u32,
}

/// The `limit` recorded situations most like the given one, the most alike first, then the newest.
pub(super) fn nearest(
    kept: &KeptRuns,
    situation: &Situation<'_>,
    except: Option<u32>,
    limit: usize,
) -> Vec<NearSituation> {
    let scores = PartScores::new(kept, situation);
    let mut best: Vec<NearSituation> = Vec::with_capacity(limit + 1);
    for (number, run) in kept.runs.iter().enumerate().rev() {
        let number = number as u32;
        if except == Some(number) {
            continue;
        }
        let task = TASK * scores.task[run.task as usize];
        for at in 0..run.steps.len() {
            let likeness = (task + scores.of_step(run, at)) / ALL;
            let is_full = best.len() == limit;
            if is_full && best.last().is_none_or(|last| last.likeness >= likeness) {
                continue;
            }
            let place = best.partition_point(|other| other.likeness >= likeness);
            best.insert(place, NearSituation { likeness, run: number, step: at as u32 });
            best.truncate(limit);
        }
    }
    best
}

/// How like the parts of the given situation the held texts and actions are, by number.
struct PartScores {
    task: Vec<f32>,
    result: Vec<f32>,
    state: Vec<(u32, Vec<f32>)>,
    last_action: Vec<f32>,
    /// The last action but one.
    before: Option<u32>,
    is_first: bool,
    is_second: bool,
}

impl PartScores {
    fn new(kept: &KeptRuns, situation: &Situation<'_>) -> Self {
        let texts = &kept.texts;
        let state = |(key, text): &(u32, &[Token])| (*key, texts.similarities(text));
        let past = situation.past;
        Self {
            task: texts.similarities(situation.task),
            result: past.last().map_or_else(Vec::new, |last| texts.similarities(last.result)),
            state: situation.state.iter().map(state).collect(),
            last_action: past.last().map_or_else(Vec::new, |last| action_likeness(kept, last.action)),
            before: past.len().checked_sub(2).and_then(|at| kept.actions.id_of(past[at].action)),
            is_first: past.is_empty(),
            is_second: past.len() == 1,
        }
    }

    fn of_step(&self, run: &KeptRun, at: usize) -> f32 {
        let step = &run.steps[at];
        let state = if self.state.is_empty() || step.state.is_empty() {
            f32::from(u8::from(self.state.is_empty() && step.state.is_empty()))
        } else {
            let of_entry = |(key, scores): &(u32, Vec<f32>)| {
                let same = step.state.iter().find(|(other, _)| other == key);
                same.map_or(0.0, |(_, text)| scores[*text as usize])
            };
            self.state.iter().map(of_entry).sum::<f32>() / self.state.len() as f32
        };
        STATE * state
            + match at {
                0 if self.is_first => LAST_RESULT * state + LAST_ACTION + LAST_TWO_ACTIONS,
                0 => 0.0,
                _ if self.is_first => 0.0,
                _ => self.of_past(run, at),
            }
    }

    fn of_past(&self, run: &KeptRun, at: usize) -> f32 {
        let last = &run.steps[at - 1];
        let action = self.last_action[last.action as usize];
        let before = at.checked_sub(2).map(|before| run.steps[before].action);
        let same_two = action >= 1.0
            && match before {
                None => self.is_second,
                Some(_) => before == self.before,
            };
        LAST_RESULT * self.result[last.result as usize]
            + LAST_ACTION * action
            + LAST_TWO_ACTIONS * f32::from(u8::from(same_two))
    }
}

/// 1 for the same action, else half the Jaccard index of the words.
fn action_likeness(kept: &KeptRuns, action: &[Token]) -> Vec<f32> {
    let words: FxHashMap<Token, ()> = action.iter().map(|word| (*word, ())).collect();
    let likeness = |id: usize| {
        let other = kept.actions.tokens(id as u32);
        if other == action {
            return 1.0;
        }
        let shared = other.iter().filter(|word| words.contains_key(word)).count() as f32;
        0.5 * shared / (words.len() as f32 + other.len() as f32 - shared).max(1.0)
    };
    (0..kept.actions.len()).map(likeness).collect()
}
