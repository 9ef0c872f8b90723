//! `Ledger`: the sums of all facts, resident, so that reading a pattern never scans its facts.

mod cells;

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::beta::Interval;
use super::half_life::decay;
use super::odds_ratio::{self, OddsRatio, odds_ratio};
use crate::facts::{Fact, Id};
use cells::{Cell, PatternSums};

/// A group of facts that are counted together: comparable episodes of one month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StratumKey<'a> {
    pub namespace: &'a str,
    pub domain: &'a str,
    pub agent: Option<&'a str>,
    pub complexity: u8,
    /// `YYYYMM` of the episodes' ends, UTC.
    pub month: u32,
}

/// One stored sum: all facts of a pattern in a stratum. The all-zero pattern stands for the stratum's episodes
/// whatever their patterns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum<'a> {
    pub stratum: StratumKey<'a>,
    pub pattern: Id,
    pub kind: u8,
    pub trials: u64,
    pub successes: f64,
    pub episodes: u64,
    /// The sum of the episodes' outcome shares.
    pub outcomes: f64,
    /// Microseconds UTC; where it is before the stratum's month, that month's beginning counts.
    pub last_seen: i64,
}

/// The part of the evidence that is asked for; by default all of it, at full weight.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slice<'a> {
    pub domain: Option<&'a str>,
    pub agent: Option<&'a str>,
    pub complexity: Option<u8>,
    pub decay: Option<Decay>,
}

/// Old evidence counts for less; its age is that of the middle of its month.
#[derive(Debug, Clone, Copy)]
pub struct Decay {
    /// Microseconds UTC.
    pub now: i64,
    pub half_life: Duration,
}

/// The facts about one pattern within a slice. Decay bears on `mean`, `low` and `high` only.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub kind: u8,
    pub trials: u64,
    pub successes: f64,
    pub episodes: u64,
    pub outcomes: f64,
    pub mean: f64,
    pub low: f64,
    pub high: f64,
    /// Microseconds UTC. A fact that was taken back later may still show here.
    pub last_seen: i64,
    /// By name; episodes without an agent add none.
    pub agents: Vec<String>,
    pub domains: Vec<String>,
}

/// One pattern beside the episodes that are comparable and do not show it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    pub pattern: Id,
    pub kind: u8,
    pub episodes: u64,
    pub last_seen: i64,
    pub odds_ratio: OddsRatio,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The largest lower bound first.
    #[default]
    Confidence,
    Trials,
    Recent,
}

/// The matching patterns that are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub order: Order,
    pub min_trials: u64,
    pub limit: usize,
    pub offset: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self { order: Order::Confidence, min_trials: 0, limit: 100, offset: 0 }
    }
}

/// A stratum without its namespace, its names interned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct StratumSymbols {
    domain: u32,
    agent: u32,
    complexity: u8,
    month: u32,
}

/// The strata of all months whose episodes are comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Group {
    domain: u32,
    agent: u32,
    complexity: u8,
}

impl Group {
    fn from_stratum(stratum: &StratumSymbols) -> Self {
        Self { domain: stratum.domain, agent: stratum.agent, complexity: stratum.complexity }
    }
}

/// The pattern that stands for all episodes of a stratum; its symbol is 0.
const EVERY_EPISODE: Id = [0; 16];
/// The name of the agent of an episode that names none; its symbol is 0.
const NO_AGENT: &str = "";

/// Strings by number.
#[derive(Clone, Debug, Default)]
struct Interner {
    names: Vec<Box<str>>,
    symbols: FxHashMap<Box<str>, u32>,
}

impl Interner {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&symbol) = self.symbols.get(name) {
            return symbol;
        }
        let symbol = self.names.len() as u32;
        self.names.push(name.into());
        self.symbols.insert(name.into(), symbol);
        symbol
    }

    fn symbol(&self, name: &str) -> Option<u32> {
        self.symbols.get(name).copied()
    }
}

/// Rows of some patterns of one namespace, counted beside a ledger.
#[derive(Clone, Debug, Default)]
pub struct CountedRows(FxHashMap<Id, (u8, PatternSums)>);

