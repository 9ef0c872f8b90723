//! `Ledger`: the sums of all facts, resident, so that reading a pattern never scans its facts.

mod cells;
mod episode_totals;
mod groups;
mod ledger_image;

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::beta::Interval;
use super::half_life::decay;
use super::odds_ratio::{self, OddsRatio, odds_ratio};
use crate::facts::{Fact, Id, PatternKind};
pub(super) use cells::exact;
use cells::{Cell, Occurrences, PatternSums};
use episode_totals::{CellCircumstances, EpisodeTotals};
use groups::Groups;

/// A group of facts that are counted together: comparable episodes of one month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StratumKey<'a> {
    pub namespace: &'a str,
    pub domain: &'a str,
    pub agent: Option<&'a str>,
    pub complexity: u8,
    /// `YYYYMM` of the episodes' ends, UTC.
    pub month: u32,
    /// The task whose attempts are compared among themselves; 0 compares the episode with those of other tasks.
    pub task: u64,
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

/// The facts about one pattern within a slice. `trials` and `successes` count
/// occurrences; `mean`, `low` and `high` take one trial an episode, and decay bears on them only.
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

impl StratumSymbols {
    fn circumstances(&self) -> CellCircumstances {
        (self.domain, self.agent, self.complexity)
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
    patterns: Vec<(Id, u8)>,
    pattern_symbols: FxHashMap<Id, u32>,
    namespaces: Interner,
    /// By symbol of the namespace.
    books: Vec<Book>,
}

/// The evidence of one namespace.
#[derive(Clone, Debug, Default)]
struct Book {
    /// A row for each pattern that has evidence, by symbol of the pattern.
    rows: FxHashMap<u32, PatternSums>,
    /// The rows of at least `FEWEST_COMPARED` episodes.
    frequent: usize,
    groups: Groups,
    outcomes: EpisodeTotals,
}

/// Returns true for the kinds whose success is the episode's outcome.
fn is_outcome(kind: u8) -> bool {
    const KINDS: [PatternKind; 3] =
        [PatternKind::ToolSequence, PatternKind::DecisionPoint, PatternKind::ContextPattern];
    KINDS.iter().any(|each| *each as u8 == kind)
}

/// Fewer episodes of a pattern do not speak against chance among many patterns.
pub const FEWEST_COMPARED: u64 = 5;

fn is_frequent(row: &PatternSums) -> bool {
    u64::from(row.episodes()) >= FEWEST_COMPARED
}

impl Book {
    fn put(&mut self, symbol: u32, cell: Cell) {
        let row = self.rows.entry(symbol);
        let mut was_frequent = false;
        let row = row
            .and_modify(|row| {
                was_frequent = is_frequent(row);
                row.add(cell);
            })
            .or_insert(PatternSums::One(cell));
        self.frequent += usize::from(is_frequent(row) && !was_frequent);
    }

    fn take(&mut self, symbol: u32, cell: Cell) {
        let Some(row) = self.rows.get_mut(&symbol) else { return };
        let was_frequent = is_frequent(row);
        let is_empty = row.subtract(cell);
        self.frequent -= usize::from(was_frequent && !is_frequent(row));
        if is_empty {
            self.rows.remove(&symbol);
        }
    }

    fn insert_row(&mut self, symbol: u32, row: PatternSums) {
        self.frequent += usize::from(is_frequent(&row));
        self.rows.insert(symbol, row);
    }

