//! A backup takes the place of a store that nobody has open.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::durable::backup::{DRAFTS, copy_to, sync};
use crate::durable::queries::Connection;
use crate::durable::reading_place::ReadingPlace;
use crate::durable::schema::require_store;
use crate::error::{Result, StorageError};
use crate::files::{absolute, with_suffix};

/// Puts a copy of the store in the file `source` in the place of the one at `target`. Refuses to replace a file unless `replace` is set, a file that somebody has open, and one that is no
/// store. A restore that fails leaves the target as it was.
pub fn restore(source: &Path, target: &Path, replace: bool) -> Result<()> {
    let (source, target) = (absolute(source)?, absolute(target)?);
    if !replace && target.exists() {
        let rule = "a file that does not exist, unless the store in it is to be replaced";
        return Err(StorageError::invalid("target", rule, target.display()));
    }
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = with_suffix(&target, &format!(".restore-{}-{number}.tmp", std::process::id()));
    let place = ReadingPlace::find(&source, PATIENCE)?;
    let mut connection = Connection::open_as(&place.path, place.access)?;
    copy_to(&mut connection, &draft)?;
    let restored = exchange(&draft, &target);
    if restored.is_err() {
        let _ = fs::remove_file(&draft);
    }
    restored
}

/// The longest wait for others that read the source.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives a copy the name of the target while nobody else can open that.
fn exchange(draft: &Path, target: &Path) -> Result<()> {
    let lock = match target.exists() {
        true => alone_with(target)?,
        false => None,
    };
    for suffix in ["-wal", "-shm", "-cache"] {
        let _ = fs::remove_file(with_suffix(target, suffix));
    }
    let renamed = fs::rename(draft, target);
    drop(lock);
    renamed.map_err(|error| StorageError::unavailable(format!("{}: {error}", target.display())))?;
    sync(target)
}

/// Locks a store that nobody else has open until the connection is dropped. `None` stands for a damaged file.
fn alone_with(target: &Path) -> Result<Option<Connection>> {
    let mut connection = Connection::open(target, false)?;
    let locked = require_store(&mut connection)
        // Only the last connection of all can leave the write-ahead log.
        .and_then(|()| connection.row("PRAGMA journal_mode = delete", vec![], |row| row.word(0)))
        .and_then(|mode| if mode.as_deref() == Some("delete") { Ok(()) } else { Err(in_use(target)) })
        .and_then(|()| connection.script("BEGIN EXCLUSIVE"));
    match locked {
        Ok(()) => Ok(Some(connection)),
        Err(error) if error.is_corrupt() => Ok(None),
        Err(error) if error.is_busy() => Err(in_use(target)),
        Err(error) => Err(error),
    }
}

fn in_use(target: &Path) -> StorageError {
    let message = format!("{} is open: close every memory that uses it, then restore", target.display());
    StorageError::unavailable(message)
}
