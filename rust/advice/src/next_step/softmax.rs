//! The fitted half of `suggest`: several predictors of the next step, mixed as held-out tasks of the memory itself advise.
//!
//! `P(k) ~ exp(sum_c w_c ln(p_c(k) + 1e-4) + sum_f W[f, k] x_f)`, once with the chains of counts among the inputs and once
//! on the features alone, learned by AdaGrad with one accumulator a feature, in a fixed order on one thread: the same runs
//! give the same model. Both stop learning when held-out tasks are predicted no better (`cross_fit`). With few tasks the
//! weights beside the chains are drawn towards equal chains without features.

use super::backoff_counts::{
    CHAINS, ContextCounts, ContextRow, ContextRows, NextCount, Prefix, expected_shares,
};
use super::features::{FeatureSet, RunFeatures, WordRarity};
use super::nearest::NearestPrefixes;
use crate::halt::Halt;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tacit_kernels::backoff::Jitter;
use tacit_kernels::weighted_rows::{add_rows, shrink_and_add};

/// Added to a chain's probability before its logarithm.
const FLOOR: f32 = 1e-4;
/// A position that is expected with more than this is passed over.
const SURE: f32 = 0.99;
const STEP: f32 = 0.05;
const DAMPING: f32 = 0.01;
const RIDGE: f32 = 1e-4;
const CHAIN_STEP: f32 = 0.1;
/// The least number of tasks with one of many features: names of a single task are not learned.
const FEWEST_TASKS: u32 = 3;
/// The number T of tasks at which half of the weights is kept, by n / (n + T). With few tasks the chains look worse
/// than they are: each position is trained without the counts of its own task, a large part of all counts.
const HALF_TASKS: f32 = 10.0;
/// How many weights are kept, and how many expectations are held while learning: with many tools there are fewer
/// features, and fewer positions are learned from.
const MOST_WEIGHTS: usize = 1 << 22;
/// The same for the plain features; the search for their minimum holds some twenty copies.
const MOST_PLAIN_WEIGHTS: usize = 1 << 20;
pub(super) const MOST_EXPECTED: usize = 1 << 21;
/// How many positions are learned from: the newest.
pub(super) const MOST_POSITIONS: usize = 20_000;
const LANES: usize = 8;

/// One softmax: with the chains of counts among its inputs, or on the features alone.
#[derive(Clone, Debug)]
pub(super) struct SoftmaxWeights {
    pub(super) features: Vec<f32>,
    chains: Option<[f32; CHAINS]>,
}

const EQUAL: [f32; CHAINS] = [1.0 / CHAINS as f32; CHAINS];

impl SoftmaxWeights {
    pub(super) fn new(space: &FeatureSpace, with_chains: bool) -> Self {
        Self { features: vec![0.0; space.rows.len() * space.width], chains: with_chains.then_some(EQUAL) }
    }

    /// Given weights of the features, without chains.
    pub(super) fn of_features(features: Vec<f32>) -> Self {
        Self { features, chains: None }
    }

    /// Shrinks the weights to a share; at 0 the chains count equally and the features not at all.
    pub(super) fn shrunk(mut self, share: f32) -> Self {
        if let Some(chains) = &mut self.chains {
            chains
                .iter_mut()
                .zip(EQUAL)
                .for_each(|(weight, equal)| *weight = equal + share * (*weight - equal));
        }
        self.features.iter_mut().for_each(|weight| *weight *= share);
        self
    }

    /// The weights of the chains; equal ones if they are no inputs.
    pub(super) fn chains(&self) -> &[f32; CHAINS] {
        self.chains.as_ref().unwrap_or(&EQUAL)
    }
}

/// The columns of tools and the rows of features that the weights stand for.
#[derive(Debug)]
pub(super) struct FeatureSpace {
    set: FeatureSet,
    /// The column of each tool, by its symbol; finish is column 0.
    pub(super) columns: FxHashMap<u64, u32>,
    /// The length of a row: the columns, filled up to whole lanes.
    pub(super) width: usize,
    pub(super) rows: FxHashMap<u32, u32>,
    pub(super) rarity: Arc<WordRarity>,
}

impl FeatureSpace {
    /// The features of some runs; equal groups stand together. None: it was halted.
    fn new(
        set: FeatureSet,
        runs: &[&RunFeatures],
        groups: &[u64],
        columns: &FxHashMap<u64, u32>,
        rarity: &Arc<WordRarity>,
        halt: &Halt,
    ) -> Option<Self> {
        let (columns, width) = (columns.clone(), columns.len().next_multiple_of(LANES));
        let mut space = Self { set, columns, width, rows: FxHashMap::default(), rarity: rarity.clone() };
        space.rows = space.rows_of(runs, groups, halt)?;
        Some(space)
    }

