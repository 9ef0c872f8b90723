//! A request to end a fit early: whoever closes a memory does not wait for the fit that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that fits look at between their steps. Its clones are one flag; once it is raised it stays so.
#[derive(Clone, Debug, Default)]
pub struct Halt(Arc<AtomicBool>);

impl Halt {
    /// Has every fit that was given this flag end without a result.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// None once the flag is raised.
    pub(crate) fn go_on(&self) -> Option<()> {
        (!self.is_raised()).then_some(())
    }
}
