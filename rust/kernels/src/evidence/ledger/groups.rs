//! The groups of episodes of one namespace within which success is compared.

use rustc_hash::FxHashMap;

/// Comparable episodes of all months: attempts at one task, or the episodes of a domain whose tasks were tried once;
/// always of one agent and difficulty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Group {
    domain: u32,
    agent: u32,
    complexity: u8,
    /// 0 for the episodes whose tasks were tried once.
    task: u64,
}

/// The episodes of a group, of all months or of one.
#[derive(Debug, Clone, Copy, Default)]
struct GroupOutcomes {
    episodes: u32,
    outcomes: f64,
}

impl GroupOutcomes {
    /// Episodes that succeeded and failed, each counted for `weight`.
    fn weighed(self, weight: f64) -> [f64; 2] {
        [weight * self.outcomes, weight * (f64::from(self.episodes) - self.outcomes)]
    }
}

/// A group's episodes of one month.
#[derive(Debug, Clone, Copy)]
struct Month {
    stratum: u32,
    group: u32,
    /// The group's month before this one.
    before: Option<u32>,
    counts: GroupOutcomes,
}

/// Groups and their months by number, with the counts of all their episodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    numbers: FxHashMap<(u32, u64), u32>,
    months: Vec<Month>,
    group_numbers: FxHashMap<Group, u32>,
    /// By group: its latest month, and all its episodes.
    groups: Vec<(u32, GroupOutcomes)>,
    /// By group: its number among those of the same agent, difficulty and task in whatever domain.
    anywhere: Vec<u32>,
}

impl Groups {
    /// The number of a month of a group.
    pub(super) fn number(&self, stratum: u32, task: u64) -> Option<u32> {
        self.numbers.get(&(stratum, task)).copied()
    }

    /// The number of a month of a group, a new one if it has none.
    ///
    /// `circumstances` are the stratum's domain, agent and complexity.
    pub(super) fn intern(&mut self, stratum: u32, circumstances: (u32, u32, u8), task: u64) -> u32 {
        if let Some(number) = self.number(stratum, task) {
            return number;
        }
        let (domain, agent, complexity) = circumstances;
        let number = self.months.len() as u32;
        let anywhere = self.group(Group { domain: u32::MAX, agent, complexity, task });
        let group = self.group(Group { domain, agent, complexity, task });
        self.anywhere[group as usize] = anywhere;
        let latest = &mut self.groups[group as usize].0;
        let before = (*latest != u32::MAX).then_some(*latest);
        *latest = number;
        self.months.push(Month { stratum, group, before, counts: GroupOutcomes::default() });
        self.numbers.insert((stratum, task), number);
        number
    }

    fn group(&mut self, group: Group) -> u32 {
        let next = self.groups.len() as u32;
        let number = *self.group_numbers.entry(group).or_insert(next);
        if number == next {
            self.groups.push((u32::MAX, GroupOutcomes::default()));
            self.anywhere.push(number);
        }
        number
    }

    /// Counts an episode with its share of success.
    pub(super) fn add(&mut self, number: u32, share: f64) {
        for counts in self.counts_of(number) {
            counts.episodes += 1;
            counts.outcomes += share;
        }
    }

    /// Takes an episode back.
    pub(super) fn subtract(&mut self, number: u32, share: f64) {
        for counts in self.counts_of(number) {
            counts.episodes = counts.episodes.saturating_sub(1);
            counts.outcomes -= share;
        }
    }

    fn counts_of(&mut self, number: u32) -> [&mut GroupOutcomes; 2] {
        let month = &mut self.months[number as usize];
        [&mut self.groups[month.group as usize].1, &mut month.counts]
    }

    /// The stratum and the group of a month.
    pub(super) fn of_month(&self, number: u32) -> (u32, u32) {
        let month = &self.months[number as usize];
        (month.stratum, month.group)
    }

    /// The group of the same agent, difficulty and task in whatever domain.
    pub(super) fn anywhere(&self, group: u32) -> u32 {
        self.anywhere[group as usize]
    }

    /// Successes and failures of the group's episodes, each month weighed by its stratum; `None` weighs all alike.
    pub(super) fn totals(&self, group: u32, weight: Option<impl Fn(u32) -> f64>) -> [f64; 2] {
        let (latest, all) = self.groups[group as usize];
        let Some(weight) = weight else { return all.weighed(1.0) };
        let (mut totals, mut next) = ([0.0; 2], Some(latest));
        while let Some(month) = next.and_then(|number| self.months.get(number as usize)) {
            let [succeeded, failed] = month.counts.weighed(weight(month.stratum));
            totals = [totals[0] + succeeded, totals[1] + failed];
            next = month.before;
        }
        totals
    }
}
