//! Durable first, then cache: reads ask the cache and then the durable side, behind a circuit breaker.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tacit_kernels::breaker::{BreakerLimits, CircuitBreaker, Permit};
use tacit_kernels::facts::Id;

use crate::batch::{Batch, Receipt};
use crate::cache::Cache;
use crate::change::{Changes, LogPosition};
use crate::durable::{Compaction, DamagedRow, Durable, MakeRoom, PendingCommit, schema_backups};
use crate::error::{ErrorKind, Result, StorageError};
use crate::files::with_suffix;
use crate::options::{CacheFile, Options, StatValue};
use crate::pattern::pattern_key;
use crate::record::RecordKind;
use crate::scan::ScanPage;
use crate::snapshot::{Section, SectionVersion};
use crate::snapshots::{SnapshotState, Snapshots};

/// A cached value younger than this is served without asking for removals by other processes.
const FRESH_FOR: Duration = Duration::from_millis(10);

/// The break of a failing disk is short: nobody else suffers from asking it again.
const FIRST_BREAK: Duration = Duration::from_secs(1);
const LONGEST_BREAK: Duration = Duration::from_secs(30);

/// A value, shared with the cache.
pub(crate) type SharedValue = Arc<[u8]>;

/// The durable side with the cache in front of it.
pub(crate) struct Tiered {
    durable: Durable,
    cache: SharedCache,
    snapshots: Snapshots,
    /// Reads and writes fail independently of each other.
    reads: BreakerGuard,
    writes: BreakerGuard,
}

type SharedCache = Arc<Mutex<ComparedCache>>;

/// The cache, and the time of its last comparison with the store.
struct ComparedCache {
    cache: Cache,
    at: Option<Instant>,
}

