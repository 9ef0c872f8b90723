//! What trials say: how often something succeeds and how sure that is, and whether it is the cause.

mod beta;
mod half_life;
mod ledger;
mod odds_ratio;
mod packed;

pub use beta::Interval;
pub use half_life::decay;
pub use ledger::{
    Compared, CountedRows, Decay, Ledger, Order, Page, Slice, StratumKey, Sum, Summary, month_of,
};
pub use odds_ratio::{OddsRatio, Stratum, benjamini_hochberg, odds_ratio};
pub use packed::{PackedSums, decode_sums};
