//! The durable store (libSQL), the cache in front of it (redb) and how the two keep together.

mod batch;
mod cache;
mod durable;
mod error;
#[cfg(test)]
mod example;
mod note;
mod record;
mod tiered;

use std::path::PathBuf;
use std::process;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tacit_kernels::facts::Id;
use tacit_kernels::lru::Limits;

use crate::tiered::Tiered;

pub use crate::batch::{Batch, Change, Changes, EpisodeRecord, Op, Receipt, State, Sums};
pub use crate::error::{ErrorKind, Result, StorageError};
pub use crate::note::NoteRecord;
pub use crate::record::Kind;
pub use crate::tiered::Commit;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    pub path: PathBuf,
    pub durability: Durability,
    /// How many connections read at the same time.
    pub readers: usize,
    /// How long a lock of another process is waited for.
    pub busy_timeout: Duration,
    /// What is kept in memory of what was read.
    pub cache: Limits,
    pub cache_file: CacheFile,
}

/// Where what was read outlives the process. The file is disposable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFile {
    None,
    /// Beside the store, under its name with `-cache` after it.
    Beside,
    At(PathBuf),
}

/// One entry of [`Store::stats`].
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    Count(i64),
    Share(f64),
    Word(String),
}

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power.
    Durable,
    /// The death of the process; the loss of power may cost the last commits, never the file.
    Fast,
}

impl Durability {
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "durable" => Ok(Self::Durable),
            "fast" => Ok(Self::Fast),
            _ => Err(StorageError::invalid("durability", "must be durable or fast", name)),
        }
    }
}

/// Which rows a scan gives back. What is `None` is not looked at. Notes are filtered by namespace alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filters<'a> {
    pub namespace: Option<&'a str>,
    pub domain: Option<&'a str>,
    pub task_key: Option<&'a str>,
    pub agent: Option<&'a str>,
    pub external_id: Option<&'a str>,
    pub state: Option<State>,
}

/// One page of a scan, in the order of ids.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The last id of the page before.
    pub after: Option<Id>,
    pub limit: usize,
    pub newest_first: bool,
    pub filters: Filters<'a>,
}

/// A store of experience. A commit is all or nothing, durable when it is acknowledged, and harmless when repeated.
///
/// Every verb but [`Store::close`] fails once the store is closed, and in a process that was forked after it was
/// opened.
pub struct Store {
    tiered: RwLock<Option<Arc<Tiered>>>,
    process: u32,
}

impl Store {
    /// Opens the store at `options.path`; creates it where there is none. The folder must exist.
    pub fn open(options: &Options) -> Result<Self> {
        let tiered = Arc::new(Tiered::open(options)?);
        Ok(Self { tiered: RwLock::new(Some(tiered)), process: process::id() })
    }

    /// Hands a batch to the writer; the [`Commit`] tells its outcome.
    pub fn submit(&self, batch: Batch) -> Result<Commit> {
        self.opened()?.submit(batch)
    }

    /// What a receipt says about where a commit is durable.
    pub fn name(&self) -> Result<String> {
        Ok(self.opened()?.name())
    }

    /// The value of `kind` under `id`.
    pub fn get(&self, kind: Kind, id: Id) -> Result<Option<Arc<[u8]>>> {
        Ok(self.get_many(kind, &[id])?.pop().flatten())
    }

    /// The values of `ids`, in their order; none where there is no such row.
    ///
    /// What another process removed may be served for some milliseconds more, but not once [`Store::sequence`]
    /// has counted its removal.
    pub fn get_many(&self, kind: Kind, ids: &[Id]) -> Result<Vec<Option<Arc<[u8]>>>> {
        self.opened()?.get_many(kind, ids)
    }

    /// The rows of `page` with their ids.
    pub fn scan(&self, kind: Kind, page: &Page<'_>) -> Result<Vec<(Id, Vec<u8>)>> {
        self.opened()?.scan(kind, page)
    }

    /// What changed after the change numbered `since`, oldest first. A put that was removed later is left out, and so
    /// is a note that was written again.
    pub fn changes(&self, since: i64, limit: usize) -> Result<Changes> {
        self.opened()?.changes(since, limit)
    }

    /// The newest change's number, whichever process made it.
    pub fn sequence(&self) -> Result<i64> {
        self.opened()?.sequence()
    }

    /// The sums of everything up to a change, and that change's number.
    pub fn sums(&self) -> Result<Sums> {
        self.opened()?.sums()
    }

    /// The episodes that wait to be learned from, oldest first.
    pub fn pending(&self, limit: usize) -> Result<Vec<Id>> {
        self.opened()?.pending(limit)
    }

    /// Named counts of what is stored and how it is held.
    pub fn stats(&self) -> Result<Vec<(&'static str, Figure)>> {
        self.opened()?.stats()
    }

    /// Refuses further commits and lands those that were submitted; true once that is done and the files are
    /// closed, false where it takes longer than `patience`. Closing a closed store is true at once.
    pub fn close(&self, patience: Duration) -> bool {
        let Ok(tiered) = self.opened() else { return true };
        let has_closed = tiered.close(patience);
        if has_closed {
            self.tiered.write().unwrap_or_else(PoisonError::into_inner).take();
        }
        has_closed
    }

    fn opened(&self) -> Result<Arc<Tiered>> {
        if self.process != process::id() {
            return Err(StorageError::forked());
        }
        let tiered = self.tiered.read().unwrap_or_else(PoisonError::into_inner);
        tiered.clone().ok_or_else(StorageError::closed)
    }
}

impl Drop for Store {
    /// Signals the writer and waits for nobody. What a forked child inherited is left alone: closing it would
    /// harm the parent's files.
    fn drop(&mut self) {
        if self.process != process::id() {
            std::mem::forget(self.tiered.get_mut().map(Option::take));
        }
    }
}
