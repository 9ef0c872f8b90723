//! One namespace of the index: nothing in it is seen from another.

mod namespace_image;

use super::attempted::{Attempted, Circumstances};
use super::entry::{Entry, error_symbol};
use super::merges::Merges;
use super::searchable::Searchable;
use super::statistics::{Measures, Statistics};
use super::symbols::Runs;
use super::task_members::TaskMembers;
use super::taught::Taught;
use super::usage::Usages;
use crate::evidence::{CountedRows, Ledger, OddsRatio, Slice, StratumKey, month_of};
use crate::extract::{GAVE_UP, recovery_id};
use crate::facts::{Fact, Id, PatternKind};
use crate::names::Names;
use crate::simd::fetch;
use crate::similarity::context::Context;
use crate::trajectory::Complexity;
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The index is renumbered once more than this share of it is gone.
const MOST_GONE: f64 = 0.2;
const FEWEST_GONE: usize = 64;

/// No result yet.
pub(super) const NONE: u32 = 0;
pub(super) const OK: u32 = 1;
/// Set in the result of a step that belongs to the batch of the step before it.
pub(super) const IN_BATCH: u32 = 1 << 31;

/// Each step's result as one number: 0 nothing, 1 well, else 1 more than the number of its error's class.
fn results_of(entry: &Entry, names: &mut Names) -> Vec<u32> {
    let result =
        |(step, ok): (usize, &i8)| match (ok, entry.error_classes.get(step).and_then(Option::as_deref)) {
            (1, _) => OK,
            (0, class) => 1 + names.number(class.unwrap_or("error")),
            _ => NONE,
        };
    let mut results: Vec<u32> = entry.ok.iter().enumerate().map(result).collect();
    for stretch in &entry.batches {
        results[stretch.start + 1..stretch.end].iter_mut().for_each(|result| *result |= IN_BATCH);
    }
    results
}

/// One episode without its text, vector, steps, tags and patterns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Document {
    pub id: Id,
    pub ended_at: i64,
    pub base: Option<f64>,
    pub measures: Measures,
    /// Numbers of names; 0 for none.
    pub domain: u32,
    pub language: u32,
    pub framework: u32,
    pub task_type: u32,
    pub agent: u32,
    pub complexity: Complexity,
    pub has_vector: bool,
}

impl Document {
    /// Numbers of domain and agent, and the complexity: attempts at a task are compared within these.
    pub(super) fn circumstances(&self) -> Circumstances {
        (self.domain, self.agent, self.complexity as u8)
    }
}

/// The episodes of one domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Domain {
    pub statistics: Statistics,
    /// By end, then by id.
    pub recent: Vec<u32>,
}

/// One namespace: its episodes, their patterns and their merges.
#[derive(Clone, Debug)]
pub(super) struct NamespaceIndex {
    pub documents: Vec<Document>,
    pub alive: Vec<bool>,
    pub live: usize,
    /// Stands for the episodes that are held, in whatever order they came.
    pub digest: u64,
    pub groups: Vec<u64>,
    members: TaskMembers,
    /// The near-copies that each episode belongs to, by `Entry::copy`.
    pub copies: Vec<u64>,
    /// How many judged episodes each near-copy stands for, and how many of them succeeded.
    copy_counts: FxHashMap<u64, [u32; 2]>,
    /// The judged attempts at each task by one agent.
    attempted: Attempted,
    pub(super) domain_of: Vec<u32>,
    pub(super) search: Arc<Searchable>,
    pub runs: Runs,
    /// The result of each step: 0 none, 1 success, else 1 more than the number of its error's class.
    pub(super) results: Runs,
    pub(super) taught: Taught,
    pub(super) domains: FxHashMap<u32, Domain>,
    pub(super) namespace: Box<str>,
    /// The ways out of each error that were taken here, with the patterns that they are.
    pub(super) recoveries: FxHashMap<u64, Vec<(u32, Id)>>,
    /// The error that a way out is one of.
    errors: FxHashMap<Id, u64>,
    pub(super) merges: Merges,
    /// The numbers of merged patterns and of those that stand for them.
    pub(super) survivors: FxHashMap<u32, u32>,
    pub(super) usages: Usages,
    /// Grows with every change of episodes or merges.
    revision: u64,
}

