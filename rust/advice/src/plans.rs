//! One plan for a task: the plan of the least expected regret over the successes of the nearest tasks.
//!
//! The utility of a plan is the sum over tasks of weight times the best of 2 LCS / (both lengths) with one of the
//! task's successes. The best of their plans is changed by single deletions and insertions as long as its utility
//! grows.

mod edit;
mod medoid;

use crate::tasks::neighbours::Neighbour;
use crate::tasks::{KnownTask, TaskAttempt, TaskHistory, TaskQuery};
use edit::edit;
use medoid::{FollowedPlan, WeightedTask, best_plan, nearest_to};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::time::Duration;
use tacit_kernels::evidence::decay;
use tacit_kernels::facts::Id;
use tacit_kernels::similarity::lcs::lcs_places;

/// How many tasks are merged, and how many candidates words and domain each propose.
const TASKS: usize = 20;
const CANDIDATES: usize = 64;
/// Added to the similarity of a task of the same domain, and the power of the similarity that is a task's weight.
const SAME_DOMAIN: f64 = 0.3;
const POWER: i32 = 4;
/// How many different plans of one task are considered: those that most of its successes followed.
const MOST_PLANS: usize = 5;
/// The largest number of blocks of 64 places that are compared: if plans are long, fewer of each task are considered.
const MOST_BLOCKS: usize = 4_000_000;

/// One step of a plan, and the weighted share of the merged successes that take it here.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanStep {
    pub tool: String,
    pub share: f64,
}

/// A merged plan; empty before the first success.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<PlanStep>,
    /// Of each merged task the success that is nearest to the plan; the nearest task's first.
    pub episodes: Vec<Id>,
}

/// Old successes weigh less: half for each half-life of their age.
#[derive(Clone, Copy, Debug)]
pub struct PlanDecay {
    /// Microseconds since 1970, UTC.
    pub now: i64,
    pub half_life: Duration,
}

impl PlanDecay {
    fn weight(&self, attempt: &TaskAttempt) -> f64 {
        let age = self.now.saturating_sub(attempt.ended_at).max(0);
        decay(Duration::from_micros(age as u64), self.half_life)
    }
}

pub(super) fn plan(model: &TaskHistory, query: &TaskQuery, limit: usize, fading: Option<PlanDecay>) -> Plan {
    let nearest = nearest_tasks(model, query);
    let (weighted_tasks, names) = weighted_tasks(model, &nearest, fading);
    let Some(best) = best_plan(&weighted_tasks) else { return Plan::default() };
    let best = edit(best, &weighted_tasks, names.len());
    describe(&best, &weighted_tasks, &names, limit)
}

/// The nearest tasks with a success, and their similarity: the mean of words' and characters' cosines, and the domain.
fn nearest_tasks(model: &TaskHistory, query: &TaskQuery) -> Vec<(u32, f64)> {
    let near = candidates(model, query);
    let similarity = |near: &Neighbour| {
        let task = &model.tasks[near.document as usize];
        let is_same = query.known == Some(near.document);
        let text = if is_same { 1.0 } else { f64::from(near.likeness) };
        let domain = if task.domain() == query.domain { SAME_DOMAIN } else { 0.0 };
        (near.document, text + domain)
    };
    let mut nearest: Vec<(u32, f64)> = near.iter().map(similarity).collect();
    nearest
        .sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| model.first(a.0).cmp(&model.first(b.0))));
    nearest.truncate(TASKS);
    nearest
}

/// Tasks with a success that share words with the question, or else its domain, or else any: the newest first.
fn candidates(model: &TaskHistory, query: &TaskQuery) -> Vec<Neighbour> {
    let mut near = model.nearest(query, CANDIDATES, KnownTask::has_success);
    let same = model.nearest(query, CANDIDATES, |task| task.has_success() && task.domain() == query.domain);
    let known: FxHashSet<u32> = near.iter().map(|near| near.document).collect();
    near.extend(same.into_iter().filter(|near| !known.contains(&near.document)));
    let is_missing = |task: &u32| near.iter().all(|near| near.document != *task);
    let own = query.known.filter(|task| model.tasks[*task as usize].has_success()).filter(is_missing);
    near.extend(own.map(|document| Neighbour { document, likeness: 1.0 }));
    if near.len() < TASKS {
        near.extend(others(model, query, &near));
    }
    near
}

fn others(model: &TaskHistory, query: &TaskQuery, near: &[Neighbour]) -> Vec<Neighbour> {
    let is_other = |(number, task): &(usize, &KnownTask)| {
        task.has_success() && near.iter().all(|near| near.document as usize != *number)
    };
    let mut others: Vec<(bool, Reverse<Id>, u32)> = model
        .tasks
        .iter()
        .enumerate()
        .filter(is_other)
        .map(|(number, task)| {
            (task.domain() != query.domain, Reverse(model.first(number as u32)), number as u32)
        })
        .collect();
    let wanted = TASKS - near.len();
    if others.len() > wanted {
        others.select_nth_unstable(wanted);
        others.truncate(wanted);
    }
    others.sort_unstable();
    others.into_iter().map(|(_, _, document)| Neighbour { document, likeness: 0.0 }).collect()
}

