//! What to do next, as Python asks for it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pyo3::prelude::*;
use tacit_kernels::advice::{Advisor, prepare};
use tacit_kernels::index::Change;

use crate::index::{PyChange, last_of, native_change, unreadable};
use crate::store::PyChanges;

/// The models behind suggestions, ways out, predictions and playbooks: it follows a store's changes.
#[pyclass(frozen, name = "Advisor", module = "tacit._native")]
pub(crate) struct PyAdvisor(RwLock<Advisor>);

#[pymethods]
impl PyAdvisor {
    #[new]
    fn new() -> Self {
        Self(RwLock::default())
    }

    /// The number of the last change that was applied.
    #[getter]
    fn sequence(&self, py: Python<'_>) -> i64 {
        py.detach(|| self.read().sequence())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.read().len())
    }

    /// Applies the store's changes, all or none, and returns the number of the last one applied.
    /// An episode that cannot be read raises CorruptRecordError, which names it.
    fn apply(&self, py: Python<'_>, changes: &Bound<'_, PyAny>) -> PyResult<i64> {
        if let Ok(native) = changes.cast::<PyChanges>() {
            let (rows, last) = (native.get().rows(), native.get().last());
            return py.detach(|| self.follow(rows.iter().filter_map(native_change), last));
        }
        let rows: Vec<PyChange> = changes.try_iter()?.map(|row| row?.extract()).collect::<PyResult<_>>()?;
        let last = last_of(changes, &rows)?;
        py.detach(|| self.follow(rows.iter().filter_map(PyChange::change), last))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("Advisor(episodes={})", self.__len__(py))
    }
}

impl PyAdvisor {
    /// A panic while writing leaves nothing half done that a reader could trip over.
    fn read(&self) -> RwLockReadGuard<'_, Advisor> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Advisor> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Episodes are read before the models are locked: questions are answered meanwhile.
    fn follow<'a>(&self, changes: impl Iterator<Item = Change<'a>>, sequence: i64) -> PyResult<i64> {
        let prepared = prepare(changes).map_err(unreadable)?;
        let mut advisor = self.write();
        advisor.apply(prepared, sequence);
        Ok(advisor.sequence())
    }
}
