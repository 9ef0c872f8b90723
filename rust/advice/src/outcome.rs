//! The outcome of an attempt: the probability of success, the steps of a success, and the reward.
//!
//! Every task has its own effect on the odds. Of one that was never tried the nearest tasks suggest it, each suggestion
//! weighted as well as it served for the tasks that are known; the attempts at one that was tried move it from there.

mod known_task;
mod mixed_effects;
mod stacking;
mod words;

use crate::halt::Halt;
use crate::reason::Reason;
use crate::tasks::neighbours::{Neighbour, TextNeighbours, WordRow};
use crate::tasks::{AttemptCell, AttemptTotals, KnownTask, TaskAttempt, TaskHistory, TaskQuery};
use known_task::{KnownTaskParts, KnownTaskStack};
use mixed_effects::{Effect, Effects, KnownOffset, Observation, TaskPrior, Trials, sigmoid, variance_around};
use rustc_hash::FxHashMap;
use stacking::{
    FOLDS, NEIGHBOURS, NeighbourEstimates, OFFSETS, StackingCase, StackingWeights, inputs,
    neighbour_estimates,
};
use std::sync::Arc;
use tacit_kernels::evidence::Interval;
use tacit_kernels::facts::Id;
use tacit_kernels::text_likeness::QueryFeatures;
use words::{WordCase, WordEffects};

/// The newest of the episodes that a fit is due for are read, so many at most.
const MOST_ATTEMPTS: usize = 20_000;
/// The number of nearest tasks by the likeness of texts that are weighed by their words.
const CANDIDATES: usize = 64;
/// The largest number of tasks, those of the lowest hashes, that the stacking weights are fitted on.
const MOST_CASES: usize = 384;
/// The largest number of tasks, the newest, that the effects of words are fitted on.
const MOST_WORD_TASKS: usize = 4_096;
/// The normal quantile of 97.5%.
const NORMAL_975: f64 = 1.959_963_984_540_054;
/// How much wider the log-odds are spread than the model says: of few yes-or-no outcomes a group, the Laplace
/// approximation makes the variances of effects too small (Breslow & Lin, Biometrika 82, 1995). In simulations with
/// one to four attempts a task, 95% intervals held the truth 87% of the time without it.
const WIDENING: f64 = 1.3;
/// Comparable episodes: those of so many of the nearest tasks, by squared cosine.
const COMPARABLE: usize = 10;
/// How many comparable successes the namespace's own spread of lengths weighs.
const PRIOR_LENGTHS: f64 = 2.0;
/// Weight of the namespace's mean beside that of comparable episodes.
const MEAN_WEIGHT: f64 = 0.05;

/// A number between bounds that hold it with 95% probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// How an attempt will go.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    pub success: Expected,
    /// The share of success of all episodes, with half a success in one attempt more.
    pub base_rate: f64,
    /// The steps of a success; `None` means that there was none yet.
    pub steps: Option<Expected>,
    /// `None` means that no reward is known.
    pub reward: Option<f64>,
    /// How many episodes are comparable: those of the task itself, or those of similar tasks by squared cosine.
    pub support: f64,
    pub reasons: Vec<Reason>,
}

/// The effects, stacking weights and residual variance of one fit.
///
/// It is fitted on the oldest n episodes, n being the largest of a row of sizes each a sixteenth above the one
/// before: whoever holds the same episodes has the same fit, and it is made again only as often as memory grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutcomeFit {
    /// How many episodes there were, and the first and the last that were learned from.
    size: usize,
    first: Id,
    last: Id,
    is_stale: bool,
    effects: Effects,
    words: WordEffects,
    stack: StackingWeights,
    known: KnownTaskStack,
    /// The variance of tasks' effects around their neighbours' suggestions.
    residual_variance: f64,
}

/// The largest size of a fit that so many episodes are enough for.
fn fit_size(episodes: usize) -> usize {
    let mut size: usize = 0;
    loop {
        let next = size + usize::max(1, size.div_ceil(16));
        if next > episodes {
            return size;
        }
        size = next;
    }
}

/// One attempt of a fit, with its task's number and group and the features of its text.
#[derive(Debug)]
struct DueAttempt {
    id: Id,
    task: u32,
    group: u64,
    agent: u64,
    domain: u64,
    base: f64,
    features: Arc<QueryFeatures>,
}

