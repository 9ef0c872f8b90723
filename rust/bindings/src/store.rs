//! The store for Python: arguments are opened once, and waits are cut into slices so that Ctrl-C works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};
use tacit_kernels::facts::Id;
use tacit_kernels::lru::LruLimits;
use tacit_kernels::trajectory::Complexity;
use tacit_storage::{
    Batch, CacheFile, Change, Changes, Commit, DamagedRow, Durability, EpisodeRecord, EpisodeState,
    Expectation, Filters, Options, Receipt, RecordKind, ScanPage, SideRecord, StatValue, Store,
    without_detail,
};

use crate::error::{invalid, storage_failure};

/// The length of a wait between two looks at signals.
const SLICE: Duration = Duration::from_millis(50);

/// The newest change in the snapshot, its bytes, the change up to which it was used, and the reason why there is none.
type PySnapshotState = (Option<i64>, u64, Option<i64>, Option<String>);

/// A libSQL file and its writer; `tacit.storage.NativeStore` is its public face.
#[pyclass(frozen, name = "Store", module = "tacit._native")]
pub(crate) struct PyStore {
    store: Store,
    name: String,
}

impl PyStore {
    /// Returns the store for what is kept in it beside its rows.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

#[pymethods]
impl PyStore {
    #[new]
    #[pyo3(signature = (path, *, durability = "durable", cache_path = Some(PathBuf::from("auto")),
        cache_entries = 1_000, cache_bytes = 64 << 20, cache_ttl_s = 3_600.0, readers = 3, busy_timeout_ms = 5_000,
        has_snapshot = true, read_only = false),
        text_signature = "(path, *, durability='durable', cache_path='auto', cache_entries=1000, \
            cache_bytes=67108864, cache_ttl_s=3600.0, readers=3, busy_timeout_ms=5000, has_snapshot=True, \
            read_only=False)")]
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
        has_snapshot: bool,
        read_only: bool,
    ) -> PyResult<Self> {
        let ttl = Duration::try_from_secs_f64(cache_ttl_s)
            .map_err(|error| invalid("cache_ttl_s", &error.to_string(), cache_ttl_s))?;
        let options = Options {
            path,
            read_only,
            durability: Durability::from_name(durability).map_err(storage_failure)?,
            readers,
            busy_timeout: Duration::from_millis(busy_timeout_ms),
            cache: LruLimits { entries: cache_entries, bytes: cache_bytes, ttl, ..LruLimits::default() },
            cache_file: cache_file(cache_path),
            has_snapshot,
        };
        let store = py.detach(|| Store::open(&options)).map_err(storage_failure)?;
        let name = store.name().map_err(storage_failure)?;
        Ok(Self { store, name })
    }

    /// Commits the batch: all of it or nothing, durable when this returns.
    fn commit<'py>(&self, py: Python<'py>, batch: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let batch = read_batch(batch)?;
        let mut commit = py.detach(|| self.store.submit(batch)).map_err(storage_failure)?;
        let receipt = settle(py, &mut commit)?;
        make_receipt(py, &receipt, &self.name)
    }

    /// Returns the value of `kind` under `id`, or `None`. A damaged row raises CorruptRecordError.
    #[pyo3(signature = (kind, id, namespace = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        id: &[u8],
        namespace: Option<&str>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (kind, id) = (open_kind(kind)?, open_id(id)?);
        let value = py.detach(|| self.store.get(kind, id, namespace)).map_err(storage_failure)?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    /// Returns the values of `ids`, in their order; `None` stands for an absent or damaged row.
    #[pyo3(signature = (kind, ids, namespace = None))]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        ids: Vec<PyBackedBytes>,
        namespace: Option<&str>,
    ) -> PyResult<Vec<Option<Bound<'py, PyBytes>>>> {
        let kind = open_kind(kind)?;
        let ids = ids.iter().map(|id| open_id(id)).collect::<PyResult<Vec<Id>>>()?;
        let values = py.detach(|| self.store.get_many(kind, &ids, namespace)).map_err(storage_failure)?;
        Ok(values.into_iter().map(|value| value.map(|value| PyBytes::new(py, &value))).collect())
    }

    /// Returns the version of an episode or a side record, or `None`.
    fn version(&self, py: Python<'_>, kind: &str, id: &[u8]) -> PyResult<Option<i64>> {
        let (kind, id) = (open_kind(kind)?, open_id(id)?);
        py.detach(|| self.store.version(kind, id)).map_err(storage_failure)
    }

    /// Returns the version and the value of an episode or a side record, or `None`.
    fn get_versioned<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        id: &[u8],
    ) -> PyResult<Option<(i64, Bound<'py, PyBytes>)>> {
        let (kind, id) = (open_kind(kind)?, open_id(id)?);
        let found = py.detach(|| self.store.versioned(kind, id)).map_err(storage_failure)?;
        Ok(found.map(|(version, value)| (version, PyBytes::new(py, &value))))
    }

    /// Returns one page of rows in the order of ids; `filters` is a `tacit.model.record.Filters`.
    #[pyo3(signature = (kind, *, after = None, limit = 100, newest_first = false, filters = None))]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        after: Option<&[u8]>,
        limit: usize,
        newest_first: bool,
        filters: Option<PyFilters>,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
        let (kind, filters) = (open_kind(kind)?, filters.unwrap_or_default());
        let page = ScanPage {
            after: after.map(open_id).transpose()?,
            limit,
            newest_first,
            filters: filters.open()?,
        };
        let rows = py.detach(|| self.store.scan(kind, &page)).map_err(storage_failure)?;
        Ok(rows.into_iter().map(|(id, value)| (PyBytes::new(py, &id), PyBytes::new(py, &value))).collect())
    }

    /// Returns the changes after the one numbered `since`, oldest first.
    #[pyo3(signature = (since, limit = 1_000, *, began = None))]
    fn changes(&self, py: Python<'_>, since: i64, limit: usize, began: Option<i64>) -> PyResult<PyChanges> {
        let changes = py.detach(|| self.store.changes(since, limit, began)).map_err(storage_failure)?;
        Ok(PyChanges { changes: Arc::new(changes) })
    }

    /// Returns the number of the newest change, of whichever process.
    fn sequence(&self, py: Python<'_>) -> PyResult<i64> {
        py.detach(|| self.store.sequence()).map_err(storage_failure)
    }

    /// Reads every row and returns kind, id and fault of the unreadable ones.
    fn damaged<'py>(&self, py: Python<'py>) -> PyResult<Vec<(&'static str, Bound<'py, PyBytes>, String)>> {
        let rows = py.detach(|| self.store.damaged()).map_err(storage_failure)?;
        Ok(rows.into_iter().map(|row| damaged_row(py, row)).collect())
    }

    /// Returns the number of unreadable rows that this process met.
    fn damaged_count(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| self.store.damaged_count()).map_err(storage_failure)
    }

    /// Removes every unreadable row; returns kind, id and fault of each.
    fn remove_damaged<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Vec<(&'static str, Bound<'py, PyBytes>, String)>> {
        let rows = py.detach(|| self.store.remove_damaged()).map_err(storage_failure)?;
        Ok(rows.into_iter().map(|row| damaged_row(py, row)).collect())
    }

    /// Prunes the change log but for its newest `keep` numbers; returns the horizon and the number of pruned rows.
    fn compact(&self, py: Python<'_>, keep: i64) -> PyResult<(i64, usize)> {
        let done = py.detach(|| self.store.compact(keep)).map_err(storage_failure)?;
        Ok((done.horizon, done.pruned))
    }

    /// Gives the space of removed rows back to the disk; returns how many bytes.
    fn shrink(&self, py: Python<'_>) -> PyResult<i64> {
        py.detach(|| self.store.shrink()).map_err(storage_failure)
    }

    /// Copies the store to `path`, as of one moment, while it is in use.
    fn backup(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.store.back_up(&path)).map_err(storage_failure)
    }

    /// Returns the number of the newest change in the snapshot beside the store, its bytes, the number up to which this
    /// process read it, and the reason why there is none.
    fn snapshot(&self, py: Python<'_>) -> PyResult<PySnapshotState> {
        let state = py.detach(|| self.store.snapshot()).map_err(storage_failure)?;
        Ok((state.sequence, state.bytes, state.used, state.problem))
    }

    /// Returns the backups that migrations left beside the file.
    fn schema_backups(&self, py: Python<'_>) -> PyResult<Vec<PathBuf>> {
        py.detach(|| self.store.schema_backups()).map_err(storage_failure)
    }

    /// Returns the ids of episodes that wait to be learned from, oldest first.
    #[pyo3(signature = (limit = 100))]
    fn pending<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let ids = py.detach(|| self.store.pending(limit)).map_err(storage_failure)?;
        Ok(ids.iter().map(|id| PyBytes::new(py, id)).collect())
    }

    /// Returns figures of the stored rows and of the cache, by name.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = PyDict::new(py);
        for (name, value) in py.detach(|| self.store.stats()).map_err(storage_failure)? {
            match value {
                StatValue::Int(value) => stats.set_item(name, value)?,
                StatValue::Float(value) => stats.set_item(name, value)?,
                StatValue::Text(value) => stats.set_item(name, value)?,
            }
        }
        Ok(stats)
    }

    /// Commits what was submitted and closes the files; returns false if that took longer than `deadline_s`, and
    /// continues in the background. Closing a closed store does nothing.
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

    /// Before a fork: closes the files once the verbs under way have ended, and holds later verbs back. Returns false
    /// if that took longer than `deadline_s`.
    fn hold(&self, py: Python<'_>, deadline_s: f64) -> bool {
        let patience = Duration::try_from_secs_f64(deadline_s).unwrap_or_default();
        py.detach(|| self.store.hold(patience))
    }

    /// After a fork, in the parent.
    fn release(&self) {
        self.store.release();
    }

    /// After a fork, in the child, before it has a second thread.
    fn renew(&self) {
        self.store.renew();
    }

    fn __repr__(&self) -> String {
        format!("Store({:?})", self.name)
    }
}

