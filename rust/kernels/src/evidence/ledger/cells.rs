//! The sums of one pattern: a cell for each stratum that has evidence.

use crate::facts::Fact;
use crate::image::{Fixed, Image, ImageReader, check};
use crate::msgpack::{self, Malformed};
use rustc_hash::FxHashMap;

/// The share to the nearest 2⁻²⁴: sums of these are exact whatever their order, up to 500 million of them.
pub(in crate::evidence) fn exact(share: f64) -> f64 {
    const UNIT: f64 = (1_u32 << 24) as f64;
    (share * UNIT).round() / UNIT
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) stratum: u32,
    /// The number of the comparison's stratum, which knows the task.
    pub(super) compared: u32,
    pub(super) trials: u32,
    pub(super) successes: f64,
    pub(super) episodes: u32,
    pub(super) outcomes: f64,
    pub(super) last_seen: i64,
}

impl Cell {
    /// One episode with its share of success. Without one it is no trial of any way of working: its facts alone count.
    pub(super) fn of_episode((stratum, compared): (u32, u32), share: Option<f64>, last_seen: i64) -> Self {
        let (episodes, outcomes) = share.map_or((0, 0.0), |share| (1, exact(share)));
        Self { stratum, compared, trials: 0, successes: 0.0, episodes, outcomes, last_seen }
    }

    fn is_empty(&self) -> bool {
        self.episodes == 0 && self.trials == 0
    }

    /// The same episode, as the fact counts it.
    pub(super) fn of(self, fact: &Fact) -> Self {
        Self { trials: fact.occurrences.into(), successes: exact(fact.successes), ..self }
    }

    fn is_beside(&self, other: &Cell) -> bool {
        (self.stratum, self.compared) == (other.stratum, other.compared)
    }

    fn add(&mut self, other: Cell) {
        self.trials += other.trials;
        self.successes += other.successes;
        self.episodes += other.episodes;
        self.outcomes += other.outcomes;
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    fn subtract(&mut self, other: Cell) {
        self.trials = self.trials.saturating_sub(other.trials);
        self.successes -= other.successes;
        self.episodes = self.episodes.saturating_sub(other.episodes);
        self.outcomes -= other.outcomes;
    }
}

/// The episodes of one pattern in one stratum of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    pub(super) compared: u32,
    pub(super) episodes: u32,
    pub(super) outcomes: f64,
}

impl Share {
    /// `None` means that the cell's facts are of episodes without an outcome.
    fn of_cell(cell: &Cell) -> Option<Self> {
        let Cell { compared, episodes, outcomes, .. } = *cell;
        (episodes > 0).then_some(Self { compared, episodes, outcomes })
    }
}

impl Fixed for Cell {
    const BYTES: usize = 40;

    fn store(self, place: &mut [u8]) {
        let numbers = [self.stratum, self.compared, self.trials, self.episodes];
        (numbers, ([self.successes, self.outcomes], self.last_seen)).store(place);
    }

    fn load(bytes: &[u8]) -> Self {
        let ([stratum, compared, trials, episodes], ([successes, outcomes], last_seen)) = Fixed::load(bytes);
        Self { stratum, compared, trials, successes, episodes, outcomes, last_seen }
    }
}

impl Fixed for Share {
    const BYTES: usize = 16;

    fn store(self, place: &mut [u8]) {
        ([self.compared, self.episodes], self.outcomes).store(place);
    }

    fn load(bytes: &[u8]) -> Self {
        let ([compared, episodes], outcomes) = Fixed::load(bytes);
        Self { compared, episodes, outcomes }
    }
}

/// How often a pattern occurred and worked, in how many judged episodes, and how these ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Occurrences {
    pub(super) trials: f64,
    pub(super) successes: f64,
    pub(super) episodes: f64,
    pub(super) outcomes: f64,
}

impl Occurrences {
    /// Successes and trials of one trial an episode: the outcome, or else the rate of all occurrences. Of episodes without
    /// an outcome every occurrence is a trial, because their number is not kept.
    pub(super) fn one_an_episode(&self, is_outcome: bool) -> (f64, f64) {
        if is_outcome {
            return (self.outcomes, self.episodes);
        }
        let trials = if self.episodes > 0.0 { self.episodes.min(self.trials) } else { self.trials };
        let rate = if self.trials > 0.0 { self.successes / self.trials } else { 0.0 };
        (rate * trials, trials)
    }
}

