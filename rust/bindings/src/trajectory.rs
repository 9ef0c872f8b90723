//! An episode's columns, made once from its record.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tacit_kernels::trajectory::Trajectory;

use crate::error::invalid;

/// An episode's steps as columns: what reward, extraction and similarity take.
#[pyclass(frozen, name = "Trajectory", module = "tacit._native")]
pub struct PyTrajectory {
    pub(crate) trajectory: Trajectory,
    record: Vec<u8>,
}

#[pymethods]
impl PyTrajectory {
    /// From the record of an episode, as `OpenEpisode.record` makes it.
    #[new]
    fn new(record: Vec<u8>) -> PyResult<Self> {
        let trajectory =
            Trajectory::decode(&record).map_err(|error| invalid("record", "must be an episode", error))?;
        Ok(Self { trajectory, record })
    }

    fn __len__(&self) -> usize {
        self.trajectory.len()
    }

    fn __repr__(&self) -> String {
        format!("Trajectory({} steps, {} tools)", self.trajectory.len(), self.trajectory.tool_names.len())
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.record == other.record
    }

    fn __hash__(&self) -> u64 {
        tacit_kernels::trajectory::symbol_of_bytes(&self.record)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, (Bound<'py, PyBytes>,)) {
        (slf.get_type().into_any(), (PyBytes::new(slf.py(), &slf.get().record),))
    }

    /// The tool of each step.
    #[getter]
    fn tools(&self) -> Vec<&str> {
        let names = &self.trajectory.tool_names;
        self.trajectory.tool_indices.iter().map(|index| names[*index as usize].as_str()).collect()
    }

    /// The tools as symbols (64 bits) that mean the same in every episode.
    #[getter]
    fn symbols(&self) -> Vec<u64> {
        self.trajectory.tools.clone()
    }

    /// Whether each step went well; `None` without a result.
    #[getter]
    fn ok(&self) -> Vec<Option<bool>> {
        self.trajectory.ok.iter().map(|ok| (*ok >= 0).then_some(*ok == 1)).collect()
    }

    /// Milliseconds of each step; NaN where unknown.
    #[getter]
    fn latency_ms(&self) -> Vec<f32> {
        self.trajectory.latency_ms.clone()
    }

    /// The class of each step's error; `None` where there was none.
    #[getter]
    fn error_classes(&self) -> Vec<Option<&str>> {
        self.trajectory.error_classes.iter().map(Option::as_deref).collect()
    }

    /// The outcome's share of success; `None` while open or where abandoned.
    #[getter]
    fn base(&self) -> Option<f64> {
        self.trajectory.base
    }

    /// Seconds from start to end; `None` where unknown.
    #[getter]
    fn seconds(&self) -> Option<f64> {
        self.trajectory.seconds()
    }

    /// Share of the steps that failed; 0 without steps.
    #[getter]
    fn error_rate(&self) -> f64 {
        self.trajectory.failed_steps() as f64 / self.trajectory.len().max(1) as f64
    }

    /// The text of the steps that a search may find.
    #[getter]
    fn salient(&self) -> &str {
        &self.trajectory.salient
    }
}

/// The class of an error message: lower case, without quoted text, numbers, paths, ids and the leading "...error:".
#[pyfunction]
pub(crate) fn error_class(message: &str) -> String {
    tacit_kernels::error_class::error_class(message)
}
