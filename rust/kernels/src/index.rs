//! The in-memory retrieval index: everything that recall reads, kept in step with the store by its changes.

use crate::evidence::{Compared, Interval, Ledger, OddsRatio, Slice, Summary};
use crate::facts::{Fact, Id, PatternKind};
use crate::msgpack::Malformed;
use crate::names::Names;
use crate::similarity::lcs::lcs_ratio;
use crate::text::TextVersion;
use rustc_hash::FxHashMap;
use std::sync::Mutex;

mod attempted;
mod attempts;
mod choices;
mod counted;
mod entry;
mod index_image;
mod lexical;
mod merges;
mod namespace_index;
mod plans;
mod query;
mod search;
mod searchable;
mod statistics;
mod supporting;
mod symbols;
mod task_members;
mod taught;
mod usage;

pub use attempts::TaskAttempts;
pub use choices::{Choices, Chooser, StepChoice};
use counted::Counted;
pub use entry::{Entry, EpisodeRow, Recovery, group_of};
use merges::Merges;
pub use namespace_index::MergePlan;
use namespace_index::{Ledgers, NamespaceIndex};
pub use plans::{PlanCluster, Plans};
pub use query::{DEFAULT_WEIGHTS, Hit, Query, RecallLimits, Recalled, SIGNALS, Signal, Weights};
use search::Scratch;
pub use statistics::{Measures, Medians};
pub use supporting::SupportedPattern;
use supporting::{SupportingPatterns, best_used};
use symbols::FINISH;
pub use usage::{SideRecordEntry, SideRecordRow, Usage};

/// The version of the image and of everything that it was worked out by. Raise it whenever the same episodes would give
/// other bytes: an image of another version is not read.
pub const IMAGE_VERSION: u32 = 1;

/// A change of one episode in the store.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// The episode is there and learned from, perhaps not for the first time.
    Put(EpisodeRow<'a>),
    /// The episode is gone, or not learned from yet.
    Remove(Id),
}

/// A change, ready to be applied.
#[derive(Clone, Debug)]
pub enum PreparedChange {
    Put(Box<Entry>),
    Remove(Id),
}

/// A row that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub id: Id,
    pub why: Malformed,
}

/// One tool that may come next, by name; none for finishing.
#[derive(Clone, Debug, PartialEq)]
pub struct NextStep {
    pub tool: Option<String>,
    /// Shares of all next steps sum to 1.
    pub share: f64,
    /// The times that it came next after the longest run of last steps that was seen, and the times that this run
    /// was seen.
    pub seen: u32,
    pub of: u32,
    /// The length of that run.
    pub context: usize,
}

/// The limits of an answer, beside those of its recall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerLimits {
    /// How alike an episode's text and the task's must be for the episode to be comparable: `Hit::is_comparable`.
    pub relevance_floor: f64,
    pub patterns: usize,
    pub pitfalls: usize,
    pub next_steps: usize,
    /// The best successes of each hit's task that are named.
    pub successes: usize,
}

/// A recall with everything that stands behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The comparable hits, best first, each with the attempts at its task.
    pub hits: Vec<(Hit, TaskAttempts)>,
    pub missing: Vec<Signal>,
    /// The patterns that stand behind the nearest episodes: those that work, then those that surely fail. Without a
    /// comparable hit there are none.
    pub working: Vec<(SupportedPattern, Option<Usage>)>,
    pub failing: Vec<(SupportedPattern, Option<Usage>)>,
    pub next_steps: Vec<NextStep>,
}

/// One attempt at a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub id: Id,
    /// The share of success.
    pub base: Option<f64>,
    pub tools: Vec<String>,
}

/// The judged attempts at a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EarlierAttempts {
    pub failed: usize,
    pub has_success: bool,
    /// The tools of the latest failure by id.
    pub last_failed: Vec<String>,
}

/// The best proven way out of an error.
#[derive(Clone, Debug, PartialEq)]
pub struct BestRecovery {
    pub next: String,
    pub successes: f64,
    pub trials: u64,
}

