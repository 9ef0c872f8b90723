//! The values that a task's text names, in any spelling.

use super::hash;
use rustc_hash::FxHashSet;
use tacit_kernels::text::{is_function_word, term, words};

const MOST_WORDS: usize = 256;
const LONGEST_RUN: usize = 4;
/// The largest number of a task's words that suggest known values.
const MOST_TERMS: usize = 32;

/// How far a task names a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum NamedInTask {
    Not,
    InPart,
    InWords,
    Whole,
}

#[derive(Debug, Default)]
pub(super) struct TaskText {
    /// The distinct content words, in order of first use.
    pub(super) terms: Vec<u64>,
    all: FxHashSet<u64>,
    runs: FxHashSet<u64>,
}

impl TaskText {
    pub(super) fn new(text: &str) -> Self {
        let mut task = Self::default();
        words(text, |word| {
            let term = term(word);
            if !is_function_word(word) && task.all.insert(term) && task.terms.len() < MOST_TERMS {
                task.terms.push(term);
            }
        });
        task.add_runs(text);
        task
    }

    fn add_runs(&mut self, text: &str) {
        let squashed: Vec<String> = text.split_whitespace().take(MOST_WORDS).map(squash).collect();
        for start in 0..squashed.len() {
            let mut run = String::new();
            for word in &squashed[start..(start + LONGEST_RUN).min(squashed.len())] {
                run.push_str(word);
                self.runs.insert(hash::text(&run));
                if let Some(singular) = run.strip_suffix('s') {
                    self.runs.insert(hash::text(singular));
                }
            }
        }
    }

    pub(super) fn names(&self, text: &str) -> NamedInTask {
        let squashed = squash(text);
        if squashed.is_empty() {
            return NamedInTask::Not;
        }
        self.names_parts(hash::text(&squashed), &terms(text))
    }

    pub(super) fn names_parts(&self, squashed: u64, terms: &[u64]) -> NamedInTask {
        if self.runs.contains(&squashed) {
            return NamedInTask::Whole;
        }
        match terms.iter().filter(|term| self.all.contains(term)).count() {
            0 => NamedInTask::Not,
            some if some < terms.len() => NamedInTask::InPart,
            _ => NamedInTask::InWords,
        }
    }
}

/// The letters and digits, in lower case.
pub(super) fn squash(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

pub(super) fn terms(text: &str) -> Vec<u64> {
    let mut terms = Vec::new();
    words(text, |word| {
        if !is_function_word(word) {
            terms.push(term(word));
        }
    });
    terms
}
