//! The values of recorded calls, each an example of its slot.

use super::values::{Node, Scene};

/// A value of a recorded call: an example of its slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) run: u32,
    pub(super) step: u32,
    pub(super) node: u32,
    pub(super) slot: u32,
}

pub(super) fn node_of(scenes: &[Scene<'_>], target: &Target) -> Node {
    scenes[target.run as usize].nodes[target.node as usize]
}

/// How many distinct groups stand behind each pair, in the order of the pairs.
pub(super) fn distinct<S: Ord + Copy>(mut met: Vec<(S, u64, u64)>) -> Vec<((S, u64), u32)> {
    met.sort_unstable();
    met.dedup();
    let same = met.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
    same.map(|same| ((same[0].0, same[0].1), same.len() as u32)).collect()
}
