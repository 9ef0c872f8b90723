//! How often the tasks of some episodes were attempted, and which attempts succeeded best.

use super::namespace_index::NamespaceIndex;
use crate::facts::Id;
use rustc_hash::FxHashMap;

/// The judged attempts at one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskAttempts {
    pub attempts: usize,
    pub successes: usize,
    /// The successes of fewest steps, the earliest of equally many first.
    pub best: Vec<Id>,
    /// The judged near-copies of the episode that was asked about, itself included, and those that succeeded.
    pub copies: usize,
    pub copies_succeeded: usize,
}

/// The attempts at each episode's task, with at most `most` of the best successes, and its near-copies.
pub(super) fn task_attempts(
    space: &NamespaceIndex,
    episodes: &[Option<u32>],
    most: usize,
) -> Vec<TaskAttempts> {
    let mut counted: FxHashMap<u64, TaskAttempts> = FxHashMap::default();
    let of_episode = |number: &Option<u32>| {
        let Some(number) = *number else { return TaskAttempts::default() };
        let group = space.groups[number as usize];
        let attempts = counted.entry(group).or_insert_with(|| count(space, group, most)).clone();
        let [copies, copies_succeeded] = space.near_copies(number).map(|count| count as usize);
        TaskAttempts { copies, copies_succeeded, ..attempts }
    };
    episodes.iter().map(of_episode).collect()
}

fn count(space: &NamespaceIndex, group: u64, most: usize) -> TaskAttempts {
    let (mut attempts, mut successes) = (0, Vec::new());
    for number in space.attempts_at(group) {
        let document = &space.documents[number as usize];
        let Some(base) = document.base else { continue };
        attempts += 1;
        if base >= 1.0 {
            successes.push((document.measures.steps, document.id));
        }
    }
    let count = successes.len();
    if count > most {
        successes.select_nth_unstable(most);
        successes.truncate(most);
    }
    successes.sort_unstable();
    let best = successes.into_iter().map(|(_, id)| id).collect();
    TaskAttempts { attempts, successes: count, best, ..TaskAttempts::default() }
}