/// Keeps stores from being opened until `end_fork`, which the same thread calls.
#[pyfunction]
pub(crate) fn begin_fork(py: Python<'_>) {
    py.detach(tacit_storage::begin_fork);
}

/// Lets stores be opened again, in the parent and in the child.
#[pyfunction]
pub(crate) fn end_fork() {
    tacit_storage::end_fork();
}

/// Puts the store of the file `source` in the place of the one at `target`, which nobody may have open.
#[pyfunction]
pub(crate) fn restore(py: Python<'_>, source: PathBuf, target: PathBuf, replace: bool) -> PyResult<()> {
    py.detach(|| tacit_storage::restore(&source, &target, replace)).map_err(storage_failure)
}

/// A stretch of the change log, packed: an index reads it without a Python object for each row.
#[pyclass(frozen, name = "Changes", module = "tacit._native")]
pub(crate) struct PyChanges {
    changes: Arc<Changes>,
}

impl PyChanges {
    pub(crate) fn new(changes: Arc<Changes>) -> Self {
        Self { changes }
    }

    /// Returns the rows for the kernels.
    pub(crate) fn rows(&self) -> &[Change] {
        &self.changes.rows
    }
}

#[pymethods]
impl PyChanges {
    /// The number up to which the log was read: the next call asks from here.
    #[getter]
    pub(crate) fn last(&self) -> i64 {
        self.changes.last
    }

