//! The tasks of a namespace, each once with its attempts, and the tasks nearest to a text.
//!
//! The history depends on the episodes that it holds, never on their order of arrival.

pub(super) mod neighbours;

use crate::run::{Run, RunStep};
use neighbours::{Neighbour, TextNeighbours, WordRow};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use tacit_kernels::facts::Id;
use tacit_kernels::names::Names;
use tacit_kernels::text_likeness::QueryFeatures;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How many steps of a plan are kept: the first ones.
pub(super) const MOST_STEPS: usize = 1_000;
/// The unit 2^-24 of sums of outcomes, logarithms and rewards: whole numbers add up the same in any order.
const PARTS: f64 = (1 << 24) as f64;

/// A sum that does not depend on the order of its terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ExactSum(i64);

impl ExactSum {
    fn add(&mut self, value: f64, sign: i64) {
        self.0 += sign * (value * PARTS).round() as i64;
    }

    pub(super) fn value(self) -> f64 {
        self.0 as f64 / PARTS
    }
}

/// One episode with an outcome.
#[derive(Clone, Debug)]
pub(super) struct TaskAttempt {
    pub id: Id,
    /// The hash of its text.
    text: u64,
    /// Hashes of names; 0 for no agent.
    pub agent: u64,
    pub domain: u64,
    pub base: f64,
    pub reward: Option<f64>,
    pub steps: u32,
    /// Microseconds since 1970, UTC.
    pub ended_at: i64,
    /// The numbers of the tools of a success, in order, without the steps that failed.
    pub plan: Box<[u32]>,
}

impl TaskAttempt {
    pub(super) fn is_success(&self) -> bool {
        self.base == 1.0
    }
}

/// How one agent's attempts at one task in one domain went.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptCell {
    pub agent: u64,
    pub domain: u64,
    pub trials: u32,
    pub successes: ExactSum,
}

/// Attempts at the same thing.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownTask {
    group: u64,
    /// By id. None: the number is free.
    pub attempts: Vec<TaskAttempt>,
    /// By agent and domain.
    pub cells: Vec<AttemptCell>,
    pub totals: AttemptTotals,
}

impl KnownTask {
    /// The domain of its first attempt.
    pub(super) fn domain(&self) -> u64 {
        self.attempts.first().map_or(0, |attempt| attempt.domain)
    }

    pub(super) fn has_success(&self) -> bool {
        self.totals.successes > 0
    }

    /// The group of its attempts: see `Run::group`.
    pub(super) fn group(&self) -> u64 {
        self.group
    }

    fn count(&mut self, attempt: &TaskAttempt, sign: i64) {
        self.totals.count(attempt, sign);
        let key = (attempt.agent, attempt.domain);
        let place = match self.cells.binary_search_by_key(&key, |cell| (cell.agent, cell.domain)) {
            Ok(place) => place,
            Err(place) => {
                let cell =
                    AttemptCell { agent: key.0, domain: key.1, trials: 0, successes: ExactSum::default() };
                self.cells.insert(place, cell);
                place
            }
        };
        let cell = &mut self.cells[place];
        cell.trials = (i64::from(cell.trials) + sign) as u32;
        cell.successes.add(attempt.base, sign);
        if cell.trials == 0 {
            self.cells.remove(place);
        }
    }
}

/// A text that some episodes have.
#[derive(Debug)]
struct HeldText {
    number: u32,
    features: Arc<QueryFeatures>,
    /// The number of episodes with this text, those without an outcome included.
    episodes: u32,
}

/// Sums over all attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct AttemptTotals {
    pub attempts: u32,
    pub outcomes: ExactSum,
    /// Of successes: how many, their steps, and the logarithms of steps and one.
    pub successes: u32,
    pub steps: ExactSum,
    pub lengths: ExactSum,
    pub squared_lengths: ExactSum,
    /// The rewards of failures and of successes, and how many have one.
    pub rewards: [ExactSum; 2],
    pub rewarded: [u32; 2],
}