impl Tiered {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let shared: Arc<OnceLock<Weak<Mutex<ComparedCache>>>> = Arc::default();
        let durable = Durable::open(options, give_up_cache(Arc::clone(&shared)))?;
        let (path, is_ours_by_name) = match &options.cache_file {
            _ if options.read_only => (None, false),
            CacheFile::None => (None, false),
            CacheFile::NextToDatabase => (Some(with_suffix(durable.path(), "-cache")), true),
            CacheFile::At(path) => (Some(path.clone()), false),
        };
        let cache = Cache::new(options.cache, path, is_ours_by_name, durable.position()?);
        let cache = Arc::new(Mutex::new(ComparedCache { cache, at: None }));
        let _ = shared.set(Arc::downgrade(&cache));
        let snapshots = Snapshots::new(durable.path(), options.has_snapshot && !options.read_only);
        Ok(Self { durable, cache, snapshots, reads: BreakerGuard::new(), writes: BreakerGuard::new() })
    }

    /// Returns the place that a receipt names.
    pub(crate) fn name(&self) -> String {
        format!("libsql:{}", self.durable.path().display())
    }

    pub(crate) fn submit(self: &Arc<Self>, batch: Batch) -> Result<Commit> {
        self.durable.writable()?;
        let call = self.writes.admit()?;
        let touched: Vec<Id> =
            batch.removed.iter().chain(batch.states.iter().map(|(id, _)| id)).copied().collect();
        let removes = !batch.removed.is_empty();
        let rewritten = match self.durable.quarantine().len() {
            0 => Vec::new(),
            _ => batch.side_records.iter().map(|each| each.id).collect(),
        };
        let pending = self.durable.submit(batch)?;
        Ok(Commit { pending, tiered: Arc::clone(self), call: Some(call), touched, rewritten, removes })
    }

    /// Returns the values of `ids`, in their order; `None` stands for an absent or damaged row.
    ///
    /// Side records are never cached: they are replaced, and no cached copy would notice. Neither are patterns without
    /// a namespace.
    pub(crate) fn get_many(
        &self,
        kind: RecordKind,
        ids: &[Id],
        namespace: Option<&str>,
    ) -> Result<Vec<Option<SharedValue>>> {
        let is_shared_pattern = kind == RecordKind::Pattern && namespace.is_none();
        if kind.is_side_record() || is_shared_pattern {
            return self.read(kind, ids, namespace);
        }
        let now = Instant::now();
        // A store that cannot be asked leaves the cached values as they were last known.
        let compared = self.compare_if_due(now);
        self.durable.known()?;
        let keys = cache_keys(kind, ids, namespace);
        let (cached, position) = self.cached(kind, keys.as_deref().unwrap_or(ids), now);
        if cached.iter().all(Option::is_some) {
            return Ok(cached);
        }
        compared?;
        let absent: Vec<Id> =
            ids.iter().zip(&cached).filter(|(_, v)| v.is_none()).map(|(id, _)| *id).collect();
        let found = self.read(kind, &absent, namespace)?;
        let absent = cache_keys(kind, &absent, namespace).unwrap_or(absent);
        self.keep(kind, &absent, &found, position, now);
        let mut found = found.into_iter();
        Ok(cached.into_iter().map(|value| value.or_else(|| found.next().flatten())).collect())
    }

    fn read(
        &self,
        kind: RecordKind,
        ids: &[Id],
        namespace: Option<&str>,
    ) -> Result<Vec<Option<SharedValue>>> {
        let found = self.reads.call(|| self.durable.get_many(kind, ids, namespace))?;
        Ok(found.into_iter().map(|value| value.map(SharedValue::from)).collect())
    }

    /// Returns the value of one row; a damaged one is an error.
    pub(crate) fn get(
        &self,
        kind: RecordKind,
        id: Id,
        namespace: Option<&str>,
    ) -> Result<Option<SharedValue>> {
        let value = self.get_many(kind, &[id], namespace)?.pop().flatten();
        match value {
            None => self.durable.quarantine().failure(kind, &id).map_or(Ok(None), Err),
            found => Ok(found),
        }
    }

    pub(crate) fn version(&self, kind: RecordKind, id: &Id) -> Result<Option<i64>> {
        self.reads.call(|| self.durable.version(kind, id))
    }

    pub(crate) fn versioned(&self, kind: RecordKind, id: &Id) -> Result<Option<(i64, Vec<u8>)>> {
        self.reads.call(|| self.durable.versioned(kind, id))
    }

    fn cached(&self, kind: RecordKind, keys: &[Id], now: Instant) -> (Vec<Option<SharedValue>>, LogPosition) {
        let mut compared = self.lock();
        if compared.cache.is_unattached() {
            self.attach(&mut compared.cache);
        }
        let cache = &mut compared.cache;
        (keys.iter().map(|key| cache.get(kind, *key, now)).collect(), cache.position)
    }

    /// Opens the cache's file and carries out the removals since it was written.
    fn attach(&self, cache: &mut Cache) {
        let is_known = |position| self.durable.has(position).unwrap_or(false);
        let Some(written) = cache.attach(&self.durable.uuid(), is_known) else { return };
        let since = written.sequence.min(cache.position.sequence);
        match self.durable.removals(since) {
            Ok((Some(removed), position)) => cache.forget(&removed, position),
            Ok((None, position)) => cache.clear(position),
            Err(_) => cache.close(),
        }
    }

    /// Caches values that were read, unless removals were carried out in the meantime.
    fn keep(
        &self,
        kind: RecordKind,
        keys: &[Id],
        values: &[Option<SharedValue>],
        position: LogPosition,
        now: Instant,
    ) {
        let cache = &mut self.lock().cache;
        if cache.position == position {
            for (key, value) in keys.iter().zip(values) {
                value.iter().for_each(|value| cache.keep(kind, *key, value, now));
            }
        }
    }

    pub(crate) fn scan(&self, kind: RecordKind, page: &ScanPage<'_>) -> Result<Vec<(Id, Vec<u8>)>> {
        self.reads.call(|| self.durable.scan(kind, page))
    }

    pub(crate) fn changes(&self, since: i64, limit: usize, began: Option<i64>) -> Result<Changes> {
        self.reads.call(|| self.durable.changes(since, limit, began))
    }

    pub(crate) fn pending(&self, limit: usize) -> Result<Vec<Id>> {
        self.reads.call(|| self.durable.pending(limit))
    }

    /// Returns the number of the newest change. Removals of other processes up to it are carried out on the cache.
    pub(crate) fn sequence(&self) -> Result<i64> {
        self.compare(Instant::now())
    }

    pub(crate) fn damaged(&self) -> Result<Vec<DamagedRow>> {
        self.reads.call(|| self.durable.damaged())
    }

    pub(crate) fn damaged_count(&self) -> usize {
        self.durable.quarantine().len()
    }

    pub(crate) fn remove_damaged(&self) -> Result<Vec<DamagedRow>> {
        let rows = self.writes.call(|| self.durable.remove_damaged())?;
        if !rows.is_empty() {
            self.snapshots.remove();
        }
        self.compare(Instant::now())?;
        Ok(rows)
    }

    pub(crate) fn compact(&self, keep: i64) -> Result<Compaction> {
        self.writes.call(|| self.durable.compact(keep))
    }

    pub(crate) fn shrink(&self) -> Result<i64> {
        self.writes.call(|| self.durable.shrink())
    }

    pub(crate) fn back_up(&self, target: &Path) -> Result<()> {
        self.durable.back_up(target)
    }

    pub(crate) fn read_snapshot(&self, name: &str, version: SectionVersion) -> Option<Section> {
        self.snapshots.read(&self.durable, name, version)
    }

    pub(crate) fn write_snapshot(&self, sections: Vec<Section>) -> bool {
        self.snapshots.write(&self.durable, sections)
    }

    pub(crate) fn doubt_snapshot(&self, reason: &str) {
        self.snapshots.doubt(reason);
    }

    pub(crate) fn snapshot(&self) -> SnapshotState {
        self.snapshots.state(&self.durable)
    }

    pub(crate) fn schema_backups(&self) -> Vec<PathBuf> {
        schema_backups(self.durable.path())
    }

    pub(crate) fn stats(&self) -> Result<Vec<(&'static str, StatValue)>> {
        let mut stats = self.reads.call(|| self.durable.stats())?;
        let compared = self.lock();
        let metrics = compared.cache.metrics();
        stats.extend([
            ("durable", StatValue::Text(self.name())),
            ("cache", StatValue::Text(compared.cache.name().to_owned())),
            ("cache_entries", StatValue::Int(metrics.len as i64)),
            ("cache_bytes", StatValue::Int(metrics.bytes as i64)),
            ("cache_hits", StatValue::Int(metrics.hits as i64)),
            ("cache_misses", StatValue::Int(metrics.misses as i64)),
            ("cache_evictions", StatValue::Int(metrics.evictions as i64)),
            ("cache_expirations", StatValue::Int(metrics.expirations as i64)),
            ("cache_hit_rate", StatValue::Float(metrics.hit_rate())),
            ("reads_breaker", StatValue::Text(self.reads.state().to_owned())),
            ("writes_breaker", StatValue::Text(self.writes.state().to_owned())),
        ]);
        stats.extend(compared.cache.problem().map(|problem| ("cache_problem", StatValue::Text(problem))));
        Ok(stats)
    }

    fn compare_if_due(&self, now: Instant) -> Result<()> {
        let is_fresh = self.lock().at.is_some_and(|at| now.saturating_duration_since(at) < FRESH_FOR);
        if is_fresh { Ok(()) } else { self.compare(now).map(drop) }
    }

    /// Carries out removals of the store on the cache; returns the number of the newest change.
    fn compare(&self, now: Instant) -> Result<i64> {
        let since = self.lock().cache.position;
        let (removed, position) = self.reads.call(|| self.durable.removals(since.sequence))?;
        let mut compared = self.lock();
        if compared.cache.position == since {
            match removed {
                Some(removed) => compared.cache.forget(&removed, position),
                None => compared.cache.clear(position),
            }
            compared.at = Some(now);
        }
        Ok(position.sequence)
    }

    /// Drops the rows that this process removed from the cache; the next read asks for removals by others.
    fn forget(&self, touched: &[Id]) {
        self.durable.quarantine().release(touched);
        let mut compared = self.lock();
        if compared.cache.is_unattached() {
            // The file may hold the removed values, although nothing was read from it yet.
            self.attach(&mut compared.cache);
        }
        let position = compared.cache.position;
        compared.cache.forget(touched, position);
        compared.at = None;
    }

    /// Deletes the backups of migrations and the snapshot: they hold the content of an episode that was removed.
    fn remove_copies(&self) {
        self.snapshots.remove();
        for backup in self.schema_backups() {
            let _ = std::fs::remove_file(backup);
        }
    }

    /// See [`crate::Store::close`].
    pub(crate) fn close(&self, patience: Duration) -> bool {
        self.durable.stop();
        let has_stopped = self.durable.has_stopped(patience);
        if has_stopped {
            // The file must not outlive values that other processes removed.
            let _ = self.compare(Instant::now());
            self.snapshots.remove_outlived(&self.durable);
            self.lock().cache.close();
        }
        has_stopped
    }

    fn lock(&self) -> MutexGuard<'_, ComparedCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room on a full disk by deleting the cache's file: nothing in it is needed.
