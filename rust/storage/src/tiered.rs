//! Durable first, then cache: reads ask the cache and then the durable side, behind a circuit breaker.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tacit_kernels::breaker::{CircuitBreaker, Limits, Permit};
use tacit_kernels::facts::Id;

use crate::batch::{Batch, Changes, Receipt, Sums};
use crate::cache::{Cache, Position};
use crate::durable::{self, Durable};
use crate::error::{ErrorKind, Result, StorageError};
use crate::record::Kind;
use crate::{CacheFile, Figure, Options, Page};

/// For so long a value may be served from the cache without asking whether another process removed it.
const FRESH_FOR: Duration = Duration::from_millis(10);

/// A failing disk of one's own is looked at again soon: nobody else suffers from the question.
const FIRST_BREAK: Duration = Duration::from_secs(1);
const LONGEST_BREAK: Duration = Duration::from_secs(30);

/// A value, shared with the cache.
pub(crate) type Value = Arc<[u8]>;

/// The durable side with what stands before it.
pub(crate) struct Tiered {
    durable: Durable,
    cache: Mutex<Compared>,
    /// Reading goes on where writing fails, and the other way round.
    reads: Guard,
    writes: Guard,
}

/// The cache, and when it was last compared with the store.
struct Compared {
    cache: Cache,
    at: Option<Instant>,
}

impl Tiered {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let durable = Durable::open(options)?;
        let path = match &options.cache_file {
            CacheFile::None => None,
            CacheFile::Beside => Some(beside(durable.path())),
            CacheFile::At(path) => Some(path.clone()),
        };
        let cache = Cache::new(options.cache, path, durable.position()?);
        let cache = Mutex::new(Compared { cache, at: None });
        Ok(Self { durable, cache, reads: Guard::new(), writes: Guard::new() })
    }

    /// What a receipt says about where a commit is durable.
    pub(crate) fn name(&self) -> String {
        format!("libsql:{}", self.durable.path().display())
    }

    pub(crate) fn submit(self: &Arc<Self>, batch: Batch) -> Result<Commit> {
        let call = self.writes.admit()?;
        let removed = batch.removed.clone();
        let commit = self.durable.submit(batch);
        Ok(Commit { commit, tiered: Arc::clone(self), call: Some(call), removed })
    }

    /// The values of `ids`, in their order; none where there is no such row.
    ///
    /// Notes are never held: they are replaced, which nothing held would notice.
    pub(crate) fn get_many(&self, kind: Kind, ids: &[Id]) -> Result<Vec<Option<Value>>> {
        if kind.is_note() {
            let found = self.reads.call(|| self.durable.get_many(kind, ids))?;
            return Ok(found.into_iter().map(|value| value.map(Value::from)).collect());
        }
        let now = Instant::now();
        // Where the store cannot be asked, what is held is served as it was last known to be.
        let compared = self.compare_if_due(now);
        let (held, position) = self.held(kind, ids, now);
        if held.iter().all(Option::is_some) {
            return Ok(held);
        }
        compared?;
        self.fill(kind, ids, held, position, now)
    }

    fn held(&self, kind: Kind, ids: &[Id], now: Instant) -> (Vec<Option<Value>>, Position) {
        let mut compared = self.lock();
        if compared.cache.is_unattached() {
            self.attach(&mut compared.cache);
        }
        let cache = &mut compared.cache;
        (ids.iter().map(|id| cache.get(kind, *id, now)).collect(), cache.position)
    }

    /// Opens the cache's file and catches up with what was removed since it was written.
    fn attach(&self, cache: &mut Cache) {
        let is_known = |position| self.durable.has(position).unwrap_or(false);
        let Some(written) = cache.attach(&self.durable.uuid(), is_known) else { return };
        let since = written.sequence.min(cache.position.sequence);
        match self.durable.removals(since) {
            Ok((removed, position)) => cache.forget(&removed, position),
            Err(_) => cache.close(),
        }
    }

    /// Reads what is not `held` and keeps it, unless removals were carried out in the meantime.
    fn fill(
        &self,
        kind: Kind,
        ids: &[Id],
        held: Vec<Option<Value>>,
        position: Position,
        now: Instant,
    ) -> Result<Vec<Option<Value>>> {
        let absent: Vec<Id> = ids.iter().zip(&held).filter(|(_, v)| v.is_none()).map(|(id, _)| *id).collect();
        let found = self.reads.call(|| self.durable.get_many(kind, &absent))?;
        let found: Vec<Option<Value>> = found.into_iter().map(|value| value.map(Value::from)).collect();
        let cache = &mut self.lock().cache;
        if cache.position == position {
            for (id, value) in absent.iter().zip(&found) {
                value.iter().for_each(|value| cache.keep(kind, *id, value, now));
            }
        }
        let mut found = found.into_iter();
        Ok(held.into_iter().map(|value| value.or_else(|| found.next().flatten())).collect())
    }

    pub(crate) fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<(Id, Vec<u8>)>> {
        self.reads.call(|| self.durable.scan(kind, page))
    }

    pub(crate) fn changes(&self, since: i64, limit: usize) -> Result<Changes> {
        self.reads.call(|| self.durable.changes(since, limit))
    }

    pub(crate) fn sums(&self) -> Result<Sums> {
        self.reads.call(|| self.durable.sums())
    }

    pub(crate) fn pending(&self, limit: usize) -> Result<Vec<Id>> {
        self.reads.call(|| self.durable.pending(limit))
    }

    /// The newest change's number. What other processes removed up to it is gone from the cache.
    pub(crate) fn sequence(&self) -> Result<i64> {
        self.compare(Instant::now())
    }

    pub(crate) fn stats(&self) -> Result<Vec<(&'static str, Figure)>> {
        let mut stats = self.reads.call(|| self.durable.stats())?;
        let compared = self.lock();
        let metrics = compared.cache.metrics();
        stats.extend([
            ("durable", Figure::Word(self.name())),
            ("cache", Figure::Word(compared.cache.name().to_owned())),
            ("cache_entries", Figure::Count(metrics.len as i64)),
            ("cache_bytes", Figure::Count(metrics.bytes as i64)),
            ("cache_hits", Figure::Count(metrics.hits as i64)),
            ("cache_misses", Figure::Count(metrics.misses as i64)),
            ("cache_evictions", Figure::Count(metrics.evictions as i64)),
            ("cache_expirations", Figure::Count(metrics.expirations as i64)),
            ("cache_hit_rate", Figure::Share(metrics.hit_rate())),
            ("reads_breaker", Figure::Word(self.reads.state().to_owned())),
            ("writes_breaker", Figure::Word(self.writes.state().to_owned())),
        ]);
        Ok(stats)
    }

    fn compare_if_due(&self, now: Instant) -> Result<()> {
        let is_fresh = self.lock().at.is_some_and(|at| now.saturating_duration_since(at) < FRESH_FOR);
        if is_fresh { Ok(()) } else { self.compare(now).map(drop) }
    }

    /// Carries out on the cache what was removed from the store; returns how far the store has come.
    fn compare(&self, now: Instant) -> Result<i64> {
        let since = self.lock().cache.position;
        let (removed, position) = self.reads.call(|| self.durable.removals(since.sequence))?;
        let mut compared = self.lock();
        if compared.cache.position == since {
            compared.cache.forget(&removed, position);
            compared.at = Some(now);
        }
        Ok(position.sequence)
    }

    /// What this process removed is not served again; what others removed is looked for at the next read.
    fn forget(&self, removed: &[Id]) {
        let mut compared = self.lock();
        let position = compared.cache.position;
        compared.cache.forget(removed, position);
        compared.at = None;
    }

    /// See [`crate::Store::close`].
    pub(crate) fn close(&self, patience: Duration) -> bool {
        self.durable.stop();
        let has_stopped = self.durable.has_stopped(patience);
        if has_stopped {
            self.lock().cache.close();
        }
        has_stopped
    }

    fn lock(&self) -> MutexGuard<'_, Compared> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-cache");
    PathBuf::from(name)
}