impl AttemptTotals {
    fn count(&mut self, attempt: &TaskAttempt, sign: i64) {
        let grown = |count: u32| (i64::from(count) + sign) as u32;
        self.attempts = grown(self.attempts);
        self.outcomes.add(attempt.base, sign);
        if attempt.is_success() {
            let length = f64::from(attempt.steps).ln_1p();
            self.steps.add(f64::from(attempt.steps), sign);
            self.successes = grown(self.successes);
            self.lengths.add(length, sign);
            self.squared_lengths.add(length * length, sign);
        }
        if let Some(reward) = attempt.reward {
            let kind = usize::from(attempt.is_success());
            self.rewards[kind].add(reward, sign);
            self.rewarded[kind] = grown(self.rewarded[kind]);
        }
    }
}

/// The attempts of a namespace by task, with their outcomes and plans.
#[derive(Debug, Default)]
pub(super) struct TaskHistory {
    neighbours: TextNeighbours,
    texts: FxHashMap<u64, HeldText>,
    /// The tasks with an attempt of each text, by the text's number, and how many.
    tasks_of_text: Vec<Vec<(u32, u32)>>,
    free_texts: Vec<u32>,
    /// The texts of episodes without an outcome: they count towards the rarity of words alone.
    without_outcome: FxHashMap<Id, u64>,
    pub(super) tasks: Vec<KnownTask>,
    free: Vec<u32>,
    groups: FxHashMap<u64, u32>,
    task_of_episode: FxHashMap<Id, u32>,
    pub(super) tools: Names,
    pub(super) totals: AttemptTotals,
}

/// A question about a task, ready to be compared.
pub(super) struct TaskQuery {
    pub features: QueryFeatures,
    /// The number of a known task; `None` means a new one.
    pub known: Option<u32>,
    pub agent: u64,
    pub domain: u64,
}

impl TaskHistory {
    /// Takes an episode in; one without an outcome says nothing yet.
    /// Returns true if anything changed.
    pub(super) fn put(&mut self, run: &Run) -> bool {
        let was_held = self.remove(&run.id);
        let text = text_hash(&run.task);
        let text_number = self.hold(&run.task, text);
        let Some(base) = run.base else {
            self.without_outcome.insert(run.id, text);
            return was_held;
        };
        let number = self.task_of(run.group);
        let attempt = self.attempt(run, base);
        match self.tasks_of_text[text_number as usize].iter_mut().find(|(task, _)| *task == number) {
            Some((_, attempts)) => *attempts += 1,
            None => self.tasks_of_text[text_number as usize].push((number, 1)),
        }
        self.totals.count(&attempt, 1);
        self.task_of_episode.insert(run.id, number);
        let task = &mut self.tasks[number as usize];
        task.count(&attempt, 1);
        let place = task.attempts.partition_point(|other| other.id < attempt.id);
        task.attempts.insert(place, attempt);
        true
    }

