//! One descriptor of each open database file, beside those of SQLite.
//!
//! The system drops every lock that a process has on a file as soon as the process closes any descriptor of it. So a
//! file is opened here once a process, and closed after its last connection.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result as IoResult};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::{Result, StorageError};

/// The device and the number of a file, which a rename keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    device: u64,
    number: u64,
}

impl FileId {
    #[cfg(unix)]
    pub(crate) fn new(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: file.dev(), number: file.ino() }
    }

    /// Equal for all files: elsewhere no open file can be replaced or removed.
    #[cfg(not(unix))]
    pub(crate) fn new(_file: &Metadata) -> Self {
        Self { device: 0, number: 0 }
    }

    /// Returns the identity of the file that a path names; `None` if there is none.
    pub(crate) fn at(path: &Path) -> IoResult<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(file) => Ok(Some(Self::new(&file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A descriptor and the number of its holders.
type SharedFile = (Arc<File>, usize);

type OpenFiles = BTreeMap<FileId, SharedFile>;

static OPEN: Mutex<OpenFiles> = Mutex::new(BTreeMap::new());
/// The process that opened them.
static OWNER: AtomicU32 = AtomicU32::new(0);

fn open_files() -> MutexGuard<'static, OpenFiles> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses a process that was forked while files were open: it inherits SQLite's tables of locks, but not the locks.
fn own_files() -> Result<MutexGuard<'static, OpenFiles>> {
    if OWNER.load(Ordering::Relaxed) == process::id() {
        return Ok(open_files());
    }
    let files = match OPEN.try_lock() {
        Ok(files) => files,
        Err(TryLockError::Poisoned(files)) => files.into_inner(),
        // Another thread of the parent held it at the fork, or another thread of this process opens its first file.
        Err(TryLockError::WouldBlock) if OWNER.load(Ordering::Relaxed) == 0 => open_files(),
        Err(TryLockError::WouldBlock) => return Err(StorageError::forked()),
    };
    if !files.is_empty() && OWNER.load(Ordering::Relaxed) != process::id() {
        return Err(StorageError::forked());
    }
    OWNER.store(process::id(), Ordering::Relaxed);
    Ok(files)
}

/// A descriptor that all connections of this process to a file share.
pub(crate) struct HeldFile {
    pub(crate) id: FileId,
    file: Option<Arc<File>>,
}

impl HeldFile {
    /// Opens the file, or shares the descriptor that is open. Refuses everything but a plain file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut files = own_files()?;
        Self::open_among(&mut files, path).map_err(|error| StorageError::unopened(path, &error))
    }

    fn open_among(files: &mut OpenFiles, path: &Path) -> IoResult<Self> {
        let found = std::fs::metadata(path)?;
        if !found.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "not a plain file"));
        }
        if let Some(shared) = Self::share(files, FileId::new(&found)) {
            return Ok(shared);
        }
        let file = Arc::new(File::open(path)?);
        let id = FileId::new(&file.metadata()?);
        if let Some(shared) = Self::share(files, id) {
            // Another open file took the name just now. Closing this descriptor would drop its locks.
            std::mem::forget(file);
            return Ok(shared);
        }
        files.insert(id, (Arc::clone(&file), 1));
        Ok(Self { id, file: Some(file) })
    }

    fn share(files: &mut OpenFiles, id: FileId) -> Option<Self> {
        let (file, holders) = files.get_mut(&id)?;
        *holders += 1;
        Some(Self { id, file: Some(Arc::clone(file)) })
    }

    /// Reads bytes at an offset; `None` beyond the end.
    #[cfg(unix)]
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> IoResult<Option<()>> {
        use std::os::unix::fs::FileExt;
        let Some(file) = &self.file else { return Ok(None) };
        match file.read_exact_at(bytes, offset) {
            Ok(()) => Ok(Some(())),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(not(unix))]
impl HeldFile {
    pub(crate) fn read_at(&self, _bytes: &mut [u8], _offset: u64) -> IoResult<Option<()>> {
        Ok(None)
    }
}

impl Drop for HeldFile {
    /// The last holder closes the descriptor under the lock, so that no connection is opened in between.
    fn drop(&mut self) {
        let mut files = open_files();
        let file = self.file.take();
        if let Some((_, holders)) = files.get_mut(&self.id) {
            *holders -= 1;
            if *holders == 0 {
                files.remove(&self.id);
            }
        }
        drop(file);
    }
}
