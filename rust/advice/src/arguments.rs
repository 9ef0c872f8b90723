//! The arguments of a step that may come next: where their values can be found, learned from recorded calls.
//!
//! A slot is a place where values vary: a parameter of a tool, or a value inside it. Its candidates are what the rules
//! of the slot find in the task, the context, the arguments and results so far, and the values that it often had. A
//! log-linear model chooses among them and "none of these"; its chances are calibrated on tasks that it did not learn
//! from, and a value is filled where the chance of being right passes a threshold.

mod calibration;
mod candidates;
mod features;
mod filling;
mod hash;
mod known;
mod literal;
mod parameters;
mod ranking;
mod slot;
mod sources;
mod span;
mod survey;
mod task;
mod template;
mod values;

use super::{Run, Taken};
use calibration::Calibration;
use candidates::{Candidates, Moment};
use filling::Filling;
use parameters::Parameter;
use ranking::{Example, Examples, Weights};
use rustc_hash::{FxHashMap, FxHashSet};
use slot::Slot;
use survey::{Survey, Target};
use tacit_kernels::trajectory::symbol;
use values::Scene;

/// The least chance of being right with which a value is filled.
const THRESHOLD: f32 = 0.5;
/// Examples of one slot that are learned from, spread evenly over all there are.
const MOST_EXAMPLES: usize = 4_000;
/// Values of all runs together that are looked at; the oldest runs are left out where there are more.
const MOST_VALUES: usize = 1_000_000;

/// One parameter of a step that may come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    pub name: String,
    /// A msgpack value; none where the parameter is left open.
    pub value: Option<Vec<u8>>,
    /// "task", "context", "always", "step 2 user_id", "step 3 output.user_id", or several of them with commas between. An
    /// open parameter names the result of a planned step that will bring its value.
    pub source: Option<String>,
}

/// How arguments are filled. It depends on the runs that it was fitted on, in their order, and on nothing else.
#[derive(Debug, Default)]
pub struct ArgumentModel {
    slots: Vec<Slot>,
    tools: FxHashMap<u64, Vec<Parameter>>,
    weights: Weights,
    calibration: Calibration,
    threshold: f32,
    /// The rules that any slot asks for.
    wanted: FxHashSet<u64>,
}

/// An open episode, read once for all tools that are asked about.
pub struct Prepared<'m>(Scene<'m>);

impl ArgumentModel {
    /// Learns from successful runs, oldest first.
    pub fn fit(runs: &[Run]) -> Self {
        let (runs, scenes) = newest(runs);
        let survey = Survey::of(runs, &scenes);
        let examples = examples(runs, &scenes, &survey);
        let calibration = Calibration::of(&examples, survey.slots.len());
        let rules =
            |slot: &Slot| slot.rules.iter().chain(&slot.gap_rules).map(|rule| rule.hash).collect::<Vec<_>>();
        let wanted =
            survey.slots.iter().flat_map(|slot| rules(slot).into_iter().chain([slot.seed])).collect();
        let weights = ranking::learn(&examples, None);
        Self { slots: survey.slots, tools: survey.tools, weights, calibration, threshold: THRESHOLD, wanted }
    }

    /// How much memory it takes, nearly.
    pub(super) fn bytes(&self) -> usize {
        let slots: usize = self.slots.iter().map(Slot::bytes).sum();
        slots + self.weights.bytes() + self.wanted.capacity() * 9
    }

    pub fn prepare(&self, asked: &Run) -> Prepared<'_> {
        Prepared(Scene::of(asked, Some(&self.wanted)))
    }

    /// The parameters that calls of the tool mostly carry, as far as they can be filled after the steps so far. Empty for
    /// a tool that was not seen.
    pub fn fill(&self, asked: &Prepared<'_>, tool: &str) -> Vec<Filled> {
        self.fill_after(&asked.0, tool, asked.0.stages.len())
    }

    /// The parameters of each step of a plan that goes on from the steps so far. A step takes over what the planned steps
    /// before it were filled with, and names the results of theirs that it waits for.
    pub(super) fn plan(&self, asked: &Run, tools: &[&str]) -> Vec<Vec<Filled>> {
        let mut scene = Scene::of(asked, Some(&self.wanted));
        let planned_from = scene.stages.len();
        let mut plan = Vec::with_capacity(tools.len());
        for tool in tools {
            let filled = self.fill_after(&scene, tool, planned_from);
            scene.add_step(&planned(tool, &filled));
            plan.push(filled);
        }
        plan
    }

    fn fill_after(&self, scene: &Scene<'_>, tool: &str, planned_from: usize) -> Vec<Filled> {
        let tool = symbol(tool);
        let parameters = self.tools.get(&tool).map_or(&[][..], Vec::as_slice);
        let mut filling = Filling::new(self, scene, tool, planned_from);
        parameters.iter().map(|parameter| filling.parameter(parameter)).collect()
    }
}

