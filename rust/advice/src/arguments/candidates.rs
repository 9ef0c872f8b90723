//! The values that a slot might take now.

use super::features::{Before, Voice, describe};
use super::fill_point::{Candidate, Moment, Used};
use super::hash;
use super::slot::{LEAST_GROUPS, Rule, Slot, is_word};
use super::task::Named;
use super::values::{Kind, NONE, Node, Place, Scene};
use std::cmp::Reverse;

/// Values that one rule brings up.
const MOST_FOUND: usize = 40;
/// Candidates of one slot.
const MOST_CANDIDATES: usize = 40;
/// Known values that are looked at for what the task says, and those that are for their frequency alone.
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
    used: Vec<(u64, Used)>,
    found: Vec<u32>,
    distinct: Vec<(u64, u32)>,
}

impl Candidates {
    pub(super) fn all(&self) -> &[Candidate] {
        &self.list[..self.count]
    }

    /// Where the value stands among the candidates.
    pub(super) fn place_of(&self, key: u64) -> Option<usize> {
        self.all().iter().skip(1).position(|each| each.key == key).map(|place| place + 1)
    }

    /// Collects the candidates and describes them by features.
    pub(super) fn gather(&mut self, moment: &Moment<'_>) {
        self.count = 0;
        self.add(0);
        self.note_used(moment);
        for rule in &moment.slot.rules {
            self.follow(moment, rule, NONE);
        }
        for template in self.templates(moment).into_iter().flatten() {
            for rule in &moment.slot.gap_rules {
                self.follow(moment, rule, template);
            }
        }
        if !moment.slot.is_container() {
            self.recall(moment);
        }
        self.compare(moment);
        describe(moment, &mut self.list[..self.count], &Before::of(moment));
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

    fn note_used(&mut self, moment: &Moment<'_>) {
        let (scene, seed) = (moment.scene, moment.slot.seed);
        self.used.clear();
        let same_call = moment.call.iter().filter(|(other, _)| *other == seed);
        self.used.extend(same_call.map(|(_, key)| (*key, Used::SameCall)));
        let mut last = None;
        for node in scene.found(seed, scene.limit(moment.step)).take(MOST_FOUND) {
            let each = &scene.nodes[node as usize];
            let is_last = *last.get_or_insert(each.step) == each.step;
            self.used.push(match scene.stages[each.step as usize].ok {
                0 => (each.key, Used::InVain),
                _ if is_last => (each.key, Used::Last),
                _ => (each.key, Used::Earlier),
            });
        }
    }

    fn used(&self, key: u64) -> Used {
        self.used.iter().find(|each| each.0 == key).map_or(Used::Never, |each| each.1)
    }

    /// The template of the slot's last call first, then those of the same agent, then the most usual ones.
    fn templates(&self, moment: &Moment<'_>) -> [Option<u32>; MOST_TEMPLATES] {
        let (scene, slot) = (moment.scene, moment.slot);
        let mut chosen = [None; MOST_TEMPLATES];
        if slot.templates.is_empty() {
            return chosen;
        }
        let last = scene.found(slot.seed, scene.limit(moment.step)).next();
        let last = last.and_then(|node| slot.template_of(scene.text_of(node)));
        let mut count = 0;
        for template in last.into_iter().chain(slot.usual_templates(scene.agent)) {
            if count < MOST_TEMPLATES && !chosen.contains(&Some(template)) {
                chosen[count] = Some(template);
                count += 1;
            }
        }
        chosen
    }

    /// Adds what a rule finds, or the template with it: the newest step first, in the order in which the step said it.
    fn follow(&mut self, moment: &Moment<'_>, rule: &Rule, template: u32) {
        let found = self.find(moment, rule, template);
        let distinct = std::mem::take(&mut self.distinct);
        let mut unused = 0;
        for (order, (key, node)) in distinct.iter().enumerate() {
            let Some(place) = self.find_or_add(*key) else { break };
            let candidate = &mut self.list[place];
            let is_unused = candidate.used == Used::Never;
            let each = &moment.scene.nodes[*node as usize];
            let voice = Voice {
                rule,
                is_gap: template != NONE,
                order,
                count: distinct.len(),
                unused: is_unused.then_some(unused),
                is_last: each.step != NONE && each.step as usize + 1 == moment.step,
                before: each.name,
            };
            unused += usize::from(is_unused);
            candidate.hear(moment.slot, &voice, *node, template);
        }
        self.distinct = distinct;
        if template == NONE && !moment.call.is_empty() {
            self.note_fits(moment, &found);
        }
        self.found = found;
    }

    /// The nodes that a rule finds; the distinct values among them are noted with the key that each would have.
    fn find(&mut self, moment: &Moment<'_>, rule: &Rule, template: u32) -> Vec<u32> {
        let scene = moment.scene;
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        found.extend(scene.found(rule.hash, scene.limit(moment.step)).take(MOST_FOUND));
        found.sort_unstable_by_key(|node| (Reverse(scene.nodes[*node as usize].step), *node));
        self.distinct.clear();
        for node in &found {
            let each = &scene.nodes[*node as usize];
            if let Some(key) = key_of(moment, each, template)
                && !self.distinct.iter().any(|(other, _)| *other == key)
            {
                self.distinct.push((key, *node));
            }
        }
        found
    }

    fn note_fits(&mut self, moment: &Moment<'_>, found: &[u32]) {
        for node in found {
            let key = moment.scene.nodes[*node as usize].key;
            if fits_call(moment, *node)
                && let Some(place) = self.place_of(key)
            {
                self.list[place].fits_call = true;
            }
        }
    }

    /// Adds the known values that the task calls up and the most frequent ones, and marks those that are there.
    fn recall(&mut self, moment: &Moment<'_>) {
        let slot = moment.slot;
        let mut called = 0;
        for call in moment.scene.task.terms.iter().flat_map(|term| slot.called_by(*term)) {
            let is_own = call.groups <= LEAST_GROUPS && is_right(moment, usize::from(call.known));
            if called < MOST_CALLED && !is_own {
                called += usize::from(self.add_known(moment, usize::from(call.known)));
            }
        }
        for place in 0..slot.known.len().min(MOST_USUAL) {
            self.add_known(moment, place);
        }
        for candidate in &mut self.list[1..self.count] {
            let known = slot.known_at(candidate.key).filter(|known| is_vouched(moment, *known));
            candidate.known = known.map_or(NONE, |known| known as u32);
        }
    }

    /// Whether the value was not there before.
    fn add_known(&mut self, moment: &Moment<'_>, place: usize) -> bool {
        let before = self.count;
        if is_vouched(moment, place) {
            self.find_or_add(moment.slot.known[place].key);
        }
        self.count > before
    }

    /// Compares the candidates with what the task names.
    fn compare(&mut self, moment: &Moment<'_>) {
        let scene = moment.scene;
        for candidate in &mut self.list[1..self.count] {
            let known =
                moment.slot.known.get(candidate.known as usize).filter(|_| candidate.template == NONE);
            candidate.named = match known {
                Some(known) => scene.task.names_parts(known.squashed, &known.terms),
                None => Some(scene.text_of(candidate.node))
                    .filter(|text| text.len() <= LONGEST_NAMED)
                    .map_or(Named::Not, |text| scene.task.names(text)),
            };
            if candidate.node != NONE {
                candidate.beside = named_beside(scene, candidate.node);
            }
        }
    }
}

impl Candidate {
    /// The first voice says where the value stands.
    fn hear(&mut self, slot: &Slot, voice: &Voice<'_>, node: u32, template: u32) {
        if self.node == NONE {
            (self.node, self.template) = (node, template);
        }
        if self.voices < MOST_VOICES {
            self.voices += 1;
            voice.speak(slot, &mut self.features);
        }
    }
}

/// The key of the value that the node gives the slot; none where it gives none.
fn key_of(moment: &Moment<'_>, node: &Node, template: u32) -> Option<u64> {
    if moment.scene.is_empty(node) {
        return None;
    }
    match moment.slot.templates.get(template as usize) {
        Some(template) => {
            let gap = moment.scene.str(node.text);
            let is_gap = node.kind.is_scalar() && node.kind != Kind::Null && is_word(gap);
            is_gap.then(|| hash::of(&template.filled(gap)))
        }
        None => {
            let fits = moment.slot.kind.is_none_or(|kind| kind.is_scalar() == node.kind.is_scalar());
            fits.then_some(node.key)
        }
    }
}

fn is_right(moment: &Moment<'_>, known: usize) -> bool {
    moment.right == Some(moment.slot.known[known].key)
}

/// Whether enough tasks know the value, the one that is learned from left out.
fn is_vouched(moment: &Moment<'_>, known: usize) -> bool {
    !is_right(moment, known) || moment.slot.known[known].groups > LEAST_GROUPS
}

/// The values beside and inside those beside a value of a map that a step brought.
fn around<'a>(scene: &'a Scene<'_>, node: u32) -> impl Iterator<Item = u32> + use<'a> {
    let each = &scene.nodes[node as usize];
    let parent = Some(each.parent).filter(|parent| {
        each.place == Place::Output && *parent != NONE && scene.nodes[*parent as usize].kind == Kind::Map
    });
    let inside = parent.map(|parent| parent + 1..scene.nodes[parent as usize].end).unwrap_or_default();
    inside.take(MOST_AROUND).filter(move |other| scene.nodes[*other as usize].key != each.key)
}

fn fits_call(moment: &Moment<'_>, node: u32) -> bool {
    around(moment.scene, node).any(|other| {
        let key = moment.scene.nodes[other as usize].key;
        moment.call.iter().any(|chosen| chosen.1 == key)
    })
}

/// How many values around this one the task names: the elements of a list are told apart by that.
fn named_beside(scene: &Scene<'_>, node: u32) -> u8 {
    let named = around(scene, node).filter(|other| {
        let (each, text) = (&scene.nodes[*other as usize], scene.text_of(*other));
        each.kind == Kind::Text
            && (3..=LONGEST_NAMED).contains(&text.len())
            && scene.task.names(text) >= Named::InWords
    });
    named.count() as u8
}
