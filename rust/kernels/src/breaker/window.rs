//! The recent calls of a closed breaker: how many, how many failed, how many were slow.

use std::time::{Duration, Instant};

use super::moment::Moment;

/// The calls that count as recent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    /// Nothing is remembered, and rates are not looked at.
    #[default]
    Off,
    /// The last so many calls.
    Calls(u32),
    /// The calls of the last so long, to a tenth of it.
    Time(Duration),
}

/// The end of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub failed: bool,
    pub slow: bool,
}

/// Calls counted by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: u32,
    pub failed: u32,
    pub slow: u32,
}

impl Tally {
    pub fn failure_rate(&self) -> f64 {
        self.rate(self.failed)
    }

    pub fn slow_rate(&self) -> f64 {
        self.rate(self.slow)
    }

    fn rate(&self, part: u32) -> f64 {
        if self.calls == 0 { 0.0 } else { f64::from(part) / f64::from(self.calls) }
    }

    fn add(&mut self, ended: Ended) {
        self.calls += 1;
        self.failed += u32::from(ended.failed);
        self.slow += u32::from(ended.slow);
    }

    fn take_back(&mut self, other: Tally) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.slow -= other.slow;
    }
}

/// The number of parts that a window of time is divided into.
const PARTS: u32 = 10;

/// The recent calls themselves. `total` is always the sum of `parts`.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    window: Window,
    /// A ring: of one call each, or of one tenth of the window of time each.
    parts: Vec<Tally>,
    /// The number of the part that was filled last, counted from the first there was.
    position: u64,
    /// When the first part of a window of time began.
    begun: Option<Instant>,
    total: Tally,
}

impl Recent {
    pub(super) fn new(window: Window) -> Self {
        let parts = match window {
            Window::Off => 0,
            Window::Calls(calls) => calls.max(1) as usize,
            Window::Time(_) => PARTS as usize,
        };
        Self {
            window,
            parts: vec![Tally::default(); parts],
            position: 0,
            begun: None,
            total: Tally::default(),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.window);
    }

    pub(super) fn total(&self) -> Tally {
        self.total
    }

    /// Counts one more call and returns the sum; `now` is asked only by a window of time.
    pub(super) fn record(&mut self, ended: Ended, now: impl Moment) -> Tally {
        match self.window {
            Window::Off => return self.total,
            Window::Calls(_) => self.begin_part(self.position + 1),
            Window::Time(length) => self.move_on(now.instant(), length / PARTS),
        }
        self.current().add(ended);
        self.total.add(ended);
        self.total
    }

    /// Empties the parts between the one that was filled last and the one that `now` lies in.
    fn move_on(&mut self, now: Instant, width: Duration) {
        let begun = *self.begun.get_or_insert(now);
        let elapsed = now.saturating_duration_since(begun).as_nanos();
        let target = (elapsed / width.as_nanos().max(1)) as u64;
        let first = target.saturating_sub(u64::from(PARTS) - 1).max(self.position + 1);
        (first..=target).for_each(|position| self.begin_part(position));
    }

    fn begin_part(&mut self, position: u64) {
        self.position = position;
        let part = std::mem::take(self.current());
        self.total.take_back(part);
    }

    fn current(&mut self) -> &mut Tally {
        let row = self.position % self.parts.len() as u64;
        &mut self.parts[row as usize]
    }
}