    fn task_of(&mut self, group: u64) -> u32 {
        if let Some(number) = self.groups.get(&group) {
            return *number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(KnownTask::default());
            self.tasks.len() as u32 - 1
        });
        self.tasks[number as usize].group = group;
        self.groups.insert(group, number);
        number
    }

    fn attempt(&mut self, run: &Run, base: f64) -> TaskAttempt {
        let kept = if run.is_success() { planned_steps(run) } else { Vec::new() };
        TaskAttempt {
            id: run.id,
            text: text_hash(&run.task),
            agent: agent_hash(run),
            domain: name_hash(&run.domain),
            base,
            reward: run.reward_total.filter(|reward| reward.is_finite()),
            steps: run.steps.len() as u32,
            ended_at: run.ended_at,
            plan: kept.iter().map(|step| self.tools.number(&step.tool)).collect(),
        }
    }

    /// Counts an episode of this text; answers the text's number.
    fn hold(&mut self, task: &str, hash: u64) -> u32 {
        let Self { neighbours, texts, tasks_of_text, free_texts, .. } = self;
        let text = texts.entry(hash).or_insert_with(|| {
            let features = Arc::new(QueryFeatures::new(task));
            let number = free_texts.pop().unwrap_or_else(|| {
                tasks_of_text.push(Vec::new());
                tasks_of_text.len() as u32 - 1
            });
            neighbours.put(number, hash, features.clone());
            HeldText { number, features, episodes: 0 }
        });
        text.episodes += 1;
        neighbours.count(&text.features);
        text.number
    }

    fn release(&mut self, hash: u64) {
        let Some(text) = self.texts.get_mut(&hash) else { return };
        self.neighbours.discount(&text.features);
        text.episodes -= 1;
        if text.episodes == 0 {
            self.neighbours.remove(text.number);
            self.free_texts.push(text.number);
            self.texts.remove(&hash);
        }
    }

    /// Returns true if the episode was held.
    pub(super) fn remove(&mut self, id: &Id) -> bool {
        if let Some(text) = self.without_outcome.remove(id) {
            self.release(text);
        }
        let Some(number) = self.task_of_episode.remove(id) else { return false };
        let place = self.tasks[number as usize].attempts.partition_point(|other| other.id < *id);
        let attempt = self.tasks[number as usize].attempts[place].clone();
        self.totals.count(&attempt, -1);
        let task = &mut self.tasks[number as usize];
        task.count(&attempt, -1);
        task.attempts.remove(place);
        let tasks = &mut self.tasks_of_text[self.texts[&attempt.text].number as usize];
        tasks.iter_mut().filter(|(task, _)| *task == number).for_each(|(_, attempts)| *attempts -= 1);
        tasks.retain(|(_, attempts)| *attempts > 0);
        self.release(attempt.text);
        if self.tasks[number as usize].attempts.is_empty() {
            self.groups.remove(&self.tasks[number as usize].group);
            self.tasks[number as usize] = KnownTask::default();
            self.free.push(number);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.task_of_episode.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.task_of_episode.is_empty()
    }

    /// About how many bytes are held.
    pub(super) fn bytes(&self) -> usize {
        let attempts = self.tasks.iter().flat_map(|task| &task.attempts);
        let plans: usize = attempts.map(|attempt| size_of::<TaskAttempt>() + attempt.plan.len() * 4).sum();
        let cells: usize = self.tasks.iter().map(|task| task.cells.len() * size_of::<AttemptCell>()).sum();
        let texts: usize = self.texts.len() * (size_of::<HeldText>() + 64);
        plans
            + cells
            + texts
            + self.tasks.capacity() * size_of::<KnownTask>()
            + self.task_of_episode.capacity() * 21
            + self.groups.capacity() * 13
            + self.neighbours.bytes()
            + self.tools.bytes()
    }

    pub(super) fn ask(&self, run: &Run) -> TaskQuery {
        TaskQuery {
            features: QueryFeatures::new(&run.task),
            known: self.known(run),
            agent: agent_hash(run),
            domain: name_hash(&run.domain),
        }
    }

    /// A task is known by its key; without one by the very same text, and then it is the task that was attempted
    /// under this text most often.
    fn known(&self, run: &Run) -> Option<u32> {
        let by_group = self.groups.get(&run.group).copied();
        if by_group.is_some() || run.task_key.is_some() {
            return by_group;
        }
        let text = self.texts.get(&text_hash(&run.task))?;
        let order =
            |(task, attempts): &&(u32, u32)| (*attempts, std::cmp::Reverse(self.tasks[*task as usize].group));
        self.tasks_of_text[text.number as usize].iter().max_by_key(order).map(|(task, _)| *task)
    }

    /// The wanted tasks that share a word with the query, the nearest first. A task is as near as its nearest text.
    pub(super) fn nearest(
        &self,
        query: &TaskQuery,
        most: usize,
        wanted: impl Fn(&KnownTask) -> bool,
    ) -> Vec<Neighbour> {
        let is_wanted = |task: &u32| wanted(&self.tasks[*task as usize]);
        let has_wanted =
            |text: u32| self.tasks_of_text[text as usize].iter().any(|(task, _)| is_wanted(task));
        let mut near: Vec<Neighbour> = Vec::new();
        let mut seen = FxHashSet::default();
        for text in self.neighbours.nearest(&query.features, most, has_wanted) {
            if near.len() >= most && near.last().is_some_and(|last| last.likeness > text.likeness) {
                break;
            }
            let tasks = self.tasks_of_text[text.document as usize].iter().map(|(task, _)| *task);
            near.extend(
                tasks
                    .filter(|task| is_wanted(task) && seen.insert(*task))
                    .map(|document| Neighbour { document, likeness: text.likeness }),
            );
        }
        near.sort_unstable_by(|a, b| {
            let by_likeness = b.likeness.total_cmp(&a.likeness);
            by_likeness.then_with(|| self.first(a.document).cmp(&self.first(b.document)))
        });
        near.truncate(most);
        near
    }

    /// The cosines between the words of tasks, row by row.
    pub(super) fn word_cosines(&self, tasks: &[u32]) -> Vec<f64> {
        self.neighbours.word_cosines(&self.text_numbers(tasks))
    }

    /// A query's words as a vector of length 1.
    pub(super) fn words_of(&self, query: &TaskQuery) -> WordRow {
        self.neighbours.words_of(&query.features)
    }

    /// The cosine between the words of a query and of each task.
    pub(super) fn word_cosines_with(&self, query: &TaskQuery, tasks: &[u32]) -> Vec<f64> {
        self.neighbours.word_cosines_with(&query.features, &self.text_numbers(tasks))
    }

    /// The number of each task's text: that of its first attempt.
    fn text_numbers(&self, tasks: &[u32]) -> Vec<u32> {
        let text = |task: &u32| self.tasks[*task as usize].attempts.first().map(|attempt| attempt.text);
        tasks.iter().map(|task| text(task).map_or(0, |hash| self.texts[&hash].number)).collect()
    }

    /// The id of a task's first attempt.
    pub(super) fn first(&self, task: u32) -> Id {
        self.tasks[task as usize].attempts.first().map_or([0; 16], |attempt| attempt.id)
    }

    /// Every attempt with the number of its task, by id.
    pub(super) fn by_id(&self) -> Vec<(u32, &TaskAttempt)> {
        let mut all: Vec<(u32, &TaskAttempt)> = Vec::with_capacity(self.len());
        for (number, task) in self.tasks.iter().enumerate() {
            all.extend(task.attempts.iter().map(|attempt| (number as u32, attempt)));
        }
        all.sort_unstable_by_key(|(_, attempt)| attempt.id);
        all
    }

    /// The features of an attempt's text.
    pub(super) fn features_of(&self, attempt: &TaskAttempt) -> Arc<QueryFeatures> {
        self.texts[&attempt.text].features.clone()
    }
}

/// The steps of a success that belong in a plan: those that did not fail, without the same call once more right away. If
/// all failed, all of them.
fn planned_steps(run: &Run) -> Vec<&RunStep> {
    let ordered = run.ordered_steps().into_iter().map(|(step, _)| step);
    let mut steps: Vec<&RunStep> = ordered.clone().filter(|step| step.ok != 0).collect();
    if steps.is_empty() {
        steps = ordered.collect();
    }
    let is_same = |one: &&mut &RunStep, other: &&mut &RunStep| {
        !one.parameters.is_empty() && one.tool == other.tool && one.parameters == other.parameters
    };
    steps.dedup_by(|next, before| is_same(&next, &before));
    steps.truncate(MOST_STEPS);
    steps
}

fn text_hash(task: &str) -> u64 {
    xxh3_64(task.as_bytes())
}

fn agent_hash(run: &Run) -> u64 {
    run.agent.as_deref().map_or(0, name_hash)
}

pub(super) fn name_hash(name: &str) -> u64 {
    xxh3_64_with_seed(name.as_bytes(), 6)
}
