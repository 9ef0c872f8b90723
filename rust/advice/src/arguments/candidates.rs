//! The values that a slot might take now.

use super::features::{CallContext, RuleVote, describe};
use super::fill_point::{Candidate, FillPoint, PastUse};
use super::hash;
use super::slot::{LEAST_GROUPS, Slot, SourceRule, is_word};
use super::task::NamedInTask;
use super::values::{NONE, ValueKind, ValueNode, ValueSource, ValueTree};
use std::cmp::Reverse;

/// Values that one rule brings up.
const MOST_FOUND: usize = 40;
/// Candidates of one slot.
const MOST_CANDIDATES: usize = 40;
/// The largest number of known values that the task's words suggest, and of the most frequent ones.
const MOST_CALLED: usize = 14;
const MOST_USUAL: usize = 6;
/// Rules that speak for one candidate.
const MOST_VOICES: u8 = 3;
/// Values around a candidate that are looked at.
const MOST_AROUND: usize = 24;
/// Templates that are tried at once.
const MOST_TEMPLATES: usize = 2;
/// Bytes of the longest text that is compared with the task.
const LONGEST_NAMED: usize = 128;

/// The candidates of one slot; the first is always "none of these". The room is used again for every slot.
#[derive(Default)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    count: usize,
    used: Vec<(u64, PastUse)>,
    found: Vec<u32>,
    distinct: Vec<(u64, u32)>,
}

impl Candidates {
    pub(super) fn all(&self) -> &[Candidate] {
        &self.list[..self.count]
    }

    /// The place of the value among the candidates.
    pub(super) fn place_of(&self, key: u64) -> Option<usize> {
        self.all().iter().skip(1).position(|each| each.key == key).map(|place| place + 1)
    }

    /// Collects the candidates and describes them by features.
    pub(super) fn gather(&mut self, point: &FillPoint<'_>) {
        self.count = 0;
        self.add(0);
        self.note_used(point);
        for rule in &point.slot.rules {
            self.follow(point, rule, NONE);
        }
        for template in self.templates(point).into_iter().flatten() {
            for rule in &point.slot.gap_rules {
                self.follow(point, rule, template);
            }
        }
        if !point.slot.is_container() {
            self.recall(point);
        }
        self.compare(point);
        describe(point, &mut self.list[..self.count], &CallContext::new(point));
    }

    fn add(&mut self, key: u64) -> usize {
        if self.count == self.list.len() {
            self.list.push(Candidate::new(key, Vec::new()));
        } else {
            let mut features = std::mem::take(&mut self.list[self.count].features);
            features.clear();
            self.list[self.count] = Candidate::new(key, features);
        }
        self.list[self.count].used = self.used(key);
        self.count += 1;
        self.count - 1
    }

    fn find_or_add(&mut self, key: u64) -> Option<usize> {
        self.place_of(key).or_else(|| (self.count < MOST_CANDIDATES).then(|| self.add(key)))
    }

    fn note_used(&mut self, point: &FillPoint<'_>) {
        let (tree, seed) = (point.tree, point.slot.seed);
        self.used.clear();
        let same_call = point.call.iter().filter(|(other, _)| *other == seed);
        self.used.extend(same_call.map(|(_, key)| (*key, PastUse::SameCall)));
        let mut last = None;
        for node in tree.found(seed, tree.limit(point.step)).take(MOST_FOUND) {
            let each = &tree.nodes[node as usize];
            let is_last = *last.get_or_insert(each.step) == each.step;
            self.used.push(match tree.calls[each.step as usize].ok {
                0 => (each.key, PastUse::InVain),
                _ if is_last => (each.key, PastUse::Last),
                _ => (each.key, PastUse::Earlier),
            });
        }
    }

    fn used(&self, key: u64) -> PastUse {
        self.used.iter().find(|each| each.0 == key).map_or(PastUse::Never, |each| each.1)
    }

    /// The template of the slot's last call first, then those of the same agent, then the most usual ones.
    fn templates(&self, point: &FillPoint<'_>) -> [Option<u32>; MOST_TEMPLATES] {
        let (tree, slot) = (point.tree, point.slot);
        let mut chosen = [None; MOST_TEMPLATES];
        if slot.templates.is_empty() {
            return chosen;
        }
        let last = tree.found(slot.seed, tree.limit(point.step)).next();
        let last = last.and_then(|node| slot.template_of(tree.text_of(node)));
        let mut count = 0;
        for template in last.into_iter().chain(slot.usual_templates(tree.agent)) {
            if count < MOST_TEMPLATES && !chosen.contains(&Some(template)) {
                chosen[count] = Some(template);
                count += 1;
            }
        }
        chosen
    }

    /// Adds the values that a rule finds, or a template filled with each: the newest step first, in reading order.
    fn follow(&mut self, point: &FillPoint<'_>, rule: &SourceRule, template: u32) {
        let found = self.find(point, rule, template);
        let distinct = std::mem::take(&mut self.distinct);
        let mut unused = 0;
        for (order, (key, node)) in distinct.iter().enumerate() {
            let Some(place) = self.find_or_add(*key) else { break };
            let candidate = &mut self.list[place];
            let is_unused = candidate.used == PastUse::Never;
            let each = &point.tree.nodes[*node as usize];
            let vote = RuleVote {
                rule,
                is_gap: template != NONE,
                order,
                count: distinct.len(),
                unused: is_unused.then_some(unused),
                is_last: each.step != NONE && each.step as usize + 1 == point.step,
                before: each.name,
            };
            unused += usize::from(is_unused);
            candidate.add_vote(point.slot, &vote, *node, template);
        }
        self.distinct = distinct;
        if template == NONE && !point.call.is_empty() {
            self.note_fits(point, &found);
        }
        self.found = found;
    }

