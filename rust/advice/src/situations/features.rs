//! Features of one possible action in a situation: numbers with a value.
//!
//! Most features name no value: they say where the value of a slot stands, beside which words, and what was done
//! with it before. So they hold for values that no recorded run has seen.

use super::actions::{ActionBook, Parsed};
use super::routes::Routes;
use super::situation::Situation;
use super::tokens::{Token, hash, is_content, mix};
use super::values::{ValueFacts, ValueFinder};
use super::votes::{GivenAction, VoteShares};
use rustc_hash::FxHashMap;

/// A stand-in for a step before the first.
const START: u64 = 5;
/// Votes are counted as ln(share + 0.02).
const LEAST_SHARE: f32 = 0.02;
/// Features of one action at most.
const MOST_FEATURES: usize = 400;

/// A feature's number and its value.
pub(super) type Feature = (u64, f32);

#[repr(u64)]
#[derive(Clone, Copy)]
enum Sort {
    Form = 1,
    Exact,
    Pair,
    Triple,
    ExactPair,
    VoteSame,
    VoteAligned,
    VoteAny,
    NewForm,
    Repeated,
    TakenHere,
    InVain,
    Again,
    LastSays,
    LineSays,
    Where,
    Context,
    LineWord,
    LineWordValue,
    ValueWord,
    ValuePair,
    Used,
    Unused,
    LinkSeen,
    LinkAgo,
    LinkTask,
    Towards,
    FormCount,
    VoteAgainst,
}

/// An action, with the facts of its values.
pub(super) struct PossibleAction<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) parsed: Parsed,
    /// The places of its values among the facts.
    pub(super) values: Vec<u32>,
    /// Set if the last result says it word for word.
    pub(super) said: bool,
}

/// One situation, prepared for many actions.
pub(super) struct Scene<'s> {
    situation: &'s Situation<'s>,
    finder: ValueFinder<'s>,
    routes: Routes,
    facts: Vec<ValueFacts>,
    places: FxHashMap<u64, u32>,
    counts: FxHashMap<u64, usize>,
    forms: FxHashMap<u64, usize>,
    last: [u64; 3],
    /// The kind of task; `None` means that it is like none.
    kind: Option<u64>,
}

impl<'s> Scene<'s> {
    pub(super) fn new(situation: &'s Situation<'s>, kind: Option<u64>) -> Self {
        let (mut counts, mut forms) = (FxHashMap::default(), FxHashMap::default());
        for step in situation.past {
            *counts.entry(hash(step.action)).or_insert(0) += 1;
            *forms.entry(step.parsed.form).or_insert(0) += 1;
        }
        let mut back = situation.past.iter().rev();
        let (first, second) = (back.next(), back.next());
        let form =
            |step: Option<&super::situation::PastStep<'_>>| step.map_or(START, |step| step.parsed.form);
        let last = [form(first), form(second), first.map_or(START, |step| hash(step.action))];
        Self {
            situation,
            finder: ValueFinder::new(situation),
            routes: Routes::new(situation),
            facts: Vec::new(),
            places: FxHashMap::default(),
            counts,
            forms,
            last,
            kind,
        }
    }

