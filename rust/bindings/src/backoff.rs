//! Backoff and the retry budget, as Python sees them.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pyo3::prelude::*;
use tacit_kernels::backoff::{Backoff, BackoffLimits, RetryBudget};

use crate::convert;
use crate::error::invalid;

/// The waits between the tries of one call, with full jitter; `seed` makes them repeatable.
///
/// Example:
///     >>> from tacit import Backoff
///     >>> backoff = Backoff(tries=2, seed=7)
///     >>> backoff.wait() <= 0.1, backoff.wait()
///     (True, None)
#[pyclass(frozen, name = "Backoff", module = "tacit._native")]
pub(crate) struct PyBackoff(Mutex<Backoff>);

#[pymethods]
impl PyBackoff {
    #[new]
    #[pyo3(signature = (*, tries = 3, first_s = 0.1, longest_s = 5.0, growth = 2.0, seed = None))]
    fn new(tries: u32, first_s: f64, longest_s: f64, growth: f64, seed: Option<u64>) -> PyResult<Self> {
        let (first, longest) =
            (convert::seconds("first_s", first_s)?, convert::seconds("longest_s", longest_s)?);
        let limits = BackoffLimits { tries, first, longest, growth: convert::growth(growth)? };
        Ok(Self(Mutex::new(Backoff::new(limits, seed.unwrap_or_else(convert::any_seed)))))
    }

    /// The seconds to wait after a failed try, at least `retry_after_s`. `None` means that another try is
    /// pointless: it was the last one, or the wait would use up `remaining_s`.
    #[pyo3(signature = (*, remaining_s = None, retry_after_s = 0.0))]
    fn wait(&self, remaining_s: Option<f64>, retry_after_s: f64) -> PyResult<Option<f64>> {
        let now = Instant::now();
        let remaining =
            remaining_s.map(|remaining| convert::seconds("remaining_s", remaining)).transpose()?;
        let deadline = remaining.and_then(|remaining| now.checked_add(remaining));
        let retry_after = convert::seconds("retry_after_s", retry_after_s)?;
        let mut backoff = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(backoff.wait(now, deadline, retry_after).map(|wait| wait.as_secs_f64()))
    }
}

/// The retries that all callers together may add to their first tries: each first try earns `share` of one, and
/// `reserve` are there from the start and at most saved up.
///
/// Example:
///     >>> from tacit import RetryBudget
///     >>> budget = RetryBudget(reserve=1)
///     >>> budget.spend(), budget.spend()
///     (True, False)
#[pyclass(frozen, name = "RetryBudget", module = "tacit._native")]
pub(crate) struct PyRetryBudget(Mutex<RetryBudget>);

#[pymethods]
impl PyRetryBudget {
    #[new]
    #[pyo3(signature = (*, share = 0.2, reserve = 10))]
    fn new(share: f64, reserve: u32) -> PyResult<Self> {
        if !(share.is_finite() && share >= 0.0) {
            return Err(invalid("share", "must be finite and not negative", share));
        }
        Ok(Self(Mutex::new(RetryBudget::new(share, reserve))))
    }

    /// A first try was made.
    fn earn(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).earn();
    }

    /// Returns true if one more retry may be made, and pays for it.
    fn spend(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spend()
    }
}