/// A commit on its way.
pub struct Commit {
    commit: durable::Commit,
    tiered: Arc<Tiered>,
    call: Option<Call>,
    removed: Vec<Id>,
}

impl Commit {
    /// The outcome, if it is known within about `patience`. Giving up waiting does not take the commit back.
    pub fn wait(&mut self, patience: Duration) -> Option<Result<Receipt>> {
        let outcome = self.commit.wait(patience)?;
        if let Some(call) = self.call.take() {
            self.tiered.writes.ended(call, outcome.as_ref().err());
        }
        if outcome.is_ok() && !self.removed.is_empty() {
            self.tiered.forget(&self.removed);
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
struct Guard(Mutex<CircuitBreaker>);

/// One admitted call.
struct Call {
    permit: Permit,
    began: Instant,
}

impl Guard {
    fn new() -> Self {
        let limits = Limits { open_for: FIRST_BREAK, longest_open: LONGEST_BREAK, ..Limits::default() };
        Self(Mutex::new(CircuitBreaker::new(limits)))
    }

    fn call<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let call = self.admit()?;
        let outcome = body();
        self.ended(call, outcome.as_ref().err());
        outcome
    }

    fn admit(&self) -> Result<Call> {
        let began = Instant::now();
        let permit = self.lock().admit(began).map_err(StorageError::interrupted)?;
        Ok(Call { permit, began })
    }

    /// Only what says something about the disk counts as a failure.
    fn ended(&self, call: Call, error: Option<&StorageError>) {
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

    fn cancelled(&self, call: Call) {
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
        store.get(Kind::Episode, id(number)).unwrap().is_some()
    }

    fn figure(store: &Store, name: &str) -> Figure {
        let stats = store.stats().unwrap();
        stats.into_iter().find(|(found, _)| *found == name).unwrap().1
    }

    fn without_file(folder: &Path) -> Store {
        Store::open(&Options { cache_file: CacheFile::None, ..options(folder) }).unwrap()
    }

    #[test]
    fn what_was_read_once_is_served_from_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        assert!((0..3).all(|_| is_there(&store, 1)));
        assert_eq!(figure(&store, "cache_hits"), Figure::Count(2));
    }

    #[test]
    fn what_this_store_removed_is_gone_at_once() {
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
    fn what_another_store_removed_is_gone_once_its_change_was_counted() {
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
    fn a_cache_file_catches_up_with_what_was_removed_while_nobody_had_it() {
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
        assert_eq!(figure(&store, "cache"), Figure::Word("redb".to_owned()));
    }

    #[test]
    fn a_cache_ahead_of_its_store_is_thrown_away() {
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
    fn a_store_that_fails_too_often_is_given_a_break_and_still_reads() {
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
