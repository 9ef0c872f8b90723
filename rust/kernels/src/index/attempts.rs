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
}

/// The attempts at each group's task, with at most `most` of the best successes.
pub(super) fn task_attempts(
    space: &NamespaceIndex,
    groups: &[Option<u64>],
    most: usize,
) -> Vec<TaskAttempts> {
    let mut counted: FxHashMap<u64, TaskAttempts> = FxHashMap::default();
    for group in groups.iter().flatten() {
        counted.entry(*group).or_insert_with(|| count(space, *group, most));
    }
    let of_group =
        |group: &Option<u64>| group.map_or_else(TaskAttempts::default, |group| counted[&group].clone());
    groups.iter().map(of_group).collect()
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
    TaskAttempts { attempts, successes: count, best: successes.into_iter().map(|(_, id)| id).collect() }
}
