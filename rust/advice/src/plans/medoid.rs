//! The followed plan that is nearest to the plans of all tasks: their weighted medoid.

use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use tacit_kernels::facts::Id;
use tacit_kernels::sequence::Sequences;
use tacit_kernels::similarity::lcs::lcs_ratio_many;

/// A plan that a task's successes followed, and the first of them.
#[derive(Clone, Debug)]
pub(super) struct FollowedPlan {
    pub(super) tools: Vec<u64>,
    pub(super) id: Id,
    /// The weight of the task's successes that followed it.
    pub(super) times: f64,
}

/// A task to merge.
#[derive(Clone, Debug)]
pub(super) struct WeightedTask {
    pub(super) weight: f64,
    pub(super) plans: Vec<FollowedPlan>,
}

/// The plan of the highest utility; of equal ones the one that more successes followed, then the one that was followed
/// first.
pub(super) fn best_plan(tasks: &[WeightedTask]) -> Option<Vec<u64>> {
    let all: Vec<Vec<u64>> =
        tasks.iter().flat_map(|task| &task.plans).map(|plan| plan.tools.clone()).collect();
    let (symbols, offsets) = Sequences::columns(&all);
    let sequences = Sequences::new(&symbols, &offsets)?;
    let mut utilities: FxHashMap<&[u64], f64> = FxHashMap::default();
    let mut best: Option<(f64, &FollowedPlan)> = None;
    for plan in tasks.iter().flat_map(|task| &task.plans) {
        let of_plan = || utility(tasks, &lcs_ratio_many(&plan.tools, sequences));
        let utility = *utilities.entry(&plan.tools).or_insert_with(of_plan);
        let is_better = best.is_none_or(|(most, first)| {
            let order = (utility, plan.times).partial_cmp(&(most, first.times));
            order == Some(Ordering::Greater) || (order == Some(Ordering::Equal) && plan.id < first.id)
        });
        if is_better {
            best = Some((utility, plan));
        }
    }
    best.map(|(_, plan)| plan.tools.clone())
}

/// `ratios` are those of all plans, task after task.
fn utility(tasks: &[WeightedTask], ratios: &[f32]) -> f64 {
    let mut rest = ratios;
    let mut sum = 0.0;
    for task in tasks {
        let (own, after) = rest.split_at(task.plans.len());
        sum += task.weight * f64::from(own.iter().copied().fold(0.0, f32::max));
        rest = after;
    }
    sum
}

/// The plan of the task that is most like this one.
pub(super) fn nearest_to<'a>(best: &[u64], task: &'a WeightedTask) -> Option<&'a FollowedPlan> {
    let tools: Vec<Vec<u64>> = task.plans.iter().map(|plan| plan.tools.clone()).collect();
    let (symbols, offsets) = Sequences::columns(&tools);
    let ratios = lcs_ratio_many(best, Sequences::new(&symbols, &offsets)?);
    let order = |(a, _): &(f32, &FollowedPlan), (b, _): &(f32, &FollowedPlan)| a.total_cmp(b);
    ratios.into_iter().zip(&task.plans).rev().max_by(order).map(|(_, plan)| plan)
}
