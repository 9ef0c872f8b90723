//! The cache of values that were read: in memory first, behind it in a redb file that outlives the process.
//!
//! Everything here is disposable. The file is discarded if it belongs to another store, another version or a history
//! that the store does not have, if it was not closed, and if the hash of a value is wrong. It takes only values that
//! the durable side returned, so it may miss a value but never returns a wrong one.

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use redb::{Builder, Database, DatabaseError, Durability, ReadableDatabase, TableDefinition};
use tacit_kernels::facts::Id;
use tacit_kernels::lru::{Lru, LruLimits, LruMetrics};

use crate::change::LogPosition;
use crate::files;
use crate::record::{self, RecordKind, VERSION};

const VALUES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("values");
/// The table whose name marks a file as a cache of tacit.
const HEADER: TableDefinition<'_, (), &[u8]> = TableDefinition::new("tacit-cache");
/// The name of that table in files of earlier versions.
const OLD_HEADER: TableDefinition<'_, (), &[u8]> = TableDefinition::new("header");
/// The first bytes of every redb file.
const REDB_MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// The version of the keys and of the header.
const FORMAT: u32 = 3;
/// redb's own pages in memory.
const PAGES_BYTES: usize = 32 << 20;
/// The bytes of values that wait until they are written together.
const WAITING_BYTES: usize = 1 << 20;
/// The limit of the file.
const FILE_BYTES: u64 = 512 << 20;

/// Values by kind and key.
pub(crate) struct Cache {
    memory: Lru<(RecordKind, Id), Arc<[u8]>>,
    file: FileState,
    /// Every removal up to here has been carried out on the cached values.
    pub(crate) position: LogPosition,
}

/// The part that outlives the process.
enum FileState {
    /// Not needed yet. True for a file whose name is our own choice.
    Unopened(PathBuf, bool),
    Open(Box<CachedFile>),
    /// Not wanted, owned by another process, or given up.
    Absent,
    /// The path names a file that is not a cache.
    Foreign(PathBuf),
}

impl Cache {
    pub(crate) fn new(
        limits: LruLimits,
        path: Option<PathBuf>,
        is_ours_by_name: bool,
        position: LogPosition,
    ) -> Self {
        let file = match path {
            None => FileState::Absent,
            Some(path) if may_be_cache(&path) => FileState::Unopened(path, is_ours_by_name),
            Some(path) => FileState::Foreign(path),
        };
        Self { memory: Lru::new(limits), file, position }
    }

    /// Returns true if [`Cache::attach`] has to be called before the file is used.
    pub(crate) fn is_unattached(&self) -> bool {
        matches!(self.file, FileState::Unopened(..))
    }

    /// Opens the file. `is_known` tells if the store's history contains a position. Returns the position from which
    /// removals have to be carried out on the file's values.
    pub(crate) fn attach(
        &mut self,
        uuid: &Id,
        is_known: impl Fn(LogPosition) -> bool,
    ) -> Option<LogPosition> {
        let state = std::mem::replace(&mut self.file, FileState::Absent);
        let FileState::Unopened(path, is_ours_by_name) = state else {
            self.file = state;
            return None;
        };
        let opened = guarded(|| CachedFile::open(&path, is_ours_by_name, *uuid, self.position, is_known))?;
        match opened {
            Opened::File(file) => {
                let position = file.position;
                self.file = FileState::Open(file);
                Some(position)
            }
            Opened::Foreign => {
                self.file = FileState::Foreign(path);
                None
            }
            Opened::Nothing => None,
        }
    }

    pub(crate) fn get(&mut self, kind: RecordKind, id: Id, now: Instant) -> Option<Arc<[u8]>> {
        if let Some(value) = self.memory.get(&(kind, id), now) {
            return Some(Arc::clone(value));
        }
        let value = self.with_file(|file| file.get(kind, &id)).flatten()?;
        self.memory.insert((kind, id), Arc::clone(&value), value.len(), now);
        Some(value)
    }

    /// Caches a value that the durable side returned while removals were carried out up to `position`.
    pub(crate) fn keep(&mut self, kind: RecordKind, id: Id, value: &Arc<[u8]>, now: Instant) {
        self.memory.insert((kind, id), Arc::clone(value), value.len(), now);
        let position = self.position;
        self.with_file(|file| file.keep(kind, &id, value, position));
    }

