//! The durable side of a store: a commit that was acknowledged is here, whatever happens next.

mod backup;
mod committer;
pub(crate) mod fact_counts;
mod held_file;
mod pool;
mod quarantine;
mod queries;
mod reading_place;
pub(crate) mod reads;
mod restore;
mod rewrite;
pub(crate) mod schema;
mod turns;
mod upkeep;
mod watch;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tacit_kernels::facts::Id;

use crate::batch::Batch;
use crate::change::{Changes, LogPosition};
use crate::durable::committer::Committer;
use crate::durable::pool::Pool;
use crate::durable::quarantine::Quarantine;
use crate::durable::queries::{Access, Connection, Pragmas};
use crate::durable::reading_place::{PrivateFolder, ReadingPlace};
use crate::durable::watch::FileWatch;
use crate::durable::writer::Writer;
use crate::error::{Result, StorageError};
use crate::files::absolute;
use crate::options::{Durability, Options, StatValue};
use crate::record::RecordKind;
use crate::scan::ScanPage;

pub(crate) use crate::durable::backup::schema_backups;
pub(crate) use crate::durable::committer::MakeRoom;
pub use crate::durable::quarantine::DamagedRow;
pub use crate::durable::restore::restore;
pub use crate::durable::upkeep::Compaction;
pub(crate) use crate::durable::writer::PendingCommit;

/// The page caches of SQLite, for each connection.
const READER_CACHE_KIB: i64 = 16 << 10;
const WRITER_CACHE_KIB: i64 = 32 << 10;

const UUID: &str = "SELECT uuid FROM meta";
const STATS: [(&str, &str); 7] = [
    ("episodes", "SELECT count(*) FROM episode"),
    ("patterns", "SELECT count(DISTINCT id) FROM pattern"),
    ("pending", "SELECT count(*) FROM episode WHERE state = 2"),
    ("side_records", "SELECT count(*) FROM note WHERE is_there = 1"),
    ("sequence", "SELECT coalesce(max(sequence), 0) FROM change"),
    ("horizon", "SELECT horizon FROM meta"),
    ("file_bytes", "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"),
];

/// The durable side, behind one type for every kind of place.
pub(crate) struct Durable(Backend);

enum Backend {
    Local(LocalFile),
}

impl Durable {
    /// `make_room` is called when the disk is full, before a commit is refused.
    pub(crate) fn open(options: &Options, make_room: MakeRoom) -> Result<Self> {
        LocalFile::open(options, make_room).map(|local| Self(Backend::Local(local)))
    }

    fn local(&self) -> &LocalFile {
        let Backend::Local(local) = &self.0;
        local
    }

    pub(crate) fn path(&self) -> &Path {
        &self.local().path
    }

    /// Returns the identity of the store, which a copy of its file keeps.
    pub(crate) fn uuid(&self) -> Id {
        self.local().uuid
    }

    /// Fails once the file is known to be lost. Looks at nothing.
    pub(crate) fn known(&self) -> Result<()> {
        self.local().watch.known()
    }

    pub(crate) fn position(&self) -> Result<LogPosition> {
        reads::position(&mut *self.local().readers.lease()?)
    }

    /// Returns true if the store's history contains `position`.
    pub(crate) fn has(&self, position: LogPosition) -> Result<bool> {
        reads::is_logged(&mut *self.local().readers.lease()?, position)
    }

    /// Returns the schema of the file.
    pub(crate) fn schema(&self) -> i64 {
        schema::NEWEST
    }

    /// Returns a hash that stands for the changes up to `sequence`; `None` if the store has no such change.
    pub(crate) fn history(&self, sequence: i64) -> Result<Option<u64>> {
        self.local().readers.lease()?.snapshot(|inner| reads::history(inner, sequence))
    }

    /// Returns true if changes after the one numbered `since` were pruned.
    pub(crate) fn is_pruned(&self, since: i64) -> Result<bool> {
        Ok(since < reads::horizon(&mut *self.local().readers.lease()?)?)
    }

