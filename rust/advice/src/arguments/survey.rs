//! The slots of all tools, learned from recorded calls.

use super::parameters::{MOST_LEAVES, ToolCalls, ToolParameter};
use super::slot::Slot;
use super::slot_examples::{SlotExample, distinct, node_of};
use super::values::{ValueKind, ValueLabel, ValueNode, ValueSource, ValueTree};
use super::{known, sources, templates};
use crate::halt::Halt;
use crate::run::Run;
use rustc_hash::FxHashMap;

#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) slots: Vec<Slot>,
    pub(super) tools: FxHashMap<u64, Vec<ToolParameter>>,
    pub(super) examples: Vec<SlotExample>,
    places: FxHashMap<u64, u32>,
    calls: FxHashMap<u64, ToolCalls>,
}

impl Survey {
    pub(super) fn new(runs: &[Run], trees: &[ValueTree<'_>], halt: &Halt) -> Option<Self> {
        let mut survey = Self::default();
        for (run, tree) in (0..).zip(trees) {
            halt.go_on()?;
            survey.add(run, tree);
        }
        let (slots, examples) = (&mut survey.slots, &survey.examples);
        learn_kinds(slots, examples, trees);
        learn_groups(slots, examples, runs);
        templates::learn(slots, examples, runs, trees);
        halt.go_on()?;
        sources::learn(slots, examples, runs, trees, halt)?;
        known::learn(slots, examples, runs, trees);
        halt.go_on()?;
        let usual = |(tool, calls): (&u64, &ToolCalls)| (*tool, calls.usual(trees, &survey.places));
        survey.tools = survey.calls.iter().map(usual).collect();
        Some(survey)
    }

    /// Takes up the calls of one run. A call that failed is no example.
    fn add(&mut self, run: u32, tree: &ValueTree<'_>) {
        for (step, call) in (0..).zip(&tree.calls).filter(|(_, call)| call.ok != 0) {
            let calls = self.calls.entry(call.tool).or_default();
            calls.count += 1;
            for parameter in parameters(tree, step) {
                calls.add(run, tree, parameter);
                let inside = leaves(tree, parameter).filter(|leaf| *leaf != parameter).take(MOST_LEAVES);
                for node in std::iter::once(parameter).chain(inside) {
                    let slot = place_of(&mut self.places, &mut self.slots, &tree.nodes[node as usize]);
                    self.examples.push(SlotExample { run, step, node, slot });
                }
            }
        }
    }
}

fn place_of(places: &mut FxHashMap<u64, u32>, slots: &mut Vec<Slot>, node: &ValueNode) -> u32 {
    *places.entry(node.rules[0]).or_insert_with(|| {
        slots.push(Slot { seed: node.rules[0], name: node.name, ..Slot::default() });
        slots.len() as u32 - 1
    })
}

/// The entries of the map of a step's arguments.
fn parameters(tree: &ValueTree<'_>, step: u32) -> impl Iterator<Item = u32> {
    let root = tree.calls[step as usize].from;
    let root = tree.nodes.get(root as usize).filter(|node| {
        node.step == step && node.place == ValueSource::Arguments && node.kind == ValueKind::Map
    });
    root.map(|_| tree.children(tree.calls[step as usize].from)).into_iter().flatten()
}

/// The scalars inside a value, in order.
fn leaves(tree: &ValueTree<'_>, node: u32) -> impl Iterator<Item = u32> {
    (node..tree.nodes[node as usize].end).filter(|inside| {
        let each = &tree.nodes[*inside as usize];
        each.kind.is_scalar() && !matches!(each.label, ValueLabel::Key | ValueLabel::Piece)
    })
}

fn learn_kinds(slots: &mut [Slot], examples: &[SlotExample], trees: &[ValueTree<'_>]) {
    let mut counts = vec![[0_u32; ValueKind::ALL.len()]; slots.len()];
    for example in examples {
        counts[example.slot as usize][node_of(trees, example).kind as usize] += 1;
    }
    for (slot, counts) in slots.iter_mut().zip(counts) {
        let most = counts.iter().sum::<u32>() * 9 / 10;
        slot.kind = ValueKind::ALL.into_iter().find(|kind| counts[*kind as usize] > most);
    }
}

fn learn_groups(slots: &mut [Slot], examples: &[SlotExample], runs: &[Run]) {
    let sightings =
        examples.iter().map(|example| (example.slot, 0, runs[example.run as usize].group)).collect();
    for ((slot, _), groups) in distinct(sightings) {
        slots[slot as usize].groups = groups;
    }
}
