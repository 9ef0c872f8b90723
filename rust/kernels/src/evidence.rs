//! What trials say: how often something succeeds and how sure that is, and whether it is the cause.

mod beta;
mod contrast;
mod ledger;
mod packed;

use std::time::Duration;

pub use beta::Interval;
pub use contrast::{Contrast, Stratum, contrast, false_discovery_shares};
pub use ledger::{Compared, Decay, Ledger, Order, Page, Slice, StratumKey, Sum, Summary, month_of};
pub use packed::{PackedSums, decode_sums};

/// What one observation still counts for after `age`: half of it after each `half_life`.
pub fn decay(age: Duration, half_life: Duration) -> f64 {
    (-age.as_secs_f64() / half_life.as_secs_f64()).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_counts_half_after_each_half_life() {
        let day = Duration::from_secs(86_400);
        assert_eq!([0, 1, 3].map(|days| decay(day * days, day)), [1.0, 0.5, 0.125]);
    }
}