    /// Returns the ids that were removed after the change numbered `since`, and the newest position. `None` means
    /// that removals since then were pruned.
    pub(crate) fn removals(&self, since: i64) -> Result<(Option<Vec<Id>>, LogPosition)> {
        let local = self.local();
        let mut reader = local.readers.lease()?;
        let newest = reads::position(&mut reader)?;
        if newest.sequence == since {
            return Ok((Some(Vec::new()), newest));
        }
        let (removed, position) = reader.snapshot(|inner| reads::removals(inner, since))?;
        local.quarantine.release(removed.as_deref().unwrap_or_default());
        Ok((removed, position))
    }

    /// Fails for a store that is only read.
    pub(crate) fn writable(&self) -> Result<()> {
        self.local().writer().map(drop)
    }

    pub(crate) fn submit(&self, batch: Batch) -> Result<PendingCommit> {
        Ok(self.local().writer()?.submit(batch))
    }

    /// Returns the values of `ids`, in their order; `None` stands for an absent or damaged row.
    pub(crate) fn get_many(
        &self,
        kind: RecordKind,
        ids: &[Id],
        namespace: Option<&str>,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let local = self.local();
        let mut reader = local.readers.lease()?;
        ids.iter().map(|id| reads::get(&mut reader, &local.quarantine, kind, id, namespace)).collect()
    }

    pub(crate) fn version(&self, kind: RecordKind, id: &Id) -> Result<Option<i64>> {
        reads::version(&mut *self.local().readers.lease()?, kind, id)
    }

    pub(crate) fn versioned(&self, kind: RecordKind, id: &Id) -> Result<Option<(i64, Vec<u8>)>> {
        reads::versioned(&mut *self.local().readers.lease()?, kind, id)
    }

    pub(crate) fn scan(&self, kind: RecordKind, page: &ScanPage<'_>) -> Result<Vec<(Id, Vec<u8>)>> {
        let local = self.local();
        reads::scan(&mut *local.readers.lease()?, &local.quarantine, kind, page)
    }

    pub(crate) fn changes(&self, since: i64, limit: usize, began: Option<i64>) -> Result<Changes> {
        let local = self.local();
        let mut reader = local.readers.lease()?;
        reader.snapshot(|inner| reads::changes(inner, &local.quarantine, since, limit, began))
    }

    pub(crate) fn pending(&self, limit: usize) -> Result<Vec<Id>> {
        reads::pending(&mut *self.local().readers.lease()?, limit)
    }

    /// Returns named counts of the stored rows.
    pub(crate) fn stats(&self) -> Result<Vec<(&'static str, StatValue)>> {
        let local = self.local();
        let mut reader = local.readers.lease()?;
        let counted =
            STATS.iter().map(|(name, sql)| Ok((*name, StatValue::Int(reader.number(sql, vec![])?))));
        let mut stats = counted.collect::<Result<Vec<_>>>()?;
        stats.push(("queued", StatValue::Int(local.writer.as_ref().map_or(0, Writer::queued) as i64)));
        stats.push(("damaged", StatValue::Int(local.quarantine.len() as i64)));
        stats.push(("schema_backups", StatValue::Int(schema_backups(&local.path).len() as i64)));
        Ok(stats)
    }

    pub(crate) fn quarantine(&self) -> &Quarantine {
        &self.local().quarantine
    }

    /// Reads every row; returns the unreadable ones and quarantines them.
    pub(crate) fn damaged(&self) -> Result<Vec<DamagedRow>> {
        let local = self.local();
        let rows = local.readers.lease()?.snapshot(upkeep::damaged_rows)?;
        local.quarantine.clear();
        rows.iter().for_each(|row| local.quarantine.admit(row));
        Ok(rows)
    }

    /// Removes every unreadable row; returns them.
    pub(crate) fn remove_damaged(&self) -> Result<Vec<DamagedRow>> {
        let rows = upkeep::remove_damaged(&mut self.local().connect()?)?;
        self.local().quarantine.clear();
        Ok(rows)
    }

    pub(crate) fn compact(&self, keep: i64) -> Result<Compaction> {
        upkeep::compact(&mut self.local().connect()?, keep)
    }

    pub(crate) fn shrink(&self) -> Result<i64> {
        upkeep::shrink(&mut self.local().connect()?)
    }

