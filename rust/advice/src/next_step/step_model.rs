//! Everything that one fit learned: the softmaxes, the nearest positions, and how they are mixed.

use super::backoff_counts::{CHAINS, Prefix, symbol_of};
use super::cross_fit::CrossFit;
use super::features::RunFeatures;
use super::logistic::logistic_regression;
use super::mixture::Mixture;
use super::nearest::{NearestPrefixes, NearestVotes};
use super::softmax::{FeatureSpace, MOST_EXPECTED, MOST_POSITIONS, PreparedRuns, kept_share};
use crate::halt::Halt;
use crate::run::Run;
use rustc_hash::FxHashMap;
use tacit_kernels::weighted_rows::add_rows;

/// Everything that one fit learned.
#[derive(Debug)]
pub(crate) struct SoftmaxModel {
    space: FeatureSpace,
    /// For each feature a row of weights beside the chains, then one of weights alone: one read serves both.
    weights: Vec<f32>,
    /// The weights of the chains beside the features.
    chains: [f32; CHAINS],
    plain_space: FeatureSpace,
    /// The weights of the logistic regression on plain features.
    plain_weights: Vec<f32>,
    nearest: NearestPrefixes,
    mixture: Mixture,
}

impl SoftmaxModel {
    /// Learns from successful runs, oldest first. Of more positions than are learned from, the newest runs' count.
    /// None: it was halted.
    pub(crate) fn fit(runs: &[Run], halt: &Halt) -> Option<Self> {
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
        let whole = |at: &usize| halt.go_on().map(|()| RunFeatures::whole(&runs[*at]));
        let features: Vec<RunFeatures> = order.iter().map(whole).collect::<Option<_>>()?;
        let runs: Vec<&RunFeatures> = features.iter().collect();
        let cross_fit = CrossFit::new(&runs, &groups, &columns, halt)?;
        let (joint, alone) = (cross_fit.train(true, halt)?, cross_fit.train(false, halt)?);
        let logistic = cross_fit.logistic(halt)?;
        let mixture = Mixture::fit(&cross_fit.held_out(&joint, &alone, &logistic), halt)?;
        drop(cross_fit);
        let prepared = PreparedRuns::new(&runs, &groups, &columns, halt)?;
        let PreparedRuns { space, training, plain_space, plain, nearest } = prepared;
        let joint = training.trained(&space, true, joint.passes, halt)?.shrunk(kept_share(training.tasks));
        let alone = training.trained(&space, false, alone.passes, halt)?;
        let plain_weights = logistic_regression(&plain, &plain_space, halt)?.features;
        let rows = joint.features.chunks_exact(space.width).zip(alone.features.chunks_exact(space.width));
        let weights = rows.flat_map(|(joint, alone)| joint.iter().chain(alone).copied()).collect();
        Some(Self { weights, chains: *joint.chains(), space, plain_space, plain_weights, nearest, mixture })
    }

    /// The column of a tool's symbol, 0 being finish; None for a tool that the fit did not see.
    pub(super) fn column(&self, tool: u64) -> Option<usize> {
        self.space.columns.get(&tool).map(|column| *column as usize)
    }

    /// The weights of the chains beside the features.
    pub(super) fn chain_weights(&self) -> &[f32; CHAINS] {
        &self.chains
    }

    pub(super) fn mixture(&self) -> &Mixture {
        &self.mixture
    }

    /// The scores of each column by the features of a run after its last step: beside the chains, alone, and by the
    /// plain ones.
    pub(super) fn score(&self, run: &RunFeatures, prefix: &Prefix) -> [Vec<f32>; 3] {
        let mut found = Vec::with_capacity(512);
        self.space.found(run, run.len(), prefix, &mut found);
        let mut beside = vec![0.0; 2 * self.space.width];
        add_rows(&found, &self.weights, &mut beside);
        let alone = beside.split_off(self.space.width);
        found.clear();
        self.plain_space.found(run, run.len(), prefix, &mut found);
        let mut plain = vec![0.0; self.plain_space.width];
        add_rows(&found, &self.plain_weights, &mut plain);
        [beside, alone, plain]
    }

    /// The votes of the nearest recorded prefixes.
    pub(super) fn votes(&self, run: &RunFeatures, prefix: &Prefix) -> NearestVotes {
        self.nearest.votes(run, run.len(), prefix, &self.space.rarity, self.space.columns.len())
    }

    pub(super) fn bytes(&self) -> usize {
        (self.weights.len() + self.plain_weights.len()) * 4
            + self.nearest.bytes()
            + self.space.bytes()
            + self.plain_space.bytes()
            + self.space.rarity.bytes()
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

#[cfg(test)]
mod tests {
    use super::super::tests::{packed, run};
    use super::*;

    fn fitted(runs: &[Run]) -> SoftmaxModel {
        SoftmaxModel::fit(runs, &Halt::default()).unwrap()
    }

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
        model.score(&prepared, &prefix)[0][model.column(symbol_of(Some(tool))).unwrap()]
    }

    #[test]
    fn what_the_last_result_says_is_learned() {
        let model = fitted(&training(12));
        assert!(score(&model, "even", "halve") > score(&model, "even", "triple") + 0.2);
        assert!(score(&model, "odd", "triple") > score(&model, "odd", "halve") + 0.2);
    }

    #[test]
    fn the_same_runs_give_the_same_model() {
        let (one, other) = (fitted(&training(9)), fitted(&training(9)));
        assert_eq!(one.weights, other.weights);
        assert_eq!(one.plain_weights, other.plain_weights);
        assert_eq!(one.chains, other.chains);
        assert_eq!(one.mixture, other.mixture);
    }

    #[test]
    fn what_fewer_than_three_tasks_showed_stays_silent() {
        let mut runs = training(12);
        runs.iter_mut().for_each(|run| run.group %= 2);
        let model = fitted(&runs);
        assert!(model.space.rows.is_empty());
        assert_eq!(score(&model, "even", "halve"), 0.0);
    }

    #[test]
    fn of_too_many_positions_the_newest_runs_count() {
        let runs = training(10);
        assert_eq!(newest(&runs, 9).len(), 3);
        assert_eq!(newest(&runs, 9)[0].id, runs[7].id);
        assert_eq!(newest(&runs, 1).len(), 1);
        assert!(newest(&[], 5).is_empty());
    }
}
