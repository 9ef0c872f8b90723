//! The store as Python holds it: values are opened once, waits are taken in slices so that Ctrl-C works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};
use tacit_kernels::evidence::{StratumKey, Sum, decode_sums};
use tacit_kernels::facts::Id;
use tacit_kernels::lru::Limits;
use tacit_kernels::trajectory::Complexity;
use tacit_storage::{
    Batch, CacheFile, Change, Changes, Commit, Durability, EpisodeRecord, Figure, Filters, Kind, NoteRecord,
    Options, Page, Receipt, State, Store,
};

use crate::error::{invalid, storage_failure};

/// How long a wait lasts before signals are looked at.
const SLICE: Duration = Duration::from_millis(50);

/// A libSQL file and its writer; `tacit.storage.NativeStore` is its public face.
#[pyclass(frozen, name = "Store", module = "tacit._native")]
pub(crate) struct PyStore {
    store: Store,
    name: String,
}

#[pymethods]
impl PyStore {
    #[new]
    #[pyo3(signature = (path, *, durability = "durable", cache_path = Some(PathBuf::from("auto")),
        cache_entries = 1_000, cache_bytes = 64 << 20, cache_ttl_s = 3_600.0, readers = 3, busy_timeout_ms = 5_000),
        text_signature = "(path, *, durability='durable', cache_path='auto', cache_entries=1000, \
            cache_bytes=67108864, cache_ttl_s=3600.0, readers=3, busy_timeout_ms=5000)")]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        durability: &str,
        cache_path: Option<PathBuf>,
        cache_entries: usize,
        cache_bytes: usize,
        cache_ttl_s: f64,
        readers: usize,
        busy_timeout_ms: u64,
    ) -> PyResult<Self> {
        let ttl = Duration::try_from_secs_f64(cache_ttl_s)
            .map_err(|error| invalid("cache_ttl_s", &error.to_string(), cache_ttl_s))?;
        let options = Options {
            path,
            durability: Durability::from_name(durability).map_err(storage_failure)?,
            readers,
            busy_timeout: Duration::from_millis(busy_timeout_ms),
            cache: Limits { entries: cache_entries, bytes: cache_bytes, ttl, ..Limits::default() },
            cache_file: cache_file(cache_path),
        };
        let store = py.detach(|| Store::open(&options)).map_err(storage_failure)?;
        let name = store.name().map_err(storage_failure)?;
        Ok(Self { store, name })
    }

    /// Lands the batch: all of it or nothing, durable when this returns.
    fn commit<'py>(&self, py: Python<'py>, batch: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let mut commit = self.store.submit(read_batch(batch)?).map_err(storage_failure)?;
        let receipt = settle(py, &mut commit)?;
        make_receipt(py, &receipt, &self.name)
    }

    /// The value of `kind` under `id`, or `None`.
    fn get<'py>(&self, py: Python<'py>, kind: &str, id: &[u8]) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (kind, id) = (Kind::from_name(kind).map_err(storage_failure)?, open_id(id)?);
        let value = py.detach(|| self.store.get(kind, id)).map_err(storage_failure)?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    /// The values of `ids`, in their order; `None` where there is no such row.
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        ids: Vec<PyBackedBytes>,
    ) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
        let kind = Kind::from_name(kind).map_err(storage_failure)?;
        let ids = ids.iter().map(|id| open_id(id)).collect::<PyResult<Vec<Id>>>()?;
        let values = py.detach(|| self.store.get_many(kind, &ids)).map_err(storage_failure)?;
        Ok(values.into_iter().map(|value| value.map(|value| PyBytes::new(py, &value))).collect())
    }

    /// One page of rows in the order of ids.
    #[pyo3(signature = (kind, *, after = None, limit = 100, newest_first = false, namespace = None, domain = None,
        task_key = None, agent = None, external_id = None, state = None))]
    #[allow(clippy::too_many_arguments)]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        after: Option<&[u8]>,
        limit: usize,
        newest_first: bool,
        namespace: Option<&str>,
        domain: Option<&str>,
        task_key: Option<&str>,
        agent: Option<&str>,
        external_id: Option<&str>,
        state: Option<&str>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let kind = Kind::from_name(kind).map_err(storage_failure)?;
        let state = state.map(State::from_name).transpose().map_err(storage_failure)?;
        let filters = Filters { namespace, domain, task_key, agent, external_id, state };
        let page = Page { after: after.map(open_id).transpose()?, limit, newest_first, filters };
        let rows = py.detach(|| self.store.scan(kind, &page)).map_err(storage_failure)?;
        Ok(rows.into_iter().map(|(id, value)| (PyBytes::new(py, &id), PyBytes::new(py, &value))).collect())
    }

    /// What changed after the change numbered `since`, oldest first.
    #[pyo3(signature = (since, limit = 1_000))]
    fn changes(&self, py: Python<'_>, since: i64, limit: usize) -> PyResult<PyChanges> {
        let changes = py.detach(|| self.store.changes(since, limit)).map_err(storage_failure)?;
        Ok(PyChanges { changes: Arc::new(changes) })
    }

    /// The newest change's number, whichever process made it.
    fn sequence(&self, py: Python<'_>) -> PyResult<i64> {
        py.detach(|| self.store.sequence()).map_err(storage_failure)
    }

    /// A change's number and the packed sums of everything up to it.
    fn sums<'py>(&self, py: Python<'py>) -> PyResult<(i64, Bound<'py, PyBytes>)> {
        let sums = py.detach(|| self.store.sums()).map_err(storage_failure)?;
        Ok((sums.watermark, PyBytes::new(py, &sums.packed)))
    }

    /// The ids of episodes that wait to be learned from, oldest first.
    #[pyo3(signature = (limit = 100))]
    fn pending<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let ids = py.detach(|| self.store.pending(limit)).map_err(storage_failure)?;
        Ok(ids.iter().map(|id| PyBytes::new(py, id)).collect())
    }

    /// Counts of what is stored and how it is held, by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        for (name, figure) in py.detach(|| self.store.stats()).map_err(storage_failure)? {
            match figure {
                Figure::Count(count) => stats.set_item(name, count)?,
                Figure::Share(share) => stats.set_item(name, share)?,
                Figure::Word(word) => stats.set_item(name, word)?,
            }
        }
        Ok(stats)
    }

    /// Lands what was submitted and closes the files; false where that took longer than `deadline_s`, and goes on.
    /// Closing a closed store does nothing.
    #[pyo3(signature = (deadline_s = None))]
    fn close(&self, py: Python<'_>, deadline_s: Option<f64>) -> PyResult<bool> {
        let began = Instant::now();
        while !py.detach(|| self.store.close(SLICE)) {
            py.check_signals()?;
            if deadline_s.is_some_and(|deadline| began.elapsed().as_secs_f64() > deadline) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn __repr__(&self) -> String {
        format!("Store({:?})", self.name)
    }
}

/// A stretch of the change log, packed: an index opens it without making a Python object a row.
#[pyclass(frozen, name = "Changes", module = "tacit._native")]
pub(crate) struct PyChanges {
    changes: Arc<Changes>,
}

impl PyChanges {
    /// The rows as the kernels read them.
    pub(crate) fn rows(&self) -> &[Change] {
        &self.changes.rows
    }
}

#[pymethods]
impl PyChanges {
    /// Up to which number the log was read: what to ask from next.
    #[getter]
    pub(crate) fn last(&self) -> i64 {
        self.changes.last
    }

    fn __len__(&self) -> usize {
        self.changes.rows.len()
    }

    fn __iter__(&self) -> PyChangesIterator {
        PyChangesIterator { changes: Arc::clone(&self.changes), next: 0 }
    }

    fn __repr__(&self) -> String {
        format!("Changes(len={}, last={})", self.changes.rows.len(), self.changes.last)
    }
}

#[pyclass(name = "ChangesIterator", module = "tacit._native")]
pub(crate) struct PyChangesIterator {
    changes: Arc<Changes>,
    next: usize,
}

#[pymethods]
impl PyChangesIterator {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let row = self.changes.rows.get(self.next);
        self.next += 1;
        row.map(|change| make_change(py, change)).transpose()
    }
}