    pub(crate) fn back_up(&self, target: &Path) -> Result<()> {
        let local = self.local();
        let mut connection = local.watch.connect()?;
        connection.configure(local.writing)?;
        local.watch.check(&mut connection)?;
        backup::copy_to(&mut connection, &absolute(target)?)
    }

    /// Lets the writer end once it committed everything that was submitted; later batches are refused.
    pub(crate) fn stop(&self) {
        self.local().writer.iter().for_each(Writer::stop);
    }

    pub(crate) fn has_stopped(&self, patience: std::time::Duration) -> bool {
        self.local().writer.as_ref().is_none_or(|writer| writer.has_stopped(patience))
    }
}

/// A libSQL file on this machine.
struct LocalFile {
    path: PathBuf,
    uuid: Id,
    /// `None` for a store that is only read.
    writer: Option<Writer>,
    readers: Pool,
    quarantine: Quarantine,
    writing: Pragmas,
    watch: Arc<FileWatch>,
    /// The folder of a copy that is read in place of the file; dropped after the connections.
    _copy: Option<PrivateFolder>,
}

impl LocalFile {
    fn open(options: &Options, make_room: MakeRoom) -> Result<Self> {
        let path = absolute(&options.path)?;
        let (place, preparing) = if options.read_only {
            (ReadingPlace::find(&path, options.busy_timeout)?, None)
        } else {
            let preparing = schema::prepare(&path, options.busy_timeout)?;
            (ReadingPlace { path: path.clone(), access: Access::ReadWrite, copy: None }, Some(preparing))
        };
        let synchronous = match options.durability {
            Durability::Durable => 2,
            Durability::Fast => 1,
        };
        let busy_timeout = options.busy_timeout;
        let writing = Pragmas { busy_timeout, cache_kib: WRITER_CACHE_KIB, synchronous, query_only: false };
        let mut connection = Connection::open_as(&place.path, place.access)?;
        connection.configure(Pragmas { query_only: options.read_only, ..writing })?;
        let uuid = connection.row(UUID, vec![], |row| row.id(0))?;
        let uuid = uuid.ok_or_else(|| StorageError::schema("the store has no identity"))?;
        drop(preparing);
        let watch = Arc::new(FileWatch::new(&place.path, uuid, place.access)?);
        watch.check(&mut connection)?;
        let writer = match options.read_only {
            true => None,
            false => Some(Writer::start(Committer::new(connection, Arc::clone(&watch), make_room))?),
        };
        let reading = Pragmas { cache_kib: READER_CACHE_KIB, ..writing };
        let readers = Pool::new(Arc::clone(&watch), reading, options.readers);
        Ok(Self {
            path,
            uuid,
            writer,
            readers,
            quarantine: Quarantine::default(),
            writing,
            watch,
            _copy: place.copy,
        })
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(StorageError::read_only)
    }

    /// Opens a connection that may write, beside the writer's own.
    fn connect(&self) -> Result<Connection> {
        self.writer()?;
        let mut connection = self.watch.connect()?;
        connection.configure(self.writing)?;
        self.watch.check(&mut connection)?;
        Ok(connection)
    }
}

/// Holds the write lock of a store until it is dropped.
#[cfg(test)]
pub(crate) fn testing_lock(path: &Path) -> impl Drop + use<> {
    struct HeldLock(Connection);
    impl Drop for HeldLock {
        fn drop(&mut self) {
            self.0.roll_back();
        }
    }
    let mut connection = Connection::open(path, false).unwrap();
    connection.execute("BEGIN IMMEDIATE", vec![]).unwrap();
    HeldLock(connection)
}

/// Runs SQL on a store's file.
#[cfg(test)]
pub(crate) fn testing_script(path: &Path, sql: &str) {
    let connection = Connection::open(path, false).unwrap();
    connection.script(sql).unwrap();
}

/// Returns the ids that a query on a store's file yields for one blob.
#[cfg(test)]
pub(crate) fn testing_ids(path: &Path, sql: &str, given: &[u8]) -> Vec<Id> {
    let mut connection = Connection::open(path, false).unwrap();
    connection.rows(sql, vec![libsql::Value::Blob(given.to_vec())], |row| row.id(0)).unwrap()
}
