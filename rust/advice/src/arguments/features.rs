//! What speaks for a candidate, as numbers that the weights are kept by.

use super::fill_point::{Candidate, Moment};
use super::hash::mix;
use super::slot::{Rule, Slot};
use super::span;
use super::values::{NONE, Place};

/// What a feature tells of.
#[derive(Clone, Copy)]
#[repr(u64)]
enum About {
    Rule,
    RuleOrder,
    RuleUnused,
    RuleLast,
    RuleMoment,
    RuleOfName,
    WordBefore,
    Used,
    Named,
    Beside,
    Origin,
    Shape,
    Build,
    IsUsualBuild,
    Template,
    Always,
    ToolBefore,
    ToolsBefore,
    Again,
    FirstArgument,
    Domain,
    Agent,
    SameCall,
    Word,
    Open,
    OpenCount,
}

fn feature(scope: u64, about: About, value: u64) -> u32 {
    (mix(mix(scope, about as u64 + 1), value) >> 32) as u32
}

/// One rule's word for a candidate.
pub(super) struct Voice<'a> {
    pub(super) rule: &'a Rule,
    /// Whether what was found stands in the gap of a template.
    pub(super) is_gap: bool,
    /// Its place among the distinct values that the rule finds, and their number.
    pub(super) order: usize,
    pub(super) count: usize,
    /// Its place among those that the slot did not have yet.
    pub(super) unused: Option<usize>,
    /// Whether the last step said it.
    pub(super) is_last: bool,
    /// The word before it, where it is a piece of a text.
    pub(super) before: u64,
}

impl Voice<'_> {
    pub(super) fn speak(&self, slot: &Slot, features: &mut Vec<u32>) {
        let (place, last) = (self.rule.place as u64, u64::from(self.is_last));
        let order = self.order.min(3) as u64 * 2 + u64::from(self.count == 1);
        let unused = self.unused.map_or(4, |unused| unused.min(3)) as u64;
        let own = mix(slot.seed ^ u64::from(self.is_gap), self.rule.hash);
        let any = place * 4 + u64::from(self.rule.is_namesake) * 2 + u64::from(self.is_gap);
        for scope in [own, any] {
            features.extend([
                feature(scope, About::Rule, 0),
                feature(scope, About::RuleOrder, order),
                feature(scope, About::RuleUnused, unused),
                feature(scope, About::RuleLast, last),
            ]);
        }
        features.push(feature(own, About::RuleMoment, last << 6 | order << 3 | unused));
        features.push(feature(slot.name, About::RuleOfName, self.rule.hash));
        if self.rule.place == Place::Task {
            features.push(feature(slot.seed, About::WordBefore, self.before));
            features.push(feature(slot.name, About::WordBefore, self.before));
        }
    }
}

/// Adds to all candidates what is told of them beside the voices of the rules.
pub(super) fn describe(moment: &Moment<'_>, candidates: &mut [Candidate], before: &Before) {
    let most = candidates.iter().map(|each| each.beside).max().unwrap_or(0);
    let rivals = candidates.iter().filter(|each| each.beside == most).count();
    let count = candidates.len();
    for candidate in &mut candidates[1..] {
        let beside = match (candidate.beside, most) {
            (_, 0) => 0,
            (0, _) => 1,
            (beside, most) if beside < most => 2,
            _ if rivals > 1 => 3,
            _ => 4,
        };
        describe_standing(moment.slot, candidate, beside);
        describe_make(moment, candidate);
        describe_value(moment, candidate, before);
    }
    describe_open(moment.slot, &mut candidates[0], count, before);
}

