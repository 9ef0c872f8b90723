//! The episodes of each task, so that a task is looked up at the cost of its own attempts.

use rustc_hash::FxHashMap;

/// No earlier episode.
const FIRST: u32 = u32::MAX;

/// For each task the latest of its episodes, and for each episode the one before it.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskMembers {
    latest: FxHashMap<u64, u32>,
    before: Vec<u32>,
}

impl TaskMembers {
    /// Adds the episode with the next number to the task of this group.
    pub(super) fn push(&mut self, group: u64) {
        let number = self.before.len() as u32;
        let before = self.latest.insert(group, number);
        self.before.push(before.unwrap_or(FIRST));
    }

    /// The numbers of a task's episodes, the latest first; those that were removed are among them.
    pub(super) fn of(&self, group: u64) -> impl Iterator<Item = u32> {
        let mut next = self.latest.get(&group).copied().unwrap_or(FIRST);
        std::iter::from_fn(move || {
            let number = (next != FIRST).then_some(next)?;
            next = self.before[number as usize];
            Some(number)
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.before.len() * 4 + self.latest.capacity() * (size_of::<(u64, u32)>() + 1)
    }
}

impl FromIterator<u64> for TaskMembers {
    /// The groups of the episodes in the order of their numbers.
    fn from_iter<T: IntoIterator<Item = u64>>(groups: T) -> Self {
        let mut members = Self::default();
        groups.into_iter().for_each(|group| members.push(group));
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_episodes_of_a_task_are_found_latest_first() {
        let members: TaskMembers = [7, 8, 7, 9, 7].into_iter().collect();
        assert_eq!(members.of(7).collect::<Vec<_>>(), [4, 2, 0]);
        assert_eq!(members.of(9).collect::<Vec<_>>(), [3]);
        assert_eq!(members.of(1).count(), 0);
    }
}