    /// Carries out removals up to `position`.
    pub(crate) fn forget(&mut self, removed: &[Id], position: LogPosition) {
        let kinds = [RecordKind::Episode, RecordKind::Embedding, RecordKind::Pattern];
        let keys: Vec<(RecordKind, Id)> =
            removed.iter().flat_map(|id| kinds.map(|kind| (kind, *id))).collect();
        for key in &keys {
            self.memory.remove(key);
        }
        self.position = position;
        if !keys.is_empty() {
            self.with_file(|file| file.forget(&keys, position));
        }
    }

    /// Drops every value: removals up to `position` are not known one by one.
    pub(crate) fn clear(&mut self, position: LogPosition) {
        self.memory.clear();
        self.position = position;
        self.with_file(|file| file.restart(position));
    }

    /// Writes the waiting values, durably, and closes the file.
    pub(crate) fn close(&mut self) {
        let position = self.position;
        self.with_file(|file| file.flush(position, Durability::Immediate));
        self.file = FileState::Absent;
    }

    /// Deletes the file and does without one from now on; returns false if there was none.
    pub(crate) fn delete_file(&mut self) -> bool {
        let path = match std::mem::replace(&mut self.file, FileState::Absent) {
            FileState::Open(file) => file.path.clone(),
            // An unopened file may be another process's, which still needs it.
            other => {
                self.file = other;
                return false;
            }
        };
        std::fs::remove_file(path).is_ok()
    }

    pub(crate) fn metrics(&self) -> LruMetrics {
        self.memory.metrics()
    }

    /// Returns `redb` if a file stands behind the memory.
    pub(crate) fn name(&self) -> &'static str {
        if matches!(self.file, FileState::Open(_)) { "redb" } else { "memory" }
    }

    /// Returns the reason why a wanted file is not used.
    pub(crate) fn problem(&self) -> Option<String> {
        match &self.file {
            FileState::Foreign(path) => {
                Some(format!("{} is not a cache file and is left as it is", path.display()))
            }
            _ => None,
        }
    }

    /// Runs `body` on the file. A fault of the file, or of redb, ends the use of the file.
    fn with_file<T>(&mut self, body: impl FnOnce(&mut CachedFile) -> FileResult<T>) -> Option<T> {
        let FileState::Open(file) = &mut self.file else { return None };
        let outcome = guarded(|| body(file));
        if let Some(Ok(value)) = outcome {
            return Some(value);
        }
        let state = std::mem::replace(&mut self.file, FileState::Absent);
        let FileState::Open(file) = state else { return None };
        let path = file.path.clone();
        if outcome.is_some() {
            drop(file);
        } else {
            // A panic inside redb may recur in its destructor: its memory and its lock stay until the process ends.
            std::mem::forget(file);
        }
        let _ = std::fs::remove_file(path);
        None
    }
}

/// Returns true for an absent or empty file, and for one that begins like a redb file.
fn may_be_cache(path: &Path) -> bool {
    let mut start = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(REDB_MAGIC.len() as u64).read_to_end(&mut start).is_ok()
                && (start.is_empty() || start == REDB_MAGIC)
        }
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Runs `body`; a panic counts as a fault, because redb trusts some bytes of its file.
fn guarded<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// The cause of a fault does not matter: the file is discarded.
type FileResult<T> = Result<T, Box<dyn std::error::Error>>;

/// The result of opening the file.
enum Opened {
    File(Box<CachedFile>),
    /// The file is not a cache of tacit.
    Foreign,
    /// Another process owns the file, or none can be made.
    Nothing,
}

/// The redb file, owned by this process.
struct CachedFile {
    database: Database,
    path: PathBuf,
    uuid: Id,
    position: LogPosition,
    waiting: Vec<((RecordKind, Id), Vec<u8>)>,
    waiting_bytes: usize,
    limit: u64,
}

