//! Evidence that counts for less as it ages.

use std::time::Duration;

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