    /// Reads an action, and looks its values up in the situation.
    pub(super) fn candidate<'a>(&mut self, book: &ActionBook, tokens: &'a [Token]) -> PossibleAction<'a> {
        let parsed = book.parse(tokens);
        let values = parsed.values(tokens).map(|value| self.place_of(value)).collect();
        PossibleAction { tokens, parsed, values, said: self.finder.last_says(tokens) }
    }

    fn place_of(&mut self, value: &[Token]) -> u32 {
        let key = hash(value);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.facts.len() as u32;
        self.facts.push(self.finder.facts(value));
        self.places.insert(key, place);
        place
    }

    /// The action as the neighbours vote on it.
    pub(super) fn given<'c>(&'c self, candidate: &'c PossibleAction<'_>) -> GivenAction<'c> {
        let contexts = candidate.values.iter().map(|place| self.facts[*place as usize].contexts.as_slice());
        GivenAction {
            tokens: candidate.tokens,
            parsed: &candidate.parsed,
            contexts: contexts.collect(),
            said: candidate.said,
        }
    }

    /// How often the action was taken in this very state, and in vain.
    pub(super) fn taken_here(&self, candidate: &PossibleAction<'_>) -> (usize, usize) {
        if self.counts.contains_key(&hash(candidate.tokens)) {
            self.situation.taken_here(candidate.tokens)
        } else {
            (0, 0)
        }
    }

    /// How often what an action leads to was seen so far in this episode.
    pub(super) fn seen(&self, candidate: &PossibleAction<'_>) -> usize {
        let links = candidate.values.iter().flat_map(|place| &self.facts[*place as usize].links);
        links.map(|link| link.seen).max().unwrap_or(0)
    }

    /// Appends the features of an action.
    pub(super) fn describe(
        &self,
        candidate: &PossibleAction<'_>,
        votes: VoteShares,
        is_new: bool,
        into: &mut Vec<Feature>,
    ) {
        let mut list = FeatureList { form: candidate.parsed.form, kind: self.kind, into };
        self.describe_form(candidate, votes, &mut list);
        if is_new {
            list.add_of_kind(Sort::NewForm, &[]);
        }
        self.describe_repeats(candidate, &mut list);
        for (slot, place) in candidate.values.iter().enumerate() {
            let facts = &self.facts[*place as usize];
            list.add_value(candidate, slot, facts);
            for link in &facts.links {
                for (goal, nearer) in self.routes.towards(link.phrase) {
                    list.add_of_kind(Sort::Towards, &[candidate.parsed.form, goal, nearer]);
                }
            }
        }
        list.into.truncate(MOST_FEATURES);
    }

    fn describe_form(&self, candidate: &PossibleAction<'_>, votes: VoteShares, list: &mut FeatureList<'_>) {
        let (form, action) = (candidate.parsed.form, hash(candidate.tokens));
        list.add_of_kind(Sort::Form, &[form]);
        list.add_of_kind(Sort::Exact, &[action]);
        list.add_of_kind(Sort::Pair, &[self.last[0], form]);
        list.add_of_kind(Sort::Triple, &[self.last[1], self.last[0], form]);
        list.add_of_kind(Sort::ExactPair, &[self.last[2], action]);
        for (sort, share) in [
            (Sort::VoteSame, votes.same),
            (Sort::VoteAligned, votes.aligned),
            (Sort::VoteAny, votes.same + votes.aligned),
        ] {
            list.add_value_of_kind(sort, (share + LEAST_SHARE).ln());
        }
        if votes.against > 0.0 {
            list.add_value_of_kind(Sort::VoteAgainst, votes.against);
        }
        if candidate.said {
            list.add_with_form(Sort::LastSays, &[]);
        }
        if self.finder.has_line_with(candidate.tokens) {
            let taken = self.counts.get(&action).copied().unwrap_or(0).min(1) as u64;
            list.add_with_form(Sort::LineSays, &[taken]);
        }
    }

    fn describe_repeats(&self, candidate: &PossibleAction<'_>, list: &mut FeatureList<'_>) {
        let action = hash(candidate.tokens);
        let taken = self.counts.get(&action).copied().unwrap_or(0);
        let (here, in_vain) = self.taken_here(candidate);
        list.add(Sort::Repeated, &[taken.min(3) as u64]);
        list.add_with_form(Sort::Repeated, &[taken.min(2) as u64, 9]);
        list.add_with_form(Sort::TakenHere, &[here.min(2) as u64]);
        list.add_with_form(Sort::InVain, &[in_vain.min(2) as u64]);
        if self.last[2] == action {
            list.add(Sort::Again, &[]);
        }
        let form = self.forms.get(&candidate.parsed.form).copied().unwrap_or(0);
        list.add_with_form(Sort::FormCount, &[form.min(4) as u64]);
    }
}

