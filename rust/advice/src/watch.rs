//! Notices what happens to episodes while a model is fitted on them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tacit_kernels::facts::Id;

/// The episodes of one fit, watched as long as it is held.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The first and the last of them; what arrives between belongs to them too.
    first: Id,
    last: Id,
    was_changed: AtomicBool,
    was_forgotten: AtomicBool,
}

impl Watch {
    /// Returns true if one of the episodes came, went or changed.
    pub(crate) fn was_changed(&self) -> bool {
        self.was_changed.load(Ordering::Relaxed)
    }

    /// Returns true if one of the episodes was forgotten: what was learned from it must not be used.
    pub(crate) fn was_forgotten(&self) -> bool {
        self.was_forgotten.load(Ordering::Relaxed)
    }
}

/// The fits that run now.
#[derive(Debug, Default)]
pub(crate) struct Watches(Mutex<Vec<Weak<Watch>>>);

impl Watches {
    /// Watches the episodes from `first` to `last`.
    pub(crate) fn watch(&self, first: Id, last: Id) -> Arc<Watch> {
        let (was_changed, was_forgotten) = (AtomicBool::new(false), AtomicBool::new(false));
        let watch = Arc::new(Watch { first, last, was_changed, was_forgotten });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&watch));
        watch
    }

    /// An episode came or changed.
    pub(crate) fn note_change(&self, id: &Id) {
        self.each(|watch| {
            if *id <= watch.last {
                watch.was_changed.store(true, Ordering::Relaxed);
            }
        });
    }

    /// An episode was forgotten.
    pub(crate) fn note_forgotten(&self, id: &Id) {
        self.note_change(id);
        self.each(|watch| {
            if (watch.first..=watch.last).contains(id) {
                watch.was_forgotten.store(true, Ordering::Relaxed);
            }
        });
    }

    fn each(&self, note: impl Fn(&Watch)) {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.upgrade().inspect(|watch| note(watch)).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_notices_what_happens_up_to_its_last_episode() {
        let watches = Watches::default();
        let [early, late] = [watches.watch([2; 16], [3; 16]), watches.watch([4; 16], [9; 16])];
        watches.note_change(&[5; 16]);
        assert_eq!((early.was_changed(), late.was_changed()), (false, true));
        watches.note_forgotten(&[1; 16]);
        assert!(early.was_changed() && !early.was_forgotten());
        watches.note_forgotten(&[3; 16]);
        assert!(early.was_forgotten() && !late.was_forgotten());
        drop(early);
        watches.note_change(&[1; 16]);
        assert_eq!(watches.0.lock().unwrap().len(), 1, "a fit that has ended is watched no more");
    }
}