/// The size of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub episodes: usize,
    pub namespaces: usize,
    pub terms: usize,
    pub bytes: usize,
}

/// The index of the episodes whose vectors one embedder made.
///
/// It depends on the episodes that it holds, not on the order in which they came, nor on those that were removed.
pub struct Index {
    embedder: String,
    dimension: usize,
    sequence: i64,
    names: Names,
    spaces: FxHashMap<Box<str>, u32>,
    all: Vec<NamespaceIndex>,
    homes: FxHashMap<Id, (u32, u32)>,
    ledgers: Ledgers,
    counted: Counted,
    scratches: Mutex<Vec<Scratch>>,
}

impl Index {
    /// An empty index, for vectors that bear this embedder's name and dimension.
    pub fn new(embedder: &str, dimension: usize) -> Self {
        assert!(dimension > 0, "a vector has at least one dimension");
        Self {
            embedder: embedder.to_owned(),
            dimension,
            sequence: 0,
            names: Names::default(),
            spaces: FxHashMap::default(),
            all: Vec::new(),
            homes: FxHashMap::default(),
            ledgers: Ledgers::default(),
            counted: Counted::default(),
            scratches: Mutex::default(),
        }
    }

    /// Returns an empty index with the same settings and merges.
    pub fn renewed(&self) -> Self {
        let mut fresh = Self::new(&self.embedder, self.dimension);
        for space in &self.all {
            let pairs: Vec<(Id, Id)> = space.merges.pairs().map(|(one, other)| (*one, *other)).collect();
            fresh.merge(&space.namespace, &pairs);
        }
        fresh
    }

    pub fn embedder(&self) -> &str {
        &self.embedder
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of the last change that was applied.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    pub fn len(&self) -> usize {
        self.homes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    pub fn holds(&self, id: &Id) -> bool {
        self.homes.contains_key(id)
    }

    /// Applies changes that were prepared, and notes how far the store has been followed.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = PreparedChange>, sequence: i64) {
        for change in changes {
            match change {
                PreparedChange::Put(entry) => self.put(&entry),
                PreparedChange::Remove(id) => self.remove(&id),
            }
        }
        self.sequence = self.sequence.max(sequence);
        self.all.iter_mut().enumerate().filter(|(_, space)| space.is_sparse()).for_each(|(place, space)| {
            space.renumber();
            for (number, document) in space.documents.iter().enumerate() {
                self.homes.insert(document.id, (place as u32, number as u32));
            }
        });
    }

    /// Counts receipts and credits, each in place of the one that was counted under its id before.
    pub fn count(&mut self, noted: impl IntoIterator<Item = SideRecordEntry>) {
        for each in noted {
            let place = self.place_of(&each.namespace);
            self.counted.apply(each, place, &mut self.all);
        }
    }

    /// The share of success that an episode of this kind has to be expected with: that of the namespace, drawn towards
    /// that of the domain, of the difficulty within it and of the agent within that, as far as episodes speak for it.
    /// Each step starts from the one before as if from so many episodes as `strength`.
    pub fn expected(&self, namespace: &str, slice: &Slice<'_>, strength: f64) -> f64 {
        let Slice { domain, complexity, agent, .. } = *slice;
        let steps = [
            Slice::default(),
            Slice { domain, ..Slice::default() },
            Slice { domain, complexity, ..Slice::default() },
            Slice { domain, complexity, agent, ..Slice::default() },
        ];
        steps.iter().fold(0.5, |before, slice| {
            let (episodes, outcomes) = self.ledger().rates(namespace, slice);
            (outcomes + strength * before) / (episodes as f64 + strength)
        })
    }

    /// The LCS ratio of the steps of an episode and these tools; `None` means that the episode is not there.
    pub fn plan_similarity(&self, tools: &[&str], episode: &Id) -> Option<f32> {
        let plan: Vec<u64> = self.run(episode)?.into_iter().map(u64::from).collect();
        let number = |tool: &&str| self.names.get(tool).map_or(u64::MAX, u64::from);
        Some(lcs_ratio(&tools.iter().map(number).collect::<Vec<u64>>(), &plan))
    }

    /// The usage of a memory in the namespace; `None` means that no recall showed it.
    pub fn usage(&self, namespace: &str, memory: &Id) -> Option<Usage> {
        self.space(namespace)?.usages.of(memory)
    }

    fn put(&mut self, entry: &Entry) {
        self.remove(&entry.id);
        let place = self.place_of(&entry.namespace);
        let number = self.all[place as usize].push(entry, &mut self.names, &mut self.ledgers);
        self.homes.insert(entry.id, (place, number));
    }

    fn place_of(&mut self, namespace: &str) -> u32 {
        if let Some(place) = self.spaces.get(namespace) {
            return *place;
        }
        self.spaces.insert(namespace.into(), self.all.len() as u32);
        self.all.push(NamespaceIndex::new(namespace, self.dimension));
        self.all.len() as u32 - 1
    }

    fn remove(&mut self, id: &Id) {
        if let Some((place, number)) = self.homes.remove(id) {
            self.all[place as usize].remove(number, &self.names, &mut self.ledgers);
        }
    }

    fn space(&self, namespace: &str) -> Option<&NamespaceIndex> {
        self.spaces.get(namespace).map(|place| &self.all[*place as usize])
    }

    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let idle = self.scratches.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let mut scratch = idle.unwrap_or_default();
        let result = work(&mut scratch);
        self.scratches.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(scratch);
        result
    }

