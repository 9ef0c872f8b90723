//! Filling one call: parameter by parameter, each given the values chosen before it.

use super::candidates::Candidates;
use super::features::words_for;
use super::fill_point::{Candidate, FillPoint};
use super::model::ArgumentModel;
use super::parameters::{FormPiece, ToolParameter, ValueForm};
use super::ranking;
use super::slot::{KnownValue, Slot};
use super::task::NamedInTask;
use super::values::{NONE, ValueSource, ValueTree};
use crate::run::{Run, RunStep};
use tacit_kernels::trajectory::symbol;

/// The least share of a slot's tasks with the value in a planned step's result, for that step to be named as source.
const LEAST_SHARE: f32 = 0.5;

/// Values of one parameter that are listed, and the least share of one.
const MOST_LISTED: usize = 5;
const LEAST_LISTED: f32 = 0.02;

/// One parameter of a step that may come next.
#[derive(Debug, Clone, PartialEq)]
pub struct FilledArgument {
    pub name: String,
    /// A msgpack value; `None` means that the parameter is left open.
    pub value: Option<Vec<u8>>,
    /// "task", "context", "always", "step 2 user_id", "step 3 output.user_id", or several of them with commas
    /// between. An open parameter names the result of a planned step that will bring its value.
    pub source: Option<String>,
    /// The most probable values, the first one first, whether or not one of them is filled in.
    pub candidates: Vec<ArgumentCandidate>,
}

/// A value that a parameter may take.
#[derive(Debug, Clone, PartialEq)]
pub struct ArgumentCandidate {
    /// A msgpack value.
    pub value: Vec<u8>,
    pub probability: f32,
    /// See `FilledArgument::source`.
    pub source: String,
}

/// An open episode, read once for all tools that are asked about.
pub(crate) struct OpenTree<'m>(ValueTree<'m>);

impl ArgumentModel {
    pub(crate) fn prepare(&self, asked: &Run) -> OpenTree<'_> {
        OpenTree(ValueTree::read(asked, Some(&self.wanted)))
    }

    /// The parameters that calls of the tool mostly carry, as far as they can be filled after the steps so far. Empty
    /// for a tool that was not seen.
    pub(crate) fn fill(&self, asked: &OpenTree<'_>, tool: &str) -> Vec<FilledArgument> {
        self.fill_after(&asked.0, tool, asked.0.calls.len())
    }

    /// The parameters of each step of a plan that continues the steps so far. A step may use the arguments that
    /// planned steps before it were filled with, and names the planned results that it waits for.
    pub(crate) fn plan(&self, asked: &Run, tools: &[&str]) -> Vec<Vec<FilledArgument>> {
        let mut tree = ValueTree::read(asked, Some(&self.wanted));
        let planned_from = tree.calls.len();
        let mut plan = Vec::with_capacity(tools.len());
        for tool in tools {
            let filled = self.fill_after(&tree, tool, planned_from);
            tree.add_step(&planned(tool, &filled));
            plan.push(filled);
        }
        plan
    }

    fn fill_after(&self, tree: &ValueTree<'_>, tool: &str, planned_from: usize) -> Vec<FilledArgument> {
        let tool = symbol(tool);
        let parameters = self.tools.get(&tool).map_or(&[][..], Vec::as_slice);
        let mut filling = Filling::new(self, tree, tool, planned_from);
        parameters.iter().map(|parameter| filling.parameter(parameter)).collect()
    }
}

/// A planned step as one that was taken without a result.
fn planned(tool: &str, filled: &[FilledArgument]) -> RunStep {
    let mut parameters = Vec::new();
    let known = || filled.iter().filter_map(|each| Some((&each.name, each.value.as_ref()?)));
    let _ = rmp::encode::write_map_len(&mut parameters, known().count() as u32);
    for (name, value) in known() {
        let _ = rmp::encode::write_str(&mut parameters, name);
        parameters.extend(value);
    }
    RunStep { tool: tool.into(), ok: -1, parameters: parameters.into(), ..RunStep::default() }
}

struct Filling<'a> {
    model: &'a ArgumentModel,
    tree: &'a ValueTree<'a>,
    tool: u64,
    /// Steps from this one on are planned: their results are not there yet.
    planned_from: usize,
    call: Vec<(u64, u64)>,
    candidates: Candidates,
    chances: Vec<f32>,
}