type SumRow<'py> =
    ((String, String, Option<String>, &'static str, u32), Bound<'py, PyBytes>, u8, (u64, f64, u64, f64), i64);

/// Packed sums as rows: (namespace, domain, agent, complexity, month), pattern, kind, (trials, successes, episodes,
/// outcomes), last seen. The all-zero pattern stands for the stratum's episodes whatever their patterns.
#[pyfunction]
pub(crate) fn unpack_sums<'py>(py: Python<'py>, packed: &[u8]) -> PyResult<Vec<SumRow<'py>>> {
    let sums = decode_sums(packed).map_err(|fault| invalid("packed", "must be packed sums", fault))?;
    Ok(sums.iter().map(|sum| sum_row(py, sum)).collect())
}

fn sum_row<'py>(py: Python<'py>, sum: &Sum<'_>) -> SumRow<'py> {
    let StratumKey { namespace, domain, agent, complexity, month } = sum.stratum;
    let complexity = Complexity::NAMES.get(usize::from(complexity)).copied().unwrap_or_default();
    let stratum = (namespace.to_owned(), domain.to_owned(), agent.map(str::to_owned), complexity, month);
    let totals = (sum.trials, sum.successes, sum.episodes, sum.outcomes);
    (stratum, PyBytes::new(py, &sum.pattern), sum.kind, totals, sum.last_seen)
}

