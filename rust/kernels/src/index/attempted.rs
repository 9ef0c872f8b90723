//! How often each task was tried by one agent in one domain at one difficulty.

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The judged attempts at one task.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Attempts {
    times: u32,
    /// The episode, as long as it is the only one.
    only: u32,
}

/// Numbers of domain and agent, and the complexity: attempts at a task are compared within these.
pub(super) type Circumstances = (u32, u32, u8);

/// The attempts by task, domain, agent and difficulty.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempted(FxHashMap<u64, Attempts>);

impl Attempted {
    /// Counts an attempt. Returns the one before it if there was exactly one.
    pub(super) fn add(&mut self, circumstances: Circumstances, group: u64, number: u32) -> Option<u32> {
        let attempts = self.0.entry(key(circumstances, group)).or_insert(Attempts { times: 0, only: number });
        attempts.times += 1;
        (attempts.times == 2).then_some(attempts.only)
    }

    /// Takes an attempt back. Returns the number of those that are left.
    pub(super) fn remove(&mut self, circumstances: Circumstances, group: u64) -> u32 {
        let key = key(circumstances, group);
        let Some(attempts) = self.0.get_mut(&key) else { return 0 };
        attempts.times -= 1;
        let left = attempts.times;
        if left == 0 {
            self.0.remove(&key);
        }
        left
    }

    /// Says which attempt is the only one.
    pub(super) fn set_only(&mut self, circumstances: Circumstances, group: u64, number: u32) {
        self.0.insert(key(circumstances, group), Attempts { times: 1, only: number });
    }

    pub(super) fn times(&self, circumstances: Circumstances, group: u64) -> u32 {
        self.0.get(&key(circumstances, group)).map_or(0, |attempts| attempts.times)
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * (size_of::<(u64, Attempts)>() + 1)
    }
}

fn key(circumstances: Circumstances, group: u64) -> u64 {
    let (domain, agent, complexity) = circumstances;
    let mut bytes = [0; 17];
    bytes[..8].copy_from_slice(&group.to_le_bytes());
    bytes[8..12].copy_from_slice(&domain.to_le_bytes());
    bytes[12..16].copy_from_slice(&agent.to_le_bytes());
    bytes[16] = complexity;
    xxh3_64_with_seed(&bytes, 7)
}
