//! The sources of a slot's values: their earlier places in the same run.

use super::hash;
use super::slot::{LEAST_GROUPS, Slot, SourceRule};
use super::slot_examples::{SlotExample, distinct, node_of};
use super::values::{ValueKind, ValueLabel, ValueSource, ValueTree};
use crate::halt::Halt;
use crate::run::Run;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// Places that a slot's values are looked for at.
const MOST_RULES: usize = 24;
/// Earlier values equal to an argument that are looked at.
const MOST_MATCHES: usize = 48;

/// Learns the sources of every slot's values and of the words in the gaps of its templates.
pub(super) fn learn(
    slots: &mut [Slot],
    examples: &[SlotExample],
    runs: &[Run],
    trees: &[ValueTree<'_>],
    halt: &Halt,
) -> Option<()> {
    let (mut whole, mut gaps) = (RuleSightings::default(), RuleSightings::default());
    let mut earlier = EarlierValues::default();
    for example in examples {
        halt.go_on()?;
        let tree = &trees[example.run as usize];
        let seen = SeenExample { example: *example, group: runs[example.run as usize].group };
        let node = node_of(trees, example);
        earlier.read(example.run, tree);
        earlier.note(tree, node.key, seen, &mut whole);
        let text = if node.kind == ValueKind::Text { tree.str(node.text) } else { "" };
        let slot = &slots[example.slot as usize];
        if let Some(gap) = slot.templates.iter().find_map(|template| template.gap(text)) {
            earlier.note(tree, hash::text(gap), seen, &mut gaps);
        }
    }
    whole.settle(slots, trees, |slot| &mut slot.rules);
    gaps.settle(slots, trees, |slot| &mut slot.gap_rules);
    Some(())
}

#[derive(Clone, Copy)]
struct SeenExample {
    example: SlotExample,
    group: u64,
}

/// Rules as they were met: slot, rule, group.
#[derive(Default)]
struct RuleSightings {
    sightings: Vec<(u32, u64, u64)>,
    samples: FxHashMap<(u32, u64), (u32, u32)>,
}

/// The values of one run by their keys.
#[derive(Default)]
struct EarlierValues {
    run: Option<u32>,
    by_key: FxHashMap<u64, Vec<u32>>,
}

impl EarlierValues {
    fn read(&mut self, run: u32, tree: &ValueTree<'_>) {
        if self.run.replace(run) == Some(run) {
            return;
        }
        self.by_key.clear();
        for (node, each) in (0..).zip(&tree.nodes) {
            self.by_key.entry(each.key).or_default().push(node);
        }
    }

    /// Adds every earlier place of the value.
    fn note(&self, tree: &ValueTree<'_>, key: u64, seen: SeenExample, out: &mut RuleSightings) {
        let limit = tree.limit(seen.example.step as usize);
        let Some(places) = self.by_key.get(&key) else { return };
        for node in places.iter().copied().rev().filter(|node| *node < limit).take(MOST_MATCHES) {
            let found = tree.nodes[node as usize];
            if tree.is_empty(&found) || found.label == ValueLabel::Root && found.place != ValueSource::Output
            {
                continue;
            }
            for rule in found.rules.into_iter().filter(|rule| *rule != 0) {
                out.sightings.push((seen.example.slot, rule, seen.group));
                out.samples.entry((seen.example.slot, rule)).or_insert((seen.example.run, node));
            }
        }
    }
}

impl RuleSightings {
    fn settle(
        self,
        slots: &mut [Slot],
        trees: &[ValueTree<'_>],
        rules_of: impl Fn(&mut Slot) -> &mut Vec<SourceRule>,
    ) {
        for ((slot, hash), groups) in distinct(self.sightings) {
            if groups >= LEAST_GROUPS {
                let (run, node) = self.samples[&(slot, hash)];
                let slot = &mut slots[slot as usize];
                let rule = rule_of(&trees[run as usize], node, hash, groups, slot.name);
                rules_of(slot).push(rule);
            }
        }
        for slot in slots {
            let rules = rules_of(slot);
            rules.sort_by_key(|rule| (Reverse(rule.groups), rule.hash));
            rules.truncate(MOST_RULES);
        }
    }
}

fn rule_of(tree: &ValueTree<'_>, node: u32, hash: u64, groups: u32, name: u64) -> SourceRule {
    let found = &tree.nodes[node as usize];
    SourceRule {
        hash,
        place: found.place,
        is_namesake: found.name == name,
        tool: tree.step_of(node).map_or(0, |step| tree.calls[step].tool),
        groups,
        path: tree.pattern(node).into(),
    }
}