/// The facts of a value, with what is said of the form beside it.
struct FeatureList<'a> {
    form: u64,
    kind: Option<u64>,
    into: &'a mut Vec<Feature>,
}

impl FeatureList<'_> {
    fn number(sort: Sort, parts: &[u64]) -> u64 {
        mix(&[sort as u64, mix(parts)])
    }

    fn add(&mut self, sort: Sort, parts: &[u64]) {
        self.into.push((Self::number(sort, parts), 1.0));
    }

    /// Adds a feature, once more for tasks of this kind alone.
    fn add_of_kind(&mut self, sort: Sort, parts: &[u64]) {
        let number = Self::number(sort, parts);
        self.into.push((number, 1.0));
        if let Some(kind) = self.kind {
            self.into.push((mix(&[number, kind]), 1.0));
        }
    }

    fn add_value_of_kind(&mut self, sort: Sort, value: f32) {
        let number = Self::number(sort, &[]);
        self.into.push((number, value));
        if let Some(kind) = self.kind {
            self.into.push((mix(&[number, kind]), value));
        }
    }

    /// Adds a feature of all actions, and one of actions of this form.
    fn add_with_form(&mut self, sort: Sort, parts: &[u64]) {
        self.add(sort, parts);
        let number = mix(&[Self::number(sort, parts), self.form]);
        self.into.push((number, 1.0));
        if let Some(kind) = self.kind {
            self.into.push((mix(&[number, kind]), 1.0));
        }
    }

    fn add_value(&mut self, candidate: &PossibleAction<'_>, slot: usize, facts: &ValueFacts) {
        let tag = candidate.parsed.slot(slot);
        let place =
            [u64::from(facts.in_last), u64::from(facts.in_task), facts.in_state, u64::from(facts.in_earlier)];
        self.add(Sort::Where, &place);
        self.add_of_kind(Sort::Where, &[tag, mix(&place)]);
        for context in &facts.contexts {
            self.add_of_kind(Sort::Context, &[tag, *context]);
        }
        for word in &facts.line_words {
            self.add(Sort::LineWord, &[tag, u64::from(*word)]);
            for (other, value) in candidate.parsed.values(candidate.tokens).enumerate() {
                if other != slot {
                    self.add(Sort::LineWordValue, &[tag, u64::from(*word), hash(value)]);
                }
            }
        }
        self.add_words(candidate, slot, tag);
        for used in &facts.used {
            self.add_of_kind(Sort::Used, &[tag, *used]);
        }
        if facts.used.is_empty() {
            self.add(Sort::Unused, &[]);
            self.add_of_kind(Sort::Unused, &[tag]);
        }
        for link in &facts.links {
            self.add_of_kind(Sort::LinkSeen, &[tag, link.seen.min(3) as u64]);
            self.add_of_kind(Sort::LinkAgo, &[tag, (link.ago as u64).min(6)]);
            for context in &link.in_task {
                self.add_of_kind(Sort::LinkTask, &[tag, *context]);
            }
        }
    }

    fn add_words(&mut self, candidate: &PossibleAction<'_>, slot: usize, tag: u64) {
        let mut values = candidate.parsed.values(candidate.tokens).skip(slot);
        let Some(value) = values.next() else { return };
        for word in value.iter().filter(|word| is_content(**word)) {
            self.add(Sort::ValueWord, &[tag, u64::from(*word)]);
        }
        for other in values {
            for word in value.iter().filter(|word| is_content(**word)) {
                self.add(Sort::ValuePair, &[self.form, u64::from(*word), hash(other)]);
                for second in other {
                    self.add(Sort::ValuePair, &[self.form, u64::from(*word), u64::from(*second), 1]);
                }
            }
        }
    }
}
