//! How often the tasks of some episodes were attempted, and which attempts succeeded best.

use super::namespace_index::NamespaceIndex;
use crate::facts::Id;

/// The judged attempts at one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskAttempts {
    pub attempts: usize,
    pub successes: usize,
    /// The successes of fewest steps, the earliest of equally many first.
    pub best: Vec<Id>,
}

/// The attempts at each group's task, with at most `most` of the best successes. One pass over the space.
pub(super) fn task_attempts(
    space: &NamespaceIndex,
    groups: &[Option<u64>],
    most: usize,
) -> Vec<TaskAttempts> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.len()];
    // One bit a group, by its hash: nearly all episodes are passed over without a comparison.
    let bits = groups.iter().flatten().fold(0u64, |bits, group| bits | 1 << (group % 64));
    for (number, group) in space.groups.iter().enumerate().filter(|(_, group)| bits >> (*group % 64) & 1 == 1)
    {
        if let Some(wanted) = groups.iter().position(|wanted| *wanted == Some(*group)) {
            members[wanted].push(number);
        }
    }
    let first = |group: &Option<u64>| groups.iter().position(|other| other == group);
    let of_group = |group: &Option<u64>| {
        group.and(first(group)).map_or_else(TaskAttempts::default, |at| counted(space, &members[at], most))
    };
    groups.iter().map(of_group).collect()
}

fn counted(space: &NamespaceIndex, members: &[usize], most: usize) -> TaskAttempts {
    let judged = |number: &&usize| space.alive[**number] && space.documents[**number].base.is_some();
    let succeeded = |number: &&usize| space.documents[**number].base.is_some_and(|base| base >= 1.0);
    let attempts: Vec<&usize> = members.iter().filter(judged).collect();
    let mut successes: Vec<(usize, Id)> = attempts
        .iter()
        .copied()
        .filter(succeeded)
        .map(|number| (space.runs.iter(*number as u32).count(), space.documents[*number].id))
        .collect();
    successes.sort_unstable();
    TaskAttempts {
        attempts: attempts.len(),
        successes: successes.len(),
        best: successes.into_iter().take(most).map(|(_, id)| id).collect(),
    }
}
