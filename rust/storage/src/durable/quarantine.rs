//! The rows that this process found unreadable.
//!
//! A flipped bit makes one row unreadable, not the store: readers leave the row out, note it here and continue.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tacit_kernels::facts::Id;

use crate::error::{Result, StorageError};
use crate::record::RecordKind;

/// A row whose bytes are not those that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRow {
    pub kind: RecordKind,
    /// The id column; zeros if the column itself is unreadable.
    pub id: Id,
    pub message: String,
}

/// The unreadable rows that were met, by kind and id.
#[derive(Default)]
pub(crate) struct Quarantine(Mutex<BTreeMap<(RecordKind, Id), String>>);

impl Quarantine {
    /// Notes a row that cannot be decoded and returns `None` for it; passes everything else on.
    pub(crate) fn sift<T>(&self, kind: RecordKind, id: Id, read: Result<T>) -> Result<Option<T>> {
        match read {
            Err(error) if error.is_corrupt() => {
                self.lock().insert((kind, id), error.message);
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// Notes a row that [`crate::Store::damaged`] found.
    pub(crate) fn admit(&self, row: &DamagedRow) {
        self.lock().insert((row.kind, row.id), row.message.clone());
    }

    /// Takes rows off the list, because they were removed or written again.
    pub(crate) fn release(&self, ids: &[Id]) {
        let mut rows = self.lock();
        if !rows.is_empty() {
            rows.retain(|(_, id), _| !ids.contains(id));
        }
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Returns the failure that was met at a row.
    pub(crate) fn failure(&self, kind: RecordKind, id: &Id) -> Option<StorageError> {
        self.lock().get(&(kind, *id)).map(StorageError::corrupt)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(RecordKind, Id), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