/// Most patterns are totals in one stratum; those take no memory beside the row itself.
#[derive(Clone, Debug)]
pub(super) enum PatternSums {
    One(Cell),
    Many(Box<Many>),
}

/// By stratum, with the sums over all of them. Never without a cell.
#[derive(Clone, Debug)]
pub(super) struct Many {
    /// By stratum; their `compared` says nothing.
    cells: Vec<Cell>,
    shares: Vec<Share>,
    episodes: u32,
    trials: u64,
    successes: f64,
    outcomes: f64,
}

impl PatternSums {
    /// The episodes that show the pattern, over all strata.
    pub(super) fn episodes(&self) -> u32 {
        match self {
            Self::One(cell) => cell.episodes,
            Self::Many(many) => many.episodes,
        }
    }

    /// The sum of those episodes' outcome shares.
    pub(super) fn outcomes(&self) -> f64 {
        match self {
            Self::One(cell) => cell.outcomes,
            Self::Many(many) => many.outcomes,
        }
    }

    pub(super) fn cells(&self) -> &[Cell] {
        match self {
            Self::One(cell) => std::slice::from_ref(cell),
            Self::Many(many) => &many.cells,
        }
    }

    /// The episodes in each stratum of a comparison.
    pub(super) fn each_share(&self, tell: impl FnMut(Share)) {
        match self {
            Self::One(cell) => Share::of_cell(cell).into_iter().for_each(tell),
            Self::Many(many) => many.shares.iter().copied().for_each(tell),
        }
    }

    /// Trials and successes over all strata.
    pub(super) fn total(&self) -> (u64, f64) {
        match self {
            Self::One(cell) => (cell.trials.into(), cell.successes),
            Self::Many(many) => (many.trials, many.successes),
        }
    }

    /// Successes and trials of one trial an episode over all strata.
    pub(super) fn one_an_episode(&self, is_outcome: bool) -> (f64, f64) {
        let (trials, successes) = self.total();
        let (episodes, outcomes) = (f64::from(self.episodes()), self.outcomes());
        Occurrences { trials: trials as f64, successes, episodes, outcomes }.one_an_episode(is_outcome)
    }

    pub(super) fn add(&mut self, cell: Cell) {
        match self {
            Self::One(own) if own.is_beside(&cell) => own.add(cell),
            Self::One(own) => {
                let mut many = Many::new(*own);
                many.add(cell);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => many.add(cell),
        }
    }

    /// Takes the cell back, and says whether nothing is left.
    pub(super) fn subtract(&mut self, cell: Cell) -> bool {
        match self {
            Self::One(own) if own.is_beside(&cell) => {
                own.subtract(cell);
                own.is_empty()
            }
            Self::One(_) => false,
            Self::Many(many) => {
                many.subtract(cell);
                many.cells.is_empty()
            }
        }
    }
}

/// The number of shares that stands for a row of one cell.
const ONE: u32 = u32::MAX;

/// Writes rows by their patterns: columns of symbols, of the numbers of cells and shares, of cells and of shares.
pub(super) fn write_rows(rows: &FxHashMap<u32, PatternSums>, out: &mut Vec<u8>) {
    let mut sorted: Vec<(&u32, &PatternSums)> = rows.iter().collect();
    sorted.sort_unstable_by_key(|(symbol, _)| **symbol);
    let (mut heads, mut cells, mut shares): (Vec<[u32; 3]>, Vec<Cell>, Vec<Share>) = Default::default();
    for (symbol, row) in sorted {
        cells.extend_from_slice(row.cells());
        match row {
            PatternSums::One(_) => heads.push([*symbol, 1, ONE]),
            PatternSums::Many(many) => {
                shares.extend_from_slice(&many.shares);
                heads.push([*symbol, many.cells.len() as u32, many.shares.len() as u32]);
            }
        }
    }
    heads.write(out);
    cells.write(out);
    shares.write(out);
}

/// Reads rows that `write_rows` wrote. Every stratum and every number of a comparison lies below the numbers given.
pub(super) fn read_rows(
    input: &mut ImageReader<'_>,
    strata: usize,
    compared: usize,
) -> msgpack::Result<FxHashMap<u32, PatternSums>> {
    let heads: Vec<[u32; 3]> = Vec::read(input)?;
    let (cells, shares): (Vec<Cell>, Vec<Share>) = (Vec::read(input)?, Vec::read(input)?);
    let is_known = |cell: &Cell| (cell.stratum as usize) < strata && (cell.compared as usize) < compared;
    let is_compared = |share: &Share| (share.compared as usize) < compared;
    check(cells.iter().all(is_known) && shares.iter().all(is_compared), "a count of no stratum")?;
    let (mut cells, mut shares) = (cells.as_slice(), shares.as_slice());
    let mut rows = FxHashMap::with_capacity_and_hasher(heads.len(), rustc_hash::FxBuildHasher);
    for [symbol, of_cells, of_shares] in heads {
        let own = split(&mut cells, of_cells)?;
        let row = match of_shares {
            ONE => PatternSums::One(*own.first().ok_or(Malformed("a row without a cell"))?),
            count => PatternSums::Many(Box::new(Many::from_parts(
                own.to_vec(),
                split(&mut shares, count)?.to_vec(),
            ))),
        };
        check(!own.is_empty() && rows.insert(symbol, row).is_none(), "a row stands twice")?;
    }
    check(cells.is_empty() && shares.is_empty(), "cells of no row")?;
    Ok(rows)
}

fn split<'a, T>(rest: &mut &'a [T], count: u32) -> msgpack::Result<&'a [T]> {
    let (taken, left) = rest.split_at_checked(count as usize).ok_or(Malformed("rows end early"))?;
    *rest = left;
    Ok(taken)
}

