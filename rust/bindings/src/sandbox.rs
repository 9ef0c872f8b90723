//! The bytes of the sandbox's worker, which the build script made.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

static WORKER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sandbox-worker"));

/// The program that runs code of agents, as an ELF file; empty on systems that the sandbox does not support.
#[pyfunction]
pub(crate) fn sandbox_worker(py: Python<'_>) -> Bound<'_, PyBytes> {
    PyBytes::new(py, WORKER)
}
