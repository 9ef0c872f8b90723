//! The features of a candidate, as hashes into the table of weights.

use super::fill_point::{Candidate, FillPoint};
use super::hash::mix;
use super::slot::{Slot, SourceRule};
use super::span;
use super::values::{NONE, ValueSource};

/// The kind of a feature.
#[derive(Clone, Copy)]
#[repr(u64)]
enum ArgumentFeature {
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

fn feature(scope: u64, about: ArgumentFeature, value: u64) -> u32 {
    (mix(mix(scope, about as u64 + 1), value) >> 32) as u32
}

/// One rule's word for a candidate.
pub(super) struct RuleVote<'a> {
    pub(super) rule: &'a SourceRule,
    /// Set if the value fills the gap of a template.
    pub(super) is_gap: bool,
    /// Its place among the distinct values that the rule finds, and their number.
    pub(super) order: usize,
    pub(super) count: usize,
    /// Its place among those that the slot did not have yet.
    pub(super) unused: Option<usize>,
    /// Set if the last step has it.
    pub(super) is_last: bool,
    /// The word before a piece of a text.
    pub(super) before: u64,
}

impl RuleVote<'_> {
    pub(super) fn add_features(&self, slot: &Slot, features: &mut Vec<u32>) {
        let (place, last) = (self.rule.place as u64, u64::from(self.is_last));
        let order = self.order.min(3) as u64 * 2 + u64::from(self.count == 1);
        let unused = self.unused.map_or(4, |unused| unused.min(3)) as u64;
        let own = mix(slot.seed ^ u64::from(self.is_gap), self.rule.hash);
        let any = place * 4 + u64::from(self.rule.is_namesake) * 2 + u64::from(self.is_gap);
        for scope in [own, any] {
            features.extend([
                feature(scope, ArgumentFeature::Rule, 0),
                feature(scope, ArgumentFeature::RuleOrder, order),
                feature(scope, ArgumentFeature::RuleUnused, unused),
                feature(scope, ArgumentFeature::RuleLast, last),
            ]);
        }
        features.push(feature(own, ArgumentFeature::RuleMoment, last << 6 | order << 3 | unused));
        features.push(feature(slot.name, ArgumentFeature::RuleOfName, self.rule.hash));
        if self.rule.place == ValueSource::Task {
            features.push(feature(slot.seed, ArgumentFeature::WordBefore, self.before));
            features.push(feature(slot.name, ArgumentFeature::WordBefore, self.before));
        }
    }
}

/// Adds the features of all candidates that do not come from rules.
pub(super) fn describe(point: &FillPoint<'_>, candidates: &mut [Candidate], before: &CallContext) {
    let most = candidates.iter().map(|each| each.neighbours_named).max().unwrap_or(0);
    let rivals = candidates.iter().filter(|each| each.neighbours_named == most).count();
    let count = candidates.len();
    for candidate in &mut candidates[1..] {
        let neighbours_named = match (candidate.neighbours_named, most) {
            (_, 0) => 0,
            (0, _) => 1,
            (neighbours_named, most) if neighbours_named < most => 2,
            _ if rivals > 1 => 3,
            _ => 4,
        };
        describe_standing(point.slot, candidate, neighbours_named);
        describe_make(point, candidate);
        describe_value(point, candidate, before);
    }
    describe_open(point.slot, &mut candidates[0], count, before);
}

fn describe_standing(slot: &Slot, candidate: &mut Candidate, neighbours_named: u64) {
    let is_known = u64::from(candidate.known != NONE);
    let origin = u64::from(candidate.votes) << 2 | is_known << 1 | u64::from(candidate.node != NONE);
    let neighbours_named = neighbours_named << 1 | u64::from(candidate.fits_call);
    let (used, named) = (candidate.used as u64, candidate.named as u64);
    for scope in [slot.seed, 0] {
        candidate.features.extend([
            feature(scope, ArgumentFeature::Used, used),
            feature(scope, ArgumentFeature::Named, named),
            feature(scope, ArgumentFeature::Beside, neighbours_named),
            feature(scope, ArgumentFeature::Origin, origin),
        ]);
    }
    candidate.features.push(feature(slot.name, ArgumentFeature::Used, used << 3 | named));
}

