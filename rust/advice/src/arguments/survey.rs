//! What the recorded calls say about every parameter.

use super::parameters::{Calls, MOST_LEAVES, Parameter};
use super::slot::Slot;
use super::targets::{Target, distinct, node_of};
use super::values::{Kind, Label, Node, Place, Scene};
use super::{known, sources, templates};
use crate::run::Run;
use rustc_hash::FxHashMap;

#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) slots: Vec<Slot>,
    pub(super) tools: FxHashMap<u64, Vec<Parameter>>,
    pub(super) targets: Vec<Target>,
    places: FxHashMap<u64, u32>,
    calls: FxHashMap<u64, Calls>,
}

impl Survey {
    pub(super) fn of(runs: &[Run], scenes: &[Scene<'_>]) -> Self {
        let mut survey = Self::default();
        for (run, scene) in (0..).zip(scenes) {
            survey.add(run, scene);
        }
        let (slots, targets) = (&mut survey.slots, &survey.targets);
        learn_kinds(slots, targets, scenes);
        learn_groups(slots, targets, runs);
        templates::learn(slots, targets, runs, scenes);
        sources::learn(slots, targets, runs, scenes);
        known::learn(slots, targets, runs, scenes);
        let usual = |(tool, calls): (&u64, &Calls)| (*tool, calls.usual(scenes, &survey.places));
        survey.tools = survey.calls.iter().map(usual).collect();
        survey
    }

    /// Takes up the calls of one run. A call that failed is no example.
    fn add(&mut self, run: u32, scene: &Scene<'_>) {
        for (step, stage) in (0..).zip(&scene.stages).filter(|(_, stage)| stage.ok != 0) {
            let calls = self.calls.entry(stage.tool).or_default();
            calls.count += 1;
            for parameter in parameters(scene, step) {
                calls.add(run, scene, parameter);
                let inside = leaves(scene, parameter).filter(|leaf| *leaf != parameter).take(MOST_LEAVES);
                for node in std::iter::once(parameter).chain(inside) {
                    let slot = place_of(&mut self.places, &mut self.slots, &scene.nodes[node as usize]);
                    self.targets.push(Target { run, step, node, slot });
                }
            }
        }
    }
}

fn place_of(places: &mut FxHashMap<u64, u32>, slots: &mut Vec<Slot>, node: &Node) -> u32 {
    *places.entry(node.rules[0]).or_insert_with(|| {
        slots.push(Slot { seed: node.rules[0], name: node.name, ..Slot::default() });
        slots.len() as u32 - 1
    })
}

/// The entries of the map of a step's arguments.
fn parameters(scene: &Scene<'_>, step: u32) -> impl Iterator<Item = u32> {
    let root = scene.stages[step as usize].from;
    let root = scene
        .nodes
        .get(root as usize)
        .filter(|node| node.step == step && node.place == Place::Arguments && node.kind == Kind::Map);
    root.map(|_| scene.children(scene.stages[step as usize].from)).into_iter().flatten()
}

/// The scalars inside a value, in order.
fn leaves(scene: &Scene<'_>, node: u32) -> impl Iterator<Item = u32> {
    (node..scene.nodes[node as usize].end).filter(|inside| {
        let each = &scene.nodes[*inside as usize];
        each.kind.is_scalar() && !matches!(each.label, Label::Key | Label::Piece)
    })
}

fn learn_kinds(slots: &mut [Slot], targets: &[Target], scenes: &[Scene<'_>]) {
    let mut counts = vec![[0_u32; Kind::ALL.len()]; slots.len()];
    for target in targets {
        counts[target.slot as usize][node_of(scenes, target).kind as usize] += 1;
    }
    for (slot, counts) in slots.iter_mut().zip(counts) {
        let most = counts.iter().sum::<u32>() * 9 / 10;
        slot.kind = Kind::ALL.into_iter().find(|kind| counts[*kind as usize] > most);
    }
}

fn learn_groups(slots: &mut [Slot], targets: &[Target], runs: &[Run]) {
    let met = targets.iter().map(|target| (target.slot, 0, runs[target.run as usize].group)).collect();
    for ((slot, _), groups) in distinct(met) {
        slots[slot as usize].groups = groups;
    }
}