    pub(super) fn found(
        &self,
        run: &RunFeatures,
        steps: usize,
        prefix: &Prefix,
        found: &mut Vec<(u32, f32)>,
    ) {
        self.set.visit(run, steps, prefix, &self.rarity, |feature, value| {
            if let Some(row) = self.rows.get(&feature) {
                found.push((*row, value));
            }
        });
    }

    /// The features of enough tasks, those of most tasks if there are too many.
    fn rows_of(&self, runs: &[&RunFeatures], groups: &[u64], halt: &Halt) -> Option<FxHashMap<u32, u32>> {
        let mut tasks: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
        let mut task = 0;
        for (at, run) in runs.iter().enumerate() {
            halt.go_on()?;
            task += u32::from(at == 0 || groups[at] != groups[at - 1]);
            let mut prefix = run.prefix();
            for steps_before in 0..=run.len() {
                self.set.visit(run, steps_before, &prefix, &self.rarity, |feature, _| {
                    let (last, number) = tasks.entry(feature).or_default();
                    *number += u32::from(*last != task);
                    *last = task;
                });
                if let Some(step) = run.step_symbols().nth(steps_before) {
                    prefix.step(step);
                }
            }
        }
        let (fewest, most_weights) = match self.set {
            FeatureSet::Rich => (FEWEST_TASKS, MOST_WEIGHTS),
            FeatureSet::Plain => (1, MOST_PLAIN_WEIGHTS),
        };
        let enough = tasks.into_iter().filter(|(_, (_, number))| *number >= fewest);
        let mut kept: Vec<(u32, u32)> = enough.map(|(feature, (_, number))| (number, feature)).collect();
        kept.sort_unstable_by_key(|(number, feature)| (std::cmp::Reverse(*number), *feature));
        kept.truncate(most_weights / self.width);
        Some(kept.iter().enumerate().map(|(row, (_, feature))| (*feature, row as u32)).collect())
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * 9 + self.columns.capacity() * 17
    }
}

/// The logarithm of a chain's probability, the input of the softmax.
pub(super) fn evidence(expected: f64) -> f32 {
    (expected as f32 + FLOOR).ln()
}

/// The share of the weights that so many tasks taught which is kept.
pub(super) fn kept_share(tasks: usize) -> f32 {
    tasks as f32 / (tasks as f32 + HALF_TASKS)
}

/// Visits each position of a run: its prefix, the number of steps before it, and the column of the next step.
pub(super) fn positions(
    run: &RunFeatures,
    columns: &FxHashMap<u64, u32>,
    mut visit: impl FnMut(&Prefix, usize, u32),
) {
    let mut prefix = run.prefix();
    for (steps_before, step) in run.step_symbols().enumerate() {
        visit(&prefix, steps_before, columns[&step.tool]);
        prefix.step(step);
    }
    visit(&prefix, run.len(), 0);
}

/// Runs made ready for a fit; those of one task stand together.
pub(super) struct PreparedRuns {
    pub(super) space: FeatureSpace,
    pub(super) training: TrainingSet,
    pub(super) plain_space: FeatureSpace,
    pub(super) plain: TrainingSet,
    pub(super) nearest: NearestPrefixes,
}

impl PreparedRuns {
    pub(super) fn new(
        runs: &[&RunFeatures],
        groups: &[u64],
        columns: &FxHashMap<u64, u32>,
        halt: &Halt,
    ) -> Option<Self> {
        let rarity = Arc::new(WordRarity::new(runs.iter().copied()));
        let space = FeatureSpace::new(FeatureSet::Rich, runs, groups, columns, &rarity, halt)?;
        let plain_space = FeatureSpace::new(FeatureSet::Plain, runs, groups, columns, &rarity, halt)?;
        let (mut training, mut plain) = (TrainingSet::default(), TrainingSet::default());
        let mut nearest = NearestPrefixes::default();
        let all = counts_of(runs, columns);
        let mut start = 0;
        while start < runs.len() {
            let end = start + groups[start..].iter().take_while(|group| **group == groups[start]).count();
            let own = counts_of(&runs[start..end], columns);
            for run in &runs[start..end] {
                halt.go_on()?;
                training.add(run, Some((&all, &own)), &space);
                plain.add(run, None, &plain_space);
                positions(run, columns, |prefix, steps, next| {
                    nearest.add(run, steps, prefix, &rarity, next);
                });
            }
            training.tasks += 1;
            plain.tasks += 1;
            start = end;
        }
        Some(Self { space, training, plain_space, plain, nearest })
    }