    /// The episodes that help most with a new task, best first.
    pub fn recall(&self, query: &Query<'_>, choice: &RecallLimits) -> Recalled {
        let Some(space) = self.space(query.namespace) else { return Recalled::default() };
        self.with_scratch(|scratch| search::recall(space, &self.names, query, choice, scratch))
    }

    /// The nearest episodes and how near they are, without regard to how well they went.
    pub fn similar(&self, query: &Query<'_>, limit: usize, successes_only: bool) -> Vec<(Id, f64)> {
        let Some(space) = self.space(query.namespace) else { return Vec::new() };
        self.with_scratch(|scratch| {
            search::similar(space, &self.names, query, limit, successes_only, scratch)
        })
    }

    /// The medians of a domain's successes; nothing is known of a domain without episodes.
    pub fn medians(&self, namespace: &str, domain: &str) -> Medians {
        self.statistics(namespace, domain).map_or_else(Medians::default, statistics::Statistics::medians)
    }

    /// A reward's score in 0 to 1: its mid-rank within namespace and domain once 20 episodes are there,
    /// total / (1 + total) before.
    pub fn percentile(&self, namespace: &str, domain: &str, total: f64) -> f64 {
        let statistics = self.statistics(namespace, domain);
        statistics.map_or_else(|| statistics::unranked(total), |statistics| statistics.score(total))
    }

    fn statistics(&self, namespace: &str, domain: &str) -> Option<&statistics::Statistics> {
        let number = self.names.get(domain)?;
        Some(&self.space(namespace)?.domains.get(&number)?.statistics)
    }

    /// The attempts at the task with this key, by id.
    pub fn attempts(&self, namespace: &str, task_key: &str) -> Vec<Attempt> {
        let Some(space) = self.space(namespace) else { return Vec::new() };
        let attempt = |number: u32| Attempt {
            id: space.documents[number as usize].id,
            base: space.documents[number as usize].base,
            tools: self.tools_of(space, number),
        };
        let mut attempts: Vec<Attempt> = space.attempts_at(entry::key_group(task_key)).map(attempt).collect();
        attempts.sort_unstable_by_key(|attempt| attempt.id);
        attempts
    }

    /// The share of success of each attempt at the task with this key, by id.
    pub fn outcomes_of(&self, namespace: &str, task_key: &str) -> Vec<(Id, Option<f64>)> {
        let Some(space) = self.space(namespace) else { return Vec::new() };
        let outcome = |number: u32| {
            let document = &space.documents[number as usize];
            (document.id, document.base)
        };
        let mut outcomes: Vec<(Id, Option<f64>)> =
            space.attempts_at(entry::key_group(task_key)).map(outcome).collect();
        outcomes.sort_unstable_by_key(|(id, _)| *id);
        outcomes
    }

