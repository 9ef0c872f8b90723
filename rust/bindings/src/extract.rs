//! Findings of the extractors, packed until Python asks.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tacit_kernels::extract::{self, Found, RunLengths};
use tacit_kernels::facts::{decode_contents, decode_facts, encode_contents, encode_facts};
use tacit_kernels::msgpack::Reader;

use crate::error::{invalid, too_large};
use crate::json;
use crate::trajectory::PyTrajectory;

/// One occurrence of a pattern in an episode, with its place among the occurrences and if it did its job.
///
/// Example:
///     >>> from tacit import Finding
///     >>> Finding("tool_sequence", {"tools": ["get_order", "cancel_order"]}).kind
///     'tool_sequence'
#[pyclass(frozen, name = "Finding", module = "tacit._native")]
pub struct PyFinding {
    found: Found,
    occurrence: u16,
    ok: f64,
    kind: String,
    extractors: Vec<String>,
}

const PATTERN_BYTES: usize = 1_000_000;

#[pymethods]
impl PyFinding {
    /// `content` is a JSON value that says what was seen, the same each time; `detail` is kept of the first
    /// occurrence; `ok` lies within 0..=1.
    #[new]
    #[pyo3(signature = (kind, content, *, occurrence=0, ok=1.0, detail=None))]
    fn new(
        kind: &str,
        content: &Bound<'_, PyAny>,
        occurrence: u16,
        ok: f64,
        detail: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if kind.is_empty() || kind.len() > 100 {
            return Err(invalid("kind", "1 to 100 bytes", kind.len()));
        }
        if !(0.0..=1.0).contains(&ok) {
            return Err(invalid("ok", "within 0..=1", ok));
        }
        let encoded = |field: &str, value: &Bound<'_, PyAny>| -> PyResult<Vec<u8>> {
            let mut bytes = Vec::with_capacity(128);
            json::encode(value, true, &mut bytes).map_err(|error| error.of(field))?;
            if bytes.len() > PATTERN_BYTES {
                return Err(too_large(field, "at most 1 MB", bytes.len()));
            }
            Ok(bytes)
        };
        let content = encoded("content", content)?;
        let detail = detail.map(|detail| encoded("detail", detail)).transpose()?;
        let found = Found::new(kind, &content, detail.as_deref(), vec![ok]);
        Ok(Self { found, occurrence, ok, kind: kind.to_owned(), extractors: Vec::new() })
    }

    #[getter]
    fn kind(&self) -> &str {
        &self.kind
    }

    /// The pattern's content.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::decode(py, &mut Reader::new(&self.found.record[self.found.content.clone()]))
    }

    /// The place among the occurrences in its episode, from 0.
    #[getter]
    fn occurrence(&self) -> u16 {
        self.occurrence
    }

    /// The share, within 0..=1, to which it did its job.
    #[getter]
    fn ok(&self) -> f64 {
        self.ok
    }

    /// The identity of the pattern that this is an occurrence of: 32 hexadecimal digits.
    #[getter]
    fn pattern_id(&self) -> String {
        self.found.pattern.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The extractors that found it; empty before the hybrid has merged them.
    #[getter]
    fn found_by(&self) -> Vec<String> {
        self.extractors.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Finding({:?}, {}, occurrence={}, ok={})",
            self.kind,
            self.content(py)?.repr()?,
            self.occurrence,
            self.ok
        ))
    }

    fn __eq__(&self, other: &Self) -> bool {
        (self.found.pattern, self.occurrence, self.ok) == (other.found.pattern, other.occurrence, other.ok)
    }

    fn __hash__(&self) -> u64 {
        tacit_kernels::trajectory::symbol_of_bytes(&self.found.pattern)
    }
}

/// The findings of one episode: a sequence of `Finding`, packed.
#[pyclass(frozen, name = "Findings", module = "tacit._native")]
pub struct PyFindings {
    pub(crate) findings: extract::Findings,
    /// For each finding in order: its pattern and its occurrence.
    places: Vec<(u32, u16)>,
}

impl From<extract::Findings> for PyFindings {
    fn from(findings: extract::Findings) -> Self {
        let places = findings
            .found
            .iter()
            .enumerate()
            .flat_map(|(row, found)| {
                (0..found.ok.len().min(65_536)).map(move |time| (row as u32, time as u16))
            })
            .collect();
        Self { findings, places }
    }
}

impl PyFindings {
    fn one(found: Vec<Found>) -> Self {
        extract::Findings { extractors: Vec::new(), found }.into()
    }
}

#[pymethods]
impl PyFindings {
    fn __len__(&self) -> usize {
        self.places.len()
    }

    fn __getitem__(&self, index: isize) -> PyResult<PyFinding> {
        let length = self.places.len() as isize;
        let index = if index < 0 { index + length } else { index };
        let place = usize::try_from(index).ok().and_then(|index| self.places.get(index));
        let (row, occurrence) = *place.ok_or_else(|| PyIndexError::new_err("finding index out of range"))?;
        let found = self.findings.found[row as usize].clone();
        let names = self.findings.extractors.iter().enumerate();
        let extractors =
            names.filter(|(bit, _)| found.found_by >> bit & 1 == 1).map(|(_, name)| name.clone()).collect();
        let kind = kind_of(&found)?;
        let ok = found.ok[usize::from(occurrence)];
        Ok(PyFinding { found, occurrence, ok, kind, extractors })
    }

