//! Templates: texts with one variable word, as in "DESC city" and "DESC country".

use super::hash;
use super::slot::{LEAST_GROUPS, LONGEST, Slot, Template, is_of_word};
use super::slot_examples::{SlotExample, node_of};
use super::span;
use super::values::{ValueKind, ValueTree};
use crate::run::Run;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;

/// Templates of one slot.
const MOST_TEMPLATES: usize = 6;
/// Words of the longest text that is looked at.
const MOST_WORDS: usize = 8;
/// The least number of distinct words in the gap, and of distinct tasks with them.
const LEAST_GAPS: usize = LEAST_GROUPS as usize + 1;

/// The bounds of the words of a short text; none for a text of many words.
fn words_of(text: &str) -> Vec<(usize, usize)> {
    let mut words: Vec<(usize, usize)> = Vec::new();
    let inside = text.bytes().enumerate().filter(|(_, byte)| is_of_word(*byte));
    for (at, _) in inside {
        match words.last_mut() {
            Some(last) if last.1 == at => last.1 += 1,
            _ => words.push((at, at + 1)),
        }
    }
    if words.len() > MOST_WORDS { Vec::new() } else { words }
}

/// One word of one recorded text, taken as the gap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TemplateCut {
    slot: u32,
    form: u64,
    group: u64,
    gap: u64,
}

/// Learns the templates of every slot, the makeup of its values, and the templates of each agent.
pub(super) fn learn(slots: &mut [Slot], examples: &[SlotExample], runs: &[Run], trees: &[ValueTree<'_>]) {
    let mut cuts = Vec::new();
    let mut samples = FxHashMap::default();
    for example in examples {
        let text = text_of(trees, example);
        slots[example.slot as usize].builds.insert(span::build(text));
        for (start, end) in words_of(text).into_iter().filter(|gap| *gap != (0, text.len())) {
            let form = hash::mix(hash::text(&text[..start]), hash::text(&text[end..]));
            let group = runs[example.run as usize].group;
            cuts.push(TemplateCut { slot: example.slot, form, group, gap: hash::text(&text[start..end]) });
            samples.entry((example.slot, form)).or_insert((*example, start, end));
        }
    }
    cuts.sort_unstable();
    for same in cuts.chunk_by(|a, b| (a.slot, a.form) == (b.slot, b.form)) {
        if let Some(groups) = enough(same) {
            let (example, start, end) = samples[&(same[0].slot, same[0].form)];
            let text = text_of(trees, &example);
            let (before, after) = (text[..start].into(), text[end..].into());
            slots[same[0].slot as usize].templates.push(Template {
                hash: same[0].form,
                before,
                after,
                groups,
            });
        }
    }
    for slot in slots.iter_mut() {
        slot.templates.sort_by_key(|each| (Reverse(each.groups), each.hash));
        slot.templates.truncate(MOST_TEMPLATES);
    }
    learn_habits(slots, examples, trees);
}

/// The text of an example; empty if it has none or a long one.
fn text_of<'a>(trees: &'a [ValueTree<'_>], example: &SlotExample) -> &'a str {
    let text = trees[example.run as usize].text_of(example.node);
    if node_of(trees, example).kind == ValueKind::Text && text.len() <= LONGEST { text } else { "" }
}

/// The number of distinct tasks with a form; `None` means that they, or the words in its gap, are too few.
fn enough(same: &[TemplateCut]) -> Option<u32> {
    let groups = same.chunk_by(|a, b| a.group == b.group).count();
    let gaps: FxHashSet<u64> = same.iter().map(|cut| cut.gap).collect();
    (groups.min(gaps.len()) >= LEAST_GAPS).then_some(groups as u32)
}

fn learn_habits(slots: &mut [Slot], examples: &[SlotExample], trees: &[ValueTree<'_>]) {
    let mut counts: FxHashMap<(u32, u64, u32), u32> = FxHashMap::default();
    for example in examples {
        if let Some(template) = slots[example.slot as usize].template_of(text_of(trees, example)) {
            *counts.entry((example.slot, trees[example.run as usize].agent, template)).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(habit, count)| (Reverse(count), habit)).collect();
    counts.sort_unstable();
    for (_, (slot, agent, template)) in counts {
        slots[slot as usize].habits.entry(agent).or_default().push(template);
    }
}