/// The attempts that the odds are to be fitted on, copied so that questions are answered meanwhile.
#[derive(Debug)]
pub(crate) struct DueAttempts {
    size: usize,
    last: Id,
    newest: Vec<DueAttempt>,
}

impl DueAttempts {
    /// The oldest episodes that a fit is due for, the newest `MOST_ATTEMPTS` of them; `None` means that there are none.
    pub(crate) fn of(model: &TaskHistory) -> Option<Self> {
        let mut attempts = model.by_id();
        attempts.truncate(fit_size(attempts.len()));
        let last = attempts.last()?.1.id;
        let size = attempts.len();
        let due = |(task, attempt): &(u32, &TaskAttempt)| DueAttempt {
            id: attempt.id,
            task: *task,
            group: model.tasks[*task as usize].group(),
            agent: attempt.agent,
            domain: attempt.domain,
            base: attempt.base,
            features: model.features_of(attempt),
        };
        let newest = attempts[size.saturating_sub(MOST_ATTEMPTS)..].iter().map(due).collect();
        Some(Self { size, last, newest })
    }

    /// The first and the last attempt that is learned from.
    pub(crate) fn ends(&self) -> (Id, Id) {
        (self.newest.first().map_or(self.last, |first| first.id), self.last)
    }

    /// None: it was halted.
    pub(crate) fn fit(&self, halt: &Halt) -> Option<OutcomeFit> {
        OutcomeFit::of(self, halt)
    }
}

impl OutcomeFit {
    pub(crate) fn covers(&self, episodes: usize) -> bool {
        !self.is_stale && self.size == fit_size(episodes)
    }

    /// An episode came or changed: if the fit was, or would have been, made from it, another is due.
    pub(super) fn mark_changed(&mut self, id: &Id) {
        self.is_stale |= *id <= self.last;
    }

    pub(crate) fn set_stale(&mut self, is_stale: bool) {
        self.is_stale = is_stale;
    }

    /// An episode was forgotten: what was learned from it is forgotten too.
    pub(super) fn forget(&mut self, id: &Id) {
        if (self.first..=self.last).contains(id) {
            *self = Self::default();
        }
        self.mark_changed(id);
    }

    /// The prior of a history that nothing was fitted on yet: every task has the odds of the base rate.
    fn before_any(model: &TaskHistory) -> Self {
        let mut prior = Self::default();
        if !model.is_empty() {
            prior.effects.set_mean(mixed_effects::logit(base_rate(model)));
        }
        prior
    }

    /// None: it was halted.
    fn of(attempts: &DueAttempts, halt: &Halt) -> Option<Self> {
        let (size, (first, last)) = (attempts.size, attempts.ends());
        let columns = FitColumns::new(&attempts.newest);
        let fitted = mixed_effects::fit(&columns.observations);
        let effects = Effects::new(&fitted, &columns.agents, &columns.domains, &columns.pairs);
        halt.go_on()?;
        let space = columns.space();
        let rows = columns.word_rows(&space);
        let words = columns.word_effects(&effects, &rows, |_| true);
        let held_out = columns.held_out(&rows, halt)?;
        let neighbour_cases =
            columns.neighbour_cases(&space, &effects, fitted.task_effects(), held_out, halt)?;
        let cases: Vec<_> = neighbour_cases.iter().map(|one| one.cases().collect()).collect();
        let stack = StackingWeights::fit(&cases);
        let around: Vec<(f64, Vec<Trials>)> = neighbour_cases
            .iter()
            .map(|one| (stack.suggestion(&one.estimates), one.trials.clone()))
            .collect();
        let residual_variance = variance_around(&around, effects.task_variance());
        let known = KnownTaskStack::default();
        let mut fit =
            Self { size, first, last, is_stale: false, effects, words, stack, known, residual_variance };
        let tasks: Vec<_> =
            neighbour_cases.iter().map(|one| (fit.prior(&one.estimates), one.trials.as_slice())).collect();
        fit.known = KnownTaskStack::fit(&tasks);
        Some(fit)
    }

    /// The effect of a task by its attempts alone.
    fn task(&self, task: &KnownTask) -> Effect {
        self.effects.any_task().after(&self.trials_of(task))
    }

