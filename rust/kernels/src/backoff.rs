//! Waits before another try, and the budget of retries. Time and the seed of the jitter are arguments.

use std::time::{Duration, Instant};

/// Numbers in 0..1 that a seed determines: they spread callers out, they keep no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jitter(u64);

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, evenly spread over `[0, 1)` (SplitMix64).
    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `first * growth^step`, at most `longest`.
pub(crate) fn grown(first: Duration, growth: f64, step: u32, longest: Duration) -> Duration {
    let seconds = first.as_secs_f64() * growth.powi(step.min(1_000) as i32);
    if seconds < longest.as_secs_f64() { Duration::from_secs_f64(seconds) } else { longest }
}

/// The tries of one call and the waits between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackoffLimits {
    /// The number of tries, the first one included.
    pub tries: u32,
    /// The longest wait before the second try; each later one may be `growth` times as long.
    pub first: Duration,
    pub longest: Duration,
    pub growth: f64,
}

impl Default for BackoffLimits {
    fn default() -> Self {
        Self { tries: 3, first: Duration::from_millis(100), longest: Duration::from_secs(5), growth: 2.0 }
    }
}

/// The waits between the tries of one call: full jitter, so that callers that failed together do not return together.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
/// use tacit_kernels::backoff::{Backoff, BackoffLimits};
/// let mut backoff = Backoff::new(BackoffLimits { tries: 2, ..BackoffLimits::default() }, 7);
/// assert!(backoff.wait(Instant::now(), None, Duration::ZERO).is_some());
/// assert_eq!(backoff.wait(Instant::now(), None, Duration::ZERO), None);
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    limits: BackoffLimits,
    jitter: Jitter,
    failed: u32,
}

impl Backoff {
    pub fn new(limits: BackoffLimits, seed: u64) -> Self {
        Self { limits, jitter: Jitter::new(seed), failed: 0 }
    }

    /// The wait after a failed try; `None` means that there is no other try.
    ///
    /// The wait is at least `retry_after` (the other side's wish) and ends before `deadline`. After the last try
    /// there is none.
    pub fn wait(
        &mut self,
        now: Instant,
        deadline: Option<Instant>,
        retry_after: Duration,
    ) -> Option<Duration> {
        self.failed += 1;
        if self.failed >= self.limits.tries {
            return None;
        }
        let BackoffLimits { first, growth, longest, .. } = self.limits;
        let ceiling = grown(first, growth, self.failed - 1, longest);
        let wait = ceiling.mul_f64(self.jitter.share()).max(retry_after);
        let in_time =
            deadline.is_none_or(|deadline| now.checked_add(wait).is_some_and(|then| then < deadline));
        in_time.then_some(wait)
    }
}

/// The retries that all callers together may add to their first tries, so that an outage is not answered by a
/// flood.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    share: f64,
    reserve: f64,
    balance: f64,
}

impl RetryBudget {
    /// Each first try earns `share` of a retry; `reserve` retries are there from the start and at most saved up.
    pub fn new(share: f64, reserve: u32) -> Self {
        Self { share, reserve: reserve.into(), balance: reserve.into() }
    }

    /// A first try was made.
    pub fn earn(&mut self) {
        self.balance = (self.balance + self.share).min(self.reserve);
    }

    /// Returns true if one more retry may be made, and pays for it.
    pub fn spend(&mut self) -> bool {
        let affordable = self.balance >= 1.0;
        if affordable {
            self.balance -= 1.0;
        }
        affordable
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(0.2, 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_tries_mean_two_waits() {
        let (now, mut backoff) = (Instant::now(), Backoff::new(BackoffLimits::default(), 7));
        let waits: Vec<_> = std::iter::from_fn(|| backoff.wait(now, None, Duration::ZERO)).collect();
        assert_eq!(waits.len(), 2);
        assert!(waits[0] < Duration::from_millis(100) && waits[1] < Duration::from_millis(200));
    }

    #[test]
    fn a_wait_that_would_reach_the_deadline_is_not_begun() {
        let now = Instant::now();
        let hint = Duration::from_secs(2);
        let wait = |left| Backoff::new(BackoffLimits::default(), 7).wait(now, Some(now + left), hint);
        assert_eq!(wait(Duration::from_secs(3)), Some(hint));
        assert_eq!(wait(Duration::from_secs(2)), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_waits_and_another_seed_others() {
        let now = Instant::now();
        let first = |seed| Backoff::new(BackoffLimits::default(), seed).wait(now, None, Duration::ZERO);
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }

    #[test]
    fn a_spent_budget_allows_no_retry_until_first_tries_have_earned_one() {
        let mut budget = RetryBudget::new(0.5, 1);
        assert!(budget.spend() && !budget.spend());
        budget.earn();
        assert!(!budget.spend());
        budget.earn();
        assert!(budget.spend());
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest(seed: u64, tries in 1..200_u32, growth in 1.0..10.0) {
            let limits = BackoffLimits { tries, growth, ..BackoffLimits::default() };
            let (now, mut backoff) = (Instant::now(), Backoff::new(limits, seed));
            let mut waits = 0;
            while let Some(wait) = backoff.wait(now, None, Duration::ZERO) {
                prop_assert!(wait <= limits.longest);
                waits += 1;
            }
            prop_assert_eq!(waits, tries - 1);
        }

        #[test]
        fn jitter_stays_within_zero_and_one(seed: u64) {
            let mut jitter = Jitter::new(seed);
            prop_assert!((0..100).all(|_| (0.0..1.0).contains(&jitter.share())));
        }
    }
}
