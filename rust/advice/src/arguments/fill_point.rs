//! A slot that is to be filled, and one value that it might take.

use super::slot::Slot;
use super::task::NamedInTask;
use super::values::{NONE, ValueTree};

#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) key: u64,
    /// Where the value, or what fills its template, stands, if it was said before.
    pub(super) node: u32,
    /// Its place among the slot's known values, if it is one.
    pub(super) known: u32,
    /// Its place among the slot's templates, if what was found stands in the gap of one.
    pub(super) template: u32,
    pub(super) votes: u8,
    pub(super) used: PastUse,
    pub(super) named: NamedInTask,
    /// How many values around it the task names.
    pub(super) neighbours_named: u8,
    /// Whether a value around it was chosen for the same call.
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
    /// What the slots of the same call were filled with so far: seed and key.
    pub(super) call: &'a [(u64, u64)],
    /// The value that is known to be right, while learning: what only it vouches for is not looked at.
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
