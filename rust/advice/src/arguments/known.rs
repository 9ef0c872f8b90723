//! The values that a slot had in several tasks, and the words of tasks that they go with.

use super::hash;
use super::slot::{CalledValue, KnownValue, LEAST_GROUPS, Slot};
use super::slot_examples::{SlotExample, distinct, node_of};
use super::task::{squash, terms};
use super::values::ValueTree;
use crate::run::Run;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// Values of one slot that are remembered.
const MOST_KNOWN: usize = 192;
/// Bytes of the longest value that is remembered.
const LONGEST_KNOWN: usize = 256;
/// Values that one word of a task calls up.
const MOST_CALLED: usize = 6;

pub(super) fn learn(slots: &mut [Slot], examples: &[SlotExample], runs: &[Run], trees: &[ValueTree<'_>]) {
    let mut sightings = Vec::with_capacity(examples.len());
    let mut samples = FxHashMap::default();
    for example in examples {
        let key = node_of(trees, example).key;
        sightings.push((example.slot, key, runs[example.run as usize].group));
        samples.entry((example.slot, key)).or_insert(*example);
    }
    for ((slot, key), groups) in distinct(sightings) {
        if groups >= LEAST_GROUPS {
            let example = samples[&(slot, key)];
            slots[slot as usize].known.extend(known_of(&trees[example.run as usize], example.node, groups));
        }
    }
    for slot in slots.iter_mut() {
        slot.known.sort_by_key(|known| (Reverse(known.groups), known.key));
        slot.known.truncate(MOST_KNOWN);
        slot.places = slot.known.iter().zip(0..).map(|(known, place)| (known.key, place)).collect();
    }
    learn_called(slots, examples, runs, trees);
}

/// None for a long value, or one that was not read to its end.
fn known_of(tree: &ValueTree<'_>, node: u32, groups: u32) -> Option<KnownValue> {
    let mut bytes = Vec::new();
    tree.encode(node, None, &mut bytes);
    let text = tree.text_of(node);
    let is_whole = tree.nodes[node as usize].is_whole;
    (is_whole && bytes.len() <= LONGEST_KNOWN).then(|| KnownValue {
        key: tree.nodes[node as usize].key,
        bytes: bytes.into(),
        squashed: hash::text(&squash(text)),
        terms: terms(text).into(),
        groups,
    })
}

/// The known values that go with each word of a task: the most frequent with it, relative to their own frequency.
fn learn_called(slots: &mut [Slot], examples: &[SlotExample], runs: &[Run], trees: &[ValueTree<'_>]) {
    let mut sightings = Vec::new();
    for example in examples {
        if let Some(known) = slots[example.slot as usize].known_at(node_of(trees, example).key) {
            let (tree, group) = (&trees[example.run as usize], runs[example.run as usize].group);
            sightings.extend(tree.task.terms.iter().map(|term| ((example.slot, *term), known as u64, group)));
        }
    }
    let mut called: FxHashMap<(u32, u64), Vec<(f32, CalledValue)>> = FxHashMap::default();
    for (((slot, term), known), groups) in distinct(sightings) {
        if groups >= LEAST_GROUPS {
            let usual = slots[slot as usize].known[known as usize].groups as f32;
            let weight = groups as f32 / (usual + 4.0).sqrt();
            called
                .entry((slot, term))
                .or_default()
                .push((weight, CalledValue { known: known as u16, groups }));
        }
    }
    for ((slot, term), mut calls) in called {
        calls.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.known.cmp(&b.1.known)));
        calls.truncate(MOST_CALLED);
        let calls = calls.into_iter().map(|(_, call)| call).collect();
        slots[slot as usize].called.insert(term, calls);
    }
}