    /// How the attempts at the task with this key went so far.
    pub fn earlier_attempts(&self, namespace: &str, task_key: &str) -> EarlierAttempts {
        let Some(space) = self.space(namespace) else { return EarlierAttempts::default() };
        let (mut earlier, mut last) = (EarlierAttempts::default(), None);
        for number in space.attempts_at(entry::key_group(task_key)) {
            let document = &space.documents[number as usize];
            if document.base == Some(0.0) {
                earlier.failed += 1;
                last = last.max(Some((document.id, number)));
            }
            earlier.has_success |= document.base == Some(1.0);
        }
        earlier.last_failed = last.map(|(_, number)| self.tools_of(space, number)).unwrap_or_default();
        earlier
    }

    fn tools_of(&self, space: &NamespaceIndex, number: u32) -> Vec<String> {
        space.runs.iter(number).map(|tool| self.tool(tool)).collect()
    }

    /// For each episode, the attempts at its task with at most `most` of the best successes, and its near-copies.
    ///
    /// An episode that the namespace does not hold has none.
    pub fn task_attempts(&self, namespace: &str, ids: &[Id], most: usize) -> Vec<TaskAttempts> {
        let Some(place) = self.spaces.get(namespace) else { return vec![TaskAttempts::default(); ids.len()] };
        let space = &self.all[*place as usize];
        let number_of = |id: &Id| match self.homes.get(id) {
            Some((home, number)) if home == place => Some(*number),
            _ => None,
        };
        let episodes: Vec<Option<u32>> = ids.iter().map(number_of).collect();
        attempts::task_attempts(space, &episodes, most)
    }

    fn tool(&self, number: u32) -> String {
        self.names.name(number).unwrap_or_default().to_owned()
    }

    /// Trials and successes so far of the approach among these facts: the tools used in such a context.
    pub fn approach(&self, namespace: &str, facts: &[Fact]) -> (u64, f64) {
        let approach = facts.iter().find(|fact| fact.kind == PatternKind::ContextPattern as u8);
        let total = approach.and_then(|fact| self.total(namespace, &fact.pattern));
        total.unwrap_or_default()
    }

    /// The sums of all facts that the index holds.
    pub fn ledger(&self) -> &Ledger {
        &self.ledgers.all
    }

    /// Makes these patterns of the namespace count for others: pairs of a pattern and the one that stands for it.
    /// Patterns that were merged before and are not named here count for themselves again.
    pub fn merge(&mut self, namespace: &str, pairs: &[(Id, Id)]) {
        let plan = self.plan_merge(namespace, pairs);
        self.carry_out(namespace, plan);
    }

    /// The long part of `merge`, which only reads: other readers go on meanwhile.
    pub fn plan_merge(&self, namespace: &str, pairs: &[(Id, Id)]) -> MergePlan {
        let merges = Merges::from_pairs(pairs);
        match self.space(namespace) {
            Some(space) => space.plan_merge(merges, &self.names, &self.ledgers),
            None => {
                NamespaceIndex::new(namespace, self.dimension).plan_merge(merges, &self.names, &self.ledgers)
            }
        }
    }

    /// Carries out a planned merge. Returns false, and changes nothing, if the namespace has changed since the plan.
    pub fn carry_out(&mut self, namespace: &str, plan: MergePlan) -> bool {
        let place = self.place_of(namespace) as usize;
        self.all[place].carry_out(plan, &mut self.ledgers)
    }

    /// A copy of one namespace, for trying merges out: changes of either side do not reach the other. The columns that
    /// search reads are shared until one side changes them.
    pub fn private_copy(&self, namespace: &str) -> Index {
        let mut copy = Index::new(&self.embedder, self.dimension);
        copy.sequence = self.sequence;
        copy.names = self.names.clone();
        copy.ledgers = self.ledgers.of_namespace(namespace);
        if let Some(space) = self.space(namespace) {
            let numbered = space.documents.iter().enumerate().filter(|(number, _)| space.alive[*number]);
            copy.homes = numbered.map(|(number, document)| (document.id, (0, number as u32))).collect();
            copy.spaces.insert(namespace.into(), 0);
            copy.all.push(space.clone());
        }
        copy
    }

