//! The tasks of a namespace: every task once, with its attempts, and which tasks are nearest to a text.
//!
//! What is held depends on which episodes are held, never on the order in which they came.

mod texts;
pub(super) mod words;

use crate::run::Run;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tacit_kernels::facts::Id;
use tacit_kernels::names::Names;
use texts::{TaskTexts, WordCount, word_counts};
use words::{Neighbour, TermCount, TermVectors};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How many steps of a plan are kept: the first ones.
pub(super) const MOST_STEPS: usize = 1_000;
/// Parts of one in which outcomes, logarithms and rewards are summed: whole numbers add up the same in any order.
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
    /// What its text is held by.
    text: u64,
    /// Hashes of names; 0 for no agent.
    pub agent: u64,
    pub domain: u64,
    pub base: f64,
    pub reward: Option<f64>,
    pub steps: u32,
    /// The numbers of the tools of a success, in order.
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
    /// Its first attempt says what its text and its domain are.
    pub(super) fn domain(&self) -> u64 {
        self.attempts.first().map_or(0, |attempt| attempt.domain)
    }

    pub(super) fn has_success(&self) -> bool {
        self.totals.successes > 0
    }

    /// What its attempts are known by.
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

/// A text that some attempts have.
#[derive(Debug)]
struct HeldText {
    terms: Arc<[TermCount]>,
    /// The tasks with an attempt of this text, and how many.
    tasks: Vec<(u32, u32)>,
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

/// What a namespace's episodes say of tasks: how they go, and by which plan.
#[derive(Debug, Default)]
pub(super) struct TaskHistory {
    texts: TaskTexts,
    texts_by_hash: FxHashMap<u64, HeldText>,
    pub(super) tasks: Vec<KnownTask>,
    free: Vec<u32>,
    groups: FxHashMap<u64, u32>,
    task_of_episode: FxHashMap<Id, u32>,
    pub(super) tools: Names,
    pub(super) totals: AttemptTotals,
}

/// A question about a task, ready to be compared.
pub(super) struct TaskQuery {
    words: Vec<WordCount>,
    term_query: words::TermQuery,
    /// The number of the task where it is known.
    pub known: Option<u32>,
    pub agent: u64,
    pub domain: u64,
}

impl TaskHistory {
    /// Takes an episode in; one without an outcome says nothing yet.
    /// Returns whether anything changed.
    pub(super) fn put(&mut self, run: &Run) -> bool {
        let was_held = self.remove(&run.id);
        let Some(base) = run.base else { return was_held };
        let number = self.task_of(run.group);
        let attempt = self.attempt(run, base);
        self.hold(&run.task, attempt.text, number);
        self.totals.count(&attempt, 1);
        self.task_of_episode.insert(run.id, number);
        self.change(number, |task| {
            task.count(&attempt, 1);
            let place = task.attempts.partition_point(|other| other.id < attempt.id);
            task.attempts.insert(place, attempt);
        });
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
        let kept = if run.is_success() { &run.steps[..run.steps.len().min(MOST_STEPS)] } else { &[] };
        TaskAttempt {
            id: run.id,
            text: text_hash(&run.task),
            agent: agent_hash(run),
            domain: name_hash(&run.domain),
            base,
            reward: run.reward_total.filter(|reward| reward.is_finite()),
            steps: run.steps.len() as u32,
            plan: kept.iter().map(|step| self.tools.number(&step.tool)).collect(),
        }
    }

    fn hold(&mut self, task: &str, hash: u64, number: u32) {
        let Self { texts, texts_by_hash, .. } = self;
        let text = texts_by_hash
            .entry(hash)
            .or_insert_with(|| HeldText { terms: texts.hold(&word_counts(task)), tasks: Vec::new() });
        match text.tasks.iter_mut().find(|(task, _)| *task == number) {
            Some((_, attempts)) => *attempts += 1,
            None => text.tasks.push((number, 1)),
        }
    }

