//! Questions to the index, and its answers.

use crate::facts::Id;
use std::time::Duration;

/// The ways to judge a candidate, in the order of `Weights` and of a hit's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Signal {
    /// Words and parts of words in common, the rare ones above all.
    Lexical,
    /// Cosine of the embeddings.
    Vector,
    /// Domain, language and tags.
    Context,
    /// The steps so far beside the start of the episode.
    Steps,
    /// The reward's score among those of its domain.
    Outcome,
    /// The mean of the evidence for the episode's patterns.
    Evidence,
    /// The time since it ended, by a half-life.
    Recency,
    /// The effectiveness of the episode as a memory.
    Effectiveness,
}

pub const SIGNALS: usize = 8;

impl Signal {
    pub const ALL: [Signal; SIGNALS] = [
        Signal::Lexical,
        Signal::Vector,
        Signal::Context,
        Signal::Steps,
        Signal::Outcome,
        Signal::Evidence,
        Signal::Recency,
        Signal::Effectiveness,
    ];

    pub fn name(self) -> &'static str {
        let names =
            ["lexical", "vector", "context", "steps", "outcome", "evidence", "recency", "effectiveness"];
        names[self as usize]
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }

    /// Returns true if the signal compares with the query; the others judge the episode alone.
    pub fn compares(self) -> bool {
        matches!(self, Signal::Lexical | Signal::Vector | Signal::Context | Signal::Steps)
    }
}

/// The weight of each signal: finite and not negative. They need not sum to 1.
pub type Weights = [f64; SIGNALS];

/// The default weights. Text comes first: the other signals order episodes that are equally near.
pub const DEFAULT_WEIGHTS: Weights = [0.46, 0.24, 0.14, 0.10, 0.02, 0.02, 0.02, 0.06];

/// A new task, as the index is asked about it.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    pub namespace: &'a str,
    pub task: &'a str,
    /// The vector of the index's own embedder; `None` leaves the source and the signal out.
    pub vector: Option<&'a [f32]>,
    pub domain: Option<&'a str>,
    pub language: Option<&'a str>,
    pub tags: &'a [&'a str],
    /// The tools of the steps so far.
    pub tools: &'a [&'a str],
    /// Microseconds since 1970, UTC.
    pub now: i64,
    /// After how many microseconds an episode is half as recent; none leaves the signal out.
    pub half_life: Option<f64>,
    pub weights: Weights,
}

/// The judged episodes that become hits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecallLimits {
    pub limit: usize,
    /// The number of the nearest episodes that are wanted beside the hits, however they went.
    pub neighbours: usize,
    /// The number of episodes that the words and the vector each propose, at least.
    pub candidates: usize,
    /// At most so many attempts at one task.
    pub per_task: usize,
    /// At most so many near-copies: episodes with the same steps at tasks that are equal but for numbers and ids. 0: any.
    pub per_copy: usize,
    /// The weight of being unlike those chosen before, relative to the score: 0 for none, up to 1.
    pub diversity: f64,
    pub successes_only: bool,
    /// The half-life of the weights of the nearest episodes; `None` means that their age does not matter.
    pub decay: Option<Duration>,
}

/// One episode that answers a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub id: Id,
    /// The sum of each value times its weight.
    pub score: f64,
    /// Values in 0 to 1; NaN means that the signal is absent.
    pub values: [f64; SIGNALS],
    /// Sum to 1 over the signals that are present; 0 for the others.
    pub weights: Weights,
}

/// The least value of the context for the same domain, and of the steps so far for the same beginning.
const SAME: f64 = 0.5;
/// The share of the floor that holds for words alone: their values are smaller than those of vectors.
const LEXICAL_SHARE: f64 = 0.3;

impl Hit {
    /// Returns true if the texts are alike by at least `floor`, or else the domain or the steps so far.
    pub fn is_comparable(&self, floor: f64) -> bool {
        // An absent signal is NaN, which the larger of two values leaves out.
        let larger = |a: Signal, b: Signal| self.values[a as usize].max(self.values[b as usize]).max(0.0);
        let has_vector = !self.values[Signal::Vector as usize].is_nan();
        let floor = if has_vector { floor } else { floor * LEXICAL_SHARE };
        larger(Signal::Lexical, Signal::Vector) >= floor || larger(Signal::Context, Signal::Steps) >= SAME
    }
}

/// Hits, best first, and the signals that the answer did without.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recalled {
    pub hits: Vec<Hit>,
    /// The nearest episodes and how near they are in 0 to 1, nearest first.
    pub nearest: Vec<(Id, f64)>,
    pub missing: Vec<Signal>,
}

/// Best first; ties by id.
pub(super) fn order(a: &Hit, b: &Hit) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score).then(a.id.cmp(&b.id))
}