    /// Runs that this fit has not seen, as it would be asked about them: with all features, and with the plain ones.
    pub(super) fn held_out(&self, known: &[&RunFeatures], runs: &[&RunFeatures]) -> [TrainingSet; 2] {
        let (all, none) = (counts_of(known, &self.space.columns), ContextCounts::default());
        let (mut rich, mut plain) = (TrainingSet::default(), TrainingSet::default());
        for run in runs {
            rich.add(run, Some((&all, &none)), &self.space);
            plain.add(run, None, &self.plain_space);
        }
        [rich, plain]
    }
}

/// Every position of some runs, ready to be visited again and again.
#[derive(Default)]
pub(super) struct TrainingSet {
    /// The end of each position's features.
    ends: Vec<usize>,
    features: Vec<(u32, f32)>,
    /// The chains' inputs at each position, counted without its own task: `CHAINS` times the width, or none at all.
    evidence: Vec<f32>,
    pub(super) next: Vec<u32>,
    /// How many tasks there are.
    pub(super) tasks: usize,
}

impl TrainingSet {
    /// Adds the positions of a run; `counts` are those of all runs and of its own task, for the chains' inputs.
    fn add(
        &mut self,
        run: &RunFeatures,
        counts: Option<(&ContextCounts, &ContextCounts)>,
        space: &FeatureSpace,
    ) {
        let mut shares = EvidenceWriter::new(space);
        positions(run, &space.columns, |prefix, steps_before, next| {
            if let Some((all, own)) = counts {
                shares.write(all, own, prefix, &mut self.evidence);
            }
            space.found(run, steps_before, prefix, &mut self.features);
            self.ends.push(self.features.len());
            self.next.push(next);
        });
    }

    /// Weights learned from all positions.
    pub(super) fn trained(
        &self,
        space: &FeatureSpace,
        with_chains: bool,
        passes: usize,
        halt: &Halt,
    ) -> Option<SoftmaxWeights> {
        let mut learner = Learner::new(space, with_chains);
        (0..passes).try_for_each(|_| learner.pass(self, space, halt))?;
        Some(learner.weights)
    }

    fn features(&self, at: usize) -> &[(u32, f32)] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.features[start..self.ends[at]]
    }

    fn evidence(&self, at: usize, space: &FeatureSpace) -> &[f32] {
        &self.evidence[at * CHAINS * space.width..][..CHAINS * space.width]
    }

    /// Writes the probability of each column at a position by some weights.
    pub(super) fn predict(
        &self,
        weights: &SoftmaxWeights,
        at: usize,
        space: &FeatureSpace,
        scores: &mut Vec<f32>,
    ) {
        scores.clear();
        scores.resize(space.width, 0.0);
        add_rows(self.features(at), &weights.features, scores);
        if let Some(chains) = &weights.chains {
            add_evidence(self.evidence(at, space), chains, scores);
        }
        to_shares(&mut scores[..space.columns.len()]);
    }

    /// The sum of the squares of each feature over all positions.
    pub(super) fn squares(&self, space: &FeatureSpace) -> Vec<f32> {
        let mut squares = vec![0.0; space.rows.len()];
        self.features.iter().for_each(|(row, value)| squares[*row as usize] += value * value);
        squares
    }

    /// Adds the slope of `-ln P(next)` at a position to those of all weights, and returns `-ln P(next)`.
    pub(super) fn add_slope(
        &self,
        weights: &SoftmaxWeights,
        at: usize,
        space: &FeatureSpace,
        scores: &mut Vec<f32>,
        slopes: &mut [f32],
    ) -> f64 {
        self.predict(weights, at, space, scores);
        let next = self.next[at] as usize;
        let loss = -f64::from(scores[next].max(f32::MIN_POSITIVE)).ln();
        scores[next] -= 1.0;
        scores[space.columns.len()..].fill(0.0);
        for (row, value) in self.features(at) {
            shrink_and_add(&mut slopes[*row as usize * space.width..][..space.width], scores, 1.0, *value);
        }
        loss
    }

    /// Writes the probability of each column at a position by equal chains.
    pub(super) fn predict_by_chains(&self, at: usize, space: &FeatureSpace, scores: &mut Vec<f32>) {
        scores.clear();
        scores.resize(space.width, 0.0);
        add_evidence(self.evidence(at, space), &EQUAL, scores);
        to_shares(&mut scores[..space.columns.len()]);
    }
}

/// Writes the inputs that the chains give at a position.
struct EvidenceWriter {
    expected: Vec<f64>,
    columns: usize,
    width: usize,
}

impl EvidenceWriter {
    fn new(space: &FeatureSpace) -> Self {
        let columns = space.columns.len();
        Self { expected: vec![0.0; CHAINS * columns], columns, width: space.width }
    }