fn describe_standing(slot: &Slot, candidate: &mut Candidate, beside: u64) {
    let is_known = u64::from(candidate.known != NONE);
    let origin = u64::from(candidate.voices) << 2 | is_known << 1 | u64::from(candidate.node != NONE);
    let beside = beside << 1 | u64::from(candidate.fits_call);
    let (used, named) = (candidate.used as u64, candidate.named as u64);
    for scope in [slot.seed, 0] {
        candidate.features.extend([
            feature(scope, About::Used, used),
            feature(scope, About::Named, named),
            feature(scope, About::Beside, beside),
            feature(scope, About::Origin, origin),
        ]);
    }
    candidate.features.push(feature(slot.name, About::Used, used << 3 | named));
}

fn describe_make(moment: &Moment<'_>, candidate: &mut Candidate) {
    let (scene, slot) = (moment.scene, moment.slot);
    let node = scene.nodes.get(candidate.node as usize).filter(|node| node.kind.is_scalar());
    if let Some(node) = node {
        let text = scene.str(node.text);
        let build = span::build(text);
        let is_usual = u64::from(slot.builds.contains(&build));
        candidate.features.extend([
            feature(slot.seed, About::Shape, span::shape(text)),
            feature(slot.seed, About::Build, build),
            feature(slot.seed, About::IsUsualBuild, is_usual),
            feature(0, About::IsUsualBuild, is_usual),
        ]);
    }
}

fn describe_value(moment: &Moment<'_>, candidate: &mut Candidate, before: &Before) {
    let slot = moment.slot;
    if let Some(template) = slot.templates.get(candidate.template as usize) {
        before.speak(mix(mix(slot.seed, About::Template as u64), template.hash), &mut candidate.features);
        candidate.features.extend([
            feature(1, About::Template, 0),
            feature(1, About::Named, candidate.named as u64),
            feature(1, About::Used, candidate.used as u64),
        ]);
    }
    if candidate.known != NONE {
        let value = mix(slot.seed, candidate.key);
        before.speak(value, &mut candidate.features);
        candidate.features.extend(words_for(moment, candidate.key));
    }
}

/// What the words of the task say for a known value.
pub(super) fn words_for(moment: &Moment<'_>, key: u64) -> impl Iterator<Item = u32> {
    let value = mix(moment.slot.seed, key);
    moment.scene.task.terms.iter().map(move |term| feature(value, About::Word, *term))
}

fn describe_open(slot: &Slot, open: &mut Candidate, count: usize, before: &Before) {
    for scope in [slot.seed, slot.name, 0] {
        open.features.push(feature(scope, About::Open, 0));
        open.features.push(feature(scope, About::OpenCount, count.min(4) as u64));
    }
    before.speak(mix(slot.seed, About::Open as u64), &mut open.features);
}

/// What stood before the slot, for the values that go with it.
pub(super) struct Before {
    tool: u64,
    tools: u64,
    again: u64,
    argument: u64,
    domain: u64,
    agent: u64,
    same_call: u64,
}

impl Before {
    pub(super) fn of(moment: &Moment<'_>) -> Self {
        let stages = &moment.scene.stages[..moment.step];
        let tool_at = |back: usize| stages.len().checked_sub(back).map_or(1, |place| stages[place].tool);
        let again = stages.iter().filter(|stage| stage.tool == moment.tool).count();
        Self {
            tool: tool_at(1),
            tools: mix(tool_at(1), tool_at(2)),
            again: again.min(4) as u64,
            argument: stages.last().map_or(0, |stage| stage.first),
            domain: moment.scene.domain,
            agent: moment.scene.agent,
            same_call: moment.call.last().map_or(0, |chosen| chosen.1),
        }
    }

    fn speak(&self, value: u64, features: &mut Vec<u32>) {
        features.extend([
            feature(value, About::Always, 0),
            feature(value, About::ToolBefore, self.tool),
            feature(value, About::ToolsBefore, self.tools),
            feature(value, About::Again, self.again),
            feature(value, About::FirstArgument, self.argument),
            feature(value, About::Domain, self.domain),
            feature(value, About::Agent, self.agent),
            feature(value, About::SameCall, self.same_call),
        ]);
    }
}
