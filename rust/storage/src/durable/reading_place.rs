//! Opens a store that is only read, wherever it lies.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::durable::queries::{Access, Connection};
use crate::durable::schema;
use crate::durable::watch::has_log;
use crate::error::{ErrorKind, Result, StorageError};
use crate::files::{self, with_suffix};

/// The file that is read, and the way to open it.
pub(crate) struct ReadingPlace {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    /// Removes a copy when the store is closed.
    pub(crate) copy: Option<PrivateFolder>,
}

impl ReadingPlace {
    /// Finds a way to read the store at `path`.
    ///
    /// SQLite keeps the index of the log beside the file. If the place takes none, a store that was closed properly is
    /// read alone, and any other one as a private copy together with its log.
    pub(crate) fn find(path: &Path, patience: Duration) -> Result<Self> {
        match check(path, Access::ReadOnly, patience) {
            Ok(()) => return Ok(Self { path: path.to_owned(), access: Access::ReadOnly, copy: None }),
            Err(error) if error.kind != ErrorKind::ReadOnly || !path.exists() => return Err(error),
            Err(_) => (),
        }
        if !has_log(path) {
            check(path, Access::Immutable, patience)?;
            return Ok(Self { path: path.to_owned(), access: Access::Immutable, copy: None });
        }
        let folder = PrivateFolder::new().map_err(|error| uncopied(path, &error))?;
        let copy = folder.0.join("store.db");
        for suffix in ["", "-wal"] {
            copy_private(&with_suffix(path, suffix), &with_suffix(&copy, suffix))
                .map_err(|error| uncopied(path, &error))?;
        }
        check(&copy, Access::ReadWrite, patience)?;
        Ok(Self { path: copy, access: Access::ReadWrite, copy: Some(folder) })
    }
}

/// Fails unless the file can be read in this way and has the newest schema.
fn check(path: &Path, access: Access, patience: Duration) -> Result<()> {
    let mut connection = Connection::open_as(path, access)?;
    schema::require_whole(&connection, path)?;
    connection.wait_for_others(patience)?;
    schema::require_newest(&mut connection)
}

fn copy_private(source: &Path, target: &Path) -> std::io::Result<u64> {
    std::io::copy(&mut fs::File::open(source)?, &mut files::create_private(target)?)
}

fn uncopied(path: &Path, error: &std::io::Error) -> StorageError {
    let message = format!("{} was not closed and cannot be copied to be read: {error}", path.display());
    StorageError::unavailable(message)
}

/// A folder for temporary files that its owner alone may open; removed with all it holds.
pub(crate) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tacit-{}", uuid::Uuid::now_v7().simple()));
        files::create_private_folder(&path)?;
        Ok(Self(path))
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
