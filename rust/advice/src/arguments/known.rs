//! The values that a slot had in several tasks, and the words of tasks that they go with.

use super::hash;
use super::slot::{Call, Known, LEAST_GROUPS, Slot};
use super::targets::{Target, distinct, node_of};
use super::task::{squash, terms};
use super::values::Scene;
use crate::run::Run;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// Values of one slot that are remembered.
const MOST_KNOWN: usize = 192;
/// Bytes of the longest value that is remembered.
const LONGEST_KNOWN: usize = 256;
/// Values that one word of a task calls up.
const MOST_CALLED: usize = 6;

pub(super) fn learn(slots: &mut [Slot], targets: &[Target], runs: &[Run], scenes: &[Scene<'_>]) {
    let mut met = Vec::with_capacity(targets.len());
    let mut samples = FxHashMap::default();
    for target in targets {
        let key = node_of(scenes, target).key;
        met.push((target.slot, key, runs[target.run as usize].group));
        samples.entry((target.slot, key)).or_insert(*target);
    }
    for ((slot, key), groups) in distinct(met) {
        if groups >= LEAST_GROUPS {
            let target = samples[&(slot, key)];
            slots[slot as usize].known.extend(known_of(&scenes[target.run as usize], target.node, groups));
        }
    }
    for slot in slots.iter_mut() {
        slot.known.sort_by_key(|known| (Reverse(known.groups), known.key));
        slot.known.truncate(MOST_KNOWN);
        slot.places = slot.known.iter().zip(0..).map(|(known, place)| (known.key, place)).collect();
    }
    learn_called(slots, targets, runs, scenes);
}

/// None for a long value, or one that was not read to its end.
fn known_of(scene: &Scene<'_>, node: u32, groups: u32) -> Option<Known> {
    let mut bytes = Vec::new();
    scene.encode(node, None, &mut bytes);
    let text = scene.text_of(node);
    let is_whole = scene.nodes[node as usize].is_whole;
    (is_whole && bytes.len() <= LONGEST_KNOWN).then(|| Known {
        key: scene.nodes[node as usize].key,
        bytes: bytes.into(),
        squashed: hash::of(&squash(text)),
        terms: terms(text).into(),
        groups,
    })
}

/// Which known values go with which words of a task: those that are met with them most often for how usual they are.
fn learn_called(slots: &mut [Slot], targets: &[Target], runs: &[Run], scenes: &[Scene<'_>]) {
    let mut met = Vec::new();
    for target in targets {
        if let Some(known) = slots[target.slot as usize].known_at(node_of(scenes, target).key) {
            let (scene, group) = (&scenes[target.run as usize], runs[target.run as usize].group);
            met.extend(scene.task.terms.iter().map(|term| ((target.slot, *term), known as u64, group)));
        }
    }
    let mut called: FxHashMap<(u32, u64), Vec<(f32, Call)>> = FxHashMap::default();
    for (((slot, term), known), groups) in distinct(met) {
        if groups >= LEAST_GROUPS {
            let usual = slots[slot as usize].known[known as usize].groups as f32;
            let weight = groups as f32 / (usual + 4.0).sqrt();
            called.entry((slot, term)).or_default().push((weight, Call { known: known as u16, groups }));
        }
    }
    for ((slot, term), mut calls) in called {
        calls.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.known.cmp(&b.1.known)));
        calls.truncate(MOST_CALLED);
        let calls = calls.into_iter().map(|(_, call)| call).collect();
        slots[slot as usize].called.insert(term, calls);
    }
}