    /// The nodes that a rule finds; the distinct values among them are noted with the key that each would have.
    fn find(&mut self, point: &FillPoint<'_>, rule: &SourceRule, template: u32) -> Vec<u32> {
        let tree = point.tree;
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        found.extend(tree.found(rule.hash, tree.limit(point.step)).take(MOST_FOUND));
        found.sort_unstable_by_key(|node| (Reverse(tree.nodes[*node as usize].step), *node));
        self.distinct.clear();
        for node in &found {
            let each = &tree.nodes[*node as usize];
            if let Some(key) = key_of(point, each, template)
                && !self.distinct.iter().any(|(other, _)| *other == key)
            {
                self.distinct.push((key, *node));
            }
        }
        found
    }

    fn note_fits(&mut self, point: &FillPoint<'_>, found: &[u32]) {
        for node in found {
            let key = point.tree.nodes[*node as usize].key;
            if fits_call(point, *node)
                && let Some(place) = self.place_of(key)
            {
                self.list[place].fits_call = true;
            }
        }
    }

    /// Adds the known values that the task calls up and the most frequent ones, and marks those that are there.
    fn recall(&mut self, point: &FillPoint<'_>) {
        let slot = point.slot;
        let mut called = 0;
        for call in point.tree.task.terms.iter().flat_map(|term| slot.called_by(*term)) {
            let is_own = call.groups <= LEAST_GROUPS && is_right(point, usize::from(call.known));
            if called < MOST_CALLED && !is_own {
                called += usize::from(self.add_known(point, usize::from(call.known)));
            }
        }
        for place in 0..slot.known.len().min(MOST_USUAL) {
            self.add_known(point, place);
        }
        for candidate in &mut self.list[1..self.count] {
            let known = slot.known_at(candidate.key).filter(|known| is_supported(point, *known));
            candidate.known = known.map_or(NONE, |known| known as u32);
        }
    }

    /// Returns true if the value is a new candidate.
    fn add_known(&mut self, point: &FillPoint<'_>, place: usize) -> bool {
        let before = self.count;
        if is_supported(point, place) {
            self.find_or_add(point.slot.known[place].key);
        }
        self.count > before
    }

    /// Compares the candidates with the words of the task.
    fn compare(&mut self, point: &FillPoint<'_>) {
        let tree = point.tree;
        for candidate in &mut self.list[1..self.count] {
            let known = point.slot.known.get(candidate.known as usize).filter(|_| candidate.template == NONE);
            candidate.named = match known {
                Some(known) => tree.task.names_parts(known.squashed, &known.terms),
                None => Some(tree.text_of(candidate.node))
                    .filter(|text| text.len() <= LONGEST_NAMED)
                    .map_or(NamedInTask::Not, |text| tree.task.names(text)),
            };
            if candidate.node != NONE {
                candidate.neighbours_named = named_beside(tree, candidate.node);
            }
        }
    }
}

impl Candidate {
    /// The first vote sets the node of the value.
    fn add_vote(&mut self, slot: &Slot, vote: &RuleVote<'_>, node: u32, template: u32) {
        if self.node == NONE {
            (self.node, self.template) = (node, template);
        }
        if self.votes < MOST_VOICES {
            self.votes += 1;
            vote.add_features(slot, &mut self.features);
        }
    }
}

/// The key of the value that the node gives the slot; `None` means that it does not fit.
fn key_of(point: &FillPoint<'_>, node: &ValueNode, template: u32) -> Option<u64> {
    if point.tree.is_empty(node) {
        return None;
    }
    match point.slot.templates.get(template as usize) {
        Some(template) => {
            let gap = point.tree.str(node.text);
            let is_gap = node.kind.is_scalar() && node.kind != ValueKind::Null && is_word(gap);
            is_gap.then(|| hash::text(&template.filled(gap)))
        }
        None => {
            let fits = point.slot.kind.is_none_or(|kind| kind.is_scalar() == node.kind.is_scalar());
            fits.then_some(node.key)
        }
    }
}

fn is_right(point: &FillPoint<'_>, known: usize) -> bool {
    point.right == Some(point.slot.known[known].key)
}

/// Returns true if enough tasks have the value, the task that is trained on left out.
fn is_supported(point: &FillPoint<'_>, known: usize) -> bool {
    !is_right(point, known) || point.slot.known[known].groups > LEAST_GROUPS
}

/// The values beside and inside those beside a value of a map that a step brought.
fn around<'a>(tree: &'a ValueTree<'_>, node: u32) -> impl Iterator<Item = u32> + use<'a> {
    let each = &tree.nodes[node as usize];
    let parent = Some(each.parent).filter(|parent| {
        each.place == ValueSource::Output
            && *parent != NONE
            && tree.nodes[*parent as usize].kind == ValueKind::Map
    });
    let inside = parent.map(|parent| parent + 1..tree.nodes[parent as usize].end).unwrap_or_default();
    inside.take(MOST_AROUND).filter(move |other| tree.nodes[*other as usize].key != each.key)
}

fn fits_call(point: &FillPoint<'_>, node: u32) -> bool {
    around(point.tree, node).any(|other| {
        let key = point.tree.nodes[other as usize].key;
        point.call.iter().any(|chosen| chosen.1 == key)
    })
}

/// How many values around this one the task names: the elements of a list are told apart by that.
fn named_beside(tree: &ValueTree<'_>, node: u32) -> u8 {
    let named = around(tree, node).filter(|other| {
        let (each, text) = (&tree.nodes[*other as usize], tree.text_of(*other));
        each.kind == ValueKind::Text
            && (3..=LONGEST_NAMED).contains(&text.len())
            && tree.task.names(text) >= NamedInTask::InWords
    });
    named.count() as u8
}
