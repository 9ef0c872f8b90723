//! What was read is kept: in memory first, behind it in a redb file that outlives the process.
//!
//! Everything here is disposable. The file is thrown away where it belongs to another store, to another version, to
//! a history that the store does not have, where it was not closed, and where a value's hash is wrong. It takes
//! only values that the durable side gave, so it may miss, but it may not lie.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use redb::{Builder, Database, DatabaseError, Durability, ReadableDatabase, TableDefinition};
use tacit_kernels::facts::Id;
use tacit_kernels::lru::{Limits, Lru, Metrics};

use crate::durable::SCHEMA;
use crate::record::{self, Kind, VERSION};

const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
const HEADER: TableDefinition<'_, (), &[u8]> = TableDefinition::new("header");

/// redb's own pages in memory.
const PAGES_BYTES: usize = 32 << 20;
/// Values wait for each other until so many bytes are written at once.
const WAITING_BYTES: usize = 1 << 20;
/// The file is emptied once it holds more.
const FILE_BYTES: u64 = 512 << 20;

/// Where the store's history stood: the newest change's number and what it was about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) sequence: i64,
    pub(crate) id: Id,
}

/// Values by kind and id.
pub(crate) struct Cache {
    memory: Lru<(Kind, Id), Arc<[u8]>>,
    file: File,
    /// Every removal up to here has been carried out on what is held.
    pub(crate) position: Position,
}

/// The part that outlives the process.
enum File {
    /// Not needed yet.
    Unopened(PathBuf),
    Open(Box<Values>),
    /// Not wanted, owned by another process, or given up.
    Absent,
}

impl Cache {
    pub(crate) fn new(limits: Limits, path: Option<PathBuf>, position: Position) -> Self {
        let file = path.map_or(File::Absent, File::Unopened);
        Self { memory: Lru::new(limits), file, position }
    }

    /// Whether [`Cache::attach`] has to be called before the file is of use.
    pub(crate) fn is_unattached(&self) -> bool {
        matches!(self.file, File::Unopened(_))
    }

    /// Opens the file. `is_known` tells whether the store's history leads through a position; the result is the
    /// position from which removals have to be carried out on what the file holds.
    pub(crate) fn attach(&mut self, uuid: &Id, is_known: impl Fn(Position) -> bool) -> Option<Position> {
        let File::Unopened(path) = std::mem::replace(&mut self.file, File::Absent) else { return None };
        let values = guarded(|| Values::open(&path, *uuid, self.position, is_known))??;
        let position = values.position;
        self.file = File::Open(Box::new(values));
        Some(position)
    }

    pub(crate) fn get(&mut self, kind: Kind, id: Id, now: Instant) -> Option<Arc<[u8]>> {
        if let Some(value) = self.memory.get(&(kind, id), now) {
            return Some(Arc::clone(value));
        }
        let value = self.with_file(|values| values.get(kind, &id)).flatten()?;
        self.memory.insert((kind, id), Arc::clone(&value), value.len(), now);
        Some(value)
    }

    /// Holds a value that the durable side gave while removals were carried out up to `position`.
    pub(crate) fn keep(&mut self, kind: Kind, id: Id, value: &Arc<[u8]>, now: Instant) {
        self.memory.insert((kind, id), Arc::clone(value), value.len(), now);
        let position = self.position;
        self.with_file(|values| values.keep(kind, &id, value, position));
    }

    /// Carries out removals up to `position`.
    pub(crate) fn forget(&mut self, removed: &[Id], position: Position) {
        let keys = |id: &Id| [(Kind::Episode, *id), (Kind::Embedding, *id)];
        let keys: Vec<(Kind, Id)> = removed.iter().flat_map(keys).collect();
        for key in &keys {
            self.memory.remove(key);
        }
        self.position = position;
        if !keys.is_empty() {
            self.with_file(|values| values.forget(&keys, position));
        }
    }

    /// Writes what waits, durably, and lets go of the file.
    pub(crate) fn close(&mut self) {
        let position = self.position;
        self.with_file(|values| values.flush(position, Durability::Immediate));
        self.file = File::Absent;
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.memory.metrics()
    }

    /// `redb` where a file stands behind the memory.
    pub(crate) fn name(&self) -> &'static str {
        if matches!(self.file, File::Open(_)) { "redb" } else { "memory" }
    }

    /// Runs `body` on the file. Any fault of the file, or of redb over it, is the end of the file.
    fn with_file<T>(&mut self, body: impl FnOnce(&mut Values) -> Faulty<T>) -> Option<T> {
        let File::Open(values) = &mut self.file else { return None };
        let outcome = guarded(|| body(values));
        if let Some(Ok(value)) = outcome {
            return Some(value);
        }
        let File::Open(values) = std::mem::replace(&mut self.file, File::Absent) else { return None };
        let path = values.path.clone();
        if outcome.is_some() {
            drop(values);
        } else {
            // What panicked inside redb may panic again: its memory and its lock stay until the process ends.
            std::mem::forget(values);
        }
        let _ = std::fs::remove_file(path);
        None
    }
}

