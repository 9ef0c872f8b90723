//! The time of a call, which is an argument of a breaker.

use std::time::Instant;

/// A moment, or the way to ask for it: a clock is read only if the answer depends on it.
pub trait Moment: Copy {
    fn instant(self) -> Instant;
}

impl Moment for Instant {
    fn instant(self) -> Instant {
        self
    }
}

impl<F: Fn() -> Instant + Copy> Moment for F {
    fn instant(self) -> Instant {
        self()
    }
}
