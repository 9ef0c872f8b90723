//! The failures of a store, and for each of them if a retry can help.

use libsql::ffi;

pub type Result<T> = std::result::Result<T, StorageError>;

/// A refusal or a failure of the store.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    pub kind: ErrorKind,
    /// True if the same call may succeed later without any change.
    pub retryable: bool,
    /// SQLite's extended result code; 0 for a failure that SQLite had no part in.
    pub code: i32,
    pub message: String,
}

/// The kinds of failure that a caller tells apart.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorKind {
    /// The same id, another content.
    Conflict { external_id: String, namespace: String },
    /// A precondition of a batch does not hold: the row has another version. `None` stands for an absent row, an
    /// expected 0 for any version.
    VersionConflict { kind: &'static str, id: String, expected: Option<i64>, found: Option<i64> },
    /// The changes that the caller lacks were pruned: it has to read the log from its start.
    ResyncRequired { since: i64, horizon: i64 },
    /// A value that breaks a rule.
    Invalid { field: String, limit: String, given: String },
    /// A value larger than its limit.
    TooLarge { field: String, limit: String, given: String },
    /// The stored bytes are not those that were written.
    Corrupt,
    /// The file is not tacit's, or a newer tacit wrote it.
    Schema,
    /// Busy, full or failing now; `None` means that the seconds to wait are not known.
    Unavailable { retry_after_s: Option<f64> },
    /// The commit may or may not have taken place.
    CommitUnknown,
    /// The open file was removed, replaced, overwritten or truncated by somebody else.
    FileChanged,
    /// There is no such file, or it is no plain file.
    Absent,
    /// The file, its place or the store itself takes no writes.
    ReadOnly,
    /// The store was closed.
    Closed,
    /// The store was opened before this process was forked.
    Forked,
    /// A fault of tacit or of SQLite that no caller can correct.
    Internal,
}

impl StorageError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retryable = matches!(
            kind,
            ErrorKind::Unavailable { .. } | ErrorKind::CommitUnknown | ErrorKind::VersionConflict { .. }
        );
        Self { kind, retryable, code: 0, message: message.into() }
    }

    fn with_code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn conflict(external_id: &str, namespace: &str) -> Self {
        let message = format!("{external_id:?} in namespace {namespace:?} has another content already");
        Self::new(
            ErrorKind::Conflict { external_id: external_id.to_owned(), namespace: namespace.to_owned() },
            message,
        )
    }

    pub(crate) fn version_conflict(
        kind: &'static str,
        id: &str,
        expected: Option<i64>,
        found: Option<i64>,
    ) -> Self {
        let name = |version: Option<i64>| match version {
            None => "absent".to_owned(),
            Some(0) => "any".to_owned(),
            Some(number) => number.to_string(),
        };
        let message = rule_broken(&format!("the version of {kind} {id}"), &name(expected), name(found));
        Self::new(ErrorKind::VersionConflict { kind, id: id.to_owned(), expected, found }, message)
    }

    pub(crate) fn resync(since: i64, horizon: i64) -> Self {
        let message = rule_broken("since", &format!("0 or at least the horizon {horizon}"), since);
        Self::new(ErrorKind::ResyncRequired { since, horizon }, message)
    }

    pub(crate) fn invalid(field: &str, limit: impl Into<String>, given: impl ToString) -> Self {
        let (limit, given) = (limit.into(), given.to_string());
        let message = rule_broken(field, &limit, &given);
        Self::new(ErrorKind::Invalid { field: field.to_owned(), limit, given }, message)
    }

    pub(crate) fn too_large(field: &str, limit: usize, given: usize) -> Self {
        let (limit, given) = (format!("at most {limit} bytes"), format!("{given} bytes"));
        let message = rule_broken(field, &limit, &given);
        Self::new(ErrorKind::TooLarge { field: field.to_owned(), limit, given }, message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn schema(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Schema, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable { retry_after_s: None }, message)
    }

    pub(crate) fn file_changed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FileChanged, message)
    }

    /// A file that cannot be opened.
    pub(crate) fn unopened(path: &std::path::Path, error: &std::io::Error) -> Self {
        let message = format!("{} cannot be opened: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::InvalidInput => {
                Self::new(ErrorKind::Absent, message)
            }
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Self::new(ErrorKind::ReadOnly, message)
            }
            _ => Self::unavailable(message),
        }
    }

    /// The breaker is open; `wait` says for how long.
    pub(crate) fn interrupted(wait: std::time::Duration) -> Self {
        let retry_after_s = Some(wait.as_secs_f64());
        Self::new(
            ErrorKind::Unavailable { retry_after_s },
            "the store failed too often and is not asked for a while",
        )
    }

    pub(crate) fn read_only() -> Self {
        Self::new(
            ErrorKind::ReadOnly,
            "the memory takes no writes: it was opened with read_only; open it without, in a place that can be written",
        )
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the store is closed")
    }

    pub(crate) fn forked() -> Self {
        Self::new(
            ErrorKind::Forked,
            "this process was forked while the store was open, past Python's fork hooks; start it by spawn or exec",
        )
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Reads the failure as one of COMMIT. A log that was written but not synced may or may not hold the
    /// transaction; a log that could not be written does not hold it.
    pub(crate) fn during_commit(self) -> Self {
        if !matches!(self.code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) {
            return self;
        }
        let message = format!("the commit may or may not have taken place: {}", self.message);
        Self::new(ErrorKind::CommitUnknown, message).with_code(self.code)
    }

    /// Returns true if the failure concerns one row or batch, and not the file.
    pub(crate) fn is_corrupt(&self) -> bool {
        self.kind == ErrorKind::Corrupt
    }

    /// Returns true if another connection holds a lock.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code & 0xff, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED)
    }

    /// Returns true if the disk, or the share of it that this process may use, is full.
    pub(crate) fn is_full(&self) -> bool {
        self.code & 0xff == ffi::SQLITE_FULL
    }

    fn from_sqlite(code: i32, message: String) -> Self {
        let made = match (code & 0xff, code) {
            (_, ffi::SQLITE_IOERR_DATA) => Self::corrupt(message),
            (ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED, _) => {
                Self::unavailable(format!("another process holds the store: {message}"))
            }
            (ffi::SQLITE_FULL, _) => Self::unavailable(format!("no room to write: {message}")),
            (ffi::SQLITE_IOERR | ffi::SQLITE_NOMEM | ffi::SQLITE_PROTOCOL, _) => Self::unavailable(message),
            (ffi::SQLITE_CORRUPT, _) => Self::corrupt(message),
            (ffi::SQLITE_NOTADB, _) => Self::schema(format!("not a tacit store: {message}")),
            (ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_CANTOPEN, _) => Self::new(
                ErrorKind::ReadOnly,
                format!("the place takes no writes ({message}): read it with read_only"),
            ),
            _ => Self::internal(message),
        };
        made.with_code(code)
    }
}

