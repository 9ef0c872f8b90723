//! Turns at the write lock: a busy process leaves gaps in which its neighbours get the lock.
//!
//! SQLite has no queue for its lock. A writer that begins again at once would keep it for as long as it has work.

use std::time::{Duration, Instant};

use crate::durable::queries::LONGEST_PAUSE;

/// A gap is longer than the pauses of those who wait, so that each of them looks at the lock in it.
const GAP: Duration = Duration::from_micros(2_500);
const _: () = assert!(GAP.as_nanos() > LONGEST_PAUSE.as_nanos());
/// The time without a gap while other processes write the store too, and while nobody else seems to.
const SHARED_TURN: Duration = Duration::from_millis(25);
const LONE_TURN: Duration = Duration::from_millis(400);
/// The time for which a neighbour is expected to come back.
const NEIGHBOUR_FOR: Duration = Duration::from_secs(10);

/// The time since which one writer has taken the lock again and again.
pub(crate) struct Turns {
    began: Instant,
    ended: Instant,
    met: Option<Instant>,
}

impl Turns {
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, ended: now, met: None }
    }

    /// Returns the pause that is due before the next transaction.
    pub(crate) fn pause(&mut self, now: Instant) -> Option<Duration> {
        if now.saturating_duration_since(self.ended) >= GAP {
            self.began = now;
            return None;
        }
        let has_neighbour = self.met.is_some_and(|met| now.saturating_duration_since(met) < NEIGHBOUR_FOR);
        let longest = if has_neighbour { SHARED_TURN } else { LONE_TURN };
        if now.saturating_duration_since(self.began) < longest {
            return None;
        }
        self.began = now + GAP;
        Some(GAP)
    }

    /// Notes the end of a transaction, and if another process had written since the last one.
    pub(crate) fn ended(&mut self, now: Instant, has_neighbour: bool) {
        self.ended = now;
        if has_neighbour {
            self.met = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs transactions of 1 ms one after another; returns the milliseconds at which a gap was left.
    fn gaps(turns: &mut Turns, start: Instant, milliseconds: u64, has_neighbour: bool) -> Vec<u64> {
        let at = |millisecond: u64| start + Duration::from_millis(millisecond);
        let mut found = Vec::new();
        for millisecond in 0..milliseconds {
            found.extend(turns.pause(at(millisecond)).map(|_| millisecond));
            turns.ended(at(millisecond), has_neighbour);
        }
        found
    }

    #[test]
    fn a_busy_writer_leaves_gaps_and_more_of_them_beside_neighbours() {
        let start = Instant::now();
        assert_eq!(gaps(&mut Turns::new(start), start, 1_000, false), [400, 803]);
        let shared = gaps(&mut Turns::new(start), start, 1_000, true);
        assert!(shared.len() > 30 && shared.windows(2).all(|pair| pair[1] - pair[0] <= 30), "{shared:?}");
    }

    #[test]
    fn a_writer_that_rests_by_itself_leaves_no_further_gaps() {
        let start = Instant::now();
        let mut turns = Turns::new(start);
        for rest in 0..400 {
            let now = start + 3 * rest * Duration::from_millis(1);
            assert_eq!(turns.pause(now), None);
            turns.ended(now, true);
        }
    }
}
