//! How long to learn, and the opinions on held-out tasks: folds of whole tasks inside the memory that answers.
//!
//! A fold is a fit of its own: counts, features and the rarity of words come from the other folds alone.

use super::backoff_counts::join;
use super::features::RunFeatures;
use super::logistic::logistic_regression;
use super::mixture::HeldOut;
use super::nearest::NearestVotes;
use super::softmax::{Learner, PreparedRuns, SoftmaxWeights, TrainingSet, kept_share, positions};
use crate::halt::Halt;
use rustc_hash::{FxHashMap, FxHashSet};

/// Fewer tasks than this are not divided.
const FEWEST_TASKS: usize = 6;
const FOLDS: usize = 4;
/// Beyond so many positions only the first fold is held out.
const MOST_POSITIONS: usize = 4_000;
/// The numbers of passes that may be chosen.
const CHECKPOINTS: [usize; 9] = [1, 2, 3, 4, 6, 8, 11, 15, 20];
/// At most so many visits of positions by one learner, but at least `FEWEST_PASSES` of each.
const MOST_VISITS: usize = 160_000;
const FEWEST_PASSES: usize = 4;
/// The passes if nothing can be held out.
const PASSES: usize = 4;
/// After so many checkpoints without a gain learning stops.
const PATIENCE: usize = 2;
/// How many probabilities of held-out positions one member may give.
const MOST_OPINIONS: usize = 1 << 19;

/// A fit on all but some tasks, and the positions of those tasks.
struct Fold {
    known: PreparedRuns,
    held: TrainingSet,
    /// The same positions with the plain features.
    held_plain: TrainingSet,
    votes: Vec<NearestVotes>,
}

impl Fold {
    /// The runs at `held` are left out of the fit; at most `most` of their positions are asked about.
    fn new(
        runs: &[&RunFeatures],
        groups: &[u64],
        columns: &FxHashMap<u64, u32>,
        held: &FxHashSet<u64>,
        most: usize,
        halt: &Halt,
    ) -> Option<Self> {
        let places = |inside: bool| (0..runs.len()).filter(move |at| held.contains(&groups[*at]) == inside);
        let known: Vec<&RunFeatures> = places(false).map(|at| runs[at]).collect();
        let known_groups: Vec<u64> = places(false).map(|at| groups[at]).collect();
        let mut positions_left = most;
        let asked: Vec<&RunFeatures> = places(true)
            .map(|at| runs[at])
            .take_while(|run| {
                let fits = positions_left > run.len();
                positions_left = positions_left.saturating_sub(run.len() + 1);
                fits
            })
            .collect();
        let prepared = PreparedRuns::new(&known, &known_groups, columns, halt)?;
        let [held, held_plain] = prepared.held_out(&known, &asked);
        let mut votes = Vec::new();
        for run in asked {
            halt.go_on()?;
            positions(run, columns, |prefix, steps, _| {
                votes.push(prepared.nearest.votes(run, steps, prefix, &prepared.space.rarity, columns.len()));
            });
        }
        Some(Self { known: prepared, held, held_plain, votes })
    }
}

/// One member, learned without each fold.
pub(super) struct HeldOutMember {
    pub passes: usize,
    /// The probability of each column at each held-out position.
    opinions: Vec<f32>,
}

/// The folds of one fit.
pub(super) struct CrossFit {
    folds: Vec<Fold>,
    columns: usize,
    /// How many tasks are held out in all.
    tasks: usize,
}

impl CrossFit {
    /// Runs of one task stand together.
    pub(super) fn new(
        runs: &[&RunFeatures],
        groups: &[u64],
        columns: &FxHashMap<u64, u32>,
        halt: &Halt,
    ) -> Option<Self> {
        let mut tasks = groups.to_vec();
        tasks.dedup();
        tasks.sort_unstable_by_key(|task| join(*task, 5));
        let positions: usize = runs.iter().map(|run| run.len() + 1).sum();
        let held_out = match tasks.len() {
            few if few < FEWEST_TASKS => 0,
            _ if positions > MOST_POSITIONS => 1,
            _ => FOLDS,
        };
        let most = MOST_OPINIONS / columns.len() / held_out.max(1);
        let fold = |number: usize| {
            let held: FxHashSet<u64> = tasks.iter().skip(number).step_by(FOLDS).copied().collect();
            Fold::new(runs, groups, columns, &held, most, halt)
        };
        let held_tasks = (0..held_out).map(|number| tasks.iter().skip(number).step_by(FOLDS).count()).sum();
        let folds = (0..held_out).map(fold).collect::<Option<_>>()?;
        Some(Self { folds, columns: columns.len(), tasks: held_tasks })
    }

