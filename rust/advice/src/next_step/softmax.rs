//! A sparse linear model of the next step beside the chains of counts, in one softmax.
//!
//! `P(k) ~ exp(sum_c w_c ln(p_c(k) + 1e-4) + sum_f W[f, k] x_f)`. Learned by AdaGrad with one accumulator a feature, in a
//! fixed order on one thread: the same runs give the same model. With few tasks the weights are drawn towards equal
//! chains without features.

use super::backoff_counts::{
    CHAINS, ContextCounts, ContextRow, ContextRows, NextCount, Prefix, expected_shares, symbol_of,
};
use super::features::{RunFeatures, WordRarity, features};
use crate::run::Run;
use rustc_hash::FxHashMap;
use tacit_kernels::backoff::Jitter;
use tacit_kernels::weighted_rows::{add_rows, shrink_and_add};

/// Added to a chain's probability before its logarithm.
const FLOOR: f32 = 1e-4;
/// How often every position is visited.
const PASSES: usize = 4;
/// A position that is expected with more than this is passed over.
const SURE: f32 = 0.99;
const STEP: f32 = 0.05;
const DAMPING: f32 = 0.01;
const RIDGE: f32 = 1e-4;
const CHAIN_STEP: f32 = 0.1;
/// The least number of tasks with a feature: names of a single task are not learned.
const FEWEST_TASKS: u32 = 3;
/// The number T of tasks at which half of the weights is kept, by n / (n + T). With few tasks the chains look worse
/// than they are: each position is trained without the counts of its own task, a large part of all counts.
const HALF_TASKS: f32 = 10.0;
/// How many weights are kept, and how many expectations are held while learning: with many tools there are fewer
/// features, and fewer positions are learned from.
const MOST_WEIGHTS: usize = 1 << 22;
const MOST_EXPECTED: usize = 1 << 21;
/// How many positions are learned from: the newest.
pub(super) const MOST_POSITIONS: usize = 20_000;
const LANES: usize = 8;

/// The weights of one fit.
#[derive(Debug)]
pub(crate) struct SoftmaxModel {
    /// The column of each tool, by its symbol; finish is column 0.
    columns: FxHashMap<u64, u32>,
    /// The length of a row: the columns, filled up to whole lanes.
    width: usize,
    rows: FxHashMap<u32, u32>,
    weights: Vec<f32>,
    chain_weights: [f32; CHAINS],
    rarity: WordRarity,
}

/// The logarithm of a chain's probability, the input of the softmax.
pub(super) fn evidence(expected: f64) -> f32 {
    (expected as f32 + FLOOR).ln()
}

impl SoftmaxModel {
    /// Learns from successful runs, oldest first. Of more positions than are learned from, the newest runs' count.
    pub(crate) fn fit(runs: &[Run]) -> Self {
        let mut columns = FxHashMap::default();
        columns.insert(0, 0);
        for step in runs.iter().flat_map(|run| &run.steps) {
            let column = columns.len() as u32;
            columns.entry(symbol_of(Some(&step.tool))).or_insert(column);
        }
        let runs = newest(runs, (MOST_EXPECTED / columns.len()).min(MOST_POSITIONS));
        let mut order: Vec<usize> = (0..runs.len()).collect();
        let mut first = FxHashMap::default();
        for (at, run) in runs.iter().enumerate() {
            first.entry(run.group).or_insert(at);
        }
        order.sort_by_key(|at| first[&runs[*at].group]);
        let groups: Vec<u64> = order.iter().map(|at| runs[*at].group).collect();
        let prepared: Vec<RunFeatures> = order.iter().map(|at| RunFeatures::whole(&runs[*at])).collect();
        let rarity = WordRarity::new(prepared.iter());
        let rows = rows_of(&prepared, &groups, &rarity, columns.len());
        let width = columns.len().next_multiple_of(LANES);
        let weights = vec![0.0; rows.len() * width];
        let mut model =
            Self { columns, width, rows, weights, chain_weights: [1.0 / CHAINS as f32; CHAINS], rarity };
        let training = TrainingSet::new(&prepared, &groups, &model);
        training.train(&mut model);
        model.shrink(first.len() as f32 / (first.len() as f32 + HALF_TASKS));
        model
    }

