//! The sums of one pattern: a cell for each stratum that has evidence.

use crate::facts::Fact;

/// The share to the nearest 2⁻²⁴: sums of these are exact whatever their order, up to 500 million of them.
pub(super) fn exact(share: f64) -> f64 {
    const UNIT: f64 = (1_u32 << 24) as f64;
    (share * UNIT).round() / UNIT
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) stratum: u32,
    pub(super) trials: u32,
    pub(super) successes: f64,
    pub(super) episodes: u32,
    pub(super) outcomes: f64,
    pub(super) last_seen: i64,
}

impl Cell {
    /// One episode with its share of success. Without one it is no trial of any way of working: its facts alone count.
    pub(super) fn of_episode(stratum: u32, share: Option<f64>, last_seen: i64) -> Self {
        let (episodes, outcomes) = share.map_or((0, 0.0), |share| (1, exact(share)));
        Self { stratum, trials: 0, successes: 0.0, episodes, outcomes, last_seen }
    }

    fn is_empty(&self) -> bool {
        self.episodes == 0 && self.trials == 0
    }

    /// The same episode, as the fact counts it.
    pub(super) fn of(self, fact: &Fact) -> Self {
        Self { trials: fact.occurrences.into(), successes: exact(fact.successes), ..self }
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

/// Most patterns are totals in one stratum; those take no memory beside the row itself.
#[derive(Clone, Debug)]
pub(super) enum PatternSums {
    One(Cell),
    Many(Box<Many>),
}

/// By stratum, with the sums over all of them. Never without a cell.
#[derive(Clone, Debug)]
pub(super) struct Many {
    cells: Vec<Cell>,
    trials: u64,
    successes: f64,
}

impl PatternSums {
    pub(super) fn cells(&self) -> &[Cell] {
        match self {
            Self::One(cell) => std::slice::from_ref(cell),
            Self::Many(many) => &many.cells,
        }
    }

    /// The cell of one stratum.
    pub(super) fn cell(&self, stratum: u32) -> Option<&Cell> {
        match self {
            Self::One(cell) => (cell.stratum == stratum).then_some(cell),
            Self::Many(many) => many.find(stratum).ok().map(|at| &many.cells[at]),
        }
    }

    /// Trials and successes over all strata.
    pub(super) fn total(&self) -> (u64, f64) {
        match self {
            Self::One(cell) => (cell.trials.into(), cell.successes),
            Self::Many(many) => (many.trials, many.successes),
        }
    }

    pub(super) fn add(&mut self, cell: Cell) {
        match self {
            Self::One(own) if own.stratum == cell.stratum => own.add(cell),
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
            Self::One(own) if own.stratum == cell.stratum => {
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

impl Many {
    fn new(cell: Cell) -> Self {
        Self { cells: vec![cell], trials: cell.trials.into(), successes: cell.successes }
    }

    fn add(&mut self, cell: Cell) {
        match self.find(cell.stratum) {
            Ok(at) => self.cells[at].add(cell),
            Err(at) => self.cells.insert(at, cell),
        }
        self.trials += u64::from(cell.trials);
        self.successes += cell.successes;
    }

    fn subtract(&mut self, cell: Cell) {
        let Ok(at) = self.find(cell.stratum) else { return };
        self.cells[at].subtract(cell);
        if self.cells[at].is_empty() {
            self.cells.remove(at);
        }
        self.trials = self.trials.saturating_sub(cell.trials.into());
        self.successes -= cell.successes;
    }

    fn find(&self, stratum: u32) -> Result<usize, usize> {
        self.cells.binary_search_by_key(&stratum, |cell| cell.stratum)
    }
}