impl CachedFile {
    fn open(
        path: &Path,
        is_ours_by_name: bool,
        uuid: Id,
        now: LogPosition,
        is_known: impl Fn(LogPosition) -> bool,
    ) -> Opened {
        if !is_ours_by_name {
            match is_ours(path) {
                Some(true) => (),
                Some(false) => return Opened::Foreign,
                None => return Opened::Nothing,
            }
        }
        let database = match open_database(path) {
            Ok(database) => Some(database),
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                return Opened::Nothing;
            }
            Err(_) => None,
        };
        let found = database.as_ref().and_then(|database| read_position(database, &uuid));
        let found = found.filter(|position| is_known(*position) && file_bytes(path) <= FILE_BYTES);
        let (position, database) = match (found, database) {
            (Some(position), Some(database)) => (position, Some(database)),
            (_, database) => {
                drop(database);
                (now, replace_database(path))
            }
        };
        let Some(database) = database else { return Opened::Nothing };
        let _ = files::make_private(path);
        let path = path.to_owned();
        let (waiting, waiting_bytes) = (Vec::new(), 0);
        let file = Self { database, path, uuid, position, waiting, waiting_bytes, limit: FILE_BYTES };
        // A new file is marked at once, so that it is recognised even if it is never closed.
        let is_marked = found.is_some()
            || file.begin(position, Durability::Immediate).is_ok_and(|write| write.commit().is_ok());
        if is_marked { Opened::File(Box::new(file)) } else { Opened::Nothing }
    }

    fn get(&self, kind: RecordKind, id: &Id) -> FileResult<Option<Arc<[u8]>>> {
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

    fn keep(&mut self, kind: RecordKind, id: &Id, value: &[u8], position: LogPosition) -> FileResult<()> {
        self.waiting_bytes += value.len();
        self.waiting.push(((kind, *id), record::frame(kind, id, value)));
        if self.waiting_bytes < WAITING_BYTES { Ok(()) } else { self.flush(position, Durability::None) }
    }

    /// Drops removed values. redb leaves the bytes of a removed value on its pages, so a file that held one is
    /// replaced by an empty one.
    fn forget(&mut self, keys: &[(RecordKind, Id)], position: LogPosition) -> FileResult<()> {
        self.waiting.retain(|(key, _)| !keys.contains(key));
        if self.holds_any(keys)? {
            return self.restart(position);
        }
        Ok(self.begin(position, Durability::None)?.commit()?)
    }

    fn holds_any(&self, keys: &[(RecordKind, Id)]) -> FileResult<bool> {
        let table = match self.database.begin_read()?.open_table(VALUES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        for (kind, id) in keys {
            if table.get(key(*kind, id).as_slice())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Replaces the file by an empty one.
    fn restart(&mut self, position: LogPosition) -> FileResult<()> {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.database = replace_database(&self.path).ok_or("no new cache file")?;
        Ok(self.begin(position, Durability::Immediate)?.commit()?)
    }

    /// Writes the waiting values. Removals have been carried out up to `position`.
    ///
    /// The file starts again when the values would take it beyond its limit.
    fn flush(&mut self, position: LogPosition, durability: Durability) -> FileResult<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let bytes: usize = waiting.iter().map(|(_, framed)| framed.len()).sum();
        if file_bytes(&self.path) + 2 * bytes as u64 > self.limit {
            self.restart(position)?;
        }
        let write = self.begin(position, durability)?;
        {
            let mut table = write.open_table(VALUES)?;
            for ((kind, id), framed) in waiting {
                table.insert(key(kind, &id).as_slice(), framed.as_slice())?;
            }
        }
        self.waiting_bytes = 0;
        write.commit()?;
        if file_bytes(&self.path) > self.limit { self.restart(position) } else { Ok(()) }
    }

    /// Begins a transaction that has written the header.
    fn begin(&self, position: LogPosition, durability: Durability) -> FileResult<redb::WriteTransaction> {
        let mut write = self.database.begin_write()?;
        write.set_durability(durability)?;
        write.open_table(HEADER)?.insert((), header(&self.uuid, position).as_slice())?;
        Ok(write)
    }
}

/// Opens a file. One that was not closed needs repair and is refused instead.
fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    if !path.exists() {
        let _ = files::create_private(path);
    }
    let mut builder = Builder::new();
    builder.set_cache_size(PAGES_BYTES).set_repair_callback(|repair| repair.abort());
    builder.create(path)
}

fn replace_database(path: &Path) -> Option<Database> {
    let _ = std::fs::remove_file(path);
    open_database(path).ok()
}

fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Returns true for an absent or empty file, and for one with our header. Reads the file without changing it. `None`
/// means that another process owns it.
fn is_ours(path: &Path) -> Option<bool> {
    if file_bytes(path) == 0 {
        return Some(true);
    }
    match Builder::new().set_cache_size(PAGES_BYTES).open_read_only(path) {
        Ok(database) => Some(has_header(&database)),
        Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => None,
        Err(_) => Some(is_marked(path)),
    }
}

/// Returns true if a database has our header, of this version or an earlier one.
fn has_header(database: &impl ReadableDatabase) -> bool {
    let Ok(read) = database.begin_read() else { return false };
    read.open_table(HEADER).is_ok() || read.open_table(OLD_HEADER).is_ok()
}

/// Returns true if a redb file that cannot be opened contains the name of our header.
fn is_marked(path: &Path) -> bool {
    let mark = "tacit-cache".as_bytes();
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(mark.len()).any(|window| window == mark)
}

/// Returns the position of the store's history when the file was written; `None` for a file of another store.
fn read_position(database: &Database, uuid: &Id) -> Option<LogPosition> {
    let table = database.begin_read().ok()?.open_table(HEADER).ok()?;
    let found = table.get(()).ok()??;
    let bytes: &[u8] = found.value();
    let position = LogPosition {
        sequence: i64::from_le_bytes(bytes.get(21..29)?.try_into().ok()?),
        id: bytes.get(29..45)?.try_into().ok()?,
    };
    (bytes == header(uuid, position)).then_some(position)
}

/// Encodes store, codec, format and position.
fn header(uuid: &Id, position: LogPosition) -> [u8; 45] {
    let mut bytes = [0; 45];
    bytes[..16].copy_from_slice(uuid);
    bytes[16] = VERSION;
    bytes[17..21].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[21..29].copy_from_slice(&position.sequence.to_le_bytes());
    bytes[29..].copy_from_slice(&position.id);
    bytes
}

fn key(kind: RecordKind, id: &Id) -> [u8; 17] {
    let mut bytes = [kind as u8; 17];
    bytes[1..].copy_from_slice(id);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::id;

    const STORE: Id = [5; 16];

    fn at(sequence: i64) -> LogPosition {
        LogPosition { sequence, id: [sequence as u8; 16] }
    }

    fn attached(path: &Path, now: LogPosition, is_known: bool) -> Cache {
        let mut cache = Cache::new(LruLimits::default(), Some(path.to_owned()), false, now);
        cache.attach(&STORE, |_| is_known);
        cache
    }

    fn value(number: u64) -> Arc<[u8]> {
        number.to_be_bytes().repeat(40).into()
    }

    /// A file that was written by a cache and closed.
    fn written(path: &Path, numbers: std::ops::Range<u64>) {
        let mut cache = attached(path, at(9), true);
        numbers
            .for_each(|number| cache.keep(RecordKind::Episode, id(number), &value(number), Instant::now()));
        cache.close();
    }

    fn found(cache: &mut Cache, number: u64) -> Option<Arc<[u8]>> {
        cache.get(RecordKind::Episode, id(number), Instant::now())
    }

    fn path() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        (folder, path)
    }

    #[test]
    fn a_cached_value_is_found_by_the_next_cache_under_its_kind_only() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut cache = attached(&path, at(9), true);
        assert_eq!((found(&mut cache, 1), found(&mut cache, 7)), (Some(value(1)), None));
        assert_eq!(cache.get(RecordKind::Embedding, id(1), Instant::now()), None);
        assert_eq!(cache.name(), "redb");
    }

    #[test]
    fn a_file_of_another_store_or_history_is_discarded() {
        let (_folder, path) = path();
        written(&path, 0..3);
        assert_eq!(found(&mut attached(&path, at(9), false), 1), None);
        written(&path, 0..3);
        let mut other = Cache::new(LruLimits::default(), Some(path), false, at(9));
        other.attach(&[6; 16], |_| true);
        assert_eq!((found(&mut other, 1), other.name()), (None, "redb"));
    }

    #[test]
    fn a_removed_value_is_not_found_again() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut cache = attached(&path, at(9), true);
        found(&mut cache, 1);
        cache.keep(RecordKind::Episode, id(8), &value(8), Instant::now());
        cache.forget(&[id(1), id(8)], at(10));
        assert_eq!((found(&mut cache, 1), found(&mut cache, 8)), (None, None));
        cache.close();
        let mut cache = Cache::new(LruLimits::default(), Some(path), false, at(10));
        assert_eq!(cache.attach(&STORE, |_| true), Some(at(10)));
        assert_eq!([1, 8, 2].map(|number| found(&mut cache, number).is_some()), [false, false, false]);
    }

    #[test]
    fn a_file_of_another_owner_is_left_to_it() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut owner = attached(&path, at(9), true);
        let mut second = attached(&path, at(9), true);
        assert_eq!((second.name(), found(&mut second, 1)), ("memory", None));
        second.keep(RecordKind::Episode, id(1), &value(1), Instant::now());
        assert_eq!((found(&mut second, 1), found(&mut owner, 1)), (Some(value(1)), Some(value(1))));
    }

    #[test]
    fn a_file_that_was_not_closed_is_older_or_gone() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let mut owner = attached(&path, at(9), true);
        owner.forget(&[id(1)], at(10));
        let copy = path.with_extension("copy");
        std::fs::copy(&path, &copy).unwrap();
        drop(owner);
        let mut cache = Cache::new(LruLimits::default(), Some(copy), false, at(10));
        let position = cache.attach(&STORE, |_| true).unwrap();
        assert!(position == at(9) || found(&mut cache, 1).is_none());
        assert!(position == at(9) || found(&mut cache, 2).is_none());
    }

    /// A torn cache still holds the name of its header; the start of one does not, and is left alone.
    #[test]
    fn only_an_absent_empty_or_marked_file_is_replaced() {
        let (_folder, path) = path();
        written(&path, 0..3);
        let whole = std::fs::read(&path).unwrap();
        let foreign = foreign_database(&path.with_extension("theirs"));
        let cases = [
            (vec![], true),
            (whole[..whole.len() / 2].to_vec(), true),
            (whole[..100].to_vec(), false),
            (b"not a cache".to_vec(), false),
            (foreign, false),
        ];
        for (bytes, is_replaced) in cases {
            std::fs::write(&path, &bytes).unwrap();
            let mut cache = attached(&path, at(9), true);
            assert_eq!(found(&mut cache, 1), None);
            cache.keep(RecordKind::Episode, id(1), &value(1), Instant::now());
            assert_eq!(found(&mut cache, 1), Some(value(1)));
            assert_eq!((cache.name() == "redb", cache.problem().is_none()), (is_replaced, is_replaced));
            cache.close();
            assert!(is_replaced || std::fs::read(&path).unwrap() == bytes);
        }
    }

    /// The bytes of a redb file that another program made.
    fn foreign_database(path: &Path) -> Vec<u8> {
        let database = open_database(path).unwrap();
        let table: TableDefinition<'_, (), &[u8]> = TableDefinition::new("theirs");
        let write = database.begin_write().unwrap();
        write.open_table(table).unwrap().insert((), &b"text"[..]).unwrap();
        write.commit().unwrap();
        drop(database);
        std::fs::read(path).unwrap()
    }

    #[test]
    fn an_open_file_stays_within_its_limit() {
        let (_folder, path) = path();
        let mut cache = attached(&path, at(9), true);
        let FileState::Open(file) = &mut cache.file else { panic!("no file") };
        file.limit = 8 << 20;
        let large: Arc<[u8]> = vec![7; 300 << 10].into();
        let mut largest = 0;
        for number in 0..100 {
            cache.keep(RecordKind::Episode, id(number), &large, Instant::now());
            largest = largest.max(file_bytes(&path));
        }
        assert!((2 << 20..=8 << 20).contains(&largest), "{largest}");
        assert_eq!(cache.name(), "redb");
    }

    #[test]
    fn a_removed_value_leaves_no_bytes_in_the_file() {
        let (_folder, path) = path();
        let secret: Arc<[u8]> = b"an unmistakable sentence".repeat(100).into();
        let mut cache = attached(&path, at(9), true);
        cache.keep(RecordKind::Episode, id(1), &secret, Instant::now());
        cache.close();
        let is_inside = || is_marked_by(&path, b"an unmistakable sentence");
        assert!(is_inside());
        attached(&path, at(9), true).forget(&[id(1)], at(10));
        assert!(!is_inside());
    }

    fn is_marked_by(path: &Path, text: &[u8]) -> bool {
        std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text)
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_readable_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = path();
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        written(&path, 0..1);
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        written(&path, 0..1);
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_damaged_file_misses_values_and_returns_no_wrong_one() {
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
