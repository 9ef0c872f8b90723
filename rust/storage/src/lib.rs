//! The durable store (libSQL), the cache in front of it (redb) and their agreement.

mod batch;
mod cache;
mod change;
mod durable;
mod episode_record;
mod error;
#[cfg(test)]
mod example;
mod files;
mod gate;
mod options;
mod pattern;
mod record;
pub mod rows;
mod scan;
mod side_record;
mod snapshot;
mod snapshots;
mod tiered;

use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use tacit_kernels::facts::Id;

use crate::gate::Gate;
use crate::tiered::Tiered;

pub use crate::batch::{Batch, Expectation, Receipt};
pub use crate::change::{Change, Changes, Op};
pub use crate::durable::{Compaction, DamagedRow, restore};
pub use crate::episode_record::{EpisodeRecord, EpisodeState};
pub use crate::error::{ErrorKind, Result, StorageError};
pub use crate::files::create_private;
pub use crate::gate::{begin_fork, end_fork};
pub use crate::options::{CacheFile, Durability, Options, StatValue};
pub use crate::pattern::without_detail;
pub use crate::record::RecordKind;
pub use crate::scan::{Filters, ScanPage};
pub use crate::side_record::SideRecord;
pub use crate::snapshot::{Section, SectionVersion};
pub use crate::snapshots::SnapshotState;
pub use crate::tiered::Commit;

/// A store of experience. A commit is all or nothing, durable when it is acknowledged, and harmless when repeated.
///
/// Every verb but [`Store::close`] fails once the store is closed. It is carried through a fork by [`Store::hold`],
/// [`Store::release`] and [`Store::renew`]; without them every verb fails in the child.
pub struct Store {
    options: Options,
    gate: AtomicPtr<Gate>,
    process: AtomicU32,
    is_closed: AtomicBool,
}

