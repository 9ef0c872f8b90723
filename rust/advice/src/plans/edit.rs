//! Single deletions and insertions that raise a plan's utility.
//!
//! The effect of each on the common length with another plan is read from two tables of common lengths, of all
//! beginnings and of all endings: all edits cost about as much as two comparisons.

use super::medoid::WeightedTask;

const MOST_EDITS: usize = 6;
/// An edit must raise the utility by more than this share of the weights.
const LEAST_GAIN: f64 = 1e-6;
/// Longer plans are taken as they are.
const MOST_STEPS: usize = 64;
/// How many cells the tables and the sums of one edit may have together.
const MOST_CELLS: usize = 500_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum PlanEdit {
    Delete { at: usize },
    Insert { at: usize, tool: u64 },
}

/// The plan after the best edits, as long as one helps. Tools are numbered from 0 to `tools`.
pub(super) fn edit(mut plan: Vec<u64>, tasks: &[WeightedTask], tools: usize) -> Vec<u64> {
    let weights: f64 = tasks.iter().map(|task| task.weight).sum();
    for _ in 0..MOST_EDITS {
        let Some((edit, gain)) = best_edit(&plan, tasks, tools) else { break };
        if gain <= LEAST_GAIN * weights {
            break;
        }
        match edit {
            PlanEdit::Delete { at } => drop(plan.remove(at)),
            PlanEdit::Insert { at, tool } => plan.insert(at, tool),
        }
    }
    plan
}

/// The edit with the highest utility after it, and its gain: of equal ones a deletion, then the earlier.
fn best_edit(plan: &[u64], tasks: &[WeightedTask], tools: usize) -> Option<(PlanEdit, f64)> {
    let rows = plan.len() + 1;
    let others: usize = tasks.iter().flat_map(|task| &task.plans).map(|other| other.tools.len() + 1).sum();
    if plan.len() > MOST_STEPS || rows * (2 * others + tools * tasks.len()) > MOST_CELLS {
        return None;
    }
    let mut sums =
        EditUtilities { now: 0.0, deleted: vec![0.0; plan.len()], inserted: vec![0.0; rows * tools] };
    tasks.iter().for_each(|task| sums.add(plan, task, tools));
    sums.best(plan.len(), tools)
}

/// The utility as it is, and after each edit.
struct EditUtilities {
    now: f64,
    deleted: Vec<f64>,
    inserted: Vec<f64>,
}

impl EditUtilities {
    fn add(&mut self, plan: &[u64], task: &WeightedTask, tools: usize) {
        let mut best = BestRatios {
            now: 0.0,
            deleted: vec![0.0; plan.len()],
            kept: 0.0,
            inserted: vec![0.0; self.inserted.len()],
        };
        task.plans.iter().for_each(|other| best.compare(plan, &other.tools, tools));
        self.now += task.weight * best.now;
        self.deleted.iter_mut().zip(&best.deleted).for_each(|(sum, ratio)| *sum += task.weight * ratio);
        let raised = best.inserted.iter().map(|ratio| ratio.max(best.kept));
        self.inserted.iter_mut().zip(raised).for_each(|(sum, ratio)| *sum += task.weight * ratio);
    }

    fn best(&self, steps: usize, tools: usize) -> Option<(PlanEdit, f64)> {
        let deletions = self.deleted.iter().enumerate().map(|(at, sum)| (PlanEdit::Delete { at }, *sum));
        let insertions =
            self.inserted.iter().enumerate().map(|(cell, sum)| {
                (PlanEdit::Insert { at: cell / tools, tool: (cell % tools) as u64 }, *sum)
            });
        let mut best: Option<(PlanEdit, f64)> = None;
        for (edit, sum) in deletions.filter(|_| steps > 1).chain(insertions) {
            if best.is_none_or(|(_, most)| sum > most) {
                best = Some((edit, sum));
            }
        }
        best.map(|(edit, sum)| (edit, sum - self.now))
    }
}

/// The best ratio with one of a task's plans: as it is, after each deletion, after each insertion of a tool that the
/// other plan has there, and after an insertion that matches nothing.
struct BestRatios {
    now: f64,
    deleted: Vec<f64>,
    kept: f64,
    inserted: Vec<f64>,
}

impl BestRatios {
    fn compare(&mut self, plan: &[u64], other: &[u64], tools: usize) {
        let (head, tail) = (heads(plan, other), tails(plan, other));
        let width = other.len() + 1;
        let ratio = |common: u16, steps: usize| match steps + other.len() {
            0 => 1.0,
            both => 2.0 * f64::from(common) / both as f64,
        };
        let common = tail[0];
        raise(&mut self.now, ratio(common, plan.len()));
        raise(&mut self.kept, ratio(common, plan.len() + 1));
        for at in 0..plan.len() {
            let split = |j: usize| head[at * width + j] + tail[(at + 1) * width + j];
            let common = (0..width).map(split).max().unwrap_or(0);
            raise(&mut self.deleted[at], ratio(common, plan.len() - 1));
        }
        for at in 0..=plan.len() {
            for (j, tool) in other.iter().enumerate() {
                let common = head[at * width + j] + 1 + tail[at * width + j + 1];
                raise(&mut self.inserted[at * tools + *tool as usize], ratio(common, plan.len() + 1));
            }
        }
    }
}

