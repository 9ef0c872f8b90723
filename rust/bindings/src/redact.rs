//! Redaction of records, values and texts.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tacit_kernels::redact;

use crate::error::invalid;

/// Replaces secrets by `[REDACTED:rule:hash8]`; the hash is keyed with 32 bytes.
#[pyclass(frozen, name = "Redactor", module = "tacit._native")]
pub(crate) struct PyRedactor {
    redactor: redact::Redactor,
}

#[pymethods]
impl PyRedactor {
    #[new]
    fn new(key: &[u8]) -> PyResult<Self> {
        let key = key.try_into().map_err(|_| invalid("key", "32 bytes", format!("{} bytes", key.len())))?;
        Ok(Self { redactor: redact::Redactor::new(key) })
    }

    /// The record of an episode without secrets, and how many there were.
    fn redact_record<'py>(
        &self,
        py: Python<'py>,
        record: &Bound<'py, PyBytes>,
    ) -> PyResult<(Bound<'py, PyBytes>, u32)> {
        let bytes = record.as_bytes();
        let redacted = py
            .detach(|| self.redactor.redact_record(bytes))
            .map_err(|error| invalid("record", "an episode in msgpack", error))?;
        Ok(match redacted {
            Some(redacted) => (PyBytes::new(py, &redacted.record), redacted.secrets),
            None => (record.clone(), 0),
        })
    }

    /// The text without secrets, and how many there were.
    fn redact_text<'py>(
        &self,
        py: Python<'py>,
        text: &Bound<'py, PyString>,
    ) -> PyResult<(Bound<'py, PyString>, u32)> {
        let given = text.to_str().map_err(|_| invalid("text", "valid Unicode", "a lone surrogate"))?;
        Ok(match py.detach(|| self.redactor.redact_text(given)) {
            Some((redacted, secrets)) => (PyString::new(py, &redacted), secrets),
            None => (text.clone(), 0),
        })
    }
}
