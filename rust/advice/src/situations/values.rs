//! One value in a situation: where it stands, beside which words, and what was done with it.

use super::situation::Situation;
use super::tokens::{END, Token, is_content, mix};
use rustc_hash::FxHashMap;

/// Words beside a value in the lines that mention it.
const MOST_WORDS: usize = 12;
/// Words of the longest line that is taken to be about a value that it mentions.
const LONGEST_LINE: usize = 10;
/// Places of a value in one text that are looked at.
const MOST_PLACES: usize = 3;
/// Words of the longest value that is carried over.
const MOST_VALUE_WORDS: usize = 5;
/// Words at the beginning of a text that say what it is about.
const HEAD: usize = 8;

pub(super) const LAST: u64 = 1;
pub(super) const TASK: u64 = 2;
const STATE: u64 = 3;

/// Facts of one value in a situation.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueFacts {
    pub(super) in_last: bool,
    pub(super) in_task: bool,
    pub(super) in_earlier: bool,
    /// The entries of the state that name it, as a number.
    pub(super) in_state: u64,
    /// The words to its left in the last result, in the task and in the state, by number.
    pub(super) contexts: Vec<u64>,
    /// The other words of short lines of results that mention it.
    pub(super) line_words: Vec<Token>,
    /// The slots of earlier actions that held it.
    pub(super) used: Vec<u64>,
    /// Facts of the words behind it in the state: a destination, the contents of a vessel.
    pub(super) links: Vec<LinkFacts>,
}

/// Facts of the words that follow a value in the state.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkFacts {
    /// Its words, by number.
    pub(super) phrase: u64,
    /// The words to the left of it in the task, by number.
    pub(super) in_task: Vec<u64>,
    /// How many states or results so far begin with it.
    pub(super) seen: usize,
    /// How many steps ago the last one was.
    pub(super) ago: usize,
}

/// The texts of a situation, searched for values.
pub(super) struct ValueFinder<'s> {
    situation: &'s Situation<'s>,
    /// The lines of all results so far and the first state, by word.
    lines: FxHashMap<Token, Vec<u32>>,
    line_texts: Vec<&'s [Token]>,
    heads: Vec<(usize, &'s [Token])>,
}

impl<'s> ValueFinder<'s> {
    pub(super) fn new(situation: &'s Situation<'s>) -> Self {
        let mut finder =
            Self { situation, lines: FxHashMap::default(), line_texts: Vec::new(), heads: Vec::new() };
        let mut seen = rustc_hash::FxHashSet::default();
        let results = situation.past.iter().map(|step| step.result);
        let first = situation.past.is_empty().then_some(situation.last);
        for text in results.clone().chain(first) {
            if !seen.insert(super::tokens::hash(text)) {
                continue;
            }
            for line in text.split(|token| *token == END).filter(|line| !line.is_empty()) {
                let number = finder.line_texts.len() as u32;
                finder.line_texts.push(line);
                for word in line.iter().filter(|word| is_content(**word)) {
                    let lines = finder.lines.entry(*word).or_default();
                    if lines.last() != Some(&number) {
                        lines.push(number);
                    }
                }
            }
        }
        finder.heads = results
            .enumerate()
            .map(|(at, text)| (situation.past.len() - at, &text[..text.len().min(HEAD)]))
            .collect();
        finder
    }

    /// Returns true if a line of a result so far has all content words of the action.
    pub(super) fn has_line_with(&self, action: &[Token]) -> bool {
        let mut words = action.iter().filter(|word| is_content(**word));
        let Some(first) = words.next() else { return false };
        let Some(lines) = self.lines.get(first) else { return false };
        let rest: Vec<&Vec<u32>> = match words.map(|word| self.lines.get(word)).collect::<Option<_>>() {
            Some(rest) => rest,
            None => return false,
        };
        !rest.is_empty()
            && lines.iter().any(|line| rest.iter().all(|other| other.binary_search(line).is_ok()))
    }

    /// Returns true if the last result has the action's words one after the other.
    pub(super) fn last_says(&self, action: &[Token]) -> bool {
        says(self.situation.last, action)
    }

    pub(super) fn facts(&self, value: &[Token]) -> ValueFacts {
        let situation = self.situation;
        let mut facts = ValueFacts::default();
        facts.in_last = add_contexts(&mut facts.contexts, LAST, situation.last, value);
        facts.in_task = add_contexts(&mut facts.contexts, TASK, situation.task, value);
        for (key, text) in situation.state {
            if add_contexts(&mut facts.contexts, mix(&[STATE, u64::from(*key)]), text, value) {
                facts.in_state = mix(&[facts.in_state, u64::from(*key)]);
                facts.links.extend(self.links(text, value));
            }
        }
        let earlier = situation.past.len().saturating_sub(1);
        facts.in_earlier =
            situation.past[..earlier].iter().any(|step| places(step.result, value).next().is_some());
        self.add_line_words(&mut facts, value);
        for step in situation.past {
            for (slot, other) in
                step.parsed.values(step.action).enumerate().filter(|(_, other)| *other == value)
            {
                debug_assert_eq!(other, value);
                facts.used.push(step.parsed.slot(slot));
            }
        }
        for list in [&mut facts.contexts, &mut facts.used] {
            list.sort_unstable();
            list.dedup();
        }
        facts
    }