/// Makes the sentence for a value that breaks a rule.
fn rule_broken(field: &str, rule: &str, given: impl std::fmt::Display) -> String {
    format!("{field} must be {rule}; got {given}")
}

impl From<libsql::Error> for StorageError {
    fn from(error: libsql::Error) -> Self {
        match error {
            libsql::Error::SqliteFailure(code, message) => Self::from_sqlite(code, message),
            libsql::Error::ConnectionFailed(message) => Self::new(ErrorKind::ReadOnly, message),
            libsql::Error::NullValue | libsql::Error::InvalidColumnType => {
                Self::corrupt("a column holds another type than it was given")
            }
            other => Self::internal(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_codes_map_to_retryable_and_final_failures() {
        let retryable = |code| StorageError::from_sqlite(code, String::new()).retryable;
        assert!(retryable(ffi::SQLITE_BUSY_SNAPSHOT) && retryable(ffi::SQLITE_FULL));
        assert!(retryable(ffi::SQLITE_IOERR_WRITE) && retryable(ffi::SQLITE_IOERR_READ));
        // SQLite calls a read that fails with EIO a corrupt file system.
        assert!(retryable(ffi::SQLITE_IOERR_CORRUPTFS));
        assert!(!retryable(ffi::SQLITE_CORRUPT_INDEX) && !retryable(ffi::SQLITE_READONLY_DBMOVED));
        assert!(!retryable(ffi::SQLITE_NOTADB) && !retryable(ffi::SQLITE_CONSTRAINT_UNIQUE));
    }

    #[test]
    fn only_a_failed_sync_makes_a_commit_unknown() {
        let failed = |code| StorageError::from_sqlite(code, String::new()).during_commit().kind;
        assert_eq!(failed(ffi::SQLITE_IOERR_FSYNC), ErrorKind::CommitUnknown);
        assert!(matches!(failed(ffi::SQLITE_IOERR_WRITE), ErrorKind::Unavailable { .. }));
        assert!(matches!(failed(ffi::SQLITE_FULL), ErrorKind::Unavailable { .. }));
    }
}