/// The sums by namespace, pattern and stratum. The same facts give the same sums in any order, and facts that are
/// taken back leave nothing behind.
#[derive(Clone, Debug)]
pub struct Ledger {
    names: Interner,
    strata: Vec<StratumSymbols>,
    stratum_symbols: FxHashMap<StratumSymbols, u32>,
    /// By group, its strata.
    months: FxHashMap<Group, Vec<u32>>,
    patterns: Vec<(Id, u8)>,
    pattern_symbols: FxHashMap<Id, u32>,
    namespaces: Interner,
    /// By symbol of the namespace: a row for each pattern that has evidence there, by symbol of the pattern.
    books: Vec<FxHashMap<u32, PatternSums>>,
}

impl Default for Ledger {
    fn default() -> Self {
        let mut names = Interner::default();
        names.intern(NO_AGENT);
        Self {
            names,
            strata: Vec::new(),
            stratum_symbols: FxHashMap::default(),
            months: FxHashMap::default(),
            patterns: vec![(EVERY_EPISODE, u8::MAX)],
            pattern_symbols: FxHashMap::from_iter([(EVERY_EPISODE, 0)]),
            namespaces: Interner::default(),
            books: Vec::new(),
        }
    }
}

impl Ledger {
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one episode: its outcome share, and its facts about patterns at `at` (microseconds UTC).
    ///
    /// Without an outcome its facts count as trials, and the episode counts in no comparison.
    pub fn add(&mut self, key: StratumKey<'_>, base: Option<f64>, facts: &[Fact], at: i64) {
        let (stratum, book) = (self.stratum(key), self.book(key.namespace));
        let episode = Cell::of_episode(stratum, base, at);
        if base.is_some() {
            self.put(book, 0, episode);
        }
        for fact in facts {
            let symbol = self.intern(fact.pattern, fact.kind);
            self.put(book, symbol, episode.of(fact));
        }
    }

    /// Takes back the counts of `add` with the same arguments.
    pub fn remove(&mut self, key: StratumKey<'_>, base: Option<f64>, facts: &[Fact]) {
        let Some(book) = self.namespace(key.namespace) else { return };
        let episode = Cell::of_episode(self.stratum(key), base, 0);
        if base.is_some() {
            self.take(book, 0, episode);
        }
        for fact in facts {
            if let Some(symbol) = self.symbol(&fact.pattern) {
                self.take(book, symbol, episode.of(fact));
            }
        }
    }

    /// Counts facts of an episode into rows beside the ledger. The ledger knows the episode's stratum already.
    pub fn count_beside(
        &self,
        rows: &mut CountedRows,
        key: StratumKey<'_>,
        base: Option<f64>,
        facts: &[Fact],
        at: i64,
    ) {
        let Some(stratum) = self.known_stratum(key) else { return };
        let episode = Cell::of_episode(stratum, base, at);
        for fact in facts {
            let cell = episode.of(fact);
            let row = rows.0.entry(fact.pattern);
            row.and_modify(|(_, row)| row.add(cell)).or_insert((fact.kind, PatternSums::One(cell)));
        }
    }

    /// Puts rows that were counted beside the ledger in the place of all rows of these patterns.
    pub fn replace_rows(&mut self, namespace: &str, patterns: &FxHashSet<Id>, rows: CountedRows) {
        let book = self.book(namespace) as usize;
        for symbol in patterns.iter().filter_map(|pattern| self.pattern_symbols.get(pattern)) {
            self.books[book].remove(symbol);
        }
        for (pattern, (kind, row)) in rows.0 {
            let symbol = self.intern(pattern, kind);
            self.books[book].insert(symbol, row);
        }
    }