impl Many {
    /// The sums over all cells are exact, whatever the order: see `exact`.
    fn from_parts(cells: Vec<Cell>, shares: Vec<Share>) -> Self {
        let mut many = Self { cells, shares, episodes: 0, trials: 0, successes: 0.0, outcomes: 0.0 };
        for cell in &many.cells {
            many.episodes += cell.episodes;
            many.trials += u64::from(cell.trials);
            many.successes += cell.successes;
            many.outcomes += cell.outcomes;
        }
        many
    }

    fn new(cell: Cell) -> Self {
        Self {
            cells: vec![cell],
            shares: Share::of_cell(&cell).into_iter().collect(),
            episodes: cell.episodes,
            trials: cell.trials.into(),
            successes: cell.successes,
            outcomes: cell.outcomes,
        }
    }

    fn add(&mut self, cell: Cell) {
        match self.find(cell.stratum) {
            Ok(at) => self.cells[at].add(cell),
            Err(at) => self.cells.insert(at, cell),
        }
        if let Some(share) = Share::of_cell(&cell) {
            match self.find_share(share.compared) {
                Ok(at) => {
                    self.shares[at].episodes += share.episodes;
                    self.shares[at].outcomes += share.outcomes;
                }
                Err(at) => self.shares.insert(at, share),
            }
        }
        self.episodes += cell.episodes;
        self.trials += u64::from(cell.trials);
        self.successes += cell.successes;
        self.outcomes += cell.outcomes;
    }

    fn subtract(&mut self, cell: Cell) {
        let Ok(at) = self.find(cell.stratum) else { return };
        self.cells[at].subtract(cell);
        if self.cells[at].is_empty() {
            self.cells.remove(at);
        }
        if let (Some(taken), Ok(at)) = (Share::of_cell(&cell), self.find_share(cell.compared)) {
            self.shares[at].episodes = self.shares[at].episodes.saturating_sub(taken.episodes);
            self.shares[at].outcomes -= taken.outcomes;
            if self.shares[at].episodes == 0 {
                self.shares.remove(at);
            }
        }
        self.episodes = self.episodes.saturating_sub(cell.episodes);
        self.trials = self.trials.saturating_sub(cell.trials.into());
        self.successes -= cell.successes;
        self.outcomes -= cell.outcomes;
    }

    fn find(&self, stratum: u32) -> Result<usize, usize> {
        self.cells.binary_search_by_key(&stratum, |cell| cell.stratum)
    }

    fn find_share(&self, compared: u32) -> Result<usize, usize> {
        self.shares.binary_search_by_key(&compared, |share| share.compared)
    }
}