    fn add_line_words(&self, facts: &mut ValueFacts, value: &[Token]) {
        let Some(first) = value.iter().find(|word| is_content(**word)) else { return };
        let mut words = Vec::new();
        for line in self.lines.get(first).map_or(&[][..], Vec::as_slice).iter().rev() {
            let line = self.line_texts[*line as usize];
            if line.len() <= LONGEST_LINE && places(line, value).next().is_some() {
                words.extend(line.iter().filter(|word| is_content(**word) && !value.contains(word)));
            }
            if words.len() >= MOST_WORDS {
                break;
            }
        }
        words.sort_unstable();
        words.dedup();
        words.truncate(MOST_WORDS);
        facts.line_words = words;
    }

    /// The last content words of the sentences that name the value, after it.
    fn links(&self, text: &[Token], value: &[Token]) -> Vec<LinkFacts> {
        let mut links = Vec::new();
        for at in places(text, value).take(MOST_PLACES) {
            let rest = &text[at + value.len()..];
            let rest = &rest[..rest.iter().position(|token| *token == END).unwrap_or(rest.len())];
            let start = rest.iter().rposition(|token| !is_content(*token)).map_or(0, |at| at + 1);
            let link = &rest[start..];
            if !link.is_empty() {
                links.push(self.link_facts(link));
            }
        }
        links
    }

    fn link_facts(&self, link: &[Token]) -> LinkFacts {
        let mut facts = LinkFacts { phrase: super::tokens::hash(link), ..LinkFacts::default() };
        add_contexts(&mut facts.in_task, TASK, self.situation.task, link);
        let seen = self.heads.iter().filter(|(_, head)| places(head, link).next().is_some());
        for (ago, _) in seen {
            facts.seen += 1;
            facts.ago = *ago;
        }
        facts
    }
}

/// Returns true if a text has the words one after the other.
pub(super) fn says(text: &[Token], words: &[Token]) -> bool {
    places(text, words).next().is_some()
}

/// The places where a text has the words one after the other.
pub(super) fn places<'t>(text: &'t [Token], words: &'t [Token]) -> impl Iterator<Item = usize> + 't {
    let windows = if words.is_empty() { &[][..] } else { text };
    windows
        .windows(words.len().max(1))
        .enumerate()
        .filter(move |(_, window)| *window == words)
        .map(|(at, _)| at)
}

/// Adds one to three words to the left of each place of the value; returns true if it stands in the text.
fn add_contexts(contexts: &mut Vec<u64>, field: u64, text: &[Token], value: &[Token]) -> bool {
    let mut found = false;
    for at in places(text, value).take(MOST_PLACES) {
        found = true;
        contexts.extend(context_numbers(field, text, at));
    }
    found
}

/// The words to the left of a value in the last result, the task and the state, by number, sorted.
pub(super) fn value_contexts(situation: &Situation<'_>, value: &[Token]) -> Vec<u64> {
    let mut contexts = Vec::new();
    add_contexts(&mut contexts, LAST, situation.last, value);
    add_contexts(&mut contexts, TASK, situation.task, value);
    for (key, text) in situation.state {
        add_contexts(&mut contexts, mix(&[STATE, u64::from(*key)]), text, value);
    }
    contexts.sort_unstable();
    contexts.dedup();
    contexts
}

/// The values of a situation that stand beside words of these numbers, those beside the most words first.
pub(super) fn placed_values<'s>(situation: &Situation<'s>, contexts: &[u64]) -> Vec<&'s [Token]> {
    let mut found: Vec<(usize, &'s [Token])> = Vec::new();
    let state = situation.state.iter().map(|(key, text)| (mix(&[STATE, u64::from(*key)]), *text));
    for (field, text) in [(LAST, situation.last), (TASK, situation.task)].into_iter().chain(state) {
        for at in 0..text.len() {
            let starts = is_content(text[at]) && (at == 0 || !is_content(text[at - 1]));
            let beside = if starts { context_numbers(field, text, at) } else { [0; 3] };
            let shared = beside.iter().filter(|number| contexts.binary_search(number).is_ok()).count();
            if shared > 0 {
                let length = text[at..].iter().take_while(|token| is_content(**token)).count();
                found.push((shared, &text[at..at + length.min(MOST_VALUE_WORDS)]));
            }
        }
    }
    found.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    let mut values: Vec<&'s [Token]> = Vec::new();
    for (_, value) in found {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// The words to the left of a place, by number: one, two and three of them.
fn context_numbers(field: u64, text: &[Token], at: usize) -> [u64; 3] {
    let left = |back: usize| u64::from(at.checked_sub(back).map_or(END, |at| text[at]));
    [mix(&[field, left(1)]), mix(&[field, left(1), left(2)]), mix(&[field, left(1), left(2), left(3)])]
}