    /// Stands for the episodes that the namespace holds: the same ones have the same digest, in whatever order they
    /// came; 0 for none.
    pub fn digest(&self, namespace: &str) -> u64 {
        self.space(namespace).map_or(0, |space| space.digest)
    }

    /// The pattern that stands for this one in the namespace.
    pub fn survivor(&self, namespace: &str, pattern: &Id) -> Id {
        self.space(namespace).map_or(*pattern, |space| *space.merges.survivor(pattern))
    }

    /// Returns true if the namespace holds any fact about the pattern, or about the one that stands for it.
    pub fn knows(&self, namespace: &str, pattern: &Id) -> bool {
        self.ledgers.all.knows(namespace, &self.survivor(namespace, pattern))
    }

    /// The share of these patterns that the namespace has never seen; 0 without facts.
    pub fn novelty(&self, namespace: &str, facts: &[Fact]) -> f64 {
        let unseen = facts.iter().filter(|fact| !self.knows(namespace, &fact.pattern)).count();
        if facts.is_empty() { 0.0 } else { unseen as f64 / facts.len() as f64 }
    }

    /// Trials and successes of a pattern, or of the one that stands for it.
    fn total(&self, namespace: &str, pattern: &Id) -> Option<(u64, f64)> {
        self.ledgers.all.total(namespace, &self.survivor(namespace, pattern))
    }

    fn summary(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<Summary> {
        self.ledgers.all.summary(namespace, &self.survivor(namespace, pattern), slice)
    }

    /// Success of the episodes with the pattern beside that of comparable ones: those of the same domain; for a way
    /// out of an error, those that took another way out of it first. Always within one agent and difficulty, and within
    /// one task that the agent tried twice or more.
    pub fn odds_ratio(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<OddsRatio> {
        let (space, ledger) = (self.space(namespace)?, &self.ledgers.all);
        let pattern = space.merges.survivor(pattern);
        let (_, kind) = ledger.pattern(ledger.symbol(pattern)?)?;
        Some(self.ledgers.odds_ratio(space, namespace, pattern, kind, slice))
    }

    /// Every pattern that at least `min_episodes` of the slice show, with its `odds_ratio`, by id.
    pub fn compared(&self, namespace: &str, slice: &Slice<'_>, min_episodes: u64) -> Vec<Compared> {
        let Some(space) = self.space(namespace) else { return Vec::new() };
        let mut compared = self.ledgers.all.compared(namespace, slice, min_episodes);
        for each in compared.iter_mut().filter(|each| each.kind == PatternKind::ErrorRecovery as u8) {
            each.odds_ratio = self.ledgers.odds_ratio(space, namespace, &each.pattern, each.kind, slice);
        }
        compared
    }

    /// The choices of every episode of the namespace, or of one of its domains, in every state it was in.
    pub fn choices(&self, namespace: &str, domain: Option<&str>) -> Choices {
        let Some(space) = self.space(namespace) else { return Choices::default() };
        match domain.map(|domain| self.names.get(domain)) {
            Some(None) => Choices::default(),
            domain => Choices::new(space, &self.names, domain.flatten()),
        }
    }

    /// The ways out of an error that were taken in the namespace, the best proven first, then by the next tool.
    pub fn recoveries(&self, namespace: &str, tool: &str, class: &str) -> Vec<(String, Id, Summary)> {
        let known =
            self.space(namespace).and_then(|space| space.recoveries.get(&entry::error_symbol(tool, class)));
        let summary = |(next, pattern): &(u32, Id)| {
            Some((self.tool(*next), *pattern, self.summary(namespace, pattern, &Slice::default())?))
        };
        let mut ranked: Vec<(String, Id, Summary)> =
            known.into_iter().flatten().filter_map(summary).collect();
        ranked.sort_by(|a, b| b.2.low.total_cmp(&a.2.low).then_with(|| a.0.cmp(&b.0)));
        ranked
    }

    /// The way out of an error with the largest lower bound of success, if that is above one half; of several the first
    /// by the next tool.
    pub fn best_recovery(&self, namespace: &str, tool: &str, class: &str) -> Option<BestRecovery> {
        let known = self.space(namespace)?.recoveries.get(&entry::error_symbol(tool, class))?;
        let bounded = known.iter().filter_map(|(next, pattern)| {
            let (trials, successes) = self.total(namespace, pattern)?;
            // The lower bound lies below the mean, which costs nothing.
            let may_be = Interval::mean_of(successes, trials as f64) > 0.5;
            let low = if may_be { Interval::low_of(successes, trials as f64) } else { 0.0 };
            (low > 0.5).then(|| (low, BestRecovery { next: self.tool(*next), successes, trials }))
        });
        let best = bounded.min_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.next.cmp(&b.1.next)));
        best.map(|(_, recovery)| recovery)
    }

