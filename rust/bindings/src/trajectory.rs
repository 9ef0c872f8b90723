//! An episode's columns, made once from its record.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tacit_kernels::error_class::error_class_in;
use tacit_kernels::trajectory::Trajectory;

use crate::convert;
use crate::error::invalid;

/// An episode's steps as columns: the argument of reward, extraction and similarity.
#[pyclass(frozen, name = "Trajectory", module = "tacit._native")]
pub struct PyTrajectory {
    pub(crate) trajectory: Trajectory,
    record: Vec<u8>,
}

#[pymethods]
impl PyTrajectory {
    /// Reads the record of an episode, as `RecordBuilder.record` makes it. The error classes are those of this version
    /// of the text functions (default: the newest).
    #[new]
    #[pyo3(signature = (record, text_version = None))]
    fn new(record: Vec<u8>, text_version: Option<u32>) -> PyResult<Self> {
        let trajectory = Trajectory::decode_in(convert::text_version(text_version)?, &record)
            .map_err(|error| invalid("record", "must be an episode", error))?;
        Ok(Self { trajectory, record })
    }

    fn __len__(&self) -> usize {
        self.trajectory.len()
    }

    fn __repr__(&self) -> String {
        format!("Trajectory({} steps, {} tools)", self.trajectory.len(), self.trajectory.tool_names.len())
    }

    fn __eq__(&self, other: &Self) -> bool {
        (self.trajectory.text_version, &self.record) == (other.trajectory.text_version, &other.record)
    }

    fn __hash__(&self) -> u64 {
        tacit_kernels::trajectory::symbol_of_bytes(&self.record)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, (Bound<'py, PyBytes>, u32)) {
        let arguments = (PyBytes::new(slf.py(), &slf.get().record), slf.get().text_version());
        (slf.get_type().into_any(), arguments)
    }

    /// The version of the text functions that made the error classes.
    #[getter]
    fn text_version(&self) -> u32 {
        self.trajectory.text_version.number()
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

    /// For each step, true if it went well; `None` means that it has no result.
    #[getter]
    fn ok(&self) -> Vec<Option<bool>> {
        self.trajectory.ok.iter().map(|ok| (*ok >= 0).then_some(*ok == 1)).collect()
    }

    /// Milliseconds of each step; NaN means unknown.
    #[getter]
    fn latency_ms(&self) -> Vec<f32> {
        self.trajectory.latency_ms.clone()
    }

    /// The class of each step's error; `None` means that there was none.
    #[getter]
    fn error_classes(&self) -> Vec<Option<&str>> {
        self.trajectory.error_classes.iter().map(Option::as_deref).collect()
    }

    /// The outcome's share of success; `None` while open or if abandoned.
    #[getter]
    fn base(&self) -> Option<f64> {
        self.trajectory.base
    }

    /// Seconds from start to end; `None` means unknown.
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

/// The class of an error message in this version (default: the newest): lower case, without quoted text, numbers,
/// paths, ids and the leading "...error:".
#[pyfunction]
#[pyo3(signature = (message, text_version = None))]
pub(crate) fn error_class(message: &Bound<'_, PyString>, text_version: Option<u32>) -> PyResult<String> {
    let version = convert::text_version(text_version)?;
    Ok(error_class_in(version, convert::text("message", message)?))
}
