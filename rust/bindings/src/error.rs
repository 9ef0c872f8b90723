//! One exhaustive match a family turns errors into the exceptions of `tacit.errors`.

use pyo3::PyErr;
use tacit_storage::{ErrorKind, StorageError as StorageFailure};

mod raised {
    //! The exceptions themselves are Python's: `tacit/errors.py` draws the tree.
    pyo3::import_exception!(tacit.errors, CommitUnknownError);
    pyo3::import_exception!(tacit.errors, ConflictError);
    pyo3::import_exception!(tacit.errors, CorruptRecordError);
    pyo3::import_exception!(tacit.errors, FileChangedError);
    pyo3::import_exception!(tacit.errors, ReadOnlyError);
    pyo3::import_exception!(tacit.errors, ResyncRequiredError);
    pyo3::import_exception!(tacit.errors, SchemaError);
    pyo3::import_exception!(tacit.errors, StorageError);
    pyo3::import_exception!(tacit.errors, TooLargeError);
    pyo3::import_exception!(tacit.errors, UnavailableError);
    pyo3::import_exception!(tacit.errors, ValidationError);
    pyo3::import_exception!(tacit.errors, VersionConflictError);
}
pub(crate) use raised::*;

/// A value that breaks a rule: the field, the rule, and the value given.
pub(crate) fn invalid(field: &str, limit: &str, given: impl std::fmt::Display) -> PyErr {
    ValidationError::new_err((field.to_owned(), limit.to_owned(), given.to_string()))
}

/// A value that is larger than its limit.
pub(crate) fn too_large(field: &str, limit: &str, given: impl std::fmt::Display) -> PyErr {
    TooLargeError::new_err((field.to_owned(), limit.to_owned(), given.to_string()))
}

/// The exception for a failure or a refusal of the store.
pub(crate) fn storage_failure(failure: StorageFailure) -> PyErr {
    let StorageFailure { kind, message, .. } = failure;
    match kind {
        ErrorKind::Conflict { external_id, namespace } => ConflictError::new_err((external_id, namespace)),
        ErrorKind::VersionConflict { kind, id, expected, found } => {
            VersionConflictError::new_err((kind, id, expected, found))
        }
        ErrorKind::ResyncRequired { since, horizon } => ResyncRequiredError::new_err((since, horizon)),
        ErrorKind::Invalid { field, limit, given } => ValidationError::new_err((field, limit, given)),
        ErrorKind::TooLarge { field, limit, given } => TooLargeError::new_err((field, limit, given)),
        ErrorKind::Corrupt => CorruptRecordError::new_err(message),
        ErrorKind::Schema => SchemaError::new_err(message),
        ErrorKind::Unavailable { retry_after_s } => UnavailableError::new_err((message, retry_after_s)),
        ErrorKind::CommitUnknown => CommitUnknownError::new_err(message),
        ErrorKind::FileChanged => FileChangedError::new_err(message),
        ErrorKind::ReadOnly => ReadOnlyError::new_err(message),
        ErrorKind::Absent | ErrorKind::Closed | ErrorKind::Forked | ErrorKind::Internal => {
            StorageError::new_err(message)
        }
    }
}