    fn release(&mut self, hash: u64, number: u32) {
        let Some(text) = self.texts_by_hash.get_mut(&hash) else { return };
        text.tasks.iter_mut().filter(|(task, _)| *task == number).for_each(|(_, attempts)| *attempts -= 1);
        text.tasks.retain(|(_, attempts)| *attempts > 0);
        if text.tasks.is_empty() {
            self.texts.release(&text.terms);
            self.texts_by_hash.remove(&hash);
        }
    }

    /// Returns whether the episode was held.
    pub(super) fn remove(&mut self, id: &Id) -> bool {
        let Some(number) = self.task_of_episode.remove(id) else { return false };
        let place = self.tasks[number as usize].attempts.partition_point(|other| other.id < *id);
        let attempt = self.tasks[number as usize].attempts[place].clone();
        self.totals.count(&attempt, -1);
        self.change(number, |task| {
            task.count(&attempt, -1);
            task.attempts.remove(place);
        });
        self.release(attempt.text, number);
        if self.tasks[number as usize].attempts.is_empty() {
            self.groups.remove(&self.tasks[number as usize].group);
            self.tasks[number as usize] = KnownTask::default();
            self.free.push(number);
        }
        true
    }

    /// Changes a task's attempts; where another one is the first then, the task has that one's text.
    fn change(&mut self, number: u32, change: impl FnOnce(&mut KnownTask)) {
        let task = &mut self.tasks[number as usize];
        let before = task.attempts.first().map(|attempt| attempt.id);
        change(task);
        let first = task.attempts.first().map(|attempt| (attempt.id, attempt.text));
        if before == first.map(|(id, _)| id) {
            return;
        }
        if before.is_some() {
            self.texts.remove(number);
        }
        if let Some((id, text)) = first {
            self.texts.put(number, id, self.texts_by_hash[&text].terms.clone());
        }
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
        let texts: usize =
            self.texts_by_hash.values().map(|text| text.terms.len() * 4 + size_of::<HeldText>() + 32).sum();
        plans
            + cells
            + texts
            + self.tasks.capacity() * size_of::<KnownTask>()
            + self.task_of_episode.capacity() * 21
            + self.groups.capacity() * 13
            + self.texts.bytes()
            + self.tools.bytes()
    }

    /// Whether a question can be answered without settling first.
    pub(super) fn is_settled(&self) -> bool {
        self.texts.space.is_settled()
    }

    /// Brings up to date what depends on many episodes at once; questions are asked of a settled model.
    pub(super) fn settle(&mut self) {
        self.texts.space.settle();
    }

    pub(super) fn ask(&self, run: &Run) -> TaskQuery {
        let words = word_counts(&run.task);
        TaskQuery {
            term_query: self.texts.question(&words),
            words,
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
        let text = self.texts_by_hash.get(&text_hash(&run.task))?;
        let order =
            |(task, attempts): &&(u32, u32)| (*attempts, std::cmp::Reverse(self.tasks[*task as usize].group));
        text.tasks.iter().max_by_key(order).map(|(task, _)| *task)
    }

    /// The wanted tasks that share a word with the question, the nearest first.
    pub(super) fn nearest(
        &self,
        query: &TaskQuery,
        most: usize,
        wanted: impl Fn(&KnownTask) -> bool,
    ) -> Vec<Neighbour> {
        self.texts.space.nearest(&query.term_query, most, |number| wanted(&self.tasks[number as usize]))
    }

    pub(super) fn character_cosines(&self, query: &TaskQuery, near: &[Neighbour]) -> Vec<f32> {
        self.texts.character_cosines(&query.words, near)
    }

    pub(super) fn space(&self) -> &TermVectors {
        &self.texts.space
    }

    /// The id of a task's first attempt.
    pub(super) fn first(&self, task: u32) -> Id {
        self.texts.space.first(task)
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

    /// The words of a task's text.
    pub(super) fn terms_of(&self, attempt: &TaskAttempt) -> Arc<[TermCount]> {
        self.texts_by_hash[&attempt.text].terms.clone()
    }
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