/// Refuses what a store would refuse for a limit it breaks, whatever is stored.
#[pyfunction]
pub(crate) fn check_batch(batch: &Bound<'_, PyAny>) -> PyResult<()> {
    read_batch(batch).map(drop)
}

/// Waits for the outcome of a commit. An interrupt stops the waiting, not the commit.
fn settle(py: Python<'_>, commit: &mut Commit) -> PyResult<Receipt> {
    loop {
        if let Some(outcome) = py.detach(|| commit.wait(SLICE)) {
            return outcome.map_err(storage_failure);
        }
        py.check_signals()?;
    }
}

fn cache_file(path: Option<PathBuf>) -> CacheFile {
    match path {
        None => CacheFile::None,
        Some(path) if path.as_os_str() == "auto" => CacheFile::Beside,
        Some(path) => CacheFile::At(path),
    }
}

fn open_id(id: &[u8]) -> PyResult<Id> {
    id.try_into().map_err(|_| invalid("id", "must have 16 bytes", id.len()))
}

fn read_batch(batch: &Bound<'_, PyAny>) -> PyResult<Batch> {
    let py = batch.py();
    let mut read = Batch::default();
    for id in batch.getattr(intern!(py, "removed"))?.try_iter()? {
        read.remove(open_id(id?.extract()?)?);
    }
    for episode in batch.getattr(intern!(py, "episodes"))?.try_iter()? {
        put_episode(&mut read, &episode?)?;
    }
    for note in batch.getattr(intern!(py, "notes"))?.try_iter()? {
        put_note(&mut read, &note?)?;
    }
    Ok(read)
}

fn put_note(batch: &mut Batch, note: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = note.py();
    let [kind, namespace] = [optional_text(note, "kind")?, optional_text(note, "namespace")?];
    let [kind, namespace] = [&kind, &namespace].map(|text| text.as_deref().unwrap_or_default());
    let id: PyBackedBytes = note.getattr(intern!(py, "id"))?.extract()?;
    let record: Option<PyBackedBytes> = note.getattr(intern!(py, "record"))?.extract()?;
    let kind = Kind::from_name(kind).map_err(storage_failure)?;
    let note = NoteRecord { kind, id: open_id(&id)?, namespace, record: record.as_deref() };
    batch.note(&note).map_err(storage_failure)
}

