//! A store that is closed for the time of a fork, and opened again by the next verb.
//!
//! A forked process inherits SQLite's tables of locks, but not the locks, and copies of mutexes that nobody will
//! unlock. So no file is open at the moment of a fork, and the child begins with a state of its own.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::error::{Result, StorageError};
use crate::options::Options;
use crate::tiered::Tiered;

/// Held for reading while a store is opened, for writing during a fork.
static OPENING: RwLock<()> = RwLock::new(());

thread_local! {
    static FORKING: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Keeps every store of the process from being opened until [`end_fork`]. Both are called by the forking thread.
pub fn begin_fork() {
    let guard = OPENING.write().unwrap_or_else(PoisonError::into_inner);
    FORKING.with_borrow_mut(|slot| *slot = Some(guard));
}

/// Lets stores be opened again, in the parent and in the child.
pub fn end_fork() {
    FORKING.with_borrow_mut(|slot| drop(slot.take()));
}

/// The longest wait of a verb for the end of a fork.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two looks at verbs that are under way.
const SLICE: Duration = Duration::from_millis(1);

enum GateState {
    Open(Arc<Tiered>),
    /// Closed by a fork: the next verb opens it again.
    Shut,
    /// A fork is under way.
    Held,
    Closed,
}

/// The way to an open store.
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let tiered = open(options)?;
        Ok(Self { state: Mutex::new(GateState::Open(tiered)), changed: Condvar::new() })
    }

    /// A gate whose store is opened by its first verb.
    pub(crate) fn shut() -> Self {
        Self { state: Mutex::new(GateState::Shut), changed: Condvar::new() }
    }

    /// Returns the open store; opens it if a fork had closed it.
    pub(crate) fn pass(&self, options: &Options) -> Result<Arc<Tiered>> {
        let held = |state: &mut GateState| matches!(state, GateState::Held);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, held)
            .unwrap_or_else(PoisonError::into_inner);
        match &*state {
            GateState::Open(tiered) => return Ok(Arc::clone(tiered)),
            GateState::Closed => return Err(StorageError::closed()),
            GateState::Held => return Err(StorageError::unavailable("the process is being forked")),
            GateState::Shut => (),
        }
        let tiered = open(options)?;
        *state = GateState::Open(Arc::clone(&tiered));
        Ok(tiered)
    }

    /// See [`crate::Store::close`].
    pub(crate) fn close(&self, patience: Duration) -> bool {
        let tiered = match &*self.lock() {
            GateState::Open(tiered) => Arc::clone(tiered),
            GateState::Held => return false,
            GateState::Shut | GateState::Closed => {
                return true;
            }
        };
        let has_closed = tiered.close(patience);
        if has_closed {
            *self.lock() = GateState::Closed;
        }
        has_closed
    }

    /// Waits for the verbs under way and closes the files; holds later verbs back until [`Gate::release`]. Returns
    /// false if that took longer than `patience`.
    pub(crate) fn hold(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        let GateState::Open(tiered) = &*state else { return !matches!(*state, GateState::Held) };
        let mut tiered = Arc::clone(tiered);
        *state = GateState::Held;
        drop(state);
        let left = || deadline.saturating_duration_since(Instant::now());
        let has_closed = loop {
            match Arc::try_unwrap(tiered) {
                Ok(alone) => {
                    let alone = Arc::new(alone);
                    let has_closed = alone.close(left());
                    if !has_closed {
                        *self.lock() = GateState::Open(alone);
                    }
                    break has_closed;
                }
                Err(shared) if left().is_zero() => {
                    *self.lock() = GateState::Open(shared);
                    break false;
                }
                Err(shared) => tiered = shared,
            }
            std::thread::sleep(SLICE);
        };
        if !has_closed {
            self.changed.notify_all();
        }
        has_closed
    }

    /// Lets verbs pass again after [`Gate::hold`].
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        if matches!(*state, GateState::Held) {
            *state = GateState::Shut;
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(options: &Options) -> Result<Arc<Tiered>> {
    let _opening = OPENING.read().unwrap_or_else(PoisonError::into_inner);
    Tiered::open(options).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::example::{commit, commit_each, id, open, put};
    use crate::record::RecordKind;

    #[test]
    fn a_held_store_has_no_open_file_and_verbs_wait_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit(&store, put(1)).unwrap();
        assert!(store.hold(Duration::from_secs(30)));
        assert!(!folder.path().join("store.db-wal").exists());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| commit(&store, put(2)).unwrap());
            std::thread::yield_now();
            assert!(!folder.path().join("store.db-wal").exists());
            store.release();
            assert_eq!(waiting.join().unwrap().committed, 1);
        });
        assert!(store.get(RecordKind::Episode, id(1), None).unwrap().is_some());
    }

    #[test]
    fn a_store_is_held_while_others_commit_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let rounds = |store: &Store| {
            for _ in 0..10 {
                assert!(store.hold(Duration::from_secs(30)));
                store.release();
            }
        };
        std::thread::scope(|scope| {
            for caller in 0..4 {
                let store = &store;
                scope.spawn(move || commit_each(store, caller * 100..caller * 100 + 50, put));
            }
            rounds(&store);
        });
        assert_eq!(store.sequence().unwrap(), 200);
    }

    #[test]
    fn a_closed_store_stays_closed_after_a_fork() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        assert!(store.close(Duration::from_secs(30)));
        assert!(store.hold(Duration::ZERO));
        store.release();
        store.renew();
        assert!(store.sequence().is_err());
    }
}