    fn trials_of(&self, task: &KnownTask) -> Vec<Trials> {
        let of = |cell: &AttemptCell| Trials {
            offset: self.effects.offset(cell.agent, cell.domain).sum(),
            trials: f64::from(cell.trials),
            successes: cell.successes.value(),
        };
        task.cells.iter().map(of).collect()
    }

    fn estimates(
        &self,
        model: &TaskHistory,
        query: &TaskQuery,
        near: &[TaskNeighbour],
    ) -> NeighbourEstimates {
        let tasks: Vec<u32> = near.iter().map(|near| near.task).collect();
        let effects: Vec<Effect> = tasks.iter().map(|task| self.task(&model.tasks[*task as usize])).collect();
        let between = model.word_cosines(&tasks);
        let words = self.words.effect(&model.words_of(query));
        neighbour_estimates(&cosines(near), &between, &effects, self.effects.task_variance(), words)
    }

    /// The prior of a task's effect by its neighbours: never narrower than their error for the known tasks,
    /// and the prior of any task if they did not help.
    fn prior(&self, estimates: &NeighbourEstimates) -> TaskPrior {
        let variance = self.effects.task_variance();
        if self.residual_variance >= variance {
            return self.effects.any_task();
        }
        let unexplained = variance - estimates.explained;
        TaskPrior {
            mean: self.stack.suggestion(estimates),
            variance: unexplained.max(self.residual_variance),
        }
    }
}

/// A task and the cosine of its words with those of another text.
pub(super) struct TaskNeighbour {
    pub(super) task: u32,
    cosine: f64,
}

/// The nearest candidates by the cosine of words, function words included: the
/// wording of a task ("how many", "for each") tells how hard it is, whatever it is about.
fn nearest_by_words(
    candidates: &[Neighbour],
    cosines: &[f64],
    first: impl Fn(u32) -> Id,
) -> Vec<TaskNeighbour> {
    let neighbour =
        |(near, cosine): (&Neighbour, &f64)| TaskNeighbour { task: near.document, cosine: *cosine };
    let mut near: Vec<TaskNeighbour> = candidates.iter().zip(cosines).map(neighbour).collect();
    near.sort_unstable_by(|a, b| {
        b.cosine.total_cmp(&a.cosine).then_with(|| first(a.task).cmp(&first(b.task)))
    });
    near.truncate(NEIGHBOURS);
    near
}

fn cosines(near: &[TaskNeighbour]) -> Vec<f64> {
    near.iter().map(|near| near.cosine).collect()
}

/// Groups in order of first use.
struct GroupNumbers<K> {
    places: FxHashMap<K, u32>,
    names: Vec<K>,
}

impl<K: Copy + Eq + std::hash::Hash> GroupNumbers<K> {
    fn new() -> Self {
        Self { places: FxHashMap::default(), names: Vec::new() }
    }

    fn number(&mut self, name: K) -> u32 {
        *self.places.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() as u32 - 1
        })
    }
}

/// The attempts of a fit, those of the same groups together.
struct FitColumns<'a> {
    observations: Vec<Observation>,
    agents: Vec<u64>,
    domains: Vec<u64>,
    pairs: Vec<(u64, u64)>,
    /// The first attempt at each task.
    tasks: Vec<&'a DueAttempt>,
}

impl<'a> FitColumns<'a> {
    fn new(attempts: &'a [DueAttempt]) -> Self {
        let (mut agents, mut domains, mut pairs, mut tasks) =
            (GroupNumbers::new(), GroupNumbers::new(), GroupNumbers::new(), GroupNumbers::new());
        let mut cells = GroupNumbers::new();
        let mut observations: Vec<Observation> = Vec::new();
        let mut firsts = Vec::new();
        for attempt in attempts {
            let pair = pairs.number((attempt.agent, attempt.domain));
            let task = tasks.number(attempt.task);
            if task as usize == firsts.len() {
                firsts.push(attempt);
            }
            let groups = [agents.number(attempt.agent), domains.number(attempt.domain), pair, task];
            let cell = cells.number(groups) as usize;
            if cell == observations.len() {
                observations.push(Observation { groups, trials: 0.0, successes: 0.0 });
            }
            observations[cell].trials += 1.0;
            observations[cell].successes += attempt.base;
        }
        Self { observations, agents: agents.names, domains: domains.names, pairs: pairs.names, tasks: firsts }
    }

