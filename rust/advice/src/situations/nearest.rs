//! The recorded situations most like a given one.

use super::actions::ActionId;
use super::kept::{KeptRun, KeptRuns};
use super::situation::Situation;
use super::texts::TextId;
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
pub(super) fn nearest(kept: &KeptRuns, situation: &Situation<'_>, limit: usize) -> Vec<NearSituation> {
    let task = kept.texts.similarities(situation.task);
    let last_action = situation.past.last().map_or_else(Vec::new, |last| action_likeness(kept, last.action));
    let scores = PartScores::new(kept, situation, last_action);
    let mut best = Best::new(limit);
    for (number, run) in kept.runs.iter().enumerate().rev() {
        let of_step = |at: usize| scores.of_step(&StepRow::of(run, at), || &*run.steps[at].state);
        best.take(number, run.steps.len(), task[run.task as usize], of_step);
    }
    best.found
}

/// The nearest situations so far, the most alike first.
struct Best {
    limit: usize,
    found: Vec<NearSituation>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, found: Vec::with_capacity(limit + 1) }
    }

    /// Looks at the steps of a run; `task` says how like its task is, `of_step` how like the other parts of a step are.
    fn take(&mut self, number: usize, steps: usize, task: f32, of_step: impl Fn(usize) -> f32) {
        for at in 0..steps {
            let likeness = (TASK * task + of_step(at)) / ALL;
            let is_full = self.found.len() == self.limit;
            if is_full && self.found.last().is_none_or(|last| last.likeness >= likeness) {
                continue;
            }
            let place = self.found.partition_point(|other| other.likeness >= likeness);
            self.found.insert(place, NearSituation { likeness, run: number as u32, step: at as u32 });
            self.found.truncate(self.limit);
        }
    }
}

/// The parts that a step is compared by, beside its state.
#[derive(Clone, Copy)]
struct StepRow {
    /// The last result and the last action; of a first step there are none.
    result: TextId,
    action: ActionId,
    /// The last action but one; of a second step there is none.
    before: Option<ActionId>,
    is_first: bool,
    /// Set if it has a state.
    has_state: bool,
}

impl StepRow {
    fn of(run: &KeptRun, at: usize) -> Self {
        let last = at.checked_sub(1).map(|last| &run.steps[last]);
        Self {
            result: last.map_or(0, |last| last.result),
            action: last.map_or(0, |last| last.action),
            before: at.checked_sub(2).map(|before| run.steps[before].action),
            is_first: last.is_none(),
            has_state: !run.steps[at].state.is_empty(),
        }
    }
}

/// Finds the situations that are nearest to each of many recorded ones.
pub(super) struct NearestFinder<'k> {
    kept: &'k KeptRuns,
    /// The steps of all runs, one after another, and the end of each run.
    rows: Vec<StepRow>,
    ends: Vec<usize>,
    /// The actions with each word, as often as they have it.
    words: FxHashMap<Token, Vec<ActionId>>,
}

impl<'k> NearestFinder<'k> {
    pub(super) fn new(kept: &'k KeptRuns) -> Self {
        let mut finder = Self { kept, rows: Vec::new(), ends: Vec::new(), words: FxHashMap::default() };
        for run in &kept.runs {
            finder.rows.extend((0..run.steps.len()).map(|at| StepRow::of(run, at)));
            finder.ends.push(finder.rows.len());
        }
        for id in 0..kept.actions.len() as ActionId {
            for word in kept.actions.tokens(id) {
                finder.words.entry(*word).or_default().push(id);
            }
        }
        finder
    }

    /// The `limit` situations of other runs that are nearest to one of the run at `except`, whose task is as like every
    /// text as `task` says.
    pub(super) fn nearest(
        &self,
        situation: &Situation<'_>,
        task: &[f32],
        except: usize,
        limit: usize,
    ) -> Vec<NearSituation> {
        let last_action =
            situation.past.last().map_or_else(Vec::new, |last| self.action_likeness(last.action));
        let scores = PartScores::new(self.kept, situation, last_action);
        let mut best = Best::new(limit);
        for (number, run) in self.kept.runs.iter().enumerate().rev().filter(|(number, _)| *number != except) {
            let rows = &self.rows[self.ends[number] - run.steps.len()..self.ends[number]];
            let of_step = |at: usize| scores.of_step(&rows[at], || &*run.steps[at].state);
            best.take(number, rows.len(), task[run.task as usize], of_step);
        }
        best.found
    }

    /// As the function of this name, by the actions that share a word.
    fn action_likeness(&self, action: &[Token]) -> Vec<f32> {
        let words = distinct(action);
        let mut shared = vec![0_u32; self.kept.actions.len()];
        for word in &words {
            for id in self.words.get(word).map_or(&[][..], Vec::as_slice) {
                shared[*id as usize] += 1;
            }
        }
        let likeness = |(id, shared): (usize, u32)| match shared {
            0 => 0.0,
            shared => word_likeness(shared, words.len(), self.kept.actions.tokens(id as u32).len()),
        };
        let mut likeness: Vec<f32> = shared.into_iter().enumerate().map(likeness).collect();
        if let Some(same) = self.kept.actions.id_of(action) {
            likeness[same as usize] = 1.0;
        }
        likeness
    }
}

