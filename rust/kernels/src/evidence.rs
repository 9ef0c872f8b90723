//! Evidence from trials: the share of successes, its interval, and its comparison with other episodes.

mod beta;
mod condition;
mod half_life;
mod ledger;
mod odds_ratio;

pub use beta::Interval;
pub use condition::{ActionEvidence, ActionOccurrences, ConditionEvidence, EpisodeColumns, FeatureSplit};
pub use half_life::decay;
pub use ledger::{
    Compared, CountedRows, Decay, FEWEST_COMPARED, Ledger, Order, Page, Slice, StratumKey, Sum, Summary,
    month_of,
};
pub use odds_ratio::{OddsRatio, Stratum, benjamini_hochberg, odds_ratio};