    /// The neighbours' estimates for some of the tasks, each left out of its own neighbours, with its attempts.
    fn neighbour_cases(
        &self,
        space: &TextNeighbours,
        effects: &Effects,
        known: &[Effect],
        mut held_out: Vec<HeldOutTask>,
        halt: &Halt,
    ) -> Option<Vec<NeighbourCase>> {
        let trials = self.trials_of(effects);
        let mut case = |task: u32| {
            halt.go_on()?;
            let mut candidates = space.nearest_to(task, CANDIDATES);
            candidates.truncate(CANDIDATES);
            let texts: Vec<u32> = candidates.iter().map(|near| near.document).collect();
            let cosines_with_task = space.word_cosines_with(space.features(task), &texts);
            let near = nearest_by_words(&candidates, &cosines_with_task, |task| self.tasks[task as usize].id);
            let tasks: Vec<u32> = near.iter().map(|near| near.task).collect();
            let neighbours: Vec<Effect> = tasks.iter().map(|task| known[*task as usize]).collect();
            let between = space.word_cosines(&tasks);
            let estimates = neighbour_estimates(
                &cosines(&near),
                &between,
                &neighbours,
                effects.task_variance(),
                held_out[task as usize].words,
            );
            let offsets = std::mem::take(&mut held_out[task as usize].offsets);
            Some(NeighbourCase { estimates, trials: trials[task as usize].clone(), offsets })
        };
        self.case_tasks().into_iter().map(&mut case).collect()
    }

    /// The words of each task; their rarity is that among the tasks of the fit.
    fn word_rows(&self, space: &TextNeighbours) -> Vec<WordRow> {
        (0..self.tasks.len() as u32).map(|task| space.words_of(space.features(task))).collect()
    }

    /// The effects of words by the newest of the wanted tasks.
    fn word_effects(
        &self,
        effects: &Effects,
        rows: &[WordRow],
        wanted: impl Fn(usize) -> bool,
    ) -> WordEffects {
        let trials = self.trials_of(effects);
        let first = rows.len().saturating_sub(MOST_WORD_TASKS);
        let chosen = (first..rows.len()).filter(|task| wanted(*task));
        let cases: Vec<WordCase<'_>> =
            chosen.map(|task| WordCase { row: &rows[task], trials: &trials[task] }).collect();
        WordEffects::fit(&cases)
    }

    /// Every task as a fit without its fold sees it: folds by the order of the tasks' hashes.
    fn held_out(&self, rows: &[WordRow], halt: &Halt) -> Option<Vec<HeldOutTask>> {
        let places = places_by_hash(&self.tasks);
        let fold = |task: u32| places[task as usize] % FOLDS;
        let mut found: Vec<HeldOutTask> = self.tasks.iter().map(|_| HeldOutTask::default()).collect();
        for held in 0..FOLDS.min(self.tasks.len()) {
            halt.go_on()?;
            let others = self.part(|task| fold(task) != held);
            let fitted = mixed_effects::fit(&others.observations);
            let effects = Effects::new(&fitted, &others.agents, &others.domains, &others.pairs);
            let words = self.word_effects(&effects, rows, |task| fold(task as u32) != held);
            for Observation { groups: [agent, domain, _, task], .. } in &self.observations {
                if fold(*task) == held {
                    let offset = effects.offset(self.agents[*agent as usize], self.domains[*domain as usize]);
                    found[*task as usize].offsets.push(offset.inputs());
                }
            }
            for (task, row) in rows.iter().enumerate().filter(|(task, _)| fold(*task as u32) == held) {
                found[task].words = words.effect(row);
            }
        }
        Some(found)
    }