    /// The counts of one namespace; the numbers of names and patterns stay as they are.
    pub fn of_namespace(&self, namespace: &str) -> Self {
        let wanted = self.namespace(namespace);
        let books = self.books.iter().enumerate().map(|(book, rows)| match Some(book as u32) == wanted {
            true => rows.clone(),
            false => FxHashMap::default(),
        });
        Self {
            names: self.names.clone(),
            strata: self.strata.clone(),
            stratum_symbols: self.stratum_symbols.clone(),
            months: self.months.clone(),
            patterns: self.patterns.clone(),
            pattern_symbols: self.pattern_symbols.clone(),
            namespaces: self.namespaces.clone(),
            books: books.collect(),
        }
    }

    /// Every sum there is, in no particular order.
    pub fn sums(&self) -> impl Iterator<Item = Sum<'_>> {
        self.books.iter().enumerate().flat_map(move |(book, rows)| {
            let rows =
                rows.iter().flat_map(|(&symbol, row)| row.cells().iter().map(move |cell| (symbol, cell)));
            rows.map(move |(symbol, cell)| self.sum(book, symbol, cell))
        })
    }

    /// Returns true if the namespace holds any fact about the pattern.
    pub fn knows(&self, namespace: &str, pattern: &Id) -> bool {
        self.row(namespace, pattern).is_some()
    }

    /// The share of these patterns that the namespace has never totals; 0 without facts.
    pub fn novelty(&self, namespace: &str, facts: &[Fact]) -> f64 {
        let unseen = facts.iter().filter(|fact| !self.knows(namespace, &fact.pattern)).count();
        if facts.is_empty() { 0.0 } else { unseen as f64 / facts.len() as f64 }
    }

    /// The number that stands for the pattern as long as this ledger lives.
    pub fn symbol(&self, pattern: &Id) -> Option<u32> {
        self.pattern_symbols.get(pattern).copied()
    }

    /// The pattern and its kind behind a symbol.
    pub fn pattern(&self, symbol: u32) -> Option<(Id, u8)> {
        self.patterns.get(symbol as usize).copied()
    }

    /// The number that stands for the namespace, once it has evidence.
    pub fn namespace(&self, name: &str) -> Option<u32> {
        self.namespaces.symbol(name)
    }

    /// The pattern's mean over all the namespace's evidence, in constant time.
    pub fn mean_of(&self, namespace: u32, symbol: u32) -> Option<f64> {
        let (trials, successes) = self.books.get(namespace as usize)?.get(&symbol)?.total();
        Some(Interval::mean_of(successes, trials as f64))
    }

    /// The evidence of the slice about the pattern; `None` means that there is none.
    pub fn summary(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<Summary> {
        let filter = self.filter(slice)?;
        let symbol = self.symbol(pattern)?;
        let row = self.books[self.namespace(namespace)? as usize].get(&symbol)?;
        self.summarise(symbol, row, &filter)
    }

    /// Successes and trials of `summary`, decayed as the slice says: the counts behind its interval.
    pub fn weighed(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<(f64, f64)> {
        let totals = self.totals(self.row(namespace, pattern)?, &self.filter(slice)?)?;
        Some((totals.decayed_successes, totals.decayed_trials))
    }

    /// The number of episodes in the slice, and the sum of their outcome shares.
    pub fn rates(&self, namespace: &str, slice: &Slice<'_>) -> (u64, f64) {
        let summary = self.summary(namespace, &EVERY_EPISODE, slice);
        summary.map_or((0, 0.0), |summary| (summary.episodes, summary.outcomes))
    }

    /// The patterns of the slice with their evidence, in the page's order, then by id.
    pub fn patterns(
        &self,
        namespace: &str,
        kind: Option<u8>,
        slice: &Slice<'_>,
        page: Page,
    ) -> Vec<(Id, Summary)> {
        let (Some(book), Some(filter)) = (self.namespace(namespace), self.filter(slice)) else {
            return Vec::new();
        };
        let rows = &self.books[book as usize];
        let mut ranked = self.rank(rows, kind, &filter, page);
        keep_page(&mut ranked, page);
        ranked
            .into_iter()
            .filter_map(|(_, id, symbol)| Some((id, self.summarise(symbol, &rows[&symbol], &filter)?)))
            .collect()
    }

    /// Success of the episodes with the pattern against those without it, by domain, agent and complexity.
    ///
    /// `among` narrows "without" to episodes that show one of these patterns, in whatever domain: for a recovery, the
    /// other ways out of the same error.
    pub fn odds_ratio(
        &self,
        namespace: &str,
        pattern: &Id,
        among: Option<&[Id]>,
        slice: &Slice<'_>,
    ) -> OddsRatio {
        let (Some(filter), Some(book)) = (self.filter(slice), self.namespace(namespace)) else {
            return odds_ratio(&[]);
        };
        let rows = &self.books[book as usize];
        let row = |id: &Id| rows.get(&self.symbol(id)?);
        let Some(own) = row(pattern) else { return odds_ratio(&[]) };
        match among {
            None => self.against_all(own, &mut GroupTotals::new(self, rows, &filter)),
            Some(others) => {
                let others: FxHashSet<&Id> = others.iter().filter(|other| *other != pattern).collect();
                self.against(own, others.into_iter().filter_map(row), &filter)
            }
        }
    }

    /// Every pattern that at least `min_episodes` of the slice show, compared as `odds_ratio` does with all other
    /// episodes, by id.
    pub fn compared(&self, namespace: &str, slice: &Slice<'_>, min_episodes: u64) -> Vec<Compared> {
        let (Some(filter), Some(book)) = (self.filter(slice), self.namespace(namespace)) else {
            return Vec::new();
        };
        let rows = &self.books[book as usize];
        let mut groups = GroupTotals::new(self, rows, &filter);
        let mut compared: Vec<Compared> = Vec::new();
        for (&symbol, row) in rows.iter().filter(|(symbol, _)| **symbol != 0) {
            let Some(totals) = self.totals(row, &filter).filter(|totals| totals.episodes >= min_episodes)
            else {
                continue;
            };
            let (pattern, kind) = self.patterns[symbol as usize];
            let odds_ratio = self.against_all(row, &mut groups);
            compared.push(Compared {
                pattern,
                kind,
                episodes: totals.episodes,
                last_seen: totals.last_seen,
                odds_ratio,
            });
        }
        compared.sort_unstable_by_key(|each| each.pattern);
        compared
    }

    fn against_all(&self, row: &PatternSums, groups: &mut GroupTotals<'_>) -> OddsRatio {
        let mut strata: Vec<(Group, odds_ratio::Stratum)> = Vec::new();
        self.each_outcome(row, groups.filter, |group, succeeded, failed| {
            let stratum = stratum_of(&mut strata, group);
            stratum.with_succeeded += succeeded;
            stratum.with_failed += failed;
        });
        for (group, stratum) in &mut strata {
            let [succeeded, failed] = groups.of_group(*group);
            stratum.without_succeeded = (succeeded - stratum.with_succeeded).max(0.0);
            stratum.without_failed = (failed - stratum.with_failed).max(0.0);
        }
        odds_ratio_of(strata)
    }

    fn against<'a>(
        &self,
        row: &PatternSums,
        others: impl Iterator<Item = &'a PatternSums>,
        filter: &SliceFilter,
    ) -> OddsRatio {
        let mut strata: Vec<(Group, odds_ratio::Stratum)> = Vec::new();
        self.each_outcome(row, filter, |group, succeeded, failed| {
            let stratum = stratum_of(&mut strata, Group { domain: u32::MAX, ..group });
            stratum.with_succeeded += succeeded;
            stratum.with_failed += failed;
        });
        for other in others {
            self.each_outcome(other, filter, |group, succeeded, failed| {
                let stratum = stratum_of(&mut strata, Group { domain: u32::MAX, ..group });
                stratum.without_succeeded += succeeded;
                stratum.without_failed += failed;
            });
        }
        odds_ratio_of(strata)
    }

    fn each_outcome(&self, row: &PatternSums, filter: &SliceFilter, mut tell: impl FnMut(Group, f64, f64)) {
        for cell in row.cells().iter().filter(|cell| cell.episodes > 0) {
            let stratum = &self.strata[cell.stratum as usize];
            if let Some(weight) = filter.weight(stratum) {
                let failed = f64::from(cell.episodes) - cell.outcomes;
                tell(Group::from_stratum(stratum), weight * cell.outcomes, weight * failed);
            }
        }
    }

    /// The matching patterns with their sort keys, unsorted.
    fn rank(
        &self,
        rows: &FxHashMap<u32, PatternSums>,
        kind: Option<u8>,
        filter: &SliceFilter,
        page: Page,
    ) -> Vec<Ranked> {
        let mut confidences = Confidences::default();
        let is_wanted =
            |symbol: u32| symbol != 0 && kind.is_none_or(|kind| self.patterns[symbol as usize].1 == kind);
        let mut ranked = Vec::new();
        for (&symbol, row) in rows.iter().filter(|(symbol, _)| is_wanted(**symbol)) {
            let Some(totals) = self.totals(row, filter) else { continue };
            if totals.trials < page.min_trials {
                continue;
            }
            let key = match page.order {
                Order::Confidence => confidences.get(totals.decayed_successes, totals.decayed_trials),
                Order::Trials => totals.trials as f64,
                Order::Recent => totals.last_seen as f64,
            };
            ranked.push((key, self.patterns[symbol as usize].0, symbol));
        }
        ranked
    }

    fn summarise(&self, symbol: u32, row: &PatternSums, filter: &SliceFilter) -> Option<Summary> {
        let totals = self.totals(row, filter)?;
        let interval = Interval::from_counts(totals.decayed_successes, totals.decayed_trials);
        let matching = row.cells().iter().map(|cell| &self.strata[cell.stratum as usize]);
        let matching: Vec<&StratumSymbols> =
            matching.filter(|stratum| filter.weight(stratum).is_some()).collect();
        Some(Summary {
            kind: self.patterns[symbol as usize].1,
            trials: totals.trials,
            successes: totals.successes,
            episodes: totals.episodes,
            outcomes: totals.outcomes,
            mean: interval.mean,
            low: interval.low,
            high: interval.high,
            last_seen: totals.last_seen,
            agents: self.named(matching.iter().map(|stratum| stratum.agent).filter(|&agent| agent != 0)),
            domains: self.named(matching.iter().map(|stratum| stratum.domain)),
        })
    }

    /// The sums of the row's cells that pass the filter; `None` means that none does.
    fn totals(&self, row: &PatternSums, filter: &SliceFilter) -> Option<Totals> {
        let mut totals = Totals::default();
        for cell in row.cells() {
            if let Some(weight) = filter.weight(&self.strata[cell.stratum as usize]) {
                totals.add(cell, weight);
            }
        }
        (totals.episodes > 0 || totals.trials > 0).then_some(totals)
    }

    fn named(&self, symbols: impl Iterator<Item = u32>) -> Vec<String> {
        let distinct: FxHashSet<u32> = symbols.collect();
        let mut names: Vec<String> =
            distinct.into_iter().map(|symbol| self.names.names[symbol as usize].to_string()).collect();
        names.sort_unstable();
        names
    }

    /// The slice with its names looked up; `None` means that no stratum has one of the names.
    fn filter(&self, slice: &Slice<'_>) -> Option<SliceFilter> {
        let symbol = |name: Option<&str>| match name {
            Some(name) => self.names.symbol(name).map(Some),
            None => Some(None),
        };
        Some(SliceFilter {
            domain: symbol(slice.domain)?,
            agent: symbol(slice.agent)?,
            complexity: slice.complexity,
            decay: slice.decay,
        })
    }

    fn row(&self, namespace: &str, pattern: &Id) -> Option<&PatternSums> {
        self.books[self.namespace(namespace)? as usize].get(&self.symbol(pattern)?)
    }

    fn sum(&self, book: usize, symbol: u32, cell: &Cell) -> Sum<'_> {
        let StratumSymbols { domain, agent, complexity, month } = self.strata[cell.stratum as usize];
        let (pattern, kind) = self.patterns[symbol as usize];
        let name = |symbol: u32| &*self.names.names[symbol as usize];
        Sum {
            stratum: StratumKey {
                namespace: &self.namespaces.names[book],
                domain: name(domain),
                agent: (agent != 0).then(|| name(agent)),
                complexity,
                month,
            },
            pattern,
            kind,
            trials: cell.trials.into(),
            successes: cell.successes,
            episodes: cell.episodes.into(),
            outcomes: cell.outcomes,
            last_seen: cell.last_seen,
        }
    }

    fn put(&mut self, book: u32, symbol: u32, cell: Cell) {
        let rows = &mut self.books[book as usize];
        rows.entry(symbol).and_modify(|row| row.add(cell)).or_insert(PatternSums::One(cell));
    }

    fn take(&mut self, book: u32, symbol: u32, cell: Cell) {
        let rows = &mut self.books[book as usize];
        if rows.get_mut(&symbol).is_some_and(|row| row.subtract(cell)) {
            rows.remove(&symbol);
        }
    }

    fn book(&mut self, namespace: &str) -> u32 {
        let symbol = self.namespaces.intern(namespace);
        if symbol as usize == self.books.len() {
            self.books.push(FxHashMap::default());
        }
        symbol
    }

    fn known_stratum(&self, key: StratumKey<'_>) -> Option<u32> {
        let stratum = StratumSymbols {
            domain: self.names.symbol(key.domain)?,
            agent: self.names.symbol(key.agent.unwrap_or(NO_AGENT))?,
            complexity: key.complexity,
            month: key.month,
        };
        self.stratum_symbols.get(&stratum).copied()
    }

    fn stratum(&mut self, key: StratumKey<'_>) -> u32 {
        let stratum = StratumSymbols {
            domain: self.names.intern(key.domain),
            agent: self.names.intern(key.agent.unwrap_or(NO_AGENT)),
            complexity: key.complexity,
            month: key.month,
        };
        *self.stratum_symbols.entry(stratum).or_insert_with(|| {
            let symbol = self.strata.len() as u32;
            self.strata.push(stratum);
            self.months.entry(Group::from_stratum(&stratum)).or_default().push(symbol);
            symbol
        })
    }

    /// The number that stands for the pattern from now on, whether or not it has evidence.
    pub fn intern(&mut self, pattern: Id, kind: u8) -> u32 {
        *self.pattern_symbols.entry(pattern).or_insert_with(|| {
            self.patterns.push((pattern, kind));
            self.patterns.len() as u32 - 1
        })
    }
}

