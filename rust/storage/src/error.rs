//! What can go wrong with a store, and whether trying again can help.

use libsql::ffi;

pub type Result<T> = std::result::Result<T, StorageError>;

/// A refusal or a failure of the store.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct StorageError {
    pub kind: ErrorKind,
    /// Whether the same call may succeed later without anyone changing anything.
    pub retryable: bool,
    /// SQLite's extended result code; 0 where SQLite was not involved.
    pub code: i32,
    pub message: String,
}

/// What a caller tells apart.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorKind {
    /// The same id, another content.
    Conflict { external_id: String, namespace: String },
    /// A value that breaks a rule.
    Invalid { field: String, limit: String, given: String },
    /// A value larger than its limit.
    TooLarge { field: String, limit: String, given: String },
    /// The stored bytes are not those that were written.
    Corrupt,
    /// The file is not tacit's, or a newer tacit wrote it.
    Schema,
    /// Busy, full or failing now; the seconds to wait, where they are known.
    Unavailable { retry_after_s: Option<f64> },
    /// Whether the commit took place is not known.
    CommitUnknown,
    /// The file takes no writes.
    ReadOnly,
    /// The store was closed.
    Closed,
    /// The store was opened before this process was forked.
    Forked,
    /// A fault of tacit or of SQLite that no caller can mend.
    Internal,
}

impl StorageError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retryable = matches!(kind, ErrorKind::Unavailable { .. } | ErrorKind::CommitUnknown);
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

    pub(crate) fn invalid(field: &str, limit: impl Into<String>, given: impl ToString) -> Self {
        let (limit, given) = (limit.into(), given.to_string());
        let message = format!("{field}: {limit}, got {given}");
        Self::new(ErrorKind::Invalid { field: field.to_owned(), limit, given }, message)
    }

    pub(crate) fn too_large(field: &str, limit: usize, given: usize) -> Self {
        let (limit, given) = (format!("at most {limit} bytes"), given.to_string());
        let message = format!("{field}: {limit}, got {given}");
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

    /// The breaker is open; `wait` says for how long.
    pub(crate) fn interrupted(wait: std::time::Duration) -> Self {
        let retry_after_s = Some(wait.as_secs_f64());
        Self::new(ErrorKind::Unavailable { retry_after_s }, "the store failed too often and is given a break")
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the store is closed")
    }

    pub(crate) fn forked() -> Self {
        Self::new(
            ErrorKind::Forked,
            "the store was opened before this process was forked; open it again in the child",
        )
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The same failure, met while COMMIT ran. Where the log was written but not synced, it may or may not hold
    /// the transaction; where it could not be written, it does not.
    pub(crate) fn during_commit(self) -> Self {
        if !matches!(self.code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) {
            return self;
        }
        let message = format!("whether the commit took place is not known: {}", self.message);
        Self::new(ErrorKind::CommitUnknown, message).with_code(self.code)
    }

    fn from_sqlite(code: i32, message: String) -> Self {
        let made = match (code & 0xff, code) {
            (_, ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA) => Self::corrupt(message),
            (ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED, _) => {
                Self::unavailable(format!("another process holds the store: {message}"))
            }
            (ffi::SQLITE_FULL, _) => Self::unavailable(format!("no room to write: {message}")),
            (ffi::SQLITE_IOERR | ffi::SQLITE_NOMEM | ffi::SQLITE_PROTOCOL, _) => Self::unavailable(message),
            (ffi::SQLITE_CORRUPT, _) => Self::corrupt(message),
            (ffi::SQLITE_NOTADB, _) => Self::schema(format!("not a tacit store: {message}")),
            (ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_CANTOPEN, _) => {
                Self::new(ErrorKind::ReadOnly, message)
            }
            _ => Self::internal(message),
        };
        made.with_code(code)
    }
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
    fn every_code_says_whether_a_retry_can_help() {
        let retryable = |code| StorageError::from_sqlite(code, String::new()).retryable;
        assert!(retryable(ffi::SQLITE_BUSY_SNAPSHOT) && retryable(ffi::SQLITE_FULL));
        assert!(retryable(ffi::SQLITE_IOERR_WRITE));
        assert!(!retryable(ffi::SQLITE_CORRUPT_INDEX) && !retryable(ffi::SQLITE_READONLY_DBMOVED));
        assert!(!retryable(ffi::SQLITE_NOTADB) && !retryable(ffi::SQLITE_CONSTRAINT_UNIQUE));
    }

    #[test]
    fn only_a_sync_that_failed_leaves_a_commit_in_doubt() {
        let failed = |code| StorageError::from_sqlite(code, String::new()).during_commit().kind;
        assert_eq!(failed(ffi::SQLITE_IOERR_FSYNC), ErrorKind::CommitUnknown);
        assert!(matches!(failed(ffi::SQLITE_IOERR_WRITE), ErrorKind::Unavailable { .. }));
        assert!(matches!(failed(ffi::SQLITE_FULL), ErrorKind::Unavailable { .. }));
    }
}