/// Bytes on a disk may be anything, and redb trusts some of them: a panic counts as a fault.
fn guarded<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// Why it failed does not matter: the file goes.
type Faulty<T> = Result<T, Box<dyn std::error::Error>>;

/// The redb file, owned by this process.
struct Values {
    database: Database,
    path: PathBuf,
    uuid: Id,
    position: Position,
    waiting: Vec<((Kind, Id), Vec<u8>)>,
    waiting_bytes: usize,
}

impl Values {
    /// None where another process owns the file or none can be made.
    fn open(path: &Path, uuid: Id, now: Position, is_known: impl Fn(Position) -> bool) -> Option<Self> {
        let database = match open_database(path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => return None,
            Err(_) => replace_database(path)?,
        };
        let found = read_position(&database, &uuid).filter(|position| is_known(*position));
        let found = found.filter(|_| std::fs::metadata(path).is_ok_and(|file| file.len() <= FILE_BYTES));
        let database = if found.is_some() {
            database
        } else {
            drop(database);
            replace_database(path)?
        };
        let position = found.unwrap_or(now);
        let values =
            Self { database, path: path.to_owned(), uuid, position, waiting: Vec::new(), waiting_bytes: 0 };
        Some(values)
    }

    fn get(&self, kind: Kind, id: &Id) -> Faulty<Option<Arc<[u8]>>> {
        if let Some((_, framed)) = self.waiting.iter().find(|(key, _)| *key == (kind, *id)) {
            return Ok(Some(record::open(kind, id, framed)?.into()));
        }
        let table = match self.database.begin_read()?.open_table(VALUES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(framed) = table.get(key(kind, id).as_slice())? else { return Ok(None) };
        Ok(Some(record::open(kind, id, framed.value())?.into()))
    }

    fn keep(&mut self, kind: Kind, id: &Id, value: &[u8], position: Position) -> Faulty<()> {
        self.waiting_bytes += value.len();
        self.waiting.push(((kind, *id), record::frame(kind, id, value)));
        if self.waiting_bytes < WAITING_BYTES { Ok(()) } else { self.flush(position, Durability::None) }
    }

    fn forget(&mut self, keys: &[(Kind, Id)], position: Position) -> Faulty<()> {
        self.waiting.retain(|(key, _)| !keys.contains(key));
        let write = self.begin(position, Durability::None)?;
        {
            let mut table = write.open_table(VALUES)?;
            for (kind, id) in keys {
                table.remove(key(*kind, id).as_slice())?;
            }
        }
        Ok(write.commit()?)
    }

    /// Writes what waits. Removals have been carried out up to `position`.
    fn flush(&mut self, position: Position, durability: Durability) -> Faulty<()> {
        let write = self.begin(position, durability)?;
        {
            let mut table = write.open_table(VALUES)?;
            for ((kind, id), framed) in self.waiting.drain(..) {
                table.insert(key(kind, &id).as_slice(), framed.as_slice())?;
            }
        }
        self.waiting_bytes = 0;
        Ok(write.commit()?)
    }

    /// A transaction that has written the header.
    fn begin(&self, position: Position, durability: Durability) -> Faulty<redb::WriteTransaction> {
        let mut write = self.database.begin_write()?;
        write.set_durability(durability)?;
        write.open_table(HEADER)?.insert((), header(&self.uuid, position).as_slice())?;
        Ok(write)
    }
}

/// A file that was not closed needs repair: it is refused instead, and made anew.
fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    let mut builder = Builder::new();
    builder.set_cache_size(PAGES_BYTES).set_repair_callback(|repair| repair.abort());
    builder.create(path)
}

fn replace_database(path: &Path) -> Option<Database> {
    let _ = std::fs::remove_file(path);
    open_database(path).ok()
}

/// Where the history of `uuid`'s store stood when the file was written; none where it is another's or new.
fn read_position(database: &Database, uuid: &Id) -> Option<Position> {
    let table = database.begin_read().ok()?.open_table(HEADER).ok()?;
    let found = table.get(()).ok()??;
    let bytes: &[u8] = found.value();
    let position = Position {
        sequence: i64::from_le_bytes(bytes.get(21..29)?.try_into().ok()?),
        id: bytes.get(29..45)?.try_into().ok()?,
    };
    (bytes == header(uuid, position)).then_some(position)
}

/// Store, codec, schema and position.
fn header(uuid: &Id, position: Position) -> [u8; 45] {
    let mut bytes = [0; 45];
    bytes[..16].copy_from_slice(uuid);
    bytes[16] = VERSION;
    bytes[17..21].copy_from_slice(&(SCHEMA as u32).to_le_bytes());
    bytes[21..29].copy_from_slice(&position.sequence.to_le_bytes());
    bytes[29..].copy_from_slice(&position.id);
    bytes
}