/// Successes and failures of all the slice's episodes by group, each worked out when it is first asked for.
struct GroupTotals<'a> {
    ledger: &'a Ledger,
    every_episode: Option<&'a PatternSums>,
    filter: &'a SliceFilter,
    known: FxHashMap<Group, [f64; 2]>,
}

impl<'a> GroupTotals<'a> {
    fn new(ledger: &'a Ledger, rows: &'a FxHashMap<u32, PatternSums>, filter: &'a SliceFilter) -> Self {
        Self { ledger, every_episode: rows.get(&0), filter, known: FxHashMap::default() }
    }

    fn of_group(&mut self, group: Group) -> [f64; 2] {
        let Self { ledger, every_episode, filter, known } = self;
        *known.entry(group).or_insert_with(|| {
            let (mut succeeded, mut failed) = (0.0, 0.0);
            for month in ledger.months.get(&group).into_iter().flatten() {
                let cell = every_episode.and_then(|row| row.cell(*month));
                let weight = filter.weight(&ledger.strata[*month as usize]);
                if let (Some(cell), Some(weight)) = (cell, weight) {
                    succeeded += weight * cell.outcomes;
                    failed += weight * (f64::from(cell.episodes) - cell.outcomes);
                }
            }
            [succeeded, failed]
        })
    }
}