    /// Learns without each fold, pass by pass, until the held-out positions are predicted no better.
    pub(super) fn train(&self, with_chains: bool, halt: &Halt) -> Option<HeldOutMember> {
        let mut best = HeldOutMember { passes: PASSES, opinions: Vec::new() };
        let Some(largest) = self.folds.iter().map(|fold| fold.known.training.next.len()).max() else {
            return Some(best);
        };
        let mut learners: Vec<Learner> =
            self.folds.iter().map(|fold| Learner::new(&fold.known.space, with_chains)).collect();
        let most = (MOST_VISITS / largest.max(1)).max(FEWEST_PASSES);
        let (mut done, mut least, mut idle) = (0, f64::INFINITY, 0);
        for checkpoint in CHECKPOINTS.into_iter().take_while(|checkpoint| *checkpoint <= most) {
            for (learner, fold) in learners.iter_mut().zip(&self.folds) {
                for _ in done..checkpoint {
                    learner.pass(&fold.known.training, &fold.known.space, halt)?;
                }
            }
            done = checkpoint;
            halt.go_on()?;
            let (loss, opinions) = self.judge(&learners, with_chains);
            if loss < least {
                (least, idle, best) = (loss, 0, HeldOutMember { passes: done, opinions });
            } else {
                idle += 1;
                if idle == PATIENCE {
                    break;
                }
            }
        }
        Some(best)
    }

    /// The loss at the held-out positions, and the probabilities there.
    fn judge(&self, learners: &[Learner], with_chains: bool) -> (f64, Vec<f32>) {
        let (mut scores, mut loss, mut opinions) = (Vec::new(), 0.0, Vec::new());
        for (learner, fold) in learners.iter().zip(&self.folds) {
            let share = if with_chains { kept_share(fold.known.training.tasks) } else { 1.0 };
            let weights: SoftmaxWeights = learner.weights.clone().shrunk(share);
            for (at, next) in fold.held.next.iter().enumerate() {
                fold.held.predict(&weights, at, &fold.known.space, &mut scores);
                loss -= f64::from(scores[*next as usize].max(1e-4)).ln();
                opinions.extend_from_slice(&scores[..self.columns]);
            }
        }
        (loss, opinions)
    }

    /// The probabilities at the held-out positions by logistic regression on plain features.
    pub(super) fn logistic(&self, halt: &Halt) -> Option<Vec<f32>> {
        let (mut scores, mut opinions) = (Vec::new(), Vec::new());
        for fold in &self.folds {
            let weights = logistic_regression(&fold.known.plain, &fold.known.plain_space, halt)?;
            for at in 0..fold.held_plain.next.len() {
                fold.held_plain.predict(&weights, at, &fold.known.plain_space, &mut scores);
                opinions.extend_from_slice(&scores[..self.columns]);
            }
        }
        Some(opinions)
    }

    /// The opinions of all members at the held-out positions.
    pub(super) fn held_out(&self, joint: &HeldOutMember, alone: &HeldOutMember, logistic: &[f32]) -> HeldOut {
        let mut held = HeldOut::new(self.columns, self.tasks);
        let mut chains = Vec::new();
        let mut place = 0..self.columns;
        for fold in &self.folds {
            for (at, (next, votes)) in fold.held.next.iter().zip(&fold.votes).enumerate() {
                fold.held.predict_by_chains(at, &fold.known.space, &mut chains);
                let (joint, alone) = (&joint.opinions[place.clone()], &alone.opinions[place.clone()]);
                let plain = if votes.plain.is_empty() { joint } else { &votes.plain };
                let with_fields = if votes.with_fields.is_empty() { joint } else { &votes.with_fields };
                let chains = &chains[..self.columns];
                held.add([joint, chains, alone, plain, with_fields, &logistic[place.clone()]], *next);
                place = place.end..place.end + self.columns;
            }
        }
        held
    }
}