    /// Shrinks the weights to a share; at 0 the chains count equally and the features not at all.
    fn shrink(&mut self, share: f32) {
        let equal = 1.0 / CHAINS as f32;
        self.chain_weights.iter_mut().for_each(|weight| *weight = equal + share * (*weight - equal));
        self.weights.iter_mut().for_each(|weight| *weight *= share);
    }

    /// The column of a tool's symbol, 0 being finish; None for a tool that the fit did not see.
    pub(super) fn column(&self, tool: u64) -> Option<usize> {
        self.columns.get(&tool).map(|column| *column as usize)
    }

    pub(super) fn chain_weights(&self) -> &[f32; CHAINS] {
        &self.chain_weights
    }

    /// The scores of each column by the features of a run after its last step.
    pub(super) fn score(&self, run: &RunFeatures, prefix: &Prefix) -> Vec<f32> {
        let mut found = Vec::with_capacity(512);
        features(run, run.len(), prefix, &self.rarity, |feature, value| {
            if let Some(row) = self.rows.get(&feature) {
                found.push((*row, value));
            }
        });
        let mut scores = vec![0.0; self.width];
        add_rows(&found, &self.weights, &mut scores);
        scores
    }

    pub(super) fn bytes(&self) -> usize {
        self.weights.len() * 4 + self.rows.capacity() * 9 + self.columns.capacity() * 17 + self.rarity.bytes()
    }
}

/// The last runs that have at most `most` positions together, at least one run.
fn newest(runs: &[Run], most: usize) -> &[Run] {
    let mut positions = 0;
    let kept = runs.iter().rev().take_while(|run| {
        let first = positions == 0;
        positions += run.steps.len() + 1;
        first || positions <= most
    });
    &runs[runs.len() - kept.count()..]
}

/// Visits each position of a run: its prefix, the number of steps before it, and the column of the next step.
fn positions(run: &RunFeatures, columns: &FxHashMap<u64, u32>, mut visit: impl FnMut(&Prefix, usize, u32)) {
    let mut prefix = run.prefix();
    for (steps_before, step) in run.step_symbols().enumerate() {
        visit(&prefix, steps_before, columns[&step.tool]);
        prefix.step(step);
    }
    visit(&prefix, run.len(), 0);
}

/// The features of enough tasks, those of most tasks if there are too many; equal groups
/// stand together.
fn rows_of(runs: &[RunFeatures], groups: &[u64], rarity: &WordRarity, columns: usize) -> FxHashMap<u32, u32> {
    let mut tasks: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
    let mut task = 0;
    for (at, run) in runs.iter().enumerate() {
        task += u32::from(at == 0 || groups[at] != groups[at - 1]);
        let mut prefix = run.prefix();
        for steps_before in 0..=run.len() {
            features(run, steps_before, &prefix, rarity, |feature, _| {
                let (last, number) = tasks.entry(feature).or_default();
                *number += u32::from(*last != task);
                *last = task;
            });
            if let Some(step) = run.step_symbols().nth(steps_before) {
                prefix.step(step);
            }
        }
    }
    let enough = tasks.into_iter().filter(|(_, (_, number))| *number >= FEWEST_TASKS);
    let mut kept: Vec<(u32, u32)> = enough.map(|(feature, (_, number))| (number, feature)).collect();
    kept.sort_unstable_by_key(|(number, feature)| (std::cmp::Reverse(*number), *feature));
    kept.truncate(MOST_WEIGHTS / columns.next_multiple_of(LANES));
    kept.iter().enumerate().map(|(row, (_, feature))| (*feature, row as u32)).collect()
}