    fn remove_row(&mut self, symbol: u32) {
        let row = self.rows.remove(&symbol);
        self.frequent -= usize::from(row.as_ref().is_some_and(is_frequent));
    }
}

impl Default for Ledger {
    fn default() -> Self {
        let mut names = Interner::default();
        names.intern(NO_AGENT);
        Self {
            names,
            strata: Vec::new(),
            stratum_symbols: FxHashMap::default(),
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
        let symbols: Vec<u32> = facts.iter().map(|fact| self.intern(fact.pattern, fact.kind)).collect();
        self.add_numbered(key, base, facts, &symbols, at);
    }

    /// `add` for facts whose patterns were interned before: `symbols` has the number of each.
    pub fn add_numbered(
        &mut self,
        key: StratumKey<'_>,
        base: Option<f64>,
        facts: &[Fact],
        symbols: &[u32],
        at: i64,
    ) {
        let (stratum, book) = (self.stratum(key), self.book(key.namespace));
        let groups = &mut self.books[book as usize].groups;
        let circumstances = self.strata[stratum as usize].circumstances();
        let compared = groups.intern(stratum, circumstances, key.task);
        let episode = Cell::of_episode((stratum, compared), base, at);
        if base.is_some() {
            groups.add(compared, episode.outcomes);
            let book = &mut self.books[book as usize];
            book.outcomes.add(self.strata[stratum as usize].circumstances(), &episode);
            book.put(0, episode);
        }
        for (fact, symbol) in facts.iter().zip(symbols) {
            self.books[book as usize].put(*symbol, episode.of(fact));
        }
    }

    /// Takes back the counts of `add` with the same arguments.
    pub fn remove(&mut self, key: StratumKey<'_>, base: Option<f64>, facts: &[Fact]) {
        let (Some(strata), Some(book)) = (self.known_stratum(key), self.namespace(key.namespace)) else {
            return;
        };
        let episode = Cell::of_episode(strata, base, 0);
        if base.is_some() {
            let book = &mut self.books[book as usize];
            book.groups.subtract(episode.compared, episode.outcomes);
            book.outcomes.subtract(self.strata[episode.stratum as usize].circumstances(), &episode);
            book.take(0, episode);
        }
        for fact in facts {
            if let Some(symbol) = self.symbol(&fact.pattern) {
                self.books[book as usize].take(symbol, episode.of(fact));
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
        let Some(strata) = self.known_stratum(key) else { return };
        let episode = Cell::of_episode(strata, base, at);
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
            self.books[book].remove_row(*symbol);
        }
        for (pattern, (kind, row)) in rows.0 {
            let symbol = self.intern(pattern, kind);
            self.books[book].insert_row(symbol, row);
        }
    }

    /// The counts of one namespace; the numbers of names and patterns stay as they are.
    pub fn of_namespace(&self, namespace: &str) -> Self {
        let wanted = self.namespace(namespace);
        let books = self.books.iter().enumerate().map(|(number, book)| match Some(number as u32) == wanted {
            true => book.clone(),
            false => Book::default(),
        });
        Self {
            names: self.names.clone(),
            strata: self.strata.clone(),
            stratum_symbols: self.stratum_symbols.clone(),
            patterns: self.patterns.clone(),
            pattern_symbols: self.pattern_symbols.clone(),
            namespaces: self.namespaces.clone(),
            books: books.collect(),
        }
    }

    /// Every sum there is, in no particular order.
    pub fn sums(&self) -> impl Iterator<Item = Sum<'_>> {
        self.books.iter().enumerate().flat_map(move |(number, book)| {
            let rows = book
                .rows
                .iter()
                .flat_map(|(&symbol, row)| row.cells().iter().map(move |cell| (symbol, cell)));
            rows.map(move |(symbol, cell)| self.sum(number, symbol, cell))
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

    /// The number of the namespace's patterns that at least `FEWEST_COMPARED` episodes show.
    pub fn frequent(&self, namespace: &str) -> usize {
        let book = self.namespace(namespace).map(|book| &self.books[book as usize]);
        // The row of all episodes is none of a pattern.
        book.map_or(0, |book| book.frequent - usize::from(book.rows.get(&0).is_some_and(is_frequent)))
    }

    /// The pattern's mean over all the namespace's evidence, in constant time.
    pub fn mean_of(&self, namespace: u32, symbol: u32) -> Option<f64> {
        let (trials, successes) = self.books.get(namespace as usize)?.rows.get(&symbol)?.total();
        Some(Interval::mean_of(successes, trials as f64))
    }

    /// The evidence of the slice about the pattern; `None` means that there is none.
    pub fn summary(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<Summary> {
        let filter = self.filter(slice)?;
        let symbol = self.symbol(pattern)?;
        let row = self.books[self.namespace(namespace)? as usize].rows.get(&symbol)?;
        self.summarise(symbol, row, &filter)
    }

    /// Successes and trials of `summary`, decayed as the slice says: the counts behind its interval.
    pub fn weighed(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<(f64, f64)> {
        let kind = self.patterns[self.symbol(pattern)? as usize].1;
        let (row, filter) = (self.row(namespace, pattern)?, self.filter(slice)?);
        if filter.is_everything() {
            return Some(row.one_an_episode(is_outcome(kind)));
        }
        let totals = self.totals(row, &filter)?;
        Some(totals.decayed.one_an_episode(is_outcome(kind)))
    }

    /// The episodes of the slice that show the pattern, and the sum of their outcome shares; `None` without evidence.
    pub fn episodes_of(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<(u64, f64)> {
        let (row, filter) = (self.row(namespace, pattern)?, self.filter(slice)?);
        if filter.is_everything() {
            return Some((row.episodes().into(), row.outcomes()));
        }
        let totals = self.totals(row, &filter)?;
        Some((totals.episodes, totals.outcomes))
    }

    /// Trials and successes of a pattern over all strata, in constant time.
    pub fn total(&self, namespace: &str, pattern: &Id) -> Option<(u64, f64)> {
        Some(self.row(namespace, pattern)?.total())
    }

    /// The number of episodes in the slice, and the sum of their outcome shares.
    pub fn rates(&self, namespace: &str, slice: &Slice<'_>) -> (u64, f64) {
        let (Some(row), Some(filter)) = (self.row(namespace, &EVERY_EPISODE), self.filter(slice)) else {
            return (0, 0.0);
        };
        if filter.is_everything() {
            return (row.episodes().into(), row.outcomes());
        }
        self.namespace(namespace)
            .map_or((0, 0.0), |book| self.books[book as usize].outcomes.sum(|each| filter.admits(each)))
    }

    /// The share of success that the episodes of a pattern would have at the rates of their domains and agents; `None`
    /// for a pattern that the slice does not hold.
    pub fn base_rate(&self, namespace: &str, pattern: &Id, slice: &Slice<'_>) -> Option<f64> {
        let (own, filter) = (self.row(namespace, pattern)?, self.filter(slice)?);
        let totals = &self.books[self.namespace(namespace)? as usize].outcomes;
        let (mut expected, mut episodes) = (0.0, 0.0);
        for cell in own.cells() {
            let stratum = &self.strata[cell.stratum as usize];
            let is_inside = filter.admits(stratum.circumstances());
            let all = totals.of_agent(stratum.domain, stratum.agent);
            if let Some((of, outcomes)) = all.filter(|_| is_inside) {
                expected += f64::from(cell.episodes) * outcomes / of as f64;
                episodes += f64::from(cell.episodes);
            }
        }
        (episodes > 0.0).then(|| expected / episodes)
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
        let rows = &self.books[book as usize].rows;
        let mut ranked = self.rank(rows, kind, &filter, page);
        keep_page(&mut ranked, page);
        ranked
            .into_iter()
            .filter_map(|(_, id, symbol)| Some((id, self.summarise(symbol, &rows[&symbol], &filter)?)))
            .collect()
    }

    /// The patterns of a kind with any trial, by id: each with the number of episodes that show it, and the numbers of
    /// their domains, ascending.
    pub fn pattern_domains(&self, namespace: &str, kind: u8) -> Vec<(Id, u64, Vec<u32>)> {
        let Some(book) = self.namespace(namespace) else { return Vec::new() };
        let mut found: Vec<(Id, u64, Vec<u32>)> = Vec::new();
        for (symbol, row) in &self.books[book as usize].rows {
            let (pattern, its_kind) = self.patterns[*symbol as usize];
            if *symbol != 0 && its_kind == kind && row.total().0 > 0 {
                let domain = |cell: &Cell| self.strata[cell.stratum as usize].domain;
                let mut domains: Vec<u32> = row.cells().iter().map(domain).collect();
                domains.sort_unstable();
                domains.dedup();
                found.push((pattern, row.episodes().into(), domains));
            }
        }
        found.sort_unstable_by_key(|(pattern, ..)| *pattern);
        found
    }

    /// Success of the episodes with the pattern against those without it, within each group of comparable episodes:
    /// attempts at one task, or tasks of one domain that were tried once, by one agent at one complexity.
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
        let book = &self.books[book as usize];
        let row = |id: &Id| book.rows.get(&self.symbol(id)?);
        let Some(own) = row(pattern) else { return odds_ratio(&[]) };
        match among {
            None => self.against_all(own, book, &filter),
            Some(others) => {
                let others: FxHashSet<&Id> = others.iter().filter(|other| *other != pattern).collect();
                self.against(own, others.into_iter().filter_map(row), book, &filter)
            }
        }
    }

    /// Every pattern that at least `min_episodes` of the slice show, compared as `odds_ratio` does with all other
    /// episodes, by id.
    pub fn compared(&self, namespace: &str, slice: &Slice<'_>, min_episodes: u64) -> Vec<Compared> {
        let (Some(filter), Some(book)) = (self.filter(slice), self.namespace(namespace)) else {
            return Vec::new();
        };
        let book = &self.books[book as usize];
        let mut compared: Vec<Compared> = Vec::new();
        for (&symbol, row) in book.rows.iter().filter(|(symbol, _)| **symbol != 0) {
            let Some(totals) = self.totals(row, &filter).filter(|totals| totals.episodes >= min_episodes)
            else {
                continue;
            };
            let (pattern, kind) = self.patterns[symbol as usize];
            let odds_ratio = self.against_all(row, book, &filter);
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

    fn against_all(&self, row: &PatternSums, book: &Book, filter: &SliceFilter) -> OddsRatio {
        let mut groups = GroupStrata::default();
        self.each_outcome(row, book, filter, |group, with| groups.add(group, &stratum_with(with)));
        let weight = |stratum: u32| filter.weight(&self.strata[stratum as usize]).unwrap_or(0.0);
        for (group, stratum) in &mut groups.strata {
            let [succeeded, failed] = book.groups.totals(*group, filter.decay.map(|_| weight));
            stratum.without_succeeded = (succeeded - stratum.with_succeeded).max(0.0);
            stratum.without_failed = (failed - stratum.with_failed).max(0.0);
        }
        groups.odds_ratio()
    }

    fn against<'a>(
        &self,
        row: &PatternSums,
        others: impl Iterator<Item = &'a PatternSums>,
        book: &Book,
        filter: &SliceFilter,
    ) -> OddsRatio {
        let mut groups = GroupStrata::default();
        self.each_outcome(row, book, filter, |group, with| {
            groups.add(book.groups.anywhere(group), &stratum_with(with));
        });
        for other in others {
            self.each_outcome(other, book, filter, |group, without| {
                groups.add(book.groups.anywhere(group), &stratum_without(without));
            });
        }
        groups.odds_ratio()
    }

    /// Successes and failures of the row's episodes by group, month by month.
    fn each_outcome(
        &self,
        row: &PatternSums,
        book: &Book,
        filter: &SliceFilter,
        mut tell: impl FnMut(u32, [f64; 2]),
    ) {
        row.each_share(|share| {
            let (stratum, group) = book.groups.of_month(share.compared);
            if let Some(weight) = filter.weight(&self.strata[stratum as usize]) {
                let failed = f64::from(share.episodes) - share.outcomes;
                tell(group, [weight * share.outcomes, weight * failed]);
            }
        });
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
            if page.order != Order::Recent && filter.is_everything() {
                let (trials, _) = row.total();
                if trials >= page.min_trials {
                    let (successes, of_episodes) =
                        row.one_an_episode(is_outcome(self.patterns[symbol as usize].1));
                    let key = match page.order {
                        Order::Confidence => confidences.get(successes, of_episodes),
                        _ => trials as f64,
                    };
                    ranked.push((key, self.patterns[symbol as usize].0, symbol));
                }
                continue;
            }
            let Some(totals) = self.totals(row, filter) else { continue };
            let is_outcome = is_outcome(self.patterns[symbol as usize].1);
            if totals.trials < page.min_trials {
                continue;
            }
            let key = match page.order {
                Order::Confidence => {
                    let (successes, trials) = totals.decayed.one_an_episode(is_outcome);
                    confidences.get(successes, trials)
                }
                Order::Trials => totals.trials as f64,
                Order::Recent => totals.last_seen as f64,
            };
            ranked.push((key, self.patterns[symbol as usize].0, symbol));
        }
        ranked
    }

    fn summarise(&self, symbol: u32, row: &PatternSums, filter: &SliceFilter) -> Option<Summary> {
        let kind = self.patterns[symbol as usize].1;
        let totals = self.totals(row, filter)?;
        let (successes, trials) = totals.decayed.one_an_episode(is_outcome(kind));
        let interval = Interval::from_counts(successes, trials);
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
        self.books[self.namespace(namespace)? as usize].rows.get(&self.symbol(pattern)?)
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
                task: 0,
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

    fn book(&mut self, namespace: &str) -> u32 {
        let symbol = self.namespaces.intern(namespace);
        if symbol as usize == self.books.len() {
            self.books.push(Book::default());
        }
        symbol
    }

    /// The stratum and the month of the group that an episode was counted in.
    fn known_stratum(&self, key: StratumKey<'_>) -> Option<(u32, u32)> {
        let stratum = StratumSymbols {
            domain: self.names.symbol(key.domain)?,
            agent: self.names.symbol(key.agent.unwrap_or(NO_AGENT))?,
            complexity: key.complexity,
            month: key.month,
        };
        let stratum = self.stratum_symbols.get(&stratum).copied()?;
        let book = &self.books[self.namespace(key.namespace)? as usize];
        Some((stratum, book.groups.number(stratum, key.task)?))
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

fn stratum_with([with_succeeded, with_failed]: [f64; 2]) -> odds_ratio::Stratum {
    odds_ratio::Stratum { with_succeeded, with_failed, ..odds_ratio::Stratum::default() }
}

fn stratum_without([without_succeeded, without_failed]: [f64; 2]) -> odds_ratio::Stratum {
    odds_ratio::Stratum { without_succeeded, without_failed, ..odds_ratio::Stratum::default() }
}

/// One stratum for each group, in the order of their first parts. The parts of a group are added in their order.
#[derive(Default)]
struct GroupStrata {
    places: FxHashMap<u32, usize>,
    strata: Vec<(u32, odds_ratio::Stratum)>,
}

impl GroupStrata {
    fn add(&mut self, group: u32, part: &odds_ratio::Stratum) {
        let place = *self.places.entry(group).or_insert(self.strata.len());
        match self.strata.get_mut(place) {
            Some((_, stratum)) => stratum.add(part),
            None => self.strata.push((group, *part)),
        }
    }

    /// The same ratio in whatever order the episodes came: the strata are put in the order of their counts.
    fn odds_ratio(self) -> OddsRatio {
        // Tasks make many strata with few different counts: these are sorted, and stand as often as they occur.
        let mut times: FxHashMap<[u64; 4], usize> = FxHashMap::default();
        let comparing = self.strata.iter().map(|(_, stratum)| stratum).filter(|each| each.is_informative());
        let mut distinct: Vec<(odds_ratio::Stratum, [u64; 4])> = Vec::new();
        for stratum in comparing {
            let bits = stratum.bits();
            let count = times.entry(bits).or_default();
            *count += 1;
            if *count == 1 {
                distinct.push((*stratum, bits));
            }
        }
        distinct.sort_unstable_by(|(a, _), (b, _)| a.order(b));
        let repeated =
            distinct.into_iter().flat_map(|(stratum, bits)| std::iter::repeat_n(stratum, times[&bits]));
        odds_ratio(&repeated.collect::<Vec<_>>())
    }
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
    /// Returns true if all evidence is inside the slice, at full weight.
    fn is_everything(&self) -> bool {
        self.domain.is_none() && self.agent.is_none() && self.complexity.is_none() && self.decay.is_none()
    }

    /// Returns true if the evidence of these circumstances is inside the slice.
    fn admits(&self, (domain, agent, complexity): CellCircumstances) -> bool {
        self.domain.is_none_or(|wanted| wanted == domain)
            && self.agent.is_none_or(|wanted| wanted == agent)
            && self.complexity.is_none_or(|wanted| wanted == complexity)
    }

    /// The weight of the stratum's evidence; `None` means that it is outside the slice.
    fn weight(&self, stratum: &StratumSymbols) -> Option<f64> {
        let is_inside = self.admits(stratum.circumstances());
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
    /// The same counts, old ones weighing less.
    decayed: Occurrences,
}

impl Totals {
    fn add(&mut self, cell: &Cell, weight: f64) {
        self.last_seen = if self.episodes == 0 { cell.last_seen } else { self.last_seen.max(cell.last_seen) };
        self.trials += u64::from(cell.trials);
        self.successes += cell.successes;
        self.episodes += u64::from(cell.episodes);
        self.outcomes += cell.outcomes;
        self.decayed.trials += weight * f64::from(cell.trials);
        self.decayed.successes += weight * cell.successes;
        self.decayed.episodes += weight * f64::from(cell.episodes);
        self.decayed.outcomes += weight * cell.outcomes;
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
