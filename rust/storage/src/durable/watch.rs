//! Notices that the open database file was removed, replaced, restored over or truncated by somebody else.
//!
//! SQLite does not: it writes on into a file that nobody will find again, or its log into a file that it does not
//! belong to. A look costs one `stat`; only a file that was written since the last look has its first page compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tacit_kernels::facts::Id;

use crate::durable::held_file::{FileId, HeldFile};
use crate::durable::queries::{Access, Connection};
use crate::durable::schema;
use crate::error::{Result, StorageError};
use crate::files::{self, with_suffix};

const ROOT_OF_META: &str = "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'";
/// The number of looks at a page that another process may be writing.
const LOOKS: usize = 3;
/// The time for which another content must stay: a checkpoint writes one page after the other, and may be interrupted
/// between two of them.
const PERSISTS: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The parts of the first page that stay, or only grow, as long as the file is the same store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FirstPage {
    page_bytes: u64,
    is_wal: bool,
    /// The number of writes of this page.
    counter: u32,
    pages: u64,
    /// The number of changes of the tables.
    cookie: u32,
    user_version: u32,
}

impl FirstPage {
    const BYTES: usize = 100;

    /// Returns `None` for the bytes of a file that is no database.
    fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let page_bytes = match u16::from_be_bytes([bytes[16], bytes[17]]) {
            1 => 65_536,
            bytes => u64::from(bytes),
        };
        bytes.starts_with(b"SQLite format 3\0").then(|| Self {
            page_bytes,
            is_wal: bytes[18..20] == [2, 2],
            counter: number(24),
            pages: u64::from(number(28)),
            cookie: number(40),
            user_version: number(60),
        })
    }
}

/// The file's size and times: equal ones mean that nobody wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    fn new(file: &fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn new(_file: &fs::Metadata) -> Self {
        Self { bytes: 0, modified: (0, 0), changed: (0, 0) }
    }
}

/// The file as it was at the last look.
#[derive(Clone, Copy)]
struct Seen {
    stamp: Stamp,
    page: FirstPage,
    /// The place of the page that holds the store's identity, once it is in the file.
    meta: Option<u64>,
    /// That place before the tables were last changed: a checkpoint may not have moved the page yet.
    meta_before: Option<u64>,
}

/// The content of the page that is to hold the identity of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    Ours,
    /// The page is not written yet: a new store's is in the log alone at first.
    Pending,
    Foreign,
}

/// The way in which the file was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Removed,
    /// Another file has the name.
    Replaced,
    /// The same file has another content.
    Overwritten,
    Truncated,
    /// The file is there, but its write-ahead log is not.
    LogRemoved,
    /// The file was read as one that nobody writes.
    Written,
}

impl Loss {
    fn is_in_place(self) -> bool {
        matches!(self, Self::Overwritten | Self::Truncated)
    }

    fn message(self, path: &Path) -> String {
        let path = path.display();
        let what = match self {
            Self::Removed => format!("{path} was removed or moved"),
            Self::Replaced => format!("{path} was replaced by another file"),
            Self::Overwritten => format!("{path} was overwritten"),
            Self::Truncated => format!("{path} was truncated"),
            Self::Written => format!("{path} was written by another process"),
            Self::LogRemoved => format!("{path}-wal was removed or replaced"),
        };
        format!(
            "{what} while it was open; nothing more is written to it: close this memory and open it again"
        )
    }
}

/// Watches one open file for all connections of a store.
pub(crate) struct FileWatch {
    path: PathBuf,
    access: Access,
    held: HeldFile,
    uuid: Id,
    /// The log and its index, as they were when the store was opened.
    beside: [(PathBuf, Option<FileId>); 2],
    seen: Mutex<Seen>,
    loss: OnceLock<Loss>,
    is_settled: AtomicBool,
}

