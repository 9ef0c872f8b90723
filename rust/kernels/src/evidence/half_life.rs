//! Evidence that counts for less as it ages.

use std::time::Duration;

/// The weight of one observation after `age`: 2^(-age / half_life).
///
/// # Examples
/// ```
/// use std::time::Duration;
/// let hours = |hours: u64| Duration::from_secs(3_600 * hours);
/// assert_eq!(tacit_kernels::evidence::decay(hours(48), hours(24)), 0.25);
/// ```
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