    /// The horizon of the log when the stretch was read.
    #[getter]
    fn horizon(&self) -> i64 {
        self.changes.horizon
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

/// `tacit.model.record.Filters`.
#[derive(Default, FromPyObject)]
struct PyFilters {
    namespace: Option<String>,
    domain: Option<String>,
    task_key: Option<String>,
    agent: Option<String>,
    external_id: Option<String>,
    state: Option<String>,
    subject: Option<PyBackedBytes>,
}

impl PyFilters {
    fn open(&self) -> PyResult<Filters<'_>> {
        Ok(Filters {
            namespace: self.namespace.as_deref(),
            domain: self.domain.as_deref(),
            task_key: self.task_key.as_deref(),
            agent: self.agent.as_deref(),
            external_id: self.external_id.as_deref(),
            state: self.state.as_deref().map(EpisodeState::from_name).transpose().map_err(storage_failure)?,
            subject: self.subject.as_deref().map(open_id).transpose()?,
        })
    }
}

fn damaged_row(py: Python<'_>, row: DamagedRow) -> (&'static str, Bound<'_, PyBytes>, String) {
    (row.kind.name(), PyBytes::new(py, &row.id), row.message)
}

/// Returns the record of a pattern without its detail, which belongs to the namespace that it comes from.
#[pyfunction]
pub(crate) fn pattern_without_detail<'py>(py: Python<'py>, record: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &without_detail(record))
}

/// Refuses a batch that breaks a limit of the storage format, whatever is stored.
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
        Some(path) if path.as_os_str() == "auto" => CacheFile::NextToDatabase,
        Some(path) => CacheFile::At(path),
    }
}

pub(crate) fn open_kind(name: &str) -> PyResult<RecordKind> {
    RecordKind::from_name(name).map_err(storage_failure)
}

pub(crate) fn open_id(id: &[u8]) -> PyResult<Id> {
    id.try_into().map_err(|_| invalid("id", "16 bytes", format!("{} bytes", id.len())))
}