    /// The attempts at some of the tasks; their groups are numbered anew.
    fn part(&self, wanted: impl Fn(u32) -> bool) -> Self {
        let (mut agents, mut domains, mut pairs, mut tasks) =
            (GroupNumbers::new(), GroupNumbers::new(), GroupNumbers::new(), GroupNumbers::new());
        let mut observations = Vec::new();
        for observation in self.observations.iter().filter(|observation| wanted(observation.groups[3])) {
            let [agent, domain, pair, task] = observation.groups.map(|group| group as usize);
            let groups = [
                agents.number(self.agents[agent]),
                domains.number(self.domains[domain]),
                pairs.number(self.pairs[pair]),
                tasks.number(task),
            ];
            observations.push(Observation { groups, ..*observation });
        }
        let tasks = tasks.names.into_iter().map(|task| self.tasks[task]).collect();
        Self { observations, agents: agents.names, domains: domains.names, pairs: pairs.names, tasks }
    }

    /// The attempts at each task.
    fn trials_of(&self, effects: &Effects) -> Vec<Vec<Trials>> {
        let mut by_task = vec![Vec::new(); self.tasks.len()];
        for Observation { groups: [agent, domain, _, task], trials, successes } in &self.observations {
            let offset = effects.offset(self.agents[*agent as usize], self.domains[*domain as usize]).sum();
            by_task[*task as usize].push(Trials { offset, trials: *trials, successes: *successes });
        }
        by_task
    }

    fn space(&self) -> TextNeighbours {
        let mut space = TextNeighbours::default();
        for (place, first) in self.tasks.iter().enumerate() {
            space.count(&first.features);
            space.put(place as u32, place as u64, first.features.clone());
        }
        space
    }

    fn case_tasks(&self) -> Vec<u32> {
        let mut case_tasks: Vec<u32> = (0..self.tasks.len() as u32).collect();
        case_tasks.sort_unstable_by_key(|task| self.tasks[*task as usize].group);
        case_tasks.truncate(MOST_CASES);
        case_tasks
    }
}

/// The place of each task in the order of their hashes.
fn places_by_hash(tasks: &[&DueAttempt]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.sort_unstable_by_key(|task| tasks[*task].group);
    let mut places = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(place, task)| places[task] = place);
    places
}

/// The neighbours' estimates for a task, and its attempts.
struct NeighbourCase {
    estimates: NeighbourEstimates,
    trials: Vec<Trials>,
    /// For each of `trials` the parts of its log-odds by a fit without the task.
    offsets: Vec<[f64; OFFSETS]>,
}

/// The log-odds that a fit without a task gives to its attempts.
#[derive(Clone, Debug, Default)]
struct HeldOutTask {
    /// In the order of the task's observations.
    offsets: Vec<[f64; OFFSETS]>,
    words: f64,
}

impl NeighbourCase {
    fn cases(&self) -> impl Iterator<Item = StackingCase<{ stacking::INPUTS }>> {
        let case = |(trials, offsets): (&Trials, &[f64; OFFSETS])| StackingCase {
            inputs: inputs(offsets, &self.estimates),
            trials: trials.trials,
            successes: trials.successes,
        };
        self.trials.iter().zip(&self.offsets).map(case)
    }
}

