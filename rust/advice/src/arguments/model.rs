//! How the arguments of calls are filled, learned from recorded calls.

use super::calibration::Calibration;
use super::candidates::Candidates;
use super::fill_point::FillPoint;
use super::parameters::ToolParameter;
use super::ranking::{self, RankerExample, RankerExamples, RankerWeights};
use super::slot::Slot;
use super::slot_examples::{SlotExample, node_of};
use super::survey::Survey;
use super::values::ValueTree;
use crate::halt::Halt;
use crate::run::Run;
use rustc_hash::{FxHashMap, FxHashSet};

/// The least probability of being right at which a value is filled.
const THRESHOLD: f32 = 0.5;
/// Examples of one slot that are learned from, spread evenly over all there are.
const MOST_EXAMPLES: usize = 4_000;
/// The largest number of values of all runs together; beyond it the oldest runs are left out.
const MOST_VALUES: usize = 1_000_000;

/// How arguments are filled. It depends on the runs that it was fitted on, in their order, and on nothing else.
#[derive(Debug, Default)]
pub(crate) struct ArgumentModel {
    pub(super) slots: Vec<Slot>,
    pub(super) tools: FxHashMap<u64, Vec<ToolParameter>>,
    pub(super) weights: RankerWeights,
    pub(super) calibration: Calibration,
    pub(super) threshold: f32,
    /// The rules that any slot asks for.
    pub(super) wanted: FxHashSet<u64>,
}

impl ArgumentModel {
    /// Learns from successful runs, oldest first. None: it was halted.
    pub(crate) fn fit(runs: &[Run], halt: &Halt) -> Option<Self> {
        let (runs, trees) = newest(runs, halt)?;
        let survey = Survey::new(runs, &trees, halt)?;
        let examples = examples(runs, &trees, &survey, halt)?;
        let calibration = Calibration::fit(&examples, survey.slots.len(), halt)?;
        let rules =
            |slot: &Slot| slot.rules.iter().chain(&slot.gap_rules).map(|rule| rule.hash).collect::<Vec<_>>();
        let wanted =
            survey.slots.iter().flat_map(|slot| rules(slot).into_iter().chain([slot.seed])).collect();
        let weights = ranking::learn(&examples, None, halt)?;
        let Survey { slots, tools, .. } = survey;
        Some(Self { slots, tools, weights, calibration, threshold: THRESHOLD, wanted })
    }

    /// How much memory it takes, nearly.
    pub(crate) fn bytes(&self) -> usize {
        let slots: usize = self.slots.iter().map(Slot::bytes).sum();
        slots + self.weights.bytes() + self.wanted.capacity() * 9
    }
}

/// As many of the newest runs as can be looked at at once.
fn newest<'r>(runs: &'r [Run], halt: &Halt) -> Option<(&'r [Run], Vec<ValueTree<'static>>)> {
    let mut trees = Vec::new();
    let mut values = 0;
    for run in runs.iter().rev() {
        halt.go_on()?;
        let tree = ValueTree::read(run, None);
        values += tree.nodes.len();
        if values > MOST_VALUES && !trees.is_empty() {
            break;
        }
        trees.push(tree);
    }
    trees.reverse();
    Some((&runs[runs.len() - trees.len()..], trees))
}

fn examples(runs: &[Run], trees: &[ValueTree<'_>], survey: &Survey, halt: &Halt) -> Option<RankerExamples> {
    let mut attempts: FxHashMap<u64, u32> = FxHashMap::default();
    runs.iter().for_each(|run| *attempts.entry(run.group).or_default() += 1);
    let mut examples = RankerExamples::default();
    let mut candidates = Candidates::default();
    let mut sample = SlotSample::new(survey);
    let mut call: Vec<(u64, u64)> = Vec::new();
    let mut last = None;
    for example in &survey.examples {
        halt.go_on()?;
        if last.replace((example.run, example.step)) != Some((example.run, example.step)) {
            call.clear();
        }
        let (run, slot) = (&runs[example.run as usize], &survey.slots[example.slot as usize]);
        let key = node_of(trees, example).key;
        if sample.takes(example.slot) {
            candidates.gather(&moment_of(example, trees, slot, &call));
            candidates.all().iter().for_each(|each| examples.add_candidate(&each.features));
            let right = candidates.place_of(key).unwrap_or(0) as u32;
            let weight = 1.0 / (attempts[&run.group] as f32).sqrt();
            examples.add(RankerExample {
                slot: example.slot,
                right,
                weight,
                half: run.group & 1 == 1,
                end: 0,
            });
        }
        if node_of(trees, example).kind.is_scalar() {
            call.push((slot.seed, key));
        }
    }
    Some(examples)
}

fn moment_of<'a>(
    example: &SlotExample,
    trees: &'a [ValueTree<'_>],
    slot: &'a Slot,
    call: &'a [(u64, u64)],
) -> FillPoint<'a> {
    let (tree, step) = (&trees[example.run as usize], example.step as usize);
    let right = Some(tree.nodes[example.node as usize].key);
    FillPoint { tree, step, tool: tree.calls[step].tool, slot, call, right }
}

/// An even sample of each slot's examples.
struct SlotSample {
    /// For each slot the number seen so far, and the stride of the sample.
    slots: Vec<(usize, usize)>,
}

impl SlotSample {
    fn new(survey: &Survey) -> Self {
        let mut counts = vec![0; survey.slots.len()];
        survey.examples.iter().for_each(|example| counts[example.slot as usize] += 1);
        Self { slots: counts.into_iter().map(|count: usize| (0, count.div_ceil(MOST_EXAMPLES))).collect() }
    }

    fn takes(&mut self, slot: u32) -> bool {
        let (sightings, every) = &mut self.slots[slot as usize];
        *sightings += 1;
        *sightings % *every == 0
    }
}