impl FileWatch {
    /// Watches the file of an open connection that has read from it.
    pub(crate) fn new(path: &Path, uuid: Id, access: Access) -> Result<Self> {
        let held = HeldFile::open(path)?;
        let beside = ["-wal", "-shm"].map(|suffix| {
            let path = with_suffix(path, suffix);
            let id = FileId::at(&path).ok().flatten();
            (path, id)
        });
        let stamp = Stamp::new(&fs::metadata(path).map_err(|error| unreadable(path, &error))?);
        let page = first_page(&held).map_err(|error| unreadable(path, &error))?;
        let page = page.ok_or_else(|| StorageError::schema("not a tacit store: the file is no database"))?;
        let seen = Mutex::new(Seen { stamp, page, meta: None, meta_before: None });
        let (loss, is_settled) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Self { path: path.to_owned(), access, held, uuid, beside, seen, loss, is_settled })
    }

    /// Opens one more connection to the watched file.
    pub(crate) fn connect(&self) -> Result<Connection> {
        self.known()?;
        let connection = match Connection::open_as(&self.path, self.access) {
            Err(_) if !self.path.exists() => return Err(self.lose(Loss::Removed)),
            opened => opened?,
        };
        if connection.file_id() == Some(self.held.id) {
            Ok(connection)
        } else {
            Err(self.lose(Loss::Replaced))
        }
    }

    /// Fails once the file was lost, as far as earlier looks know.
    pub(crate) fn known(&self) -> Result<()> {
        self.loss.get().map_or(Ok(()), |loss| Err(self.lose(*loss)))
    }

    /// Fails if the file is not the one that was opened. `connection` is an open one of that file.
    pub(crate) fn check(&self, connection: &mut Connection) -> Result<()> {
        self.known()?;
        match self.look(connection)? {
            None => Ok(()),
            Some(loss) => Err(self.lose(loss)),
        }
    }

    /// As [`FileWatch::check`], for the writer: a log that nobody will read loses commits.
    pub(crate) fn check_for_writing(&self, connection: &mut Connection) -> Result<()> {
        self.check(connection)?;
        let [(log, id), _] = &self.beside;
        if id.is_some() && FileId::at(log).ok().flatten() != *id {
            return Err(self.lose(Loss::LogRemoved));
        }
        Ok(())
    }

    /// Notes the first loss, and returns it as an error.
    fn lose(&self, loss: Loss) -> StorageError {
        let first = self.loss.get_or_init(|| loss);
        StorageError::file_changed(first.message(&self.path))
    }

    /// Looks at the file. Another content must show in each look for a while: checkpoints and other processes write
    /// between the parts of one look.
    fn look(&self, connection: &mut Connection) -> Result<Option<Loss>> {
        // Looks are in order: one with an older stamp than that of the look before it would find a file that shrank.
        let mut seen = self.lock();
        let mut found = self.look_once(&mut seen, connection)?;
        let (start, mut pause) = (Instant::now(), Duration::from_millis(1));
        while found.is_some_and(Loss::is_in_place) && start.elapsed() < PERSISTS {
            thread::sleep(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
            found = self.look_once(&mut seen, connection)?;
        }
        Ok(found)
    }

    fn look_once(&self, seen: &mut Seen, connection: &mut Connection) -> Result<Option<Loss>> {
        let file = match fs::metadata(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Some(Loss::Removed)),
            Err(error) => return Err(unreadable(&self.path, &error)),
        };
        if FileId::new(&file) != self.held.id {
            return Ok(Some(Loss::Replaced));
        }
        let stamp = Stamp::new(&file);
        let is_written = stamp != seen.stamp;
        if self.access == Access::Immutable && (is_written || has_log(&self.path)) {
            return Ok(Some(Loss::Written));
        }
        if !is_written {
            return Ok(None);
        }
        self.compare(seen, stamp, connection)
    }

    /// Compares a file that was written since the last look: by a checkpoint, or by somebody else.
    fn compare(&self, seen: &mut Seen, stamp: Stamp, connection: &mut Connection) -> Result<Option<Loss>> {
        let page = first_page(&self.held).map_err(|error| unreadable(&self.path, &error))?;
        let Some(page) = page else {
            let is_shorter = stamp.bytes < seen.stamp.bytes;
            return Ok(Some(if is_shorter { Loss::Truncated } else { Loss::Overwritten }));
        };
        if stamp.bytes < seen.stamp.bytes && stamp.bytes < page.pages * page.page_bytes {
            return Ok(Some(Loss::Truncated));
        }
        let is_older = page.counter.wrapping_sub(seen.page.counter).cast_signed() < 0;
        if page.page_bytes != seen.page.page_bytes || !page.is_wal || is_older {
            return Ok(Some(Loss::Overwritten));
        }
        let newest = connection.number("PRAGMA schema_version", vec![])?;
        let is_newest = i64::from(page.cookie) == newest;
        if page.cookie != seen.page.cookie {
            // A checkpoint brings tables that are newer than those before, and no newer ones than the log shows.
            let known = i64::from(seen.page.cookie)..=newest;
            if !known.contains(&i64::from(page.cookie)) {
                return Ok(Some(Loss::Overwritten));
            }
            schema::require_supported(i64::from(page.user_version))?;
            seen.meta_before = seen.meta.take().or(seen.meta_before);
        }
        match if is_newest { self.identify(seen, stamp, page, connection)? } else { Identity::Ours } {
            Identity::Ours => (seen.stamp, seen.page) = (stamp, page),
            // Not noted as seen: a write in the same tick of the clock leaves no other stamp.
            Identity::Pending => seen.page = page,
            Identity::Foreign => return Ok(Some(Loss::Overwritten)),
        }
        Ok(None)
    }

    /// Looks for the store's identity in the file.
    fn identify(
        &self,
        seen: &mut Seen,
        stamp: Stamp,
        page: FirstPage,
        connection: &mut Connection,
    ) -> Result<Identity> {
        let place = match seen.meta {
            Some(place) => place,
            None => (connection.number(ROOT_OF_META, vec![])? as u64).saturating_sub(1) * page.page_bytes,
        };
        if page.cookie == 0 || place + page.page_bytes > stamp.bytes {
            return Ok(if seen.meta.is_none() { Identity::Pending } else { Identity::Foreign });
        }
        let found = identity_at(&self.held, place, page.page_bytes, &self.uuid)
            .map_err(|error| unreadable(&self.path, &error))?;
        match (found, seen.meta_before) {
            (Identity::Ours, _) => seen.meta = Some(place),
            (Identity::Pending, _) if seen.meta.is_some() => return Ok(Identity::Foreign),
            (Identity::Foreign, Some(before)) => {
                return identity_at(&self.held, before, page.page_bytes, &self.uuid)
                    .map(|found| if found == Identity::Ours { Identity::Pending } else { Identity::Foreign })
                    .map_err(|error| unreadable(&self.path, &error));
            }
            _ => {}
        }
        Ok(found)
    }

    /// Keeps the log of a lost file from being taken for the log of the file that is there now. Does so once.
    ///
    /// If the file was moved or removed, the log is first carried into it, wherever it is. If it was overwritten, its
    /// log is kept as `NAME-wal.orphan`.
    pub(crate) fn settle(&self, connection: &mut Connection) {
        let Some(loss) = self.loss.get() else { return };
        if self.access != Access::ReadWrite || self.is_settled.swap(true, Ordering::Relaxed) {
            return;
        }
        let is_carried = !loss.is_in_place() && carry_log(connection);
        let [(log, log_id), (index, index_id)] = &self.beside;
        if is_same(log, *log_id) {
            if !is_carried {
                let _ = keep_orphan(log);
            }
            let _ = fs::remove_file(log);
        }
        if is_same(index, *index_id) {
            let _ = fs::remove_file(index);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if there is a write-ahead log with something in it.
pub(crate) fn has_log(database: &Path) -> bool {
    fs::metadata(with_suffix(database, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// Returns true if the path still names the file that was there when the store was opened.
fn is_same(path: &Path, id: Option<FileId>) -> bool {
    id.is_some() && FileId::at(path).ok().flatten() == id
}

/// Writes the whole log into the file that is open, under whatever name, and empties it.
fn carry_log(connection: &mut Connection) -> bool {
    let busy = connection.number("PRAGMA wal_checkpoint(TRUNCATE)", vec![]);
    busy.is_ok_and(|busy| busy == 0)
}

/// Copies a log, and empties it: connections of other processes that are closed later find nothing to write back.
fn keep_orphan(log: &Path) -> std::io::Result<()> {
    let orphan = with_suffix(log, ".orphan");
    let _ = fs::remove_file(&orphan);
    std::io::copy(&mut fs::File::open(log)?, &mut files::create_private(&orphan)?)?;
    fs::OpenOptions::new().write(true).open(log)?.set_len(0)
}

/// Returns the first page as two looks in a row find it; `None` for a file that is no database.
#[cfg(unix)]
fn first_page(held: &HeldFile) -> std::io::Result<Option<FirstPage>> {
    let mut before = None;
    for _ in 0..LOOKS {
        let mut bytes = [0; FirstPage::BYTES];
        let page = held.read_at(&mut bytes, 0)?.and_then(|()| FirstPage::parse(&bytes));
        if before == Some(page) {
            break;
        }
        before = Some(page);
    }
    Ok(before.flatten())
}

/// Looks for the identity in one page: `Pending` for one that holds nothing or is not there.
#[cfg(unix)]
fn identity_at(held: &HeldFile, place: u64, page_bytes: u64, uuid: &Id) -> std::io::Result<Identity> {
    let mut bytes = vec![0; page_bytes as usize];
    let mut found = Identity::Pending;
    for _ in 0..LOOKS {
        let is_there = held.read_at(&mut bytes, place)?.is_some();
        if is_there && bytes.windows(uuid.len()).any(|window| window == uuid) {
            return Ok(Identity::Ours);
        }
        let is_empty = !is_there || bytes.iter().all(|byte| *byte == 0);
        found = if is_empty { Identity::Pending } else { Identity::Foreign };
    }
    Ok(found)
}

#[cfg(not(unix))]
fn first_page(_held: &HeldFile) -> std::io::Result<Option<FirstPage>> {
    Ok(FirstPage::parse(&{
        let mut bytes = [0; FirstPage::BYTES];
        bytes[..16].copy_from_slice(b"SQLite format 3\0");
        bytes
    }))
}

#[cfg(not(unix))]
fn identity_at(_held: &HeldFile, _place: u64, _page_bytes: u64, _uuid: &Id) -> std::io::Result<Identity> {
    Ok(Identity::Ours)
}

fn unreadable(path: &Path, error: &std::io::Error) -> StorageError {
    StorageError::unavailable(format!("{} cannot be looked at: {error}", path.display()))
}
