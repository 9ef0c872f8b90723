//! The cache of bytes, as Python sees it.

use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tacit_kernels::breaker::Moment;
use tacit_kernels::lru::{Lru, LruLimits};

use crate::clock::Clock;
use crate::convert;

type Bytes = Lru<Box<[u8]>, Py<PyBytes>, RandomState>;

/// Values by key, within a number of entries, a number of bytes (keys and values) and an age; the least recently used
/// give way. Values are held, not copied. `clock` stands in for `time.monotonic`.
#[pyclass(frozen, name = "Lru", module = "tacit._native")]
pub(crate) struct PyLru {
    kernel: Mutex<Bytes>,
    clock: Clock,
}

#[pymethods]
impl PyLru {
    #[new]
    #[pyo3(signature = (*, entries = 1_000, bytes = 64 << 20, ttl_s = 3_600.0, cleanup_every_s = 300.0, clock = None))]
    fn new(
        entries: usize,
        bytes: usize,
        ttl_s: f64,
        cleanup_every_s: f64,
        clock: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let ttl = convert::seconds("ttl_s", ttl_s)?;
        let cleanup_every = convert::seconds("cleanup_every_s", cleanup_every_s)?;
        let limits = LruLimits { entries, bytes, ttl, cleanup_every };
        let kernel = Mutex::new(Lru::with_hasher(limits, RandomState::new()));
        Ok(Self { kernel, clock: Clock::new(clock) })
    }

    /// The value of `key`, which becomes the most recently used; `None` if there is none or it is too old.
    #[pyo3(signature = (key, /))]
    fn get(&self, py: Python<'_>, key: &[u8]) -> PyResult<Option<Py<PyBytes>>> {
        let now = self.clock.now(py)?.instant();
        Ok(self.lock().get(key, now).map(|value| value.clone_ref(py)))
    }

    /// Holds `value` in place of the previous value of `key`. Returns false if the two alone are heavier than the
    /// budget.
    #[pyo3(signature = (key, value, /))]
    fn insert(&self, py: Python<'_>, key: &[u8], value: &Bound<'_, PyBytes>) -> PyResult<bool> {
        let now = self.clock.now(py)?.instant();
        let bytes = key.len() + value.as_bytes().len();
        Ok(self.lock().insert(key.into(), plain(value), bytes, now))
    }

    /// Gives back the value of `key` and forgets it.
    #[pyo3(signature = (key, /))]
    fn remove(&self, key: &[u8]) -> Option<Py<PyBytes>> {
        self.lock().remove(key)
    }

    fn clear(&self) {
        self.lock().clear();
    }

    /// Drops expired entries and returns their number; happens by itself once in `cleanup_every_s`.
    fn cleanup(&self, py: Python<'_>) -> PyResult<usize> {
        let now = self.clock.now(py)?.instant();
        Ok(self.lock().cleanup(now))
    }

    /// hits, misses, evictions, expirations, bytes, len and hit_rate.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metrics = self.lock().metrics();
        let figures = PyDict::new(py);
        figures.set_item("hits", metrics.hits)?;
        figures.set_item("misses", metrics.misses)?;
        figures.set_item("evictions", metrics.evictions)?;
        figures.set_item("expirations", metrics.expirations)?;
        figures.set_item("bytes", metrics.bytes)?;
        figures.set_item("len", metrics.len)?;
        figures.set_item("hit_rate", metrics.hit_rate())?;
        Ok(figures)
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }
}

impl PyLru {
    /// Held for the look-up only; nothing of Python's runs meanwhile.
    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subclass could run code of its own when it is dropped, which happens under the lock: its bytes are copied.
fn plain(value: &Bound<'_, PyBytes>) -> Py<PyBytes> {
    match value.cast_exact::<PyBytes>() {
        Ok(value) => value.clone().unbind(),
        Err(_) => PyBytes::new(value.py(), value.as_bytes()).unbind(),
    }
}