pub(crate) fn read_batch(batch: &Bound<'_, PyAny>) -> PyResult<Batch> {
    let py = batch.py();
    let mut read = Batch::default();
    for id in batch.getattr(intern!(py, "removed"))?.try_iter()? {
        read.remove(open_id(id?.extract()?)?);
    }
    for episode in batch.getattr(intern!(py, "episodes"))?.try_iter()? {
        put_episode(&mut read, &episode?)?;
    }
    for each in batch.getattr(intern!(py, "side_records"))?.try_iter()? {
        add_side_record(&mut read, &each?)?;
    }
    for each in batch.getattr(intern!(py, "states"))?.try_iter()? {
        let each = each?;
        let id: PyBackedBytes = each.getattr(intern!(py, "id"))?.extract()?;
        let state: PyBackedStr = each.getattr(intern!(py, "state"))?.extract()?;
        read.set_state(open_id(&id)?, EpisodeState::from_name(&state).map_err(storage_failure)?);
    }
    for each in batch.getattr(intern!(py, "expect"))?.try_iter()? {
        add_expectation(&mut read, &each?)?;
    }
    Ok(read)
}

fn add_expectation(batch: &mut Batch, given: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = given.py();
    let kind: PyBackedStr = given.getattr(intern!(py, "kind"))?.extract()?;
    let id: PyBackedBytes = given.getattr(intern!(py, "id"))?.extract()?;
    let version: Option<i64> = given.getattr(intern!(py, "version"))?.extract()?;
    let expectation = Expectation { kind: open_kind(&kind)?, id: open_id(&id)?, version };
    batch.expect(expectation).map_err(storage_failure)
}

fn add_side_record(batch: &mut Batch, given: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = given.py();
    let [kind, namespace] = [optional_text(given, "kind")?, optional_text(given, "namespace")?];
    let [kind, namespace] = [&kind, &namespace].map(|text| text.as_deref().unwrap_or_default());
    let id: PyBackedBytes = given.getattr(intern!(py, "id"))?.extract()?;
    let record: Option<PyBackedBytes> = given.getattr(intern!(py, "record"))?.extract()?;
    let subject: Option<PyBackedBytes> = given.getattr(intern!(py, "subject"))?.extract()?;
    let side_record = SideRecord {
        kind: open_kind(kind)?,
        id: open_id(&id)?,
        namespace,
        subject: subject.as_deref().map(open_subject).transpose()?,
        record: record.as_deref(),
    };
    batch.side_record(&side_record).map_err(storage_failure)
}

fn open_subject(id: &[u8]) -> PyResult<Id> {
    id.try_into().map_err(|_| invalid("subject", "16 bytes", format!("{} bytes", id.len())))
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
            .map_err(|_| invalid("digest", "16 bytes", format!("{} bytes", digest.len())))?,
        task_key,
        domain: domain.unwrap_or_default(),
        agent,
        complexity: open_complexity(complexity.unwrap_or_default())?,
        state: EpisodeState::from_name(state.unwrap_or_default()).map_err(storage_failure)?,
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

/// Reads a text attribute; refuses one that is not valid Unicode by its name.
fn optional_text(record: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<PyBackedStr>> {
    let read: PyResult<Option<PyBackedStr>> = record.getattr(name)?.extract();
    read.map_err(|error| {
        if error.is_instance_of::<PyUnicodeEncodeError>(record.py()) {
            invalid(name, "valid Unicode", "a lone surrogate")
        } else {
            error
        }
    })
}

fn open_complexity(name: &str) -> PyResult<Complexity> {
    let found = Complexity::from_name(name);
    found.ok_or_else(|| invalid("complexity", "simple, moderate, complex or unknown", name))
}

/// Imports a class of `tacit.model.record` once.
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
    let side_record = change.side_record().map(|each| make_side_record(py, &each)).transpose()?;
    let class = record_class(py, &CLASS, "Change")?;
    class.call1((change.sequence, change.op.name(), record, PyBytes::new(py, &change.id), side_record))
}

fn make_side_record<'py>(py: Python<'py>, given: &SideRecord<'_>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let record = given.record.map(|record| PyBytes::new(py, record));
    let subject = given.subject.map(|subject| PyBytes::new(py, &subject));
    let class = record_class(py, &CLASS, "SideRecord")?;
    class.call1((given.kind.name(), PyBytes::new(py, &given.id), given.namespace, record, subject))
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
