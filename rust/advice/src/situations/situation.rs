//! One situation: the task, the steps so far with their results, and the present state.

use super::actions::{ActionBook, Parsed, action_tokens};
use super::tokens::{Token, hash, mix, note_spelling, shorten, state_entries, value_tokens, visit_values};
use crate::run::{Run, RunStep};
use rustc_hash::FxHashMap;
use tacit_kernels::msgpack::Reader;

/// Steps of the longest run that is read; of a longer one the last.
pub(super) const MOST_STEPS: usize = 200;

/// A step that was taken before a situation.
#[derive(Clone, Debug)]
pub(super) struct PastStep<'a> {
    pub(super) action: &'a [Token],
    pub(super) parsed: Parsed,
    pub(super) result: &'a [Token],
    pub(super) state: Vec<(u32, &'a [Token])>,
    /// The number of the state that it was taken in; `None` if there was none.
    pub(super) view: Option<u64>,
    pub(super) failed: bool,
}

/// A situation, its texts as words.
#[derive(Clone, Debug)]
pub(super) struct Situation<'a> {
    pub(super) task: &'a [Token],
    pub(super) past: &'a [PastStep<'a>],
    /// The entries of the state by name.
    pub(super) state: &'a [(u32, &'a [Token])],
    /// The last result; before the first step the state.
    pub(super) last: &'a [Token],
    pub(super) view: Option<u64>,
}

/// A number for a state; `None` for one without a word.
pub(super) fn view_of<'a>(state: impl Iterator<Item = &'a [Token]>) -> Option<u64> {
    let mut view = None;
    for text in state.filter(|text| !text.is_empty()) {
        view = Some(mix(&[view.unwrap_or(3), hash(text)]));
    }
    view
}

impl Situation<'_> {
    /// How often the action was taken in this state before, and how often that changed nothing or failed.
    pub(super) fn taken_here(&self, action: &[Token]) -> (usize, usize) {
        let (mut taken, mut in_vain) = (0, 0);
        for (at, step) in self.past.iter().enumerate().filter(|(_, step)| step.action == action) {
            let same_view = step.view == self.view;
            let before = at.checked_sub(1).map_or(&[][..], |at| self.past[at].result);
            let same = same_view && (self.view.is_some() || before == self.last);
            if !same {
                continue;
            }
            taken += 1;
            let after = self.past.get(at + 1).map_or(self.view, |next| next.view);
            let again =
                self.past[..at].iter().any(|other| other.action == action && other.result == step.result);
            let unchanged = after == step.view && (step.result == before || again || self.view.is_some());
            in_vain += usize::from(step.failed || unchanged);
        }
        (taken, in_vain)
    }
}

/// The words of an open episode that is asked about.
#[derive(Debug)]
pub(super) struct AskedTexts {
    task: Vec<Token>,
    actions: Vec<Vec<Token>>,
    results: Vec<Vec<Token>>,
    states: Vec<Vec<(u32, Vec<Token>)>>,
    state: Vec<(u32, Vec<Token>)>,
    failed: Vec<bool>,
    first: Vec<Token>,
}

impl AskedTexts {
    pub(super) fn read(run: &Run, state: &[u8]) -> Self {
        let steps = &run.steps[run.steps.len().saturating_sub(MOST_STEPS)..];
        let state = state_entries(state);
        let first = joined(state.iter().map(|(_, text)| text.as_slice()));
        Self {
            task: text_tokens(&run.task),
            actions: steps.iter().map(|step| action_tokens(&step.tool, &step.parameters)).collect(),
            results: steps.iter().map(result_tokens).collect(),
            states: steps.iter().map(|step| state_entries(&step.state)).collect(),
            failed: steps.iter().map(|step| step.ok == 0).collect(),
            state,
            first,
        }
    }

    /// How the words of the texts are spelled.
    pub(super) fn spelling(run: &Run, state: &[u8]) -> FxHashMap<Token, String> {
        let mut spelling = FxHashMap::default();
        let last = run.steps.last().map_or(&[][..], |step| &step.output);
        note_spelling(&run.task, &mut spelling);
        for value in [last, state].into_iter().filter(|value| !value.is_empty()) {
            let _ =
                visit_values(&mut Reader::new(value), "", &mut |_, text| note_spelling(text, &mut spelling));
        }
        spelling
    }

    pub(super) fn past(&self, book: &ActionBook) -> Vec<PastStep<'_>> {
        let step = |at: usize| PastStep {
            action: &self.actions[at],
            parsed: book.parse(&self.actions[at]),
            result: &self.results[at],
            state: entries(&self.states[at]),
            view: view_of(self.states[at].iter().map(|(_, text)| text.as_slice())),
            failed: self.failed[at],
        };
        (0..self.actions.len()).map(step).collect()
    }

    pub(super) fn state(&self) -> Vec<(u32, &[Token])> {
        entries(&self.state)
    }

    pub(super) fn situation<'a>(
        &'a self,
        past: &'a [PastStep<'a>],
        state: &'a [(u32, &'a [Token])],
    ) -> Situation<'a> {
        Situation {
            task: &self.task,
            past,
            state,
            last: past.last().map_or(&self.first, |step| step.result),
            view: view_of(state.iter().map(|(_, text)| *text)),
        }
    }
}

fn entries(state: &[(u32, Vec<Token>)]) -> Vec<(u32, &[Token])> {
    state.iter().map(|(key, text)| (*key, text.as_slice())).collect()
}

pub(super) fn text_tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    super::tokens::read_text(text, &mut tokens);
    shorten(&mut tokens);
    tokens
}

/// The words of a step's result: its output, else its error.
pub(super) fn result_tokens(step: &RunStep) -> Vec<Token> {
    match &step.error {
        Some(error) if step.output.is_empty() => text_tokens(error),
        _ => value_tokens(&step.output),
    }
}

/// The texts of a state one after the other.
pub(super) fn joined<'a>(texts: impl Iterator<Item = &'a [Token]>) -> Vec<Token> {
    let mut tokens: Vec<Token> = texts.flatten().copied().collect();
    shorten(&mut tokens);
    tokens
}