    /// The patterns that stand behind the nearest episodes, each with its weight: those that mostly work, the higher
    /// the more their recalls helped, then those that surely fail more often than not.
    pub fn supporting_patterns(
        &self,
        namespace: &str,
        nearest: &[(Id, f64)],
        slice: &Slice<'_>,
        patterns: usize,
        pitfalls: usize,
    ) -> (Vec<SupportedPattern>, Vec<SupportedPattern>) {
        let Some(place) = self.spaces.get(namespace) else { return Default::default() };
        let of_this_space = nearest.iter().filter_map(|(id, weight)| match self.homes.get(id) {
            Some((home, number)) if home == place => Some((*number, *weight)),
            _ => None,
        });
        let space = &self.all[*place as usize];
        let (among, usages) = (patterns * space.usages.looked_at(), &space.usages);
        self.with_scratch(|scratch| {
            let support = &mut scratch.support;
            let mut behind =
                SupportingPatterns::new(&self.ledgers, space, namespace, slice, of_this_space, support);
            (best_used(usages, behind.working(among), patterns), behind.failing(pitfalls))
        })
    }

    /// The comparable episodes that help most with a new task, best first, and everything that stands behind them, all of
    /// one state of the index. The evidence of the patterns is that of the slice.
    pub fn answer(
        &self,
        query: &Query<'_>,
        choice: &RecallLimits,
        slice: &Slice<'_>,
        limits: AnswerLimits,
    ) -> Answer {
        let Recalled { mut hits, mut nearest, missing } = self.recall(query, choice);
        hits.retain(|hit| hit.is_comparable(limits.relevance_floor));
        if hits.is_empty() {
            nearest.clear();
        }
        let ids: Vec<Id> = hits.iter().map(|hit| hit.id).collect();
        let attempts = self.task_attempts(query.namespace, &ids, limits.successes);
        let (working, failing) =
            self.supporting_patterns(query.namespace, &nearest, slice, limits.patterns, limits.pitfalls);
        let with_usage = |behind: Vec<SupportedPattern>| {
            let used = |each: SupportedPattern| {
                let usage = self.usage(query.namespace, &each.pattern);
                (each, usage)
            };
            behind.into_iter().map(used).collect()
        };
        let mut next_steps = self.next_steps(query.tools, &nearest);
        next_steps.truncate(limits.next_steps);
        Answer {
            hits: hits.into_iter().zip(attempts).collect(),
            missing,
            working: with_usage(working),
            failing: with_usage(failing),
            next_steps,
        }
    }

    /// The tools that may come after `tools`, most likely first, by the runs of the episodes named, each with its
    /// weight. An episode whose outcome is unknown says nothing about it.
    pub fn next_steps(&self, tools: &[&str], nearest: &[(Id, f64)]) -> Vec<NextStep> {
        let tools: Vec<u32> = tools.iter().map(|tool| self.names.get(tool).unwrap_or(u32::MAX)).collect();
        let runs: Vec<(f64, Vec<u32>)> =
            nearest.iter().filter_map(|(id, weight)| Some((*weight, self.judged_run(id)?))).collect();
        let steps = symbols::next_steps(&tools, &runs);
        let mut named: Vec<NextStep> = steps.into_iter().map(|step| self.named(step)).collect();
        named.sort_by(|a, b| b.share.total_cmp(&a.share).then_with(|| a.tool.cmp(&b.tool)));
        named
    }

