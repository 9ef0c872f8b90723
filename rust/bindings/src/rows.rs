//! The rows of a store's tables, for a store whose database is on a server.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use tacit_storage::rows;
use tacit_storage::{Changes, EpisodeState, RecordKind};

use crate::error::storage_failure;
use crate::store::{PyChanges, open_id, open_kind, read_batch};

type Bytes<'py> = Bound<'py, PyBytes>;

/// Sequence, operation, id, record and kind of a row of the change log.
type ChangeRow = (i64, i64, PyBackedBytes, Option<PyBackedBytes>, Option<i64>);

/// The row of an episode, and those of the patterns that its facts name.
#[pyclass(frozen, get_all, name = "EpisodeRow", module = "tacit._native")]
pub(crate) struct PyEpisodeRow {
    id: Py<PyBytes>,
    namespace: String,
    external_id: Option<String>,
    digest: Py<PyBytes>,
    task_key: Option<String>,
    domain: String,
    agent: Option<String>,
    complexity: u8,
    state: u8,
    started_at: i64,
    ended_at: i64,
    base: Option<f64>,
    embedder: Option<String>,
    record: Py<PyBytes>,
    /// Id, kind and record of each pattern.
    patterns: Vec<(Py<PyBytes>, u8, Py<PyBytes>)>,
    /// The patterns that the facts name, each once.
    named: Vec<Py<PyBytes>>,
}

/// The row of a side record.
#[pyclass(frozen, get_all, name = "SideRecordRow", module = "tacit._native")]
pub(crate) struct PySideRecordRow {
    kind: u8,
    id: Py<PyBytes>,
    namespace: String,
    is_there: bool,
    record: Py<PyBytes>,
    subject: Option<Py<PyBytes>>,
}

/// Returns the rows of a batch's episodes and of its side records; refuses a batch that breaks a limit.
#[pyfunction]
pub(crate) fn batch_rows(
    py: Python<'_>,
    batch: &Bound<'_, PyAny>,
) -> PyResult<(Vec<PyEpisodeRow>, Vec<PySideRecordRow>)> {
    let batch = read_batch(batch)?;
    let episodes = batch.episode_rows().map(|row| episode_row(py, &row)).collect();
    let side_records = batch.side_record_rows().map(|row| side_record_row(py, &row)).collect();
    Ok((episodes, side_records))
}

fn episode_row(py: Python<'_>, row: &rows::EpisodeRow<'_>) -> PyEpisodeRow {
    let bytes = |bytes: &[u8]| PyBytes::new(py, bytes).unbind();
    let episode = &row.episode;
    let named = rows::named_patterns(&episode.id, row.record);
    PyEpisodeRow {
        id: bytes(&episode.id),
        namespace: episode.namespace.to_owned(),
        external_id: episode.external_id.map(str::to_owned),
        digest: bytes(&episode.digest),
        task_key: episode.task_key.map(str::to_owned),
        domain: episode.domain.to_owned(),
        agent: episode.agent.map(str::to_owned),
        complexity: episode.complexity as u8,
        state: episode.state as u8,
        started_at: episode.started_at,
        ended_at: episode.ended_at,
        base: episode.base,
        embedder: episode.embedder.map(str::to_owned),
        record: bytes(row.record),
        patterns: row.patterns().map(|(id, kind, record)| (bytes(id), kind, bytes(record))).collect(),
        named: named.iter().map(|id| bytes(id)).collect(),
    }
}

fn side_record_row(py: Python<'_>, row: &rows::SideRecordRow<'_>) -> PySideRecordRow {
    PySideRecordRow {
        kind: row.kind as u8,
        id: PyBytes::new(py, row.id).unbind(),
        namespace: row.namespace.to_owned(),
        is_there: row.is_there,
        record: PyBytes::new(py, row.record).unbind(),
        subject: row.subject.map(|subject| PyBytes::new(py, subject).unbind()),
    }
}