/// Reads each attribute of a `tacit.model.record.EpisodeRecord` once.
fn put_episode(batch: &mut Batch, record: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = record.py();
    let bytes = |name| -> PyResult<PyBackedBytes> { Ok(record.getattr(name)?.extract()?) };
    let texts = [
        optional_text(record, "namespace")?,
        optional_text(record, "external_id")?,
        optional_text(record, "task_key")?,
        optional_text(record, "domain")?,
        optional_text(record, "agent")?,
        optional_text(record, "embedder")?,
        optional_text(record, "complexity")?,
        optional_text(record, "state")?,
    ];
    let [namespace, external_id, task_key, domain, agent, embedder, complexity, state] =
        texts.each_ref().map(|text| text.as_ref().map(|text| &**text));
    let (payload, facts) = (bytes(intern!(py, "payload"))?, bytes(intern!(py, "facts"))?);
    let (contents, embedding) = (bytes(intern!(py, "contents"))?, bytes(intern!(py, "embedding"))?);
    let digest = bytes(intern!(py, "digest"))?;
    let episode = EpisodeRecord {
        id: open_id(&bytes(intern!(py, "id"))?)?,
        namespace: namespace.unwrap_or_default(),
        external_id,
        digest: digest
            .as_ref()
            .try_into()
            .map_err(|_| invalid("digest", "must have 16 bytes", digest.len()))?,
        task_key,
        domain: domain.unwrap_or_default(),
        agent,
        complexity: open_complexity(complexity.unwrap_or_default())?,
        state: State::from_name(state.unwrap_or_default()).map_err(storage_failure)?,
        started_at: record.getattr(intern!(py, "started_at"))?.extract()?,
        ended_at: record.getattr(intern!(py, "ended_at"))?.extract()?,
        base: record.getattr(intern!(py, "base"))?.extract()?,
        payload: &payload,
        facts: &facts,
        embedder,
        embedding: &embedding,
    };
    batch.put(&episode, &contents).map_err(storage_failure)
}

/// A text attribute; one that is not valid Unicode is refused by its name.
fn optional_text(record: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<PyBackedStr>> {
    let read: PyResult<Option<PyBackedStr>> = record.getattr(name)?.extract();
    read.map_err(|error| {
        if error.is_instance_of::<PyUnicodeEncodeError>(record.py()) {
            invalid(name, "must be valid Unicode", "a lone surrogate")
        } else {
            error
        }
    })
}

fn open_complexity(name: &str) -> PyResult<Complexity> {
    let found = Complexity::from_name(name);
    found.ok_or_else(|| invalid("complexity", "must be simple, moderate, complex or unknown", name))
}

/// A class of `tacit.model.record`, imported once.
fn record_class<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyType>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyType>> {
    cell.import(py, "tacit.model.record", name)
}

fn make_receipt<'py>(py: Python<'py>, receipt: &Receipt, durable: &str) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = record_class(py, &CLASS, "Receipt")?;
    class.call1((receipt.sequence, receipt.committed, receipt.unchanged, durable))
}

fn make_change<'py>(py: Python<'py>, change: &Change) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let record = change.episode().map(|episode| make_episode(py, &episode)).transpose()?;
    let note = change.note().map(|note| make_note(py, &note)).transpose()?;
    let class = record_class(py, &CLASS, "Change")?;
    class.call1((change.sequence, change.op.name(), record, PyBytes::new(py, &change.id), note))
}

fn make_note<'py>(py: Python<'py>, note: &NoteRecord<'_>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let record = note.record.map(|record| PyBytes::new(py, record));
    let class = record_class(py, &CLASS, "SideRecord")?;
    class.call1((note.kind.name(), PyBytes::new(py, &note.id), note.namespace, record))
}

fn make_episode<'py>(py: Python<'py>, episode: &EpisodeRecord<'_>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let fields = PyDict::new(py);
    fields.set_item("id", PyBytes::new(py, &episode.id))?;
    fields.set_item("namespace", episode.namespace)?;
    fields.set_item("external_id", episode.external_id)?;
    fields.set_item("digest", PyBytes::new(py, &episode.digest))?;
    fields.set_item("task_key", episode.task_key)?;
    fields.set_item("domain", episode.domain)?;
    fields.set_item("agent", episode.agent)?;
    fields.set_item("complexity", episode.complexity.name())?;
    fields.set_item("state", episode.state.name())?;
    fields.set_item("started_at", episode.started_at)?;
    fields.set_item("ended_at", episode.ended_at)?;
    fields.set_item("base", episode.base)?;
    fields.set_item("payload", PyBytes::new(py, episode.payload))?;
    fields.set_item("facts", PyBytes::new(py, episode.facts))?;
    fields.set_item("contents", PyBytes::new(py, &[]))?;
    fields.set_item("embedder", episode.embedder)?;
    fields.set_item("embedding", PyBytes::new(py, episode.embedding))?;
    record_class(py, &CLASS, "EpisodeRecord")?.call((), Some(&fields))
}