/// The group's stratum, a new one if there was none. There are few: a scan finds it.
fn stratum_of(strata: &mut Vec<(Group, odds_ratio::Stratum)>, group: Group) -> &mut odds_ratio::Stratum {
    let place = strata.iter().rposition(|(known, _)| *known == group).unwrap_or_else(|| {
        strata.push((group, odds_ratio::Stratum::default()));
        strata.len() - 1
    });
    &mut strata[place].1
}

/// The same sum in whatever order the episodes came.
fn odds_ratio_of(mut strata: Vec<(Group, odds_ratio::Stratum)>) -> OddsRatio {
    strata.sort_unstable_by_key(|(group, _)| *group);
    odds_ratio(&strata.into_iter().map(|(_, stratum)| stratum).collect::<Vec<_>>())
}

/// A pattern's sort key, its id and its symbol.
type Ranked = (f64, Id, u32);

/// Leaves the page's patterns, the largest key first, then by id.
fn keep_page(ranked: &mut Vec<Ranked>, page: Page) {
    let order = |a: &Ranked, b: &Ranked| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1));
    let end = page.offset.saturating_add(page.limit);
    if end < ranked.len() {
        ranked.select_nth_unstable_by(end, order);
        ranked.truncate(end);
    }
    ranked.sort_unstable_by(order);
    ranked.drain(..page.offset.min(ranked.len()));
}