/// A merge that was worked out beside the index: the counts of every pattern that it touches.
#[derive(Clone, Debug, Default)]
pub struct MergePlan {
    /// The namespace's revision that the plan was worked out for.
    revision: u64,
    merges: Merges,
    /// The patterns that another one stands for than before, those that stand or stood for them, and all others
    /// that these stand for: their rows are counted afresh. Empty means that nothing changes.
    touched: FxHashSet<Id>,
    all: CountedRows,
    first_ways: CountedRows,
}

/// The counts of all facts, and of the first way out of each error in an episode: an episode shows many ways, but
/// the first alone was taken before it was known how the others went.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledgers {
    pub all: Ledger,
    pub first_ways: Ledger,
}

impl Ledgers {
    /// The ledgers with the counts of one namespace alone.
    pub(super) fn of_namespace(&self, namespace: &str) -> Self {
        Self { all: self.all.of_namespace(namespace), first_ways: self.first_ways.of_namespace(namespace) }
    }
}

impl Ledgers {
    /// Success of the episodes with a pattern of this kind beside that of comparable ones: see `Index::odds_ratio`.
    pub(super) fn odds_ratio(
        &self,
        space: &NamespaceIndex,
        namespace: &str,
        pattern: &Id,
        kind: u8,
        slice: &Slice<'_>,
    ) -> OddsRatio {
        let others = if kind == PatternKind::ErrorRecovery as u8 { space.other_ways(pattern) } else { None };
        match others {
            Some(others) => self.first_ways.odds_ratio(namespace, pattern, Some(&others), slice),
            None => self.all.odds_ratio(namespace, pattern, None, slice),
        }
    }
}

impl NamespaceIndex {
    pub(super) fn new(namespace: &str, dimension: usize) -> Self {
        Self {
            documents: Vec::new(),
            alive: Vec::new(),
            live: 0,
            digest: 0,
            groups: Vec::new(),
            members: TaskMembers::default(),
            copies: Vec::new(),
            copy_counts: FxHashMap::default(),
            attempted: Attempted::default(),
            domain_of: Vec::new(),
            search: Arc::new(Searchable::new(dimension)),
            runs: Runs::default(),
            results: Runs::default(),
            taught: Taught::default(),
            domains: FxHashMap::default(),
            namespace: namespace.into(),
            recoveries: FxHashMap::default(),
            errors: FxHashMap::default(),
            merges: Merges::default(),
            survivors: FxHashMap::default(),
            usages: Usages::default(),
            revision: 0,
        }
    }

    /// Adds an episode that is not there yet; answers its number.
    pub(super) fn push(&mut self, entry: &Entry, names: &mut Names, ledgers: &mut Ledgers) -> u32 {
        self.revision += 1;
        let number = self.documents.len() as u32;
        let document = document_of(entry, names);
        Arc::make_mut(&mut self.search).push(number, entry);
        let tools: Vec<u32> = entry.tool_names.iter().map(|name| names.number(name)).collect();
        self.runs.push(&entry.tool_indices.iter().map(|index| tools[*index as usize]).collect::<Vec<_>>());
        self.results.push(&results_of(entry, names));
        if document.base.is_some()
            && let Some(first) = self.attempted.add(document.circumstances(), entry.group, number)
        {
            self.compare_among(first, 0, entry.group, names, ledgers);
        }
        self.teach(entry, &document, names, ledgers);
        self.documents.push(document);
        self.alive.push(true);
        self.live += 1;
        self.digest = self.digest.wrapping_add(digest_of(&document));
        self.groups.push(entry.group);
        self.members.push(entry.group);
        self.copies.push(entry.copy);
        if let Some(base) = document.base {
            let counts = self.copy_counts.entry(entry.copy).or_default();
            counts[0] += 1;
            counts[1] += u32::from(base >= 1.0);
        }
        self.domain_of.push(document.domain);
        self.enter_domain(number);
        number
    }