/// Returns the number that stands for a kind of record in the tables.
#[pyfunction]
pub(crate) fn kind_number(kind: &str) -> PyResult<u8> {
    Ok(open_kind(kind)? as u8)
}

/// Returns the number that stands for an episode's state in the tables.
#[pyfunction]
pub(crate) fn state_number(state: &str) -> PyResult<u8> {
    Ok(EpisodeState::from_name(state).map_err(storage_failure)? as u8)
}

/// Returns the part of a stored record that `kind` stands for. A damaged record raises CorruptRecordError.
#[pyfunction]
#[pyo3(signature = (kind, id, stored, *, has_detail = true))]
pub(crate) fn stored_value<'py>(
    py: Python<'py>,
    kind: &str,
    id: &[u8],
    stored: &[u8],
    has_detail: bool,
) -> PyResult<Bytes<'py>> {
    let (kind, id) = (open_kind(kind)?, open_id(id)?);
    let value = rows::stored_value(kind, &id, stored, has_detail).map_err(storage_failure)?;
    Ok(PyBytes::new(py, &value))
}

/// Returns the record of a stored episode in another state, or `None` for one that is in that state.
#[pyfunction]
pub(crate) fn stored_with_state<'py>(
    py: Python<'py>,
    id: &[u8],
    stored: &[u8],
    state: &str,
) -> PyResult<Option<Bytes<'py>>> {
    let state = EpisodeState::from_name(state).map_err(storage_failure)?;
    let restated = rows::with_state(&open_id(id)?, stored, state).map_err(storage_failure)?;
    Ok(restated.map(|record| PyBytes::new(py, &record)))
}

/// Returns the id under which the change log knows a pattern of a namespace.
#[pyfunction]
pub(crate) fn pattern_key<'py>(py: Python<'py>, namespace: &str, pattern: &[u8]) -> PyResult<Bytes<'py>> {
    Ok(PyBytes::new(py, &rows::pattern_key(namespace, &open_id(pattern)?)))
}

/// Returns the SQL expression for the packed facts in the column `record` of an episode.
#[pyfunction]
pub(crate) fn facts_sql() -> String {
    rows::facts_sql()
}

/// Returns the statements of the newest schema, and the names of the steps to it.
#[pyfunction]
pub(crate) fn newest_schema() -> PyResult<(Vec<String>, Vec<&'static str>)> {
    let schema = rows::newest_schema().map_err(storage_failure)?;
    Ok((schema.statements, schema.steps))
}

/// Kind, id and fault of a row whose bytes are not those that were written.
type PyDamagedRow<'py> = (&'static str, Bytes<'py>, String);

/// Returns a stretch of the change log, and kind, id and fault of its damaged rows, which it leaves out.
///
/// A row is the sequence, the operation, the id, the record that the change wrote, and the kind of a side record.
#[pyfunction]
#[pyo3(signature = (rows, *, last, horizon))]
pub(crate) fn read_changes<'py>(
    py: Python<'py>,
    rows: Vec<ChangeRow>,
    last: i64,
    horizon: i64,
) -> PyResult<(PyChanges, Vec<PyDamagedRow<'py>>)> {
    let (mut read, mut damaged) = (Vec::with_capacity(rows.len()), Vec::new());
    for (sequence, op, id, record, kind) in rows {
        let number = kind.unwrap_or(RecordKind::Episode as i64);
        let kind = RecordKind::ALL.into_iter().find(|kind| *kind as i64 == number);
        let kind = kind.unwrap_or(RecordKind::Episode);
        let record = record.as_ref().map_or_else(Vec::new, |record| record.to_vec());
        let id = id.as_ref().try_into().unwrap_or_default();
        match rows::read_change(sequence, op, id, kind, record) {
            Ok(change) => read.push(change),
            Err(error) => damaged.push((kind.name(), PyBytes::new(py, &id), error.message)),
        }
    }
    Ok((PyChanges::new(Arc::new(Changes { rows: read, last, horizon })), damaged))
}