fn give_up_cache(shared: Arc<OnceLock<Weak<Mutex<ComparedCache>>>>) -> MakeRoom {
    Box::new(move || {
        let cache = shared.get().and_then(Weak::upgrade);
        cache.is_some_and(|cache| cache.lock().unwrap_or_else(PoisonError::into_inner).cache.delete_file())
    })
}

/// Returns the cache's keys of patterns, which differ between namespaces; `None` means that the ids are the keys.
fn cache_keys(kind: RecordKind, ids: &[Id], namespace: Option<&str>) -> Option<Vec<Id>> {
    let name = namespace.filter(|_| kind == RecordKind::Pattern)?;
    Some(ids.iter().map(|id| pattern_key(name, id)).collect())
}

/// A commit on its way.
pub struct Commit {
    pending: PendingCommit,
    tiered: Arc<Tiered>,
    call: Option<AdmittedCall>,
    /// The episodes that the batch removes or changes.
    touched: Vec<Id>,
    /// The side records that the batch may make readable again.
    rewritten: Vec<Id>,
    removes: bool,
}

impl Commit {
    /// Returns the outcome, if it is known within about `patience`. Giving up does not take the commit back.
    pub fn wait(&mut self, patience: Duration) -> Option<Result<Receipt>> {
        let outcome = self.pending.wait(patience)?;
        if let Some(call) = self.call.take() {
            self.tiered.writes.ended(call, outcome.as_ref().err());
        }
        let has_changed = outcome.as_ref().is_ok_and(|receipt| receipt.committed > 0);
        if has_changed && !self.rewritten.is_empty() {
            self.tiered.durable.quarantine().release(&self.rewritten);
        }
        if has_changed && !self.touched.is_empty() {
            self.tiered.forget(&self.touched);
            if self.removes {
                self.tiered.remove_copies();
            }
        }
        Some(outcome)
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.tiered.writes.cancelled(call);
        }
    }
}