    /// The plans of the `newest` successes of the namespace, or of one of its domains.
    pub fn plans(&self, namespace: &str, domain: Option<&str>, newest: usize) -> Plans {
        let Some(space) = self.space(namespace) else { return Plans::default() };
        match domain.map(|domain| self.names.get(domain)) {
            Some(None) => Plans::default(),
            domain => Plans::new(space, &self.names, domain.flatten(), newest),
        }
    }

    fn judged_run(&self, id: &Id) -> Option<Vec<u32>> {
        let (place, number) = self.homes.get(id)?;
        self.all[*place as usize].documents[*number as usize].base.and_then(|_| self.run(id))
    }

    fn run(&self, id: &Id) -> Option<Vec<u32>> {
        let (place, number) = self.homes.get(id)?;
        Some(self.all[*place as usize].runs.iter(*number).collect())
    }

    fn named(&self, step: symbols::NextTool) -> NextStep {
        let tool = if step.tool == FINISH { None } else { self.names.name(step.tool).map(str::to_owned) };
        NextStep { tool, share: step.share, seen: step.seen, of: step.of, context: step.context }
    }

    pub fn size(&self) -> Size {
        Size {
            episodes: self.len(),
            namespaces: self.all.len(),
            terms: self.all.iter().map(|space| space.search.words.len()).sum(),
            bytes: self.all.iter().map(NamespaceIndex::bytes).sum::<usize>()
                + self.counted.bytes()
                + self.homes.capacity() * (size_of::<(Id, (u32, u32))>() + 1)
                + self.names.bytes(),
        }
    }
}

/// Reads all receipts and credits, or names the first that cannot be read.
pub fn prepare_notes<'a>(
    rows: impl IntoIterator<Item = SideRecordRow<'a>>,
) -> Result<Vec<SideRecordEntry>, Unreadable> {
    let prepare = |row| SideRecordEntry::read(&row).map_err(|why| Unreadable { id: row.id, why });
    rows.into_iter().map(prepare).collect()
}

/// Reads all changes, or names the first row that cannot be read: nothing is ever half applied. `text` is the version
/// of the text functions that made the facts of these episodes.
pub fn prepare<'a>(
    changes: impl IntoIterator<Item = Change<'a>>,
    embedder: &str,
    dimension: usize,
    text: TextVersion,
) -> Result<Vec<PreparedChange>, Unreadable> {
    let prepare = |change| match change {
        Change::Put(row) => match Entry::read(&row, embedder, dimension, text) {
            Ok(entry) => Ok(PreparedChange::Put(Box::new(entry))),
            Err(why) => Err(Unreadable { id: row.id, why }),
        },
        Change::Remove(id) => Ok(PreparedChange::Remove(id)),
    };
    changes.into_iter().map(prepare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::Trajectory;

    fn entry(number: u8) -> Box<Entry> {
        let trajectory = Trajectory { namespace: "n".into(), base: Some(1.0), ..Trajectory::default() };
        let facts = vec![Fact { pattern: [number; 16], kind: 0, occurrences: 1, successes: 1.0 }];
        Box::new(Entry::from_trajectory(trajectory, [number; 16], facts, None))
    }

    #[test]
    fn a_plan_is_refused_once_the_namespace_has_changed() {
        let mut index = Index::new("e", 1);
        index.apply([PreparedChange::Put(entry(1)), PreparedChange::Put(entry(2))], 1);
        let pairs = [([1; 16], [2; 16])];
        let plan = index.plan_merge("n", &pairs);
        index.apply([PreparedChange::Put(entry(3))], 2);
        assert!(!index.carry_out("n", plan));
        assert_eq!(index.survivor("n", &[1; 16]), [1; 16]);
        let plan = index.plan_merge("n", &pairs);
        assert!(index.carry_out("n", plan));
        assert_eq!(index.survivor("n", &[1; 16]), [2; 16]);
    }
}