impl Store {
    /// Opens the store at `options.path`, or creates it. The folder must exist.
    pub fn open(options: &Options) -> Result<Self> {
        let gate = Box::new(Gate::open(options)?);
        Ok(Self {
            options: options.clone(),
            gate: AtomicPtr::new(Box::into_raw(gate)),
            process: AtomicU32::new(process::id()),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Before a fork: waits for the verbs under way, closes the files, and holds later verbs back. Returns false if
    /// that took longer than `patience`; the child cannot use the file then.
    pub fn hold(&self, patience: Duration) -> bool {
        self.gate().hold(patience)
    }

    /// After a fork, in the parent: lets verbs pass. The next one opens the files again.
    pub fn release(&self) {
        self.gate().release();
    }

    /// After a fork, in the child, before it has a second thread: begins with a state of its own, because mutexes of
    /// the inherited one may be locked for ever. The next verb opens the files.
    pub fn renew(&self) {
        self.gate.store(Box::into_raw(Box::new(Gate::shut())), Ordering::Release);
        self.process.store(process::id(), Ordering::Release);
    }

    /// Hands a batch to the writer; the [`Commit`] tells its outcome.
    pub fn submit(&self, batch: Batch) -> Result<Commit> {
        self.opened()?.submit(batch)
    }

    /// Returns the place that a receipt names.
    pub fn name(&self) -> Result<String> {
        Ok(self.opened()?.name())
    }

    /// Returns the value of `kind` under `id`. A damaged row is an error.
    ///
    /// `namespace` matters for patterns alone: it selects whose detail comes with the content. A pattern without a
    /// namespace comes without detail.
    pub fn get(&self, kind: RecordKind, id: Id, namespace: Option<&str>) -> Result<Option<Arc<[u8]>>> {
        self.opened()?.get(kind, id, namespace)
    }

    /// Returns the values of `ids`, in their order; `None` stands for an absent or damaged row.
    ///
    /// A row that another process removed may be served for some milliseconds more, but not once
    /// [`Store::sequence`] has counted its removal.
    pub fn get_many(
        &self,
        kind: RecordKind,
        ids: &[Id],
        namespace: Option<&str>,
    ) -> Result<Vec<Option<Arc<[u8]>>>> {
        self.opened()?.get_many(kind, ids, namespace)
    }

    /// Returns the version of an episode or a side record; `None` means that it is absent. Reads no record.
    ///
    /// The version is the number of the change that wrote the row last.
    pub fn version(&self, kind: RecordKind, id: Id) -> Result<Option<i64>> {
        self.opened()?.version(kind, &id)
    }

    /// Returns the version and the value of an episode or a side record, read together.
    pub fn versioned(&self, kind: RecordKind, id: Id) -> Result<Option<(i64, Vec<u8>)>> {
        self.opened()?.versioned(kind, &id)
    }

    /// Returns the rows of `page` with their ids. Damaged rows are left out.
    pub fn scan(&self, kind: RecordKind, page: &ScanPage<'_>) -> Result<Vec<(Id, Vec<u8>)>> {
        self.opened()?.scan(kind, page)
    }

    /// Returns the changes after the one numbered `since`, oldest first.
    ///
    /// The stretch leaves out a put that was removed later, a side record that was written again, and damaged rows.
    /// A `since` between 0 and the horizon fails with [`ErrorKind::ResyncRequired`]. A reader that began at 0 hands
    /// on the horizon of its first stretch as `began`, and may read on until the horizon moves.
    pub fn changes(&self, since: i64, limit: usize, began: Option<i64>) -> Result<Changes> {
        self.opened()?.changes(since, limit, began)
    }

    /// Returns the number of the newest change, of whichever process.
    pub fn sequence(&self) -> Result<i64> {
        self.opened()?.sequence()
    }

    /// Returns the episodes that wait to be learned from, oldest first.
    pub fn pending(&self, limit: usize) -> Result<Vec<Id>> {
        self.opened()?.pending(limit)
    }

    /// Reads every row and returns the unreadable ones.
    pub fn damaged(&self) -> Result<Vec<DamagedRow>> {
        self.opened()?.damaged()
    }

    /// Returns the number of unreadable rows that this process met. Reads nothing.
    pub fn damaged_count(&self) -> Result<usize> {
        Ok(self.opened()?.damaged_count())
    }

    /// Removes every unreadable row and returns them.
    pub fn remove_damaged(&self) -> Result<Vec<DamagedRow>> {
        self.opened()?.remove_damaged()
    }

    /// Prunes the change log but for its newest `keep` numbers.
    pub fn compact(&self, keep: i64) -> Result<Compaction> {
        self.opened()?.compact(keep)
    }

    /// Gives the space of removed rows back to the disk; returns how many bytes.
    pub fn shrink(&self) -> Result<i64> {
        self.opened()?.shrink()
    }

    /// Copies the store to `target`, as of one moment, while it is in use. Refuses an existing file.
    pub fn back_up(&self, target: &Path) -> Result<()> {
        self.opened()?.back_up(target)
    }

    /// Returns the section of this name and version from the snapshot beside the store; `None` on any doubt about it.
    ///
    /// [`Store::snapshot`] tells the doubt. A snapshot from before a removal is deleted once it was read.
    pub fn read_snapshot(&self, name: &str, version: SectionVersion) -> Result<Option<Section>> {
        Ok(self.opened()?.read_snapshot(name, version))
    }

    /// Replaces the snapshot beside the store; sections of other names stay unless an episode was removed since.
    /// Returns true if it was written, and nothing was removed from the store meanwhile.
    ///
    /// [`Store::snapshot`] tells why it was not.
    pub fn write_snapshot(&self, sections: Vec<Section>) -> Result<bool> {
        Ok(self.opened()?.write_snapshot(sections))
    }

    /// Notes why a section of the snapshot could not be used after all: it counts as absent until it is replaced.
    pub fn doubt_snapshot(&self, reason: &str) -> Result<()> {
        self.opened()?.doubt_snapshot(reason);
        Ok(())
    }

    /// Returns the state of the snapshot beside the store. Reads its header, not its sections.
    pub fn snapshot(&self) -> Result<SnapshotState> {
        Ok(self.opened()?.snapshot())
    }

    /// Returns the backups that migrations left beside the file.
    pub fn schema_backups(&self) -> Result<Vec<PathBuf>> {
        Ok(self.opened()?.schema_backups())
    }

    /// Returns named figures of the stored rows and of the cache.
    pub fn stats(&self) -> Result<Vec<(&'static str, StatValue)>> {
        self.opened()?.stats()
    }

    /// Refuses further commits and finishes those that were submitted. Returns true once the files are closed, false
    /// if that takes longer than `patience`. Closing a closed store returns true at once.
    pub fn close(&self, patience: Duration) -> bool {
        if self.is_inherited() {
            return true;
        }
        let has_closed = self.gate().close(patience);
        if has_closed {
            self.is_closed.store(true, Ordering::Release);
        }
        has_closed
    }

    fn opened(&self) -> Result<Arc<Tiered>> {
        if self.is_inherited() {
            return Err(StorageError::forked());
        }
        if self.is_closed.load(Ordering::Acquire) {
            return Err(StorageError::closed());
        }
        self.gate().pass(&self.options)
    }

    /// Returns true in a child whose fork nobody announced.
    fn is_inherited(&self) -> bool {
        self.process.load(Ordering::Acquire) != process::id()
    }

    fn gate(&self) -> &Gate {
        // SAFETY: the pointer comes from a box that is freed when the store is dropped, or never.
        unsafe { &*self.gate.load(Ordering::Acquire) }
    }
}

impl Drop for Store {
    /// Signals the writer and does not wait. A forked child leaks what it inherited: closing it would harm the
    /// parent's files.
    fn drop(&mut self) {
        if !self.is_inherited() {
            // SAFETY: the pointer comes from a box, and nobody else has the store any more.
            drop(unsafe { Box::from_raw(self.gate.load(Ordering::Acquire)) });
        }
    }
}