/// Every position of a fit, ready to be visited again and again.
struct TrainingSet {
    /// The end of each position's features.
    ends: Vec<usize>,
    features: Vec<(u32, f32)>,
    /// The chains' inputs at each position, counted without its own task: `CHAINS` times the width.
    evidence: Vec<f32>,
    next: Vec<u32>,
}

impl TrainingSet {
    fn new(runs: &[RunFeatures], groups: &[u64], model: &SoftmaxModel) -> Self {
        let mut training =
            Self { ends: Vec::new(), features: Vec::new(), evidence: Vec::new(), next: Vec::new() };
        let all = counts_of(runs, &model.columns);
        let mut start = 0;
        while start < runs.len() {
            let end = start + groups[start..].iter().take_while(|group| **group == groups[start]).count();
            let own = counts_of(&runs[start..end], &model.columns);
            runs[start..end].iter().for_each(|run| training.add(run, &all, &own, model));
            start = end;
        }
        training
    }

    fn add(&mut self, run: &RunFeatures, all: &ContextCounts, own: &ContextCounts, model: &SoftmaxModel) {
        let columns = model.columns.len();
        let mut expected = vec![0.0; CHAINS * columns];
        positions(run, &model.columns, |prefix, steps_before, next| {
            let contexts = prefix.contexts();
            let others = contexts.map(|context| difference(all.row(context), own.row(context)));
            let rows: ContextRows<'_> = others.each_ref().map(Vec::as_slice);
            expected_shares(&rows, &mut expected, |column| Some(column as usize));
            for chain in expected.chunks_exact(columns) {
                self.evidence.extend(chain.iter().map(|each| evidence(*each)));
                self.evidence.resize(self.evidence.len().next_multiple_of(model.width), 0.0);
            }
            features(run, steps_before, prefix, &model.rarity, |feature, value| {
                if let Some(row) = model.rows.get(&feature) {
                    self.features.push((*row, value));
                }
            });
            self.ends.push(self.features.len());
            self.next.push(next);
        });
    }

    /// Visits all positions in shuffled order, several times.
    fn train(&self, model: &mut SoftmaxModel) {
        let mut adagrad = AdaGrad::new(model.rows.len());
        let mut order: Vec<usize> = (0..self.next.len()).collect();
        let mut numbers = Jitter::new(0);
        for _ in 0..PASSES {
            for last in (1..order.len()).rev() {
                order.swap(last, (numbers.share() * (last + 1) as f64) as usize);
            }
            order.iter().for_each(|at| adagrad.visit(self, *at, model));
        }
    }

    fn features(&self, at: usize) -> &[(u32, f32)] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.features[start..self.ends[at]]
    }
}