    /// The distinct patterns, in the order they were found.
    #[getter]
    fn pattern_ids<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.findings.found.iter().map(|found| PyBytes::new(py, &found.pattern)).collect()
    }

    /// The facts, packed for the episode's row.
    fn facts<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &encode_facts(&self.findings.facts()))
    }

    /// The patterns' records, packed for the store.
    fn contents<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &encode_contents(&self.findings.contents()))
    }

    /// The findings of several extractors as one, each pattern once. A part is an extractor's name and its result:
    /// `Findings` or a list of `Finding`.
    #[staticmethod]
    fn merge(parts: Vec<(String, Bound<'_, PyAny>)>) -> PyResult<Self> {
        let parts: PyResult<Vec<_>> =
            parts.into_iter().map(|(name, part)| Ok((name, found_in(&part)?))).collect();
        Ok(extract::Findings::merge(parts?).into())
    }
}

fn found_in(part: &Bound<'_, PyAny>) -> PyResult<Vec<Found>> {
    if let Ok(findings) = part.cast::<PyFindings>() {
        return Ok(findings.get().findings.found.clone());
    }
    let mut found: Vec<Found> = Vec::new();
    for finding in part.try_iter()? {
        let finding = finding?;
        let finding = finding
            .cast::<PyFinding>()
            .map_err(|_| invalid("extract", "must yield tacit.Finding", json::type_name(&finding)))?;
        let finding = finding.get();
        match found.iter_mut().find(|known| known.pattern == finding.found.pattern) {
            Some(known) => known.ok.push(finding.ok),
            None => found.push(Found { ok: vec![finding.ok], ..finding.found.clone() }),
        }
    }
    Ok(found)
}

fn kind_of(found: &Found) -> PyResult<String> {
    let mut reader = Reader::new(&found.record);
    let kind = reader.map().and_then(|_| reader.str()).and_then(|_| reader.str());
    kind.map(str::to_owned).map_err(|error| invalid("finding", "must name its kind", error))
}

/// Runs of tools of `min_length` to `max_length` (at most 8), with at most `max_skipped` (0 or 1) steps passed over.
#[pyfunction]
#[pyo3(signature = (trajectory, *, min_length, max_length, max_skipped, limit))]
pub(crate) fn tool_sequences(
    trajectory: &PyTrajectory,
    min_length: usize,
    max_length: usize,
    max_skipped: usize,
    limit: usize,
) -> PyResult<PyFindings> {
    if min_length < 1 || min_length > max_length || max_length > 8 {
        return Err(invalid("max_length", "min_length to 8, and min_length at least 1", max_length));
    }
    if max_skipped > 1 {
        return Err(invalid("max_skipped", "0 or 1", max_skipped));
    }
    let lengths = RunLengths { min_length, max_length, max_skipped };
    Ok(PyFindings::one(extract::tool_sequences(&trajectory.trajectory, lengths, limit)))
}

/// Each distinct choice of a next tool, the end included.
#[pyfunction]
#[pyo3(signature = (trajectory, *, limit))]
pub(crate) fn decision_points(trajectory: &PyTrajectory, limit: usize) -> PyFindings {
    PyFindings::one(extract::decision_points(&trajectory.trajectory, limit))
}

/// Each error with the next step and if that helped.
#[pyfunction]
#[pyo3(signature = (trajectory, *, limit))]
pub(crate) fn error_recoveries(trajectory: &PyTrajectory, limit: usize) -> PyFindings {
    PyFindings::one(extract::error_recoveries(&trajectory.trajectory, limit))
}

/// The context's features with the approach that was taken.
#[pyfunction]
pub(crate) fn context_patterns(trajectory: &PyTrajectory) -> PyFindings {
    PyFindings::one(extract::context_pattern(&trajectory.trajectory))
}

type FactRow<'py> = (Bound<'py, PyBytes>, u8, u16, f64);

/// Packed facts as `(pattern id, kind, occurrences, successes)` rows.
#[pyfunction]
pub(crate) fn unpack_facts<'py>(py: Python<'py>, facts: &[u8]) -> PyResult<Vec<FactRow<'py>>> {
    let facts = decode_facts(facts).map_err(|error| invalid("facts", "must be packed facts", error))?;
    Ok(facts
        .iter()
        .map(|fact| (PyBytes::new(py, &fact.pattern), fact.kind, fact.occurrences, fact.successes))
        .collect())
}

type ContentRow<'py> = (Bound<'py, PyBytes>, u8, Bound<'py, PyBytes>);

/// Packed pattern contents as `(pattern id, kind, record)` rows.
#[pyfunction]
pub(crate) fn unpack_contents<'py>(py: Python<'py>, contents: &[u8]) -> PyResult<Vec<ContentRow<'py>>> {
    let contents =
        decode_contents(contents).map_err(|error| invalid("contents", "must be packed contents", error))?;
    Ok(contents
        .iter()
        .map(|each| (PyBytes::new(py, &each.pattern), each.kind, PyBytes::new(py, &each.content)))
        .collect())
}
