//! How the arguments of calls are filled, learned from recorded calls.

use super::calibration::Calibration;
use super::candidates::Candidates;
use super::fill_point::Moment;
use super::parameters::Parameter;
use super::ranking::{self, Example, Examples, Weights};
use super::slot::Slot;
use super::survey::Survey;
use super::targets::{Target, node_of};
use super::values::Scene;
use crate::run::Run;
use rustc_hash::{FxHashMap, FxHashSet};

/// The least chance of being right with which a value is filled.
const THRESHOLD: f32 = 0.5;
/// Examples of one slot that are learned from, spread evenly over all there are.
const MOST_EXAMPLES: usize = 4_000;
/// Values of all runs together that are looked at; the oldest runs are left out where there are more.
const MOST_VALUES: usize = 1_000_000;

/// How arguments are filled. It depends on the runs that it was fitted on, in their order, and on nothing else.
#[derive(Debug, Default)]
pub(crate) struct ArgumentModel {
    pub(super) slots: Vec<Slot>,
    pub(super) tools: FxHashMap<u64, Vec<Parameter>>,
    pub(super) weights: Weights,
    pub(super) calibration: Calibration,
    pub(super) threshold: f32,
    /// The rules that any slot asks for.
    pub(super) wanted: FxHashSet<u64>,
}

impl ArgumentModel {
    /// Learns from successful runs, oldest first.
    pub(crate) fn fit(runs: &[Run]) -> Self {
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
    pub(crate) fn bytes(&self) -> usize {
        let slots: usize = self.slots.iter().map(Slot::bytes).sum();
        slots + self.weights.bytes() + self.wanted.capacity() * 9
    }
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
        let key = node_of(scenes, target).key;
        if sample.takes(target.slot) {
            candidates.gather(&moment_of(target, scenes, slot, &call));
            candidates.all().iter().for_each(|each| examples.add_candidate(&each.features));
            let right = candidates.place_of(key).unwrap_or(0) as u32;
            let weight = 1.0 / (attempts[&run.group] as f32).sqrt();
            examples.add(Example { slot: target.slot, right, weight, half: run.group & 1 == 1, end: 0 });
        }
        if node_of(scenes, target).kind.is_scalar() {
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