/// A slice with its names looked up.
struct SliceFilter {
    domain: Option<u32>,
    agent: Option<u32>,
    complexity: Option<u8>,
    decay: Option<Decay>,
}

impl SliceFilter {
    /// The weight of the stratum's evidence; `None` means that it is outside the slice.
    fn weight(&self, stratum: &StratumSymbols) -> Option<f64> {
        let is_inside = self.domain.is_none_or(|domain| domain == stratum.domain)
            && self.agent.is_none_or(|agent| agent == stratum.agent)
            && self.complexity.is_none_or(|complexity| complexity == stratum.complexity);
        is_inside.then(|| self.decay.map_or(1.0, |decay| decay.weight(stratum.month)))
    }
}

impl Decay {
    fn weight(&self, month: u32) -> f64 {
        const HALF_A_MONTH: i64 = 15 * DAY;
        let age = self.now - (month_began(month) + HALF_A_MONTH);
        decay(Duration::from_micros(age.max(0) as u64), self.half_life)
    }
}

#[derive(Debug, Default)]
struct Totals {
    trials: u64,
    successes: f64,
    episodes: u64,
    outcomes: f64,
    last_seen: i64,
    decayed_trials: f64,
    decayed_successes: f64,
}

impl Totals {
    fn add(&mut self, cell: &Cell, weight: f64) {
        self.last_seen = if self.episodes == 0 { cell.last_seen } else { self.last_seen.max(cell.last_seen) };
        self.trials += u64::from(cell.trials);
        self.successes += cell.successes;
        self.episodes += u64::from(cell.episodes);
        self.outcomes += cell.outcomes;
        self.decayed_trials += weight * f64::from(cell.trials);
        self.decayed_successes += weight * cell.successes;
    }
}

/// Lower bounds that were worked out once: most patterns share a few small counts.
#[derive(Default)]
struct Confidences(FxHashMap<(u64, u64), f64>);

impl Confidences {
    fn get(&mut self, successes: f64, trials: f64) -> f64 {
        let counts = (successes.to_bits(), trials.to_bits());
        *self.0.entry(counts).or_insert_with(|| Interval::low_of(successes, trials))
    }
}

const DAY: i64 = 86_400_000_000;

/// `YYYYMM` of a moment in microseconds UTC.
pub fn month_of(at: i64) -> u32 {
    // Howard Hinnant's civil calendar: eras of 400 years that begin on the first of March.
    let days = at.div_euclid(DAY) + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_based = (5 * day_of_year + 2) / 153;
    let month = if march_based < 10 { march_based + 3 } else { march_based - 9 };
    let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2);
    (year * 100 + month) as u32
}

/// The first microsecond of the month `YYYYMM`.
fn month_began(month: u32) -> i64 {
    let (year, month) = (i64::from(month / 100), i64::from(month % 100));
    let (year, march_based) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * march_based + 2) / 5;
    (year.div_euclid(400) * 146_097 + day_of_era - 719_468) * DAY
}

#[cfg(test)]
mod tests;