fn key(kind: Kind, id: &Id) -> [u8; 17] {
    let mut bytes = [kind as u8; 17];
    bytes[1..].copy_from_slice(id);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::id;

    const STORE: Id = [5; 16];

    fn at(sequence: i64) -> Position {
        Position { sequence, id: [sequence as u8; 16] }
    }

    fn attached(path: &Path, now: Position, is_known: bool) -> Cache {
        let mut cache = Cache::new(Limits::default(), Some(path.to_owned()), now);
        cache.attach(&STORE, |_| is_known);
        cache
    }

    fn value(number: u64) -> Arc<[u8]> {
        number.to_be_bytes().repeat(40).into()
    }

    /// A file that was written by a cache and closed.
    fn written(path: &Path, numbers: std::ops::Range<u64>) {
        let mut cache = attached(path, at(9), true);
        numbers.for_each(|number| cache.keep(Kind::Episode, id(number), &value(number), Instant::now()));
        cache.close();
    }

    fn found(cache: &mut Cache, number: u64) -> Option<Arc<[u8]>> {
        cache.get(Kind::Episode, id(number), Instant::now())
    }

    fn path() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        (folder, path)
    }

    #[test]
    fn what_was_kept_is_found_by_the_next_cache_and_under_its_own_kind_only() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut cache = attached(&path, at(9), true);
        assert_eq!((found(&mut cache, 1), found(&mut cache, 7)), (Some(value(1)), None));
        assert_eq!(cache.get(Kind::Embedding, id(1), Instant::now()), None);
        assert_eq!(cache.name(), "redb");
    }

    #[test]
    fn a_file_of_another_store_or_of_an_unknown_history_is_thrown_away() {
        let (_folder, path) = path();
        written(&path, 0..3);
        assert_eq!(found(&mut attached(&path, at(9), false), 1), None);
        written(&path, 0..3);
        let mut other = Cache::new(Limits::default(), Some(path), at(9));
        other.attach(&[6; 16], |_| true);
        assert_eq!((found(&mut other, 1), other.name()), (None, "redb"));
    }

    #[test]
    fn what_was_removed_stays_away() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut cache = attached(&path, at(9), true);
        found(&mut cache, 1);
        cache.keep(Kind::Episode, id(8), &value(8), Instant::now());
        cache.forget(&[id(1), id(8)], at(10));
        assert_eq!((found(&mut cache, 1), found(&mut cache, 8)), (None, None));
        cache.close();
        let mut cache = Cache::new(Limits::default(), Some(path), at(10));
        assert_eq!(cache.attach(&STORE, |_| true), Some(at(10)));
        assert_eq!([1, 8, 2].map(|number| found(&mut cache, number).is_some()), [false, false, true]);
    }

    #[test]
    fn a_file_that_another_owns_is_left_to_it() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut owner = attached(&path, at(9), true);
        let mut second = attached(&path, at(9), true);
        assert_eq!((second.name(), found(&mut second, 1)), ("memory", None));
        second.keep(Kind::Episode, id(1), &value(1), Instant::now());
        assert_eq!((found(&mut second, 1), found(&mut owner, 1)), (Some(value(1)), Some(value(1))));
    }

    #[test]
    fn a_file_that_was_not_closed_is_older_or_gone_and_says_so() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut owner = attached(&path, at(9), true);
        owner.forget(&[id(1)], at(10));
        let copy = path.with_extension("copy");
        std::fs::copy(&path, &copy).unwrap();
        drop(owner);
        let mut cache = Cache::new(Limits::default(), Some(copy), at(10));
        let position = cache.attach(&STORE, |_| true).unwrap();
        assert!(position == at(9) || found(&mut cache, 1).is_none());
        assert!(position == at(9) || found(&mut cache, 2).is_none());
    }

    #[test]
    fn a_torn_or_foreign_file_is_replaced() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let whole = std::fs::read(&path).unwrap();
        let torn =
            [vec![], b"not a cache".to_vec(), whole[..100].to_vec(), whole[..whole.len() / 2].to_vec()];
        for bytes in torn {
            std::fs::write(&path, bytes).unwrap();
            let mut cache = attached(&path, at(9), true);
            assert_eq!(found(&mut cache, 1), None);
            cache.keep(Kind::Episode, id(1), &value(1), Instant::now());
            assert_eq!(found(&mut cache, 1), Some(value(1)));
        }
    }

    #[test]
    fn a_damaged_file_misses_but_does_not_lie() {
        let (_folder, path) = path();
        written(&path, 0..200);
        let whole = std::fs::read(&path).unwrap();
        for round in 0..40usize {
            let mut bytes = whole.clone();
            for flip in 0..50 {
                let at = (round * 7_919 + flip * 104_729) % bytes.len();
                bytes[at] ^= 1 << (flip % 8);
            }
            // A panic inside redb keeps the lock of its file: each round has a file of its own.
            let path = path.with_extension(round.to_string());
            std::fs::write(&path, bytes).unwrap();
            let mut cache = attached(&path, at(9), true);
            for number in 0..200 {
                let value_found = found(&mut cache, number);
                assert!(value_found.is_none_or(|found| found == value(number)), "round {round}");
            }
        }
    }
}
