//! The clock of a native state machine: the monotonic one, or a callable's for tests.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tacit_kernels::breaker::Moment;

use crate::convert;

/// `None` is the monotonic clock; else a callable that gives seconds, like `time.monotonic`.
pub(crate) struct Clock {
    given: Option<Py<PyAny>>,
    begun: Instant,
}

/// A moment of a callable's clock, or the monotonic clock that has not been asked yet.
#[derive(Clone, Copy)]
pub(crate) enum Now {
    Unasked,
    Told(Instant),
}

impl Moment for Now {
    #[inline]
    fn instant(self) -> Instant {
        match self {
            Self::Unasked => Instant::now(),
            Self::Told(instant) => instant,
        }
    }
}

/// The furthest that a callable's clock may run ahead.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Clock {
    pub(crate) fn new(given: Option<Py<PyAny>>) -> Self {
        Self { given, begun: Instant::now() }
    }

    /// Seconds from the making of this clock to `now`.
    pub(crate) fn seconds(&self, now: Now) -> f64 {
        now.instant().saturating_duration_since(self.begun).as_secs_f64()
    }

    /// Reads the clock. Call it before a lock is taken: a callable may do anything.
    #[inline]
    pub(crate) fn now(&self, py: Python<'_>) -> PyResult<Now> {
        match &self.given {
            None => Ok(Now::Unasked),
            Some(given) => {
                let seconds = convert::seconds("clock", given.call0(py)?.extract(py)?)?;
                Ok(Now::Told(self.begun + seconds.min(CENTURY)))
            }
        }
    }
}
