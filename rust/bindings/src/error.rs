//! One exhaustive match a family turns errors into the exceptions of `tacit.errors`.

use pyo3::PyErr;

mod raised {
    //! The exceptions themselves are Python's: `tacit/errors.py` draws the tree.
    pyo3::import_exception!(tacit.errors, TooLargeError);
    pyo3::import_exception!(tacit.errors, ValidationError);
}
pub(crate) use raised::*;

/// A value that breaks a rule: which field, which rule, and what was given.
pub(crate) fn invalid(field: &str, limit: &str, given: impl std::fmt::Display) -> PyErr {
    ValidationError::new_err((field.to_owned(), limit.to_owned(), given.to_string()))
}

/// A value that is larger than its limit.
pub(crate) fn too_large(field: &str, limit: &str, given: impl std::fmt::Display) -> PyErr {
    TooLargeError::new_err((field.to_owned(), limit.to_owned(), given.to_string()))
}