/// A plan as it is held, the first success that followed it, and the weight of those that did: 1 each without decay.
type HeldPlan<'a> = (&'a [u32], Id, f64);

/// The tasks with their plans, tools numbered in the order of their names, not of their first use.
fn weighted_tasks<'a>(
    model: &'a TaskHistory,
    nearest: &[(u32, f64)],
    fading: Option<PlanDecay>,
) -> (Vec<WeightedTask>, Vec<&'a str>) {
    let plans: Vec<Vec<HeldPlan<'_>>> =
        nearest.iter().map(|(task, _)| followed_plans(&model.tasks[*task as usize], fading)).collect();
    let tools = tools_of(model, &plans);
    let numbers: FxHashMap<u32, u64> =
        (0u64..).zip(&tools).map(|(number, (_, tool))| (*tool, number)).collect();
    let numbered = |(tools, id, times): &HeldPlan<'_>| FollowedPlan {
        tools: tools.iter().map(|tool| numbers[tool]).collect(),
        id: *id,
        times: *times,
    };
    let most = affordable(&plans);
    let plans = plans.iter().map(|plans| plans.iter().take(most).map(numbered).collect());
    let freshness = nearest.iter().map(|(task, _)| freshness(&model.tasks[*task as usize], fading));
    let weighted_tasks = weights(nearest)
        .into_iter()
        .zip(freshness)
        .map(|(weight, fresh)| weight * fresh)
        .zip(plans)
        .map(|(weight, plans)| WeightedTask { weight, plans })
        .collect();
    (weighted_tasks, tools.into_iter().map(|(name, _)| name).collect())
}

/// The weight of a task's newest success.
fn freshness(task: &KnownTask, fading: Option<PlanDecay>) -> f64 {
    let Some(fading) = fading else { return 1.0 };
    let successes = task.attempts.iter().filter(|attempt| attempt.is_success());
    successes.map(|attempt| fading.weight(attempt)).fold(0.0, f64::max)
}

/// All tasks weigh the same if none is similar.
fn weights(nearest: &[(u32, f64)]) -> Vec<f64> {
    let weights: Vec<f64> = nearest.iter().map(|(_, similarity)| similarity.max(0.0).powi(POWER)).collect();
    if weights.iter().all(|weight| *weight == 0.0) { vec![1.0; weights.len()] } else { weights }
}

/// The names and numbers of the tools of these plans, by name.
fn tools_of<'a>(model: &'a TaskHistory, plans: &[Vec<HeldPlan<'_>>]) -> Vec<(&'a str, u32)> {
    let mut tools: Vec<u32> = plans.iter().flatten().flat_map(|(tools, ..)| tools.iter().copied()).collect();
    tools.sort_unstable();
    tools.dedup();
    let named = |tool: u32| (model.tools.name(tool).unwrap_or_default(), tool);
    let mut tools: Vec<(&str, u32)> = tools.into_iter().map(named).collect();
    tools.sort_unstable();
    tools
}

/// The different plans of a task's successes, those that most followed first, then those that were followed first.
fn followed_plans(task: &KnownTask, fading: Option<PlanDecay>) -> Vec<HeldPlan<'_>> {
    let mut places: FxHashMap<&[u32], usize> = FxHashMap::default();
    let mut plans: Vec<HeldPlan<'_>> = Vec::new();
    for attempt in task.attempts.iter().filter(|attempt| attempt.is_success()) {
        let place = *places.entry(&attempt.plan).or_insert_with(|| {
            plans.push((&attempt.plan, attempt.id, 0.0));
            plans.len() - 1
        });
        plans[place].2 += fading.map_or(1.0, |fading| fading.weight(attempt));
    }
    plans.sort_by(|one, other| other.2.total_cmp(&one.2).then(one.1.cmp(&other.1)));
    plans.truncate(MOST_PLANS);
    plans
}

/// How many plans of each task can be compared with each other.
fn affordable(plans: &[Vec<HeldPlan<'_>>]) -> usize {
    let cost = |most: usize| {
        let lengths = plans.iter().flat_map(|plans| plans.iter().take(most)).map(|(tools, ..)| tools.len());
        let count = |(blocks, steps), length: usize| (blocks + length.div_ceil(64), steps + length);
        let (blocks, steps) = lengths.fold((0, 0), count);
        blocks * steps
    };
    (2..=MOST_PLANS).rev().find(|most| cost(*most) <= MOST_BLOCKS).unwrap_or(1)
}

fn describe(best: &[u64], weighted_tasks: &[WeightedTask], names: &[&str], limit: usize) -> Plan {
    let mut taken = vec![0.0; best.len()];
    let mut episodes = Vec::new();
    let all: f64 = weighted_tasks.iter().map(|task| task.weight).sum();
    for task in weighted_tasks.iter().filter(|task| task.weight > 0.0) {
        let Some(nearest) = nearest_to(best, task) else { continue };
        lcs_places(best, &nearest.tools).iter().for_each(|(place, _)| taken[*place as usize] += task.weight);
        episodes.push(nearest.id);
    }
    episodes.truncate(limit);
    let step = |(tool, taken): (&u64, f64)| PlanStep {
        tool: names[*tool as usize].into(),
        share: (taken / all).min(1.0),
    };
    Plan { steps: best.iter().zip(taken).map(step).collect(), episodes }
}
