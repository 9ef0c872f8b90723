//! What trials say: how often something succeeds and how sure that is, and whether it is the cause.

mod beta;
mod contrast;
mod half_life;
mod ledger;
mod packed;

pub use beta::Interval;
pub use contrast::{Contrast, Stratum, contrast, false_discovery_shares};
pub use half_life::decay;
pub use ledger::{
    Compared, CountedRows, Decay, Ledger, Order, Page, Slice, StratumKey, Sum, Summary, month_of,
};
pub use packed::{PackedSums, decode_sums};