    /// Counts the episode's facts about patterns, and brings every pattern's mean up to date.
    fn teach(&mut self, entry: &Entry, document: &Document, names: &mut Names, ledgers: &mut Ledgers) {
        for recovery in &entry.recoveries {
            let next = names.number(&recovery.next);
            let known = self.recoveries.entry(recovery.error).or_default();
            if !known.iter().any(|(_, pattern)| *pattern == recovery.pattern) {
                known.push((next, recovery.pattern));
                self.errors.insert(recovery.pattern, recovery.error);
            }
        }
        let first_ways = first_ways(entry.recoveries.iter().map(|way| (way.error, way.pattern)));
        let facts = &entry.facts;
        let symbols: Vec<u32> =
            facts.iter().map(|fact| ledgers.all.intern(fact.pattern, fact.kind)).collect();
        let stratum = self.stratum(document, self.task_of(document, entry.group), names);
        if self.merges.is_empty() {
            // Every pattern counts for itself: the numbers that are known already serve throughout.
            ledgers.all.add_numbered(stratum, document.base, facts, &symbols, document.ended_at);
            self.count_first_ways(stratum, document, &first_ways, ledgers);
            self.taught.push(facts, &symbols, entry.base);
            self.taught.refresh_numbered(&symbols, &self.namespace, &ledgers.all);
            return;
        }
        self.count(stratum, document, facts, &first_ways, ledgers);
        self.taught.push(facts, &symbols, entry.base);
        if facts.iter().any(|fact| self.merges.contains(&fact.pattern)) {
            self.number_survivors(&ledgers.all);
        }
        self.refresh(facts.iter().map(|fact| &fact.pattern), &ledgers.all);
    }

    fn count(
        &self,
        stratum: StratumKey<'_>,
        document: &Document,
        facts: &[Fact],
        first_ways: &[Fact],
        ledgers: &mut Ledgers,
    ) {
        ledgers.all.add(stratum, document.base, &self.merges.counted(facts), document.ended_at);
        self.count_first_ways(stratum, document, first_ways, ledgers);
    }

    fn count_first_ways(
        &self,
        stratum: StratumKey<'_>,
        document: &Document,
        first_ways: &[Fact],
        ledgers: &mut Ledgers,
    ) {
        if !first_ways.is_empty() && document.base.is_some() {
            let counted = self.merges.counted(first_ways);
            ledgers.first_ways.add(stratum, document.base, &counted, document.ended_at);
        }
    }

    fn uncount(
        &self,
        stratum: StratumKey<'_>,
        document: &Document,
        facts: &[Fact],
        first_ways: &[Fact],
        ledgers: &mut Ledgers,
    ) {
        ledgers.all.remove(stratum, document.base, &self.merges.counted(facts));
        if !first_ways.is_empty() && document.base.is_some() {
            ledgers.first_ways.remove(stratum, document.base, &self.merges.counted(first_ways));
        }
    }

