//! Where the values of a slot stood before they were passed.

use super::hash;
use super::slot::{LEAST_GROUPS, Rule, Slot};
use super::targets::{Target, distinct, node_of};
use super::values::{Kind, Label, Place, Scene};
use crate::run::Run;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// Places that a slot's values are looked for at.
const MOST_RULES: usize = 24;
/// Earlier values equal to an argument that are looked at.
const MOST_MATCHES: usize = 48;

/// Learns for every slot where its values, and the words in the gaps of its templates, were found.
pub(super) fn learn(slots: &mut [Slot], targets: &[Target], runs: &[Run], scenes: &[Scene<'_>]) {
    let (mut whole, mut gaps) = (Sightings::default(), Sightings::default());
    let mut earlier = Earlier::default();
    for target in targets {
        let scene = &scenes[target.run as usize];
        let seen = Seen { target: *target, group: runs[target.run as usize].group };
        let node = node_of(scenes, target);
        earlier.read(target.run, scene);
        earlier.note(scene, node.key, seen, &mut whole);
        let text = if node.kind == Kind::Text { scene.str(node.text) } else { "" };
        let slot = &slots[target.slot as usize];
        if let Some(gap) = slot.templates.iter().find_map(|template| template.gap(text)) {
            earlier.note(scene, hash::of(gap), seen, &mut gaps);
        }
    }
    whole.settle(slots, scenes, |slot| &mut slot.rules);
    gaps.settle(slots, scenes, |slot| &mut slot.gap_rules);
}

#[derive(Clone, Copy)]
struct Seen {
    target: Target,
    group: u64,
}

/// Rules as they were met: slot, rule, group.
#[derive(Default)]
struct Sightings {
    met: Vec<(u32, u64, u64)>,
    samples: FxHashMap<(u32, u64), (u32, u32)>,
}

/// The values of one run by their keys.
#[derive(Default)]
struct Earlier {
    run: Option<u32>,
    by_key: FxHashMap<u64, Vec<u32>>,
}

impl Earlier {
    fn read(&mut self, run: u32, scene: &Scene<'_>) {
        if self.run.replace(run) == Some(run) {
            return;
        }
        self.by_key.clear();
        for (node, each) in (0..).zip(&scene.nodes) {
            self.by_key.entry(each.key).or_default().push(node);
        }
    }

    /// Notes every place where the value stood before the step.
    fn note(&self, scene: &Scene<'_>, key: u64, seen: Seen, out: &mut Sightings) {
        let limit = scene.limit(seen.target.step as usize);
        let Some(places) = self.by_key.get(&key) else { return };
        for node in places.iter().copied().rev().filter(|node| *node < limit).take(MOST_MATCHES) {
            let found = scene.nodes[node as usize];
            if scene.is_empty(&found) || found.label == Label::Root && found.place != Place::Output {
                continue;
            }
            for rule in found.rules.into_iter().filter(|rule| *rule != 0) {
                out.met.push((seen.target.slot, rule, seen.group));
                out.samples.entry((seen.target.slot, rule)).or_insert((seen.target.run, node));
            }
        }
    }
}

impl Sightings {
    fn settle(
        self,
        slots: &mut [Slot],
        scenes: &[Scene<'_>],
        rules_of: impl Fn(&mut Slot) -> &mut Vec<Rule>,
    ) {
        for ((slot, hash), groups) in distinct(self.met) {
            if groups >= LEAST_GROUPS {
                let (run, node) = self.samples[&(slot, hash)];
                let slot = &mut slots[slot as usize];
                let rule = rule_of(&scenes[run as usize], node, hash, groups, slot.name);
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

fn rule_of(scene: &Scene<'_>, node: u32, hash: u64, groups: u32, name: u64) -> Rule {
    let found = &scene.nodes[node as usize];
    Rule {
        hash,
        place: found.place,
        is_namesake: found.name == name,
        tool: scene.step_of(node).map_or(0, |step| scene.stages[step].tool),
        groups,
        path: scene.pattern(node).into(),
    }
}