/// How like the parts of the given situation the held texts and actions are, by number.
struct PartScores {
    result: Vec<f32>,
    state: Vec<(u32, Vec<f32>)>,
    last_action: Vec<f32>,
    /// The last action but one.
    before: Option<ActionId>,
    is_first: bool,
    is_second: bool,
}

impl PartScores {
    fn new(kept: &KeptRuns, situation: &Situation<'_>, last_action: Vec<f32>) -> Self {
        let texts = &kept.texts;
        let state = |(key, text): &(u32, &[Token])| (*key, texts.similarities(text));
        let past = situation.past;
        Self {
            result: past.last().map_or_else(Vec::new, |last| texts.similarities(last.result)),
            state: situation.state.iter().map(state).collect(),
            last_action,
            before: past.len().checked_sub(2).and_then(|at| kept.actions.id_of(past[at].action)),
            is_first: past.is_empty(),
            is_second: past.len() == 1,
        }
    }

    /// Every part but the task. The state of a step is read only where both have one.
    fn of_step<'k>(&self, row: &StepRow, held: impl Fn() -> &'k [(u32, TextId)]) -> f32 {
        let state = if self.state.is_empty() || !row.has_state {
            f32::from(u8::from(self.state.is_empty() && !row.has_state))
        } else {
            let held = held();
            let of_entry = |(key, scores): &(u32, Vec<f32>)| {
                let same = held.iter().find(|(other, _)| other == key);
                same.map_or(0.0, |(_, text)| scores[*text as usize])
            };
            self.state.iter().map(of_entry).sum::<f32>() / self.state.len() as f32
        };
        STATE * state
            + match (row.is_first, self.is_first) {
                (true, true) => LAST_RESULT * state + LAST_ACTION + LAST_TWO_ACTIONS,
                (false, false) => self.of_past(row),
                _ => 0.0,
            }
    }

    fn of_past(&self, row: &StepRow) -> f32 {
        let action = self.last_action[row.action as usize];
        let same_two = action >= 1.0
            && match row.before {
                None => self.is_second,
                Some(_) => row.before == self.before,
            };
        LAST_RESULT * self.result[row.result as usize]
            + LAST_ACTION * action
            + LAST_TWO_ACTIONS * f32::from(u8::from(same_two))
    }
}

/// 1 for the same action, else half the Jaccard index of the words.
fn action_likeness(kept: &KeptRuns, action: &[Token]) -> Vec<f32> {
    let words = distinct(action);
    let likeness = |id: usize| {
        let other = kept.actions.tokens(id as u32);
        if other == action {
            return 1.0;
        }
        let shared = other.iter().filter(|word| words.binary_search(word).is_ok()).count();
        word_likeness(shared as u32, words.len(), other.len())
    };
    (0..kept.actions.len()).map(likeness).collect()
}

fn word_likeness(shared: u32, words: usize, others: usize) -> f32 {
    0.5 * shared as f32 / (words as f32 + others as f32 - shared as f32).max(1.0)
}

fn distinct(action: &[Token]) -> Vec<Token> {
    let mut words = action.to_vec();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Run, RunStep};
    use proptest::prelude::*;

    fn run(number: u8, steps: &[(u8, u8)]) -> Run {
        let words = ["apple box", "red apple", "box", "apple apple", "pear"];
        let step = |(tool, output): &(u8, u8)| {
            let mut said = Vec::new();
            rmp::encode::write_str(&mut said, words[usize::from(*output) % words.len()]).unwrap();
            let tool = format!("take {}", words[usize::from(*tool) % words.len()]);
            RunStep { tool, ok: 1, output: said.clone().into(), state: said.into(), ..RunStep::default() }
        };
        let task = words[usize::from(number) % words.len()].into();
        Run {
            id: [number; 16],
            task,
            base: Some(1.0),
            steps: steps.iter().map(step).collect(),
            ..Run::default()
        }
    }

    proptest! {
        #[test]
        fn one_question_and_many_find_the_same(
            plans in prop::collection::vec(prop::collection::vec((0u8..5, 0u8..5), 1..5), 2..8),
        ) {
            let mut kept = KeptRuns::default();
            (1..).zip(&plans).for_each(|(number, plan)| kept.put(&run(number, plan)));
            let finder = NearestFinder::new(&kept);
            let asked = &kept.runs[0];
            let (task, past) = (kept.texts.similarities(kept.texts.get(asked.task)), kept.past(asked));
            for at in 0..asked.steps.len() {
                let state = kept.state(&asked.steps[at]);
                let situation = kept.situation(asked, at, &past[..at], &state);
                let all = nearest(&kept, &situation, 100);
                let others: Vec<NearSituation> = all.into_iter().filter(|each| each.run > 0).collect();
                prop_assert_eq!(finder.nearest(&situation, &task, 0, 100), others);
            }
        }
    }
}