fn counts_of(runs: &[RunFeatures], columns: &FxHashMap<u64, u32>) -> ContextCounts {
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

/// AdaGrad's sums of squared slopes: the more there was to learn, the shorter the steps.
struct AdaGrad {
    rows: Vec<f32>,
    chains: [f32; CHAINS],
    scores: Vec<f32>,
}

impl AdaGrad {
    fn new(rows: usize) -> Self {
        Self { rows: vec![0.0; rows], chains: [0.0; CHAINS], scores: Vec::new() }
    }

    fn visit(&mut self, training: &TrainingSet, at: usize, model: &mut SoftmaxModel) {
        let columns = model.columns.len();
        let evidence = &training.evidence[at * CHAINS * model.width..][..CHAINS * model.width];
        self.scores.clear();
        self.scores.resize(model.width, 0.0);
        add_rows(training.features(at), &model.weights, &mut self.scores);
        add_evidence(evidence, &model.chain_weights, &mut self.scores);
        to_shares(&mut self.scores[..columns]);
        let next = training.next[at] as usize;
        if self.scores[next] > SURE {
            return;
        }
        self.scores[next] -= 1.0;
        self.scores[columns..].fill(0.0);
        for (chain, evidence) in evidence.chunks_exact(model.width).enumerate() {
            let slope: f32 = evidence.iter().zip(&self.scores).map(|(a, b)| a * b).sum();
            self.chains[chain] += slope * slope;
            model.chain_weights[chain] -= CHAIN_STEP * slope / (1.0 + self.chains[chain]).sqrt();
        }
        let size: f32 = self.scores.iter().map(|slope| slope * slope).sum();
        let (rows, weights, width) = (&mut self.rows, &mut model.weights, model.width);
        for (row, value) in training.features(at) {
            let sum = &mut rows[*row as usize];
            *sum += size * value * value;
            let step = STEP / (*sum + DAMPING).sqrt();
            let weights = &mut weights[*row as usize * width..][..width];
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
    use super::super::tests::{packed, run};
    use super::*;

    /// Runs that go on as their last result says.
    fn training(tasks: u8) -> Vec<Run> {
        let told = |number: u8| {
            let word = if number.is_multiple_of(2) { "even" } else { "odd" };
            let mut run = run(number, if word == "even" { "look halve" } else { "look triple" }, Some(1.0));
            run.steps[0].output = packed(word);
            run
        };
        (0..tasks).map(told).collect()
    }

    fn score(model: &SoftmaxModel, word: &str, tool: &str) -> f32 {
        let mut run = run(99, "look", None);
        run.steps[0].output = packed(word);
        let prepared = RunFeatures::ending(&run);
        let mut prefix = prepared.prefix();
        prepared.step_symbols().for_each(|step| prefix.step(step));
        model.score(&prepared, &prefix)[model.column(symbol_of(Some(tool))).unwrap()]
    }

    #[test]
    fn what_the_last_result_says_is_learned() {
        let model = SoftmaxModel::fit(&training(12));
        assert!(score(&model, "even", "halve") > score(&model, "even", "triple") + 0.2);
        assert!(score(&model, "odd", "triple") > score(&model, "odd", "halve") + 0.2);
    }

    #[test]
    fn the_same_runs_give_the_same_model() {
        let (one, other) = (SoftmaxModel::fit(&training(9)), SoftmaxModel::fit(&training(9)));
        assert_eq!(one.weights, other.weights);
        assert_eq!(one.chain_weights, other.chain_weights);
    }

    #[test]
    fn what_fewer_than_three_tasks_showed_stays_silent() {
        let mut runs = training(12);
        runs.iter_mut().for_each(|run| run.group %= 2);
        let model = SoftmaxModel::fit(&runs);
        assert!(model.rows.is_empty());
        assert_eq!(score(&model, "even", "halve"), 0.0);
    }

    #[test]
    fn what_is_not_kept_leaves_equal_chains_without_features() {
        let (learned, mut half) = (SoftmaxModel::fit(&training(12)), SoftmaxModel::fit(&training(12)));
        half.shrink(0.5);
        let halved = score(&learned, "even", "halve") / 2.0;
        assert!((score(&half, "even", "halve") - halved).abs() < 1e-6);
        half.shrink(0.0);
        assert_eq!(half.chain_weights, [1.0 / CHAINS as f32; CHAINS]);
        assert_eq!(score(&half, "even", "halve"), 0.0);
    }

    #[test]
    fn of_too_many_positions_the_newest_runs_count() {
        let runs = training(10);
        assert_eq!(newest(&runs, 9).len(), 3);
        assert_eq!(newest(&runs, 9)[0].id, runs[7].id);
        assert_eq!(newest(&runs, 1).len(), 1);
        assert!(newest(&[], 5).is_empty());
    }

    #[test]
    fn a_task_does_not_vouch_for_itself() {
        assert_eq!(difference(ContextRow::Many(&[(0, 3), (1, 2)]), ContextRow::One([(1, 2)])), [(0, 3)]);
        assert_eq!(difference(ContextRow::One([(4, 2)]), ContextRow::None), [(4, 2)]);
    }
}
