//! A slot that is to be filled, and one value that it might take.

use super::slot::Slot;
use super::task::NamedInTask;
use super::values::{NONE, ValueTree};

#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) key: u64,
    /// The node of the value, or of the word in its template's gap; `NONE` if no earlier value equals it.
    pub(super) node: u32,
    /// Its place among the slot's known values, if it is one.
    pub(super) known: u32,
    /// Its place among the slot's templates, if it fills one.
    pub(super) template: u32,
    pub(super) votes: u8,
    pub(super) used: PastUse,
    pub(super) named: NamedInTask,
    /// How many values around it the task names.
    pub(super) neighbours_named: u8,
    /// Set if a value around it was chosen for the same call.
    pub(super) fits_call: bool,
    pub(super) features: Vec<u32>,
}

/// A slot that is to be filled at one moment of a run.
#[derive(Clone, Copy)]
pub(super) struct FillPoint<'a> {
    pub(super) tree: &'a ValueTree<'a>,
    /// Steps that were taken before.
    pub(super) step: usize,
    pub(super) tool: u64,
    pub(super) slot: &'a Slot,
    /// Seed and key of each slot of the same call that is already filled.
    pub(super) call: &'a [(u64, u64)],
    /// The right value during training: evidence that comes from this task alone is left out.
    pub(super) right: Option<u64>,
}

/// How a value was used in the slot's own calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum PastUse {
    Never,
    Last,
    Earlier,
    InVain,
    SameCall,
}

impl Candidate {
    pub(super) fn new(key: u64, features: Vec<u32>) -> Self {
        Self {
            key,
            node: NONE,
            known: NONE,
            template: NONE,
            votes: 0,
            used: PastUse::Never,
            named: NamedInTask::Not,
            neighbours_named: 0,
            fits_call: false,
            features,
        }
    }
}