/// A circuit breaker around one side of the store.
struct BreakerGuard(Mutex<CircuitBreaker>);

/// One admitted call.
struct AdmittedCall {
    permit: Permit,
    began: Instant,
}

impl BreakerGuard {
    fn new() -> Self {
        let limits =
            BreakerLimits { open_for: FIRST_BREAK, longest_open: LONGEST_BREAK, ..BreakerLimits::default() };
        Self(Mutex::new(CircuitBreaker::new(limits)))
    }

    fn call<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let call = self.admit()?;
        let outcome = body();
        self.ended(call, outcome.as_ref().err());
        outcome
    }

    fn admit(&self) -> Result<AdmittedCall> {
        let began = Instant::now();
        let permit = self.lock().admit(began).map_err(StorageError::interrupted)?;
        Ok(AdmittedCall { permit, began })
    }

    /// Counts a failure only if it says something about the disk.
    fn ended(&self, call: AdmittedCall, error: Option<&StorageError>) {
        let now = Instant::now();
        let latency = now.saturating_duration_since(call.began);
        let has_failed = error.is_some_and(|error| {
            matches!(error.kind, ErrorKind::Unavailable { .. } | ErrorKind::CommitUnknown)
        });
        if has_failed {
            self.lock().failed(call.permit, now, latency);
        } else {
            self.lock().succeeded(call.permit, now, latency);
        }
    }

    fn cancelled(&self, call: AdmittedCall) {
        self.lock().cancelled(call.permit);
    }

    fn state(&self) -> &'static str {
        self.lock().state().name()
    }

    fn lock(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::durable::testing_lock;
    use crate::example::{close, commit, id, open, options, put, removal};

    fn is_there(store: &Store, number: u64) -> bool {
        store.get(RecordKind::Episode, id(number), None).unwrap().is_some()
    }

    fn stat(store: &Store, name: &str) -> StatValue {
        let stats = store.stats().unwrap();
        stats.into_iter().find(|(found, _)| *found == name).unwrap().1
    }

    fn without_file(folder: &Path) -> Store {
        Store::open(&Options { cache_file: CacheFile::None, ..options(folder) }).unwrap()
    }

    #[test]
    fn a_second_read_is_served_from_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        assert!((0..3).all(|_| is_there(&store, 1)));
        assert_eq!(stat(&store, "cache_hits"), StatValue::Int(2));
    }

    #[test]
    fn a_removed_episode_is_gone_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for number in 0..50 {
            commit(&store, put(number)).unwrap();
            assert!(is_there(&store, number));
            commit(&store, removal(number)).unwrap();
            assert!(!is_there(&store, number));
        }
    }

    #[test]
    fn an_episode_that_another_store_removed_is_gone_after_its_change_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(folder.path()), without_file(folder.path()));
        for number in 0..20 {
            commit(&one, put(number)).unwrap();
            assert!(is_there(&one, number));
            let receipt = commit(&other, removal(number)).unwrap();
            assert_eq!(one.sequence().unwrap(), receipt.sequence);
            assert!(!is_there(&one, number));
        }
    }

    #[test]
    fn a_cache_file_follows_removals_that_happened_while_it_was_closed() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        commit(&store, put(2)).unwrap();
        assert!(is_there(&store, 1) && is_there(&store, 2));
        close(&store);
        let other = without_file(folder.path());
        commit(&other, removal(1)).unwrap();
        close(&other);
        let store = open(folder.path());
        assert!(!is_there(&store, 1) && is_there(&store, 2));
        assert_eq!(stat(&store, "cache"), StatValue::Text("redb".to_owned()));
    }

    #[test]
    fn closing_a_cache_file_carries_out_removals_of_other_stores() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (open(folder.path()), without_file(folder.path()));
        let text = b"an unmistakable sentence".repeat(20);
        let mut batch = Batch::default();
        batch.put(&crate::example::episode(1, &text, &[]), &[]).unwrap();
        commit(&one, batch).unwrap();
        assert!(is_there(&one, 1));
        commit(&other, removal(1)).unwrap();
        close(&one);
        let bytes = std::fs::read(folder.path().join("store.db-cache")).unwrap();
        assert!(!bytes.windows(text.len()).any(|window| window == text));
    }

    #[test]
    fn a_cache_ahead_of_its_store_is_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        close(&store);
        let path = folder.path().join("store.db");
        let backup = std::fs::read(&path).unwrap();
        for later in [0, 3] {
            let store = open(folder.path());
            commit(&store, put(2)).unwrap();
            assert!(is_there(&store, 2));
            close(&store);
            std::fs::write(&path, &backup).unwrap();
            // The restored store may have gone another way since, and be as long as the one that was cached.
            let store = without_file(folder.path());
            for number in 0..later {
                commit(&store, put(10 + number)).unwrap();
            }
            close(&store);
            let store = open(folder.path());
            assert!(!is_there(&store, 2) && is_there(&store, 1), "{later} later changes");
            close(&store);
        }
    }

    #[test]
    fn a_failing_store_opens_its_breaker_and_still_reads() {
        let folder = tempfile::tempdir().unwrap();
        let impatient = Options { busy_timeout: Duration::ZERO, ..options(folder.path()) };
        let store = Store::open(&impatient).unwrap();
        commit(&store, put(1)).unwrap();
        let lock = testing_lock(&impatient.path);
        for number in 2..7 {
            let error = commit(&store, put(number)).unwrap_err();
            assert_eq!((error.retryable, error.kind), (true, ErrorKind::Unavailable { retry_after_s: None }));
        }
        let error = commit(&store, put(7)).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Unavailable { retry_after_s: Some(wait) } if wait > 0.0));
        assert!(is_there(&store, 1) && !is_there(&store, 2));
        drop(lock);
    }
}
