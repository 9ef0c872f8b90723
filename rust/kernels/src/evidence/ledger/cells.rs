//! The sums of one pattern: a cell for each stratum that has evidence.

use crate::facts::Fact;

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
        let (episodes, outcomes) = match self {
            Self::One(cell) => (cell.episodes, cell.outcomes),
            Self::Many(many) => (many.episodes, many.outcomes),
        };
        Occurrences { trials: trials as f64, successes, episodes: f64::from(episodes), outcomes }
            .one_an_episode(is_outcome)
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

impl Many {
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
