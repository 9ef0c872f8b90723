//! Consistent copies of the open file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::durable::queries::{Connection, text};
use crate::error::{ErrorKind, Result, StorageError};
use crate::files::{self, with_suffix};

/// A bound on the schemas whose backups are looked for.
const MOST_SCHEMAS: i64 = 64;

/// Copies the store to `target`, as of one moment, while it is in use.
///
/// The copy is readable by its owner alone and holds no deleted content. An existing file is never replaced; a copy
/// that fails leaves no file.
pub(crate) fn copy_to(connection: &mut Connection, target: &Path) -> Result<()> {
    create_private(target)?;
    let copied = vacuum_into(connection, target).and_then(|()| sync(target));
    if copied.is_err() {
        let _ = fs::remove_file(target);
    }
    copied
}

fn create_private(target: &Path) -> Result<()> {
    match files::create_private(target) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(StorageError::invalid("path", "a file that does not exist", target.display()))
        }
        Err(error) => Err(StorageError::unavailable(format!("no copy at {}: {error}", target.display()))),
    }
}

fn vacuum_into(connection: &mut Connection, target: &Path) -> Result<()> {
    let name = target.to_str().filter(|name| !name.contains('\0'));
    let name = name.ok_or_else(|| StorageError::invalid("path", "UTF-8 without NUL", target.display()))?;
    connection.execute("VACUUM INTO ?", vec![text(name)]).map(drop)
}

pub(crate) fn sync(target: &Path) -> Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let synced = File::open(target).and_then(|file| file.sync_all());
    let synced = synced.and_then(|()| File::open(folder)?.sync_all());
    synced.map_err(|error| StorageError::unavailable(format!("no copy at {}: {error}", target.display())))
}

/// Numbers the drafts of this process: two threads may back up the same store.
pub(crate) static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// Copies a store of an older schema to `NAME.schema-N.bak` beside it, before its rows are rewritten.
///
/// The copy is made under another name first, so that an interrupted one is never taken for a backup. Another
/// process or thread may have rewritten the rows in the meantime: its backup stays.
pub(crate) fn back_up_schema(connection: &mut Connection, path: &Path, schema: i64) -> Result<()> {
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = with_suffix(path, &format!(".schema-{schema}.{}-{number}.tmp", std::process::id()));
    let _ = fs::remove_file(&draft);
    let kept = copy_to(connection, &draft).and_then(|()| keep_backup(&draft, path, schema));
    kept.map_err(|error| {
        let _ = fs::remove_file(&draft);
        before_migration(error, &draft)
    })
}

/// Gives a copy its final name, unless the rows had been rewritten before it was made.
fn keep_backup(draft: &Path, path: &Path, schema: i64) -> Result<()> {
    let unavailable = |error: std::io::Error| StorageError::unavailable(error.to_string());
    let copied = Connection::open(draft, false)?.number("PRAGMA user_version", vec![])?;
    if copied != schema {
        return fs::remove_file(draft).map_err(unavailable);
    }
    let target = with_suffix(path, &format!(".schema-{schema}.bak"));
    fs::rename(draft, &target).map_err(unavailable)?;
    sync(&target)
}

fn before_migration(error: StorageError, draft: &Path) -> StorageError {
    let folder = draft.parent().unwrap_or(Path::new("."));
    let message = format!(
        "the store has an older schema and is backed up before it is updated; no backup in {}: {}",
        folder.display(),
        error.message
    );
    StorageError { message, kind: ErrorKind::Unavailable { retry_after_s: None }, retryable: true, ..error }
}

/// Returns the backups that migrations left beside the store, oldest schema first.
pub(crate) fn schema_backups(path: &Path) -> Vec<PathBuf> {
    let named = |schema| with_suffix(path, &format!(".schema-{schema}.bak"));
    (1..=MOST_SCHEMAS).map(named).filter(|backup| backup.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::example::{close, commit, commit_each, id, open, options, put};
    use crate::options::Options;
    use crate::record::RecordKind;

    #[test]
    fn a_backup_of_a_store_in_use_is_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        commit_each(&store, 0..50, put);
        let target = folder.path().join("copy.db");
        std::thread::scope(|scope| {
            scope.spawn(|| commit_each(&store, 50..90, put));
            store.back_up(&target).unwrap();
        });
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let copy = Store::open(&Options { path: target.clone(), ..options(folder.path()) }).unwrap();
        let sequence = copy.sequence().unwrap();
        assert!((50..=90).contains(&sequence));
        for number in 0..sequence as u64 {
            assert!(copy.get(RecordKind::Episode, id(number), None).unwrap().is_some());
        }
        assert_eq!(commit(&copy, put(200)).unwrap().sequence, sequence + 1);
        let mode = Connection::open(&target, false).unwrap();
        assert_eq!({ mode }.row("PRAGMA journal_mode", vec![], |row| row.word(0)).unwrap().unwrap(), "wal");
        close(&copy);
    }

    #[test]
    fn a_backup_replaces_no_file_and_a_failed_one_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let taken = folder.path().join("thesis.txt");
        fs::write(&taken, "text").unwrap();
        let error = store.back_up(&taken).unwrap_err();
        assert!(error.message.starts_with("path must be a file that does not exist; got"));
        assert_eq!(fs::read(&taken).unwrap(), b"text");
        let absent = folder.path().join("absent").join("copy.db");
        assert!(matches!(store.back_up(&absent).unwrap_err().kind, ErrorKind::Unavailable { .. }));
    }
}