/// The best value of a slot.
struct FilledChoice {
    chance: f32,
    value: Vec<u8>,
    source: String,
    key: u64,
}

impl<'a> Filling<'a> {
    fn new(model: &'a ArgumentModel, tree: &'a ValueTree<'a>, tool: u64, planned_from: usize) -> Self {
        let (call, candidates, chances) = (Vec::new(), Candidates::default(), Vec::new());
        Self { model, tree, tool, planned_from, call, candidates, chances }
    }

    fn parameter(&mut self, parameter: &ToolParameter) -> FilledArgument {
        let whole = self.slot(parameter.slot);
        let candidates = self.listed(parameter.slot, whole.as_ref());
        if let Some(choice) = whole.as_ref().filter(|_| parameter.form.is_none()) {
            self.call.push((self.model.slots[parameter.slot as usize].seed, choice.key));
        }
        let pieces = parameter.form.as_ref().and_then(|form| self.form(form));
        let best = [whole, pieces].into_iter().flatten().max_by(|a, b| a.chance.total_cmp(&b.chance));
        let name = parameter.name.to_string();
        match best.filter(|choice| choice.chance >= self.model.threshold) {
            Some(choice) => {
                FilledArgument { name, value: Some(choice.value), source: Some(choice.source), candidates }
            }
            None => FilledArgument { name, value: None, source: self.pending(parameter.slot), candidates },
        }
    }

    /// The most probable values of the slot that was filled last. Their shares are scaled so that the best one has its
    /// calibrated probability.
    fn listed(&self, number: u32, best: Option<&FilledChoice>) -> Vec<ArgumentCandidate> {
        let Some((best, share)) = best.zip(ranking::best_of(&self.chances)) else { return Vec::new() };
        let scale = best.chance / self.chances[share].max(f32::MIN_POSITIVE);
        let slot = &self.model.slots[number as usize];
        let point = FillPoint {
            tree: self.tree,
            step: self.tree.calls.len(),
            tool: self.tool,
            slot,
            call: &self.call,
            right: None,
        };
        let mut order: Vec<usize> = (1..self.chances.len()).collect();
        order.sort_by(|a, b| self.chances[*b].total_cmp(&self.chances[*a]).then(a.cmp(b)));
        let likely = order.into_iter().take(MOST_LISTED).filter(|at| self.chances[*at] >= LEAST_LISTED);
        let listed = likely.map(|at| {
            let candidate = &self.candidates.all()[at];
            ArgumentCandidate {
                value: value_of(self.tree, slot, candidate),
                probability: (self.chances[at] * scale).min(1.0),
                source: self.source(&point, candidate),
            }
        });
        listed.collect()
    }

    /// A list or a map of the usual form, if each of its values can be found.
    fn form(&mut self, form: &ValueForm) -> Option<FilledChoice> {
        let before = self.call.len();
        let filled = self.pieces(form);
        if filled.is_none() {
            self.call.truncate(before);
        }
        filled
    }

    fn pieces(&mut self, form: &ValueForm) -> Option<FilledChoice> {
        let mut whole = FilledChoice { chance: form.share, value: Vec::new(), source: String::new(), key: 0 };
        for piece in &form.pieces {
            match piece {
                FormPiece::List(count) => drop(rmp::encode::write_array_len(&mut whole.value, *count)),
                FormPiece::Map(count) => drop(rmp::encode::write_map_len(&mut whole.value, *count)),
                FormPiece::Name(name) => drop(rmp::encode::write_str(&mut whole.value, name)),
                FormPiece::Slot(slot) => {
                    let part = self.slot(*slot)?;
                    whole.take(&part);
                    self.call.push((self.model.slots[*slot as usize].seed, part.key));
                }
            }
        }
        if whole.source.is_empty() {
            whole.source = "always".into();
        }
        (whole.chance >= self.model.threshold).then_some(whole)
    }

