//! The values of recorded calls, each an example of its slot.

use super::values::{ValueNode, ValueTree};

/// A value of a recorded call: an example of its slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlotExample {
    pub(super) run: u32,
    pub(super) step: u32,
    pub(super) node: u32,
    pub(super) slot: u32,
}

pub(super) fn node_of(trees: &[ValueTree<'_>], example: &SlotExample) -> ValueNode {
    trees[example.run as usize].nodes[example.node as usize]
}

/// How many distinct groups stand behind each pair, in the order of the pairs.
pub(super) fn distinct<S: Ord + Copy>(mut sightings: Vec<(S, u64, u64)>) -> Vec<((S, u64), u32)> {
    sightings.sort_unstable();
    sightings.dedup();
    let same = sightings.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
    same.map(|same| ((same[0].0, same[0].1), same.len() as u32)).collect()
}