    fn refresh<'a>(&mut self, patterns: impl Iterator<Item = &'a Id> + Clone, ledger: &Ledger) {
        let Self { taught, merges, namespace, .. } = self;
        if merges.is_empty() {
            taught.refresh(patterns, merges, namespace, ledger);
            return;
        }
        // The mean of a survivor changed for all that it stands for.
        let touched: FxHashSet<&Id> = patterns.clone().map(|pattern| merges.survivor(pattern)).collect();
        let merged = merges.pairs().filter(|(_, survivor)| touched.contains(survivor)).map(|(each, _)| each);
        let all: Vec<&Id> = merged.chain(touched.iter().copied()).collect();
        taught.refresh(all.into_iter(), merges, namespace, ledger);
    }

    fn unteach(&mut self, number: u32, names: &Names, ledgers: &mut Ledgers) {
        let document = self.documents[number as usize];
        let facts = self.taught.facts(number, document.base, &ledgers.all);
        let first_ways = self.first_ways_of(number, names);
        let task = self.task_of(&document, self.groups[number as usize]);
        self.uncount(self.stratum(&document, task, names), &document, &facts, &first_ways, ledgers);
        self.refresh(facts.iter().map(|fact| &fact.pattern), &ledgers.all);
    }

    /// Counts an episode among those of another task: 0 stands for the tasks that were tried once.
    fn compare_among(&self, number: u32, before: u64, after: u64, names: &Names, ledgers: &mut Ledgers) {
        let document = self.documents[number as usize];
        let facts = self.taught.facts(number, document.base, &ledgers.all);
        let first_ways = self.first_ways_of(number, names);
        let stratum = |task| self.stratum(&document, task, names);
        self.uncount(stratum(before), &document, &facts, &first_ways, ledgers);
        self.count(stratum(after), &document, &facts, &first_ways, ledgers);
    }

    /// The task among whose attempts an episode is compared; 0 for a task that its agent tried once, and for an episode
    /// without an outcome.
    pub(super) fn task_of(&self, document: &Document, group: u64) -> u64 {
        let is_attempt = document.base.is_some();
        if is_attempt && self.attempted.times(document.circumstances(), group) > 1 { group } else { 0 }
    }

    /// The result of each step of an episode, and its steps in stretches that have an order: see `Trajectory::in_order`.
    pub(super) fn results_of(&self, number: u32) -> (Vec<u32>, Vec<Range<usize>>) {
        let mut results: Vec<u32> = self.results.iter(number).collect();
        let mut stretches: Vec<Range<usize>> = Vec::with_capacity(results.len());
        for (step, result) in results.iter_mut().enumerate() {
            match stretches.last_mut() {
                Some(last) if *result & IN_BATCH != 0 => last.end = step + 1,
                _ => stretches.push(step..step + 1),
            }
            *result &= !IN_BATCH;
        }
        (results, stretches)
    }

    /// The first way out of each error that an episode met, as facts, worked out from its steps.
    fn first_ways_of(&self, number: u32, names: &Names) -> Vec<Fact> {
        let tools: Vec<u32> = self.runs.iter(number).collect();
        let name = |number: u32| names.name(number).unwrap_or_default();
        let (results, stretches) = self.results_of(number);
        let mut ways = Vec::new();
        for (at, stretch) in stretches.iter().enumerate() {
            // Of a batch the first by name, as in the entry's recoveries.
            let next = stretches
                .get(at + 1)
                .and_then(|next| tools[next.clone()].iter().map(|tool| name(*tool)).min());
            for step in stretch.clone().filter(|step| results[*step] > OK) {
                let (tool, class) = (name(tools[step]), name(results[step] - 1));
                ways.push((error_symbol(tool, class), recovery_id(tool, class, next.unwrap_or(GAVE_UP))));
            }
        }
        first_ways(ways.into_iter())
    }

    /// Works out which counts change when these patterns stand for others: the long part of a merge, which only reads.
    pub(super) fn plan_merge(&self, merges: Merges, names: &Names, ledgers: &Ledgers) -> MergePlan {
        let revision = self.revision;
        if merges == self.merges {
            return MergePlan { revision, merges, ..MergePlan::default() };
        }
        let is_merged_otherwise = |pattern: &&Id| self.merges.survivor(pattern) != merges.survivor(pattern);
        let merged = self.merges.pairs().chain(merges.pairs()).map(|(pattern, _)| pattern);
        let affected: FxHashSet<Id> = merged.filter(is_merged_otherwise).copied().collect();
        // Every episode that shows one of these is counted afresh, so that the time a pattern was last seen is exact.
        let mut touched = affected.clone();
        for pattern in &affected {
            touched.extend([*self.merges.survivor(pattern), *merges.survivor(pattern)]);
        }
        let also_merged: Vec<Id> = self
            .merges
            .pairs()
            .chain(merges.pairs())
            .filter(|(_, survivor)| touched.contains(*survivor))
            .map(|(pattern, _)| *pattern)
            .collect();
        touched.extend(also_merged);
        let has_recoveries = touched.iter().any(|pattern| self.errors.contains_key(pattern));
        let is_touched = |fact: &Fact| touched.contains(&fact.pattern);
        let (mut all, mut ways) = (CountedRows::default(), CountedRows::default());
        for number in (0..self.documents.len() as u32).filter(|number| self.alive[*number as usize]) {
            let document = self.documents[number as usize];
            let facts = self.taught.facts(number, document.base, &ledgers.all);
            let is_compared = has_recoveries && document.base.is_some();
            let first_ways = if is_compared { self.first_ways_of(number, names) } else { Vec::new() };
            if facts.iter().chain(&first_ways).any(is_touched) {
                let counted = |facts: &[Fact]| -> Vec<Fact> {
                    merges.counted(facts).into_iter().filter(is_touched).collect()
                };
                let task = self.task_of(&document, self.groups[number as usize]);
                let stratum = self.stratum(&document, task, names);
                let (base, at) = (document.base, document.ended_at);
                ledgers.all.count_beside(&mut all, stratum, base, &counted(&facts), at);
                ledgers.first_ways.count_beside(&mut ways, stratum, base, &counted(&first_ways), at);
            }
        }
        MergePlan { revision, merges, touched, all, first_ways: ways }
    }

    /// Carries out a planned merge. Returns false, and changes nothing, if the namespace has changed since the plan.
    pub(super) fn carry_out(&mut self, plan: MergePlan, ledgers: &mut Ledgers) -> bool {
        if plan.revision != self.revision {
            return false;
        }
        if plan.touched.is_empty() {
            return true;
        }
        ledgers.all.replace_rows(&self.namespace, &plan.touched, plan.all);
        ledgers.first_ways.replace_rows(&self.namespace, &plan.touched, plan.first_ways);
        self.revision += 1;
        self.merges = plan.merges;
        self.number_survivors(&ledgers.all);
        self.refresh(plan.touched.iter(), &ledgers.all);
        true
    }

    fn number_survivors(&mut self, ledger: &Ledger) {
        let Self { taught, merges, .. } = self;
        let number = |(pattern, survivor)| {
            Some((taught.number(ledger.symbol(pattern)?), taught.number(ledger.symbol(survivor)?)))
        };
        self.survivors = merges.pairs().filter_map(number).collect();
    }

    /// The other ways out of the errors that this one, or one it stands for, is a way out of.
    pub(super) fn other_ways(&self, pattern: &Id) -> Option<Vec<Id>> {
        let merged = self.merges.pairs().filter(|(_, survivor)| *survivor == pattern).map(|(each, _)| each);
        let errors: FxHashSet<u64> =
            merged.chain([pattern]).filter_map(|each| self.errors.get(each).copied()).collect();
        let mut ways: Vec<Id> = errors
            .iter()
            .flat_map(|error| self.recoveries.get(error).into_iter().flatten())
            .map(|(_, way)| *self.merges.survivor(way))
            .filter(|way| way != pattern)
            .collect();
        ways.sort_unstable();
        ways.dedup();
        (!errors.is_empty()).then_some(ways)
    }

    fn stratum<'a>(&'a self, document: &Document, task: u64, names: &'a Names) -> StratumKey<'a> {
        StratumKey {
            namespace: &self.namespace,
            domain: names.name(document.domain).unwrap_or_default(),
            agent: names.name(document.agent),
            complexity: document.complexity as u8,
            month: month_of(document.ended_at),
            task,
        }
    }

    fn enter_domain(&mut self, number: u32) {
        let document = self.documents[number as usize];
        let domain = self.domains.entry(document.domain).or_default();
        domain.statistics.add(&document.measures);
        let age = |other: &u32| age(&self.documents[*other as usize]) < age(&document);
        let place = match domain.recent.last() {
            Some(last) if !age(last) => domain.recent.partition_point(age),
            _ => domain.recent.len(),
        };
        domain.recent.insert(place, number);
    }

    /// Takes an episode out: the others score as if it had never been there.
    pub(super) fn remove(&mut self, number: u32, names: &Names, ledgers: &mut Ledgers) {
        self.revision += 1;
        self.unteach(number, names, ledgers);
        let document = self.documents[number as usize];
        self.alive[number as usize] = false;
        self.live -= 1;
        if let Some(base) = document.base {
            self.forget_attempt(number, names, ledgers);
            self.discount_copy(self.copies[number as usize], base);
        }
        self.digest = self.digest.wrapping_sub(digest_of(&document));
        Arc::make_mut(&mut self.search).remove(number);
        if let Some(domain) = self.domains.get_mut(&document.domain) {
            domain.statistics.remove(&document.measures);
            let place =
                domain.recent.partition_point(|other| age(&self.documents[*other as usize]) < age(&document));
            domain.recent.remove(place);
            if domain.recent.is_empty() {
                self.domains.remove(&document.domain);
            }
        }
    }

    fn discount_copy(&mut self, copy: u64, base: f64) {
        let Some(counts) = self.copy_counts.get_mut(&copy) else { return };
        counts[0] -= 1;
        counts[1] -= u32::from(base >= 1.0);
        if counts[0] == 0 {
            self.copy_counts.remove(&copy);
        }
    }

    /// The judged near-copies of an episode, itself included, and those that succeeded.
    pub(super) fn near_copies(&self, number: u32) -> [u32; 2] {
        self.copy_counts.get(&self.copies[number as usize]).copied().unwrap_or_default()
    }

    /// The only attempt that is left is compared with those of other tasks again.
    fn forget_attempt(&mut self, number: u32, names: &Names, ledgers: &mut Ledgers) {
        let (document, group) = (self.documents[number as usize], self.groups[number as usize]);
        if self.attempted.remove(document.circumstances(), group) != 1 {
            return;
        }
        let is_left = |other: &u32| {
            let attempt = &self.documents[*other as usize];
            attempt.base.is_some() && attempt.circumstances() == document.circumstances()
        };
        let last = self.attempts_at(group).find(is_left);
        if let Some(last) = last {
            self.attempted.set_only(document.circumstances(), group, last);
            self.compare_among(last, group, 0, names, ledgers);
        }
    }

    /// The numbers of the episodes of a task, the latest first.
    pub(super) fn attempts_at(&self, group: u64) -> impl Iterator<Item = u32> {
        self.members.of(group).filter(|number| self.alive[*number as usize])
    }

    /// For each row, true if it is alive; empty if all are.
    pub(crate) fn live_rows(&self) -> &[bool] {
        if self.live == self.alive.len() { &[] } else { &self.alive }
    }

    /// Returns true if so much is gone that renumbering pays.
    pub(super) fn is_sparse(&self) -> bool {
        let gone = self.documents.len() - self.live;
        gone > FEWEST_GONE && gone as f64 > MOST_GONE * self.documents.len() as f64
    }

    /// Closes the gaps that removed episodes left; numbers change.
    pub(super) fn renumber(&mut self) {
        let keep = std::mem::take(&mut self.alive);
        let mut next = 0;
        let numbers: Vec<Option<u32>> = keep
            .iter()
            .map(|keep| {
                next += u32::from(*keep);
                keep.then(|| next - 1)
            })
            .collect();
        retain(&mut self.documents, &keep);
        retain(&mut self.groups, &keep);
        retain(&mut self.copies, &keep);
        retain(&mut self.domain_of, &keep);
        Arc::make_mut(&mut self.search).renumber(&keep, &numbers);
        self.runs.retain(&keep);
        self.results.retain(&keep);
        self.taught.retain(&keep);
        for number in self.domains.values_mut().flat_map(|domain| &mut domain.recent) {
            *number = numbers[*number as usize].unwrap_or_default();
        }
        self.alive = vec![true; self.documents.len()];
        self.members = self.groups.iter().copied().collect();
        self.attempted = Attempted::default();
        for (number, (document, group)) in self.documents.iter().zip(&self.groups).enumerate() {
            if document.base.is_some() {
                self.attempted.add(document.circumstances(), *group, number as u32);
            }
        }
    }

    pub(super) fn context(&self, number: u32) -> Context<'_> {
        let document = &self.documents[number as usize];
        let known = |name: u32| (name > 0).then_some(u64::from(name));
        Context {
            domain: known(document.domain),
            language: known(document.language),
            tags: self.search.tags(number),
        }
    }

    /// Asks memory for the columns that judging this document will read.
    pub(super) fn fetch(&self, number: u32) {
        fetch(std::slice::from_ref(&self.documents[number as usize]));
        self.search.fetch(number);
    }

    /// A reward's score in 0 to 1 among those of its domain; none for an episode without a reward.
    pub(super) fn outcome(&self, number: u32) -> Option<f64> {
        let document = &self.documents[number as usize];
        let total = document.measures.total?;
        Some(self.domains.get(&document.domain)?.statistics.score(total))
    }

    pub(super) fn bytes(&self) -> usize {
        let fixed = size_of::<Document>() + size_of::<u64>() + 1 + 3 * size_of::<u32>();
        let domains: usize =
            self.domains.values().map(|domain| domain.statistics.bytes() + domain.recent.len() * 4).sum();
        self.documents.len() * fixed
            + self.search.bytes()
            + self.runs.bytes()
            + self.results.bytes()
            + self.taught.bytes()
            + self.usages.bytes()
            + self.attempted.bytes()
            + self.members.bytes()
            + domains
    }
}