    fn slot(&mut self, number: u32) -> Option<FilledChoice> {
        let slot = &self.model.slots[number as usize];
        let (tree, step) = (self.tree, self.tree.calls.len());
        let point = FillPoint { tree, step, tool: self.tool, slot, call: &self.call, right: None };
        self.candidates.gather(&point);
        self.chances.clear();
        let weights = &self.model.weights;
        self.chances.extend(self.candidates.all().iter().map(|each| weights.sum(&each.features)));
        ranking::softmax(&mut self.chances);
        let best = ranking::best_of(&self.chances)?;
        let candidate = &self.candidates.all()[best];
        let chance = self.model.calibration.chance(number as usize, self.chances[best]);
        Some(FilledChoice {
            chance: chance.min(self.most(&point, candidate)),
            value: value_of(tree, slot, candidate),
            source: self.source(&point, candidate),
            key: candidate.key,
        })
    }

    /// The upper bound of a value's probability. If a slot's values are mostly found and nothing is found now, a
    /// value that the task does not name is only as likely as it is frequent: in training there was nearly always
    /// something to find, so the trained weights do not cover this case.
    fn most(&self, point: &FillPoint<'_>, candidate: &Candidate) -> f32 {
        let usual = |groups: u32| groups as f32 >= LEAST_SHARE * point.slot.groups as f32;
        let is_found = self.candidates.all().iter().any(|each| each.node != NONE);
        let known = point.slot.known.get(candidate.known as usize);
        match known.filter(|_| !is_found && point.slot.rules.iter().any(|rule| usual(rule.groups))) {
            Some(known) if !self.is_named(point, candidate) => known.groups as f32 / point.slot.groups as f32,
            _ => 1.0,
        }
    }

    /// Returns true if the task's words suggest a known value.
    fn is_named(&self, point: &FillPoint<'_>, candidate: &Candidate) -> bool {
        let words: Vec<u32> = words_for(point, candidate.key).collect();
        candidate.named >= NamedInTask::InWords || self.model.weights.sum(&words) > 0.5
    }

    fn source(&self, point: &FillPoint<'_>, candidate: &Candidate) -> String {
        if candidate.node != NONE {
            return self.tree.source(candidate.node);
        }
        let is_usual = |known: &KnownValue| known.groups * 10 >= point.slot.groups * 9;
        if point.slot.known.get(candidate.known as usize).is_some_and(is_usual) {
            return "always".into();
        }
        if self.is_named(point, candidate) { "task".into() } else { "always".into() }
    }

    /// The result of a planned step that the value will mostly come from.
    fn pending(&self, slot: u32) -> Option<String> {
        let slot = &self.model.slots[slot as usize];
        let planned = self.tree.calls.iter().enumerate().skip(self.planned_from);
        let usual = |groups: u32| groups as f32 >= LEAST_SHARE * slot.groups as f32;
        let rules = slot.rules.iter().filter(|rule| rule.place == ValueSource::Output && usual(rule.groups));
        let brought = |tool: u64| planned.clone().rev().find(|(_, stage)| stage.tool == tool);
        let mut sources = rules.filter_map(|rule| Some((brought(rule.tool)?.0, &rule.path)));
        sources.next().map(|(step, path)| format!("step {} {}", step + 1, any_element(path)))
    }
}

/// A path without list positions, which are not known yet.
fn any_element(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + "[" + part.trim_start_matches(|each: char| each.is_ascii_digit()))
}

impl FilledChoice {
    /// Takes up one part of a whole.
    fn take(&mut self, part: &Self) {
        self.chance *= part.chance;
        self.value.extend(&part.value);
        if self.source.split(", ").all(|source| source != part.source) {
            let comma = if self.source.is_empty() { "" } else { ", " };
            self.source = format!("{}{comma}{}", self.source, part.source);
        }
    }
}

fn value_of(tree: &ValueTree<'_>, slot: &Slot, candidate: &Candidate) -> Vec<u8> {
    let mut value = Vec::new();
    if let Some(template) = slot.templates.get(candidate.template as usize) {
        let text = template.filled(tree.text_of(candidate.node));
        let _ = rmp::encode::write_str(&mut value, &text);
    } else if let Some(known) = slot.known.get(candidate.known as usize) {
        value.extend(&known.bytes);
    } else {
        tree.encode(candidate.node, slot.kind, &mut value);
    }
    value
}