/// A planned step as one that was taken without a result.
fn planned(tool: &str, filled: &[Filled]) -> Taken {
    let mut parameters = Vec::new();
    let known = || filled.iter().filter_map(|each| Some((&each.name, each.value.as_ref()?)));
    let _ = rmp::encode::write_map_len(&mut parameters, known().count() as u32);
    for (name, value) in known() {
        let _ = rmp::encode::write_str(&mut parameters, name);
        parameters.extend(value);
    }
    Taken { tool: tool.into(), ok: -1, parameters: parameters.into(), ..Taken::default() }
}

/// As many of the newest runs as can be looked at at once.
fn newest(runs: &[Run]) -> (&[Run], Vec<Scene<'static>>) {
    let mut scenes = Vec::new();
    let mut values = 0;
    for run in runs.iter().rev() {
        let scene = Scene::of(run, None);
        values += scene.nodes.len();
        if values > MOST_VALUES && !scenes.is_empty() {
            break;
        }
        scenes.push(scene);
    }
    scenes.reverse();
    (&runs[runs.len() - scenes.len()..], scenes)
}

fn examples(runs: &[Run], scenes: &[Scene<'_>], survey: &Survey) -> Examples {
    let mut attempts: FxHashMap<u64, u32> = FxHashMap::default();
    runs.iter().for_each(|run| *attempts.entry(run.group).or_default() += 1);
    let mut examples = Examples::default();
    let mut candidates = Candidates::default();
    let mut sample = Sample::of(survey);
    let mut call: Vec<(u64, u64)> = Vec::new();
    let mut last = None;
    for target in &survey.targets {
        if last.replace((target.run, target.step)) != Some((target.run, target.step)) {
            call.clear();
        }
        let (run, slot) = (&runs[target.run as usize], &survey.slots[target.slot as usize]);
        let key = survey::node_of(scenes, target).key;
        if sample.takes(target.slot) {
            candidates.gather(&moment_of(target, scenes, slot, &call));
            candidates.all().iter().for_each(|each| examples.add_candidate(&each.features));
            let right = candidates.place_of(key).unwrap_or(0) as u32;
            let weight = 1.0 / (attempts[&run.group] as f32).sqrt();
            examples.add(Example { slot: target.slot, right, weight, half: run.group & 1 == 1, end: 0 });
        }
        if survey::node_of(scenes, target).kind.is_scalar() {
            call.push((slot.seed, key));
        }
    }
    examples
}

fn moment_of<'a>(
    target: &Target,
    scenes: &'a [Scene<'_>],
    slot: &'a Slot,
    call: &'a [(u64, u64)],
) -> Moment<'a> {
    let (scene, step) = (&scenes[target.run as usize], target.step as usize);
    let right = Some(scene.nodes[target.node as usize].key);
    Moment { scene, step, tool: scene.stages[step].tool, slot, call, right }
}

/// Which of a slot's examples are learned from: every so many.
struct Sample {
    /// For each slot how many there were, and which share is taken.
    slots: Vec<(usize, usize)>,
}

impl Sample {
    fn of(survey: &Survey) -> Self {
        let mut counts = vec![0; survey.slots.len()];
        survey.targets.iter().for_each(|target| counts[target.slot as usize] += 1);
        Self { slots: counts.into_iter().map(|count: usize| (0, count.div_ceil(MOST_EXAMPLES))).collect() }
    }

    fn takes(&mut self, slot: u32) -> bool {
        let (met, every) = &mut self.slots[slot as usize];
        *met += 1;
        *met % *every == 0
    }
}

#[cfg(test)]
mod tests;