fn describe_make(point: &FillPoint<'_>, candidate: &mut Candidate) {
    let (tree, slot) = (point.tree, point.slot);
    let node = tree.nodes.get(candidate.node as usize).filter(|node| node.kind.is_scalar());
    if let Some(node) = node {
        let text = tree.str(node.text);
        let build = span::build(text);
        let is_usual = u64::from(slot.builds.contains(&build));
        candidate.features.extend([
            feature(slot.seed, ArgumentFeature::Shape, span::shape(text)),
            feature(slot.seed, ArgumentFeature::Build, build),
            feature(slot.seed, ArgumentFeature::IsUsualBuild, is_usual),
            feature(0, ArgumentFeature::IsUsualBuild, is_usual),
        ]);
    }
}

fn describe_value(point: &FillPoint<'_>, candidate: &mut Candidate, before: &CallContext) {
    let slot = point.slot;
    if let Some(template) = slot.templates.get(candidate.template as usize) {
        before.add_features(
            mix(mix(slot.seed, ArgumentFeature::Template as u64), template.hash),
            &mut candidate.features,
        );
        candidate.features.extend([
            feature(1, ArgumentFeature::Template, 0),
            feature(1, ArgumentFeature::Named, candidate.named as u64),
            feature(1, ArgumentFeature::Used, candidate.used as u64),
        ]);
    }
    if candidate.known != NONE {
        let value = mix(slot.seed, candidate.key);
        before.add_features(value, &mut candidate.features);
        candidate.features.extend(words_for(point, candidate.key));
    }
}

/// The features of a known value with each word of the task.
pub(super) fn words_for(point: &FillPoint<'_>, key: u64) -> impl Iterator<Item = u32> {
    let value = mix(point.slot.seed, key);
    point.tree.task.terms.iter().map(move |term| feature(value, ArgumentFeature::Word, *term))
}

fn describe_open(slot: &Slot, open: &mut Candidate, count: usize, before: &CallContext) {
    for scope in [slot.seed, slot.name, 0] {
        open.features.push(feature(scope, ArgumentFeature::Open, 0));
        open.features.push(feature(scope, ArgumentFeature::OpenCount, count.min(4) as u64));
    }
    before.add_features(mix(slot.seed, ArgumentFeature::Open as u64), &mut open.features);
}

/// The context of a call, paired with values that are usual in it.
pub(super) struct CallContext {
    tool: u64,
    tools: u64,
    again: u64,
    argument: u64,
    domain: u64,
    agent: u64,
    same_call: u64,
}

impl CallContext {
    pub(super) fn new(point: &FillPoint<'_>) -> Self {
        let calls = &point.tree.calls[..point.step];
        let tool_at = |back: usize| calls.len().checked_sub(back).map_or(1, |place| calls[place].tool);
        let again = calls.iter().filter(|call| call.tool == point.tool).count();
        Self {
            tool: tool_at(1),
            tools: mix(tool_at(1), tool_at(2)),
            again: again.min(4) as u64,
            argument: calls.last().map_or(0, |call| call.first),
            domain: point.tree.domain,
            agent: point.tree.agent,
            same_call: point.call.last().map_or(0, |chosen| chosen.1),
        }
    }

    fn add_features(&self, value: u64, features: &mut Vec<u32>) {
        features.extend([
            feature(value, ArgumentFeature::Always, 0),
            feature(value, ArgumentFeature::ToolBefore, self.tool),
            feature(value, ArgumentFeature::ToolsBefore, self.tools),
            feature(value, ArgumentFeature::Again, self.again),
            feature(value, ArgumentFeature::FirstArgument, self.argument),
            feature(value, ArgumentFeature::Domain, self.domain),
            feature(value, ArgumentFeature::Agent, self.agent),
            feature(value, ArgumentFeature::SameCall, self.same_call),
        ]);
    }
}