    /// Appends the evidence after a prefix by all counts without `own`.
    fn write(&mut self, all: &ContextCounts, own: &ContextCounts, prefix: &Prefix, into: &mut Vec<f32>) {
        let others = prefix.contexts().map(|context| difference(all.row(context), own.row(context)));
        let rows: ContextRows<'_> = others.each_ref().map(Vec::as_slice);
        expected_shares(&rows, &mut self.expected, |column| Some(column as usize));
        for chain in self.expected.chunks_exact(self.columns) {
            into.extend(chain.iter().map(|each| evidence(*each)));
            into.resize(into.len().next_multiple_of(self.width), 0.0);
        }
    }
}

fn counts_of(runs: &[&RunFeatures], columns: &FxHashMap<u64, u32>) -> ContextCounts {
    let mut counts = ContextCounts::default();
    for run in runs {
        positions(run, columns, |prefix, _, next| counts.add(&prefix.contexts(), next));
    }
    counts
}

/// The counts without those of the own task.
fn difference(all: ContextRow<'_>, own: ContextRow<'_>) -> Vec<NextCount> {
    let own = own.counts();
    let others = all.counts().iter().map(|(next, count)| {
        let own = own.iter().find(|(each, _)| each == next).map_or(0, |(_, count)| *count);
        (*next, count - own)
    });
    others.filter(|(_, count)| *count > 0).collect()
}

/// Weights that are being learned, with AdaGrad's sums of squared slopes: the more there was to learn, the shorter the
/// steps.
pub(super) struct Learner {
    pub(super) weights: SoftmaxWeights,
    rows: Vec<f32>,
    chains: [f32; CHAINS],
    scores: Vec<f32>,
    numbers: Jitter,
}

impl Learner {
    pub(super) fn new(space: &FeatureSpace, with_chains: bool) -> Self {
        Self {
            weights: SoftmaxWeights::new(space, with_chains),
            rows: vec![0.0; space.rows.len()],
            chains: [0.0; CHAINS],
            scores: Vec::new(),
            numbers: Jitter::new(0),
        }
    }

    /// Visits every position once, in shuffled order.
    pub(super) fn pass(&mut self, training: &TrainingSet, space: &FeatureSpace, halt: &Halt) -> Option<()> {
        let mut order: Vec<usize> = (0..training.next.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, (self.numbers.share() * (last + 1) as f64) as usize);
        }
        for at in order {
            halt.go_on()?;
            self.visit(training, at, space);
        }
        Some(())
    }

    fn visit(&mut self, training: &TrainingSet, at: usize, space: &FeatureSpace) {
        training.predict(&self.weights, at, space, &mut self.scores);
        let evidence = training.evidence(at, space);
        let next = training.next[at] as usize;
        if self.scores[next] > SURE {
            return;
        }
        self.scores[next] -= 1.0;
        self.scores[space.columns.len()..].fill(0.0);
        if let Some(chains) = &mut self.weights.chains {
            for (chain, evidence) in evidence.chunks_exact(space.width).enumerate() {
                let slope: f32 = evidence.iter().zip(&self.scores).map(|(a, b)| a * b).sum();
                self.chains[chain] += slope * slope;
                chains[chain] -= CHAIN_STEP * slope / (1.0 + self.chains[chain]).sqrt();
            }
        }
        let size: f32 = self.scores.iter().map(|slope| slope * slope).sum();
        for (row, value) in training.features(at) {
            let sum = &mut self.rows[*row as usize];
            *sum += size * value * value;
            let step = STEP / (*sum + DAMPING).sqrt();
            let weights = &mut self.weights.features[*row as usize * space.width..][..space.width];
            shrink_and_add(weights, &self.scores, 1.0 - step * RIDGE, -step * value);
        }
    }
}

fn add_evidence(evidence: &[f32], weights: &[f32; CHAINS], scores: &mut [f32]) {
    for (evidence, weight) in evidence.chunks_exact(scores.len()).zip(weights) {
        scores.iter_mut().zip(evidence).for_each(|(score, evidence)| *score += weight * evidence);
    }
}

/// Scores as shares of 1.
fn to_shares(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_leaves_equal_chains_without_features() {
        let learned = SoftmaxWeights { features: vec![1.0, -2.0], chains: Some([0.5; CHAINS]) };
        let half = learned.clone().shrunk(0.5);
        assert_eq!(half.features, [0.5, -1.0]);
        assert!((half.chains()[0] - (0.5 + EQUAL[0]) / 2.0).abs() < 1e-6);
        let none = learned.shrunk(0.0);
        assert_eq!((none.features.as_slice(), none.chains()), ([0.0, -0.0].as_slice(), &EQUAL));
    }

    #[test]
    fn a_task_does_not_vouch_for_itself() {
        assert_eq!(difference(ContextRow::Many(&[(0, 3), (1, 2)]), ContextRow::One([(1, 2)])), [(0, 3)]);
        assert_eq!(difference(ContextRow::One([(4, 2)]), ContextRow::None), [(4, 2)]);
    }
}