/// One part of the log-odds.
type LogOddsPart = (&'static str, f64);

/// The log-odds as parts, and their variance.
struct LogOdds {
    base: f64,
    parts: Vec<LogOddsPart>,
    variance: f64,
}

/// The share of success of all episodes, with half a success in one attempt more.
fn base_rate(model: &TaskHistory) -> f64 {
    Interval::mean_of(model.totals.outcomes.value(), f64::from(model.totals.attempts))
}

pub(super) fn predict(model: &TaskHistory, fit: &OutcomeFit, query: &TaskQuery) -> Prediction {
    if fit.size == 0 && !model.is_empty() {
        return predict_by(model, &OutcomeFit::before_any(model), query);
    }
    predict_by(model, fit, query)
}

fn predict_by(model: &TaskHistory, fit: &OutcomeFit, query: &TaskQuery) -> Prediction {
    let offset = fit.effects.offset(query.agent, query.domain);
    let near = neighbours(model, query);
    let comparable = comparable(query, &near);
    let estimates = fit.estimates(model, query, &near);
    let odds = match query.known {
        Some(task) => known_task_odds(fit, &offset, &estimates, &model.tasks[task as usize]),
        None => new_task_odds(fit, &offset, &estimates),
    };
    let base_rate = base_rate(model);
    let weight =
        |(task, weight): &(u32, f64)| weight * f64::from(model.tasks[*task as usize].totals.attempts);
    let support = comparable.iter().map(weight).sum();
    let (success, reasons) = match offset.is_known || support > 0.0 {
        true => from_log_odds(&odds),
        false => from_base_rate(model, base_rate, &odds),
    };
    let similar = SimilarTasks::new(model, &comparable, &near);
    Prediction {
        base_rate,
        steps: similar.steps(&model.totals),
        reward: similar.reward(&model.totals, success.value),
        support,
        success,
        reasons,
    }
}

/// The nearest tasks, the task itself not among them.
pub(super) fn neighbours(model: &TaskHistory, query: &TaskQuery) -> Vec<TaskNeighbour> {
    let mut candidates = model.nearest(query, CANDIDATES + usize::from(query.known.is_some()), |_| true);
    candidates.retain(|near| Some(near.document) != query.known);
    candidates.truncate(CANDIDATES);
    let tasks: Vec<u32> = candidates.iter().map(|near| near.document).collect();
    nearest_by_words(&candidates, &model.word_cosines_with(query, &tasks), |task| model.first(task))
}

fn comparable(query: &TaskQuery, near: &[TaskNeighbour]) -> Vec<(u32, f64)> {
    match query.known {
        Some(task) => vec![(task, 1.0)],
        None => by_squared_cosine(near),
    }
}

fn by_squared_cosine(near: &[TaskNeighbour]) -> Vec<(u32, f64)> {
    near.iter().take(COMPARABLE).map(|near| (near.task, near.cosine.powi(2))).collect()
}

fn known_task_odds(
    fit: &OutcomeFit,
    offset: &KnownOffset,
    estimates: &NeighbourEstimates,
    task: &KnownTask,
) -> LogOdds {
    let prior = fit.prior(estimates);
    let parts = KnownTaskParts::new(&prior, &fit.trials_of(task));
    let [before, own, unanimous, constant] = fit.known.0.0;
    let [agent, domain, pair] = offset.effects.map(|effect| before * effect);
    let similar = ("similar_tasks", before * prior.mean);
    let task = ("task", own * parts.own + unanimous * parts.unanimous);
    LogOdds {
        base: before * offset.mean + constant,
        parts: vec![("agent", agent), ("domain", domain), ("agent_in_domain", pair), similar, task],
        variance: before * before * offset.variance + own * own / parts.precision,
    }
}

fn new_task_odds(fit: &OutcomeFit, offset: &KnownOffset, estimates: &NeighbourEstimates) -> LogOdds {
    let stack = &fit.stack;
    let (weights, constant) = stack.offsets();
    let [agent, domain, pair] = offset.effects;
    let [of_agent, of_domain, of_pair] = weights;
    let similar = ("similar_tasks", stack.suggestion(estimates));
    LogOdds {
        base: of_agent * offset.mean + constant,
        parts: vec![
            ("agent", of_agent * agent),
            ("domain", of_domain * domain),
            ("agent_in_domain", of_pair * pair),
            similar,
        ],
        variance: of_agent * of_agent * offset.variance + fit.prior(estimates).variance,
    }
}

/// Each part counts for its share of the way from the base to the probability.
fn from_log_odds(odds: &LogOdds) -> (Expected, Vec<Reason>) {
    let sum: f64 = odds.parts.iter().map(|(_, value)| value).sum();
    let (z, spread) = (odds.base + sum, WIDENING * NORMAL_975 * odds.variance.sqrt());
    let (base, value) = (sigmoid(odds.base), sigmoid(z));
    let weight = if sum.abs() > 1e-9 { (value - base) / sum } else { base * (1.0 - base) };
    let mut reasons = vec![Reason { signal: "base", value: base, weight: 1.0 }];
    let mark_changed = odds.parts.iter().filter(|(_, value)| *value != 0.0);
    reasons.extend(mark_changed.map(|(signal, value)| Reason { signal, value: *value, weight }));
    (Expected { value, low: sigmoid(z - spread), high: sigmoid(z + spread) }, reasons)
}

/// The base rate, within bounds that hold it.
fn from_base_rate(model: &TaskHistory, base_rate: f64, odds: &LogOdds) -> (Expected, Vec<Reason>) {
    let (low, high) = match model.is_empty() {
        true => {
            let nothing = Interval::from_counts(0.0, 0.0);
            (nothing.low, nothing.high)
        }
        false => {
            let (z, spread) = (mixed_effects::logit(base_rate), WIDENING * NORMAL_975 * odds.variance.sqrt());
            (sigmoid(z - spread), sigmoid(z + spread))
        }
    };
    let reasons = vec![Reason { signal: "base", value: base_rate, weight: 1.0 }];
    (Expected { value: base_rate, low, high }, reasons)
}

/// Weighted sums over comparable episodes.
#[derive(Default)]
struct SimilarTasks {
    /// Of successes: weight, steps, logarithms of steps and one, and their squares.
    lengths: [f64; 4],
    /// Of failures and of successes: weight, and rewards.
    rewards: [[f64; 2]; 2],
}

impl SimilarTasks {
    /// If the task has no success of its own, the lengths are those of similar tasks.
    fn new(model: &TaskHistory, comparable: &[(u32, f64)], near: &[TaskNeighbour]) -> Self {
        let mut similar = Self::default();
        comparable
            .iter()
            .for_each(|(task, weight)| similar.add_rewards(&model.tasks[*task as usize].totals, *weight));
        comparable
            .iter()
            .for_each(|(task, weight)| similar.add_lengths(&model.tasks[*task as usize].totals, *weight));
        if similar.lengths[0] == 0.0 {
            let others = by_squared_cosine(near);
            others
                .iter()
                .for_each(|(task, weight)| similar.add_lengths(&model.tasks[*task as usize].totals, *weight));
        }
        similar
    }

    fn add_lengths(&mut self, totals: &AttemptTotals, weight: f64) {
        let sums = [
            f64::from(totals.successes),
            totals.steps.value(),
            totals.lengths.value(),
            totals.squared_lengths.value(),
        ];
        self.lengths.iter_mut().zip(sums).for_each(|(sum, value)| *sum += weight * value);
    }

    fn add_rewards(&mut self, totals: &AttemptTotals, weight: f64) {
        for (kind, sums) in self.rewards.iter_mut().enumerate() {
            sums[0] += weight * f64::from(totals.rewarded[kind]);
            sums[1] += weight * totals.rewards[kind].value();
        }
    }

    /// Lengths are log-normal: around those of comparable successes, as widely as they and all others vary.
    fn steps(&self, all: &AttemptTotals) -> Option<Expected> {
        if all.successes == 0 {
            return None;
        }
        let count = f64::from(all.successes);
        let [mean_steps, mean, square] =
            [all.steps, all.lengths, all.squared_lengths].map(|sum| sum.value() / count);
        let [weight, steps, lengths, squares] = self.lengths;
        let value = (steps + MEAN_WEIGHT * mean_steps) / (weight + MEAN_WEIGHT);
        let centre = (lengths + MEAN_WEIGHT * mean) / (weight + MEAN_WEIGHT);
        let around = (squares - 2.0 * centre * lengths + centre * centre * weight).max(0.0);
        let spread_of_all = ((square - mean * mean).max(0.0) * count + 1.0) / (count + 1.0);
        let variance = (around + PRIOR_LENGTHS * spread_of_all) / (weight + PRIOR_LENGTHS);
        let spread = NORMAL_975 * (variance * (1.0 + 1.0 / (weight + 1.0))).sqrt();
        let [low, high] = [centre - spread, centre + spread].map(|length| length.exp_m1().max(0.0));
        Some(Expected { value, low: low.min(value), high: high.max(value) })
    }

    /// The expected reward: `failed + (succeeded - failed) p` of the mean rewards; `None` means that none is known.
    fn reward(&self, all: &AttemptTotals, success: f64) -> Option<f64> {
        let worth = |kind: usize| {
            let mean = match all.rewarded[kind] {
                0 => return None,
                count => all.rewards[kind].value() / f64::from(count),
            };
            let [weight, sum] = self.rewards[kind];
            Some((sum + MEAN_WEIGHT * mean) / (weight + MEAN_WEIGHT))
        };
        match (worth(0), worth(1)) {
            (Some(failed), Some(succeeded)) => Some(failed + (succeeded - failed) * success),
            (failed, succeeded) => succeeded.or(failed),
        }
    }
}