/// A fact for the first way out of each error.
fn first_ways(ways: impl Iterator<Item = (u64, Id)>) -> Vec<Fact> {
    let mut met: Vec<u64> = Vec::new();
    let mut first: Vec<Fact> = Vec::new();
    for (error, pattern) in ways {
        if !met.contains(&error) {
            met.push(error);
            first.push(Fact {
                pattern,
                kind: PatternKind::ErrorRecovery as u8,
                occurrences: 1,
                successes: 0.0,
            });
        }
    }
    first
}

/// The share of an episode in the digest of the namespace.
fn digest_of(document: &Document) -> u64 {
    let mut bytes = document.id.to_vec();
    bytes.extend_from_slice(&document.ended_at.to_le_bytes());
    bytes.extend_from_slice(&document.base.unwrap_or(-1.0).to_le_bytes());
    bytes.extend_from_slice(&document.measures.steps.to_le_bytes());
    xxh3_64_with_seed(&bytes, 6)
}

fn age(document: &Document) -> (i64, Id) {
    (document.ended_at, document.id)
}

fn retain<T>(elements: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    elements.retain(|_| *keep.next().unwrap_or(&false));
}

fn document_of(entry: &Entry, names: &mut Names) -> Document {
    Document {
        id: entry.id,
        ended_at: entry.ended_at,
        base: entry.base,
        measures: entry.measures,
        domain: names.number(&entry.domain),
        language: names.number_of(entry.language.as_deref()),
        framework: names.number_of(entry.framework.as_deref()),
        task_type: names.number(&entry.task_type),
        agent: names.number_of(entry.agent.as_deref()),
        complexity: entry.complexity,
        has_vector: entry.vector.is_some(),
    }
}