fn raise(best: &mut f64, ratio: f64) {
    *best = best.max(ratio);
}

/// The common lengths of the first i steps of one and the first j of the other.
fn heads(plan: &[u64], other: &[u64]) -> Vec<u16> {
    let width = other.len() + 1;
    let mut table = vec![0; (plan.len() + 1) * width];
    for (i, a) in plan.iter().enumerate() {
        for (j, b) in other.iter().enumerate() {
            let grown = if a == b {
                table[i * width + j] + 1
            } else {
                table[i * width + j + 1].max(table[(i + 1) * width + j])
            };
            table[(i + 1) * width + j + 1] = grown;
        }
    }
    table
}

/// The common lengths of the rests after the first i steps of one and the first j of the other.
fn tails(plan: &[u64], other: &[u64]) -> Vec<u16> {
    let width = other.len() + 1;
    let mut table = vec![0; (plan.len() + 1) * width];
    for (i, a) in plan.iter().enumerate().rev() {
        for (j, b) in other.iter().enumerate().rev() {
            let grown = if a == b {
                table[(i + 1) * width + j + 1] + 1
            } else {
                table[(i + 1) * width + j].max(table[i * width + j + 1])
            };
            table[i * width + j] = grown;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::medoid::FollowedPlan;
    use super::*;
    use proptest::prelude::*;
    use tacit_kernels::similarity::lcs::lcs_ratio;

    fn weighted(tasks: &[(f64, Vec<Vec<u64>>)]) -> Vec<WeightedTask> {
        let followed_plans =
            |tools: &Vec<u64>| FollowedPlan { tools: tools.clone(), id: [0; 16], times: 1.0 };
        let task = |(weight, plans): &(f64, Vec<Vec<u64>>)| WeightedTask {
            weight: *weight,
            plans: plans.iter().map(followed_plans).collect(),
        };
        tasks.iter().map(task).collect()
    }

    fn utility(plan: &[u64], tasks: &[WeightedTask]) -> f64 {
        let best = |task: &WeightedTask| {
            task.plans.iter().map(|other| f64::from(lcs_ratio(plan, &other.tools))).fold(0.0, f64::max)
        };
        tasks.iter().map(|task| task.weight * best(task)).sum()
    }

    fn apply(plan: &[u64], edit: PlanEdit) -> Vec<u64> {
        let mut plan = plan.to_vec();
        match edit {
            PlanEdit::Delete { at } => drop(plan.remove(at)),
            PlanEdit::Insert { at, tool } => plan.insert(at, tool),
        }
        plan
    }

    #[test]
    fn a_step_that_most_successes_have_is_inserted_and_one_that_few_have_is_deleted() {
        let tasks =
            weighted(&[(1.0, vec![vec![0, 1, 2]]), (1.0, vec![vec![0, 1, 2]]), (0.5, vec![vec![0, 2, 3]])]);
        assert_eq!(edit(vec![0, 2, 3], &tasks, 4), [0, 1, 2]);
    }

    #[test]
    fn a_plan_without_steps_stays_where_all_successes_have_none() {
        assert_eq!(edit(vec![], &weighted(&[(1.0, vec![vec![]])]), 0), [0u64; 0]);
    }

    proptest! {
        #[test]
        fn the_best_edit_is_the_best_of_all_tried_one_by_one(
            plan in prop::collection::vec(0u64..4, 0..8),
            tasks in prop::collection::vec((0.1f64..1.0, prop::collection::vec(prop::collection::vec(0u64..4, 0..8), 1..4)), 1..5),
        ) {
            let tasks = weighted(&tasks);
            let (found, gain) = best_edit(&plan, &tasks, 4).unwrap();
            let now = utility(&plan, &tasks);
            prop_assert!((utility(&apply(&plan, found), &tasks) - now - gain).abs() < 1e-5);
            let deletions = (0..plan.len()).filter(|_| plan.len() > 1).map(|at| PlanEdit::Delete { at });
            let insertions = (0..=plan.len()).flat_map(|at| (0..4).map(move |tool| PlanEdit::Insert { at, tool }));
            for other in deletions.chain(insertions) {
                prop_assert!(utility(&apply(&plan, other), &tasks) <= now + gain + 1e-5);
            }
        }
    }
}
