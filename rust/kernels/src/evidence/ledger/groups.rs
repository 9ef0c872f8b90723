//! The groups of episodes of one namespace within which success is compared.

use crate::image::{Image, ImageReader, check, write_column};
use crate::msgpack::Result;
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

/// No month, in an image.
const NO_MONTH: u32 = u32::MAX;

/// A month in an image: its stratum, group, month before and episodes; its share of success and its task.
type MonthRow = ([u32; 4], (f64, u64));
/// A group in an image: its domain, agent, complexity, latest month, episodes and number anywhere; its share of success
/// and its task.
type GroupRow = ([u32; 6], (f64, u64));

impl Groups {
    /// The number of months.
    pub(super) fn months(&self) -> usize {
        self.months.len()
    }

    /// Fails unless every stratum lies below this number.
    pub(super) fn check_strata(&self, strata: usize) -> Result<()> {
        check(self.months.iter().all(|month| (month.stratum as usize) < strata), "a month of no stratum")
    }
}

impl Image for Groups {
    fn write(&self, out: &mut Vec<u8>) {
        let mut tasks = vec![0; self.months.len()];
        self.numbers.iter().for_each(|((_, task), number)| tasks[*number as usize] = *task);
        let month = |(month, task): (&Month, &u64)| -> MonthRow {
            let Month { stratum, group, before, counts } = *month;
            ([stratum, group, before.unwrap_or(NO_MONTH), counts.episodes], (counts.outcomes, *task))
        };
        write_column(&self.months.iter().zip(&tasks).map(month).collect::<Vec<_>>(), out);
        let mut groups: Vec<GroupRow> = vec![Default::default(); self.groups.len()];
        for (Group { domain, agent, complexity, task }, number) in &self.group_numbers {
            let (latest, counts) = self.groups[*number as usize];
            let anywhere = self.anywhere[*number as usize];
            let numbers = [*domain, *agent, u32::from(*complexity), latest, counts.episodes, anywhere];
            groups[*number as usize] = (numbers, (counts.outcomes, *task));
        }
        write_column(&groups, out);
    }

    fn read(input: &mut ImageReader<'_>) -> Result<Self> {
        let (months, groups): (Vec<MonthRow>, Vec<GroupRow>) = (Vec::read(input)?, Vec::read(input)?);
        let mut read = Self::default();
        for (number, ([stratum, group, before, episodes], (outcomes, task))) in (0..).zip(months) {
            check(
                (group as usize) < groups.len() && (before < number || before == NO_MONTH),
                "a month of no group",
            )?;
            let before = (before != NO_MONTH).then_some(before);
            read.months.push(Month { stratum, group, before, counts: GroupOutcomes { episodes, outcomes } });
            read.numbers.insert((stratum, task), number);
        }
        let (all, months) = (groups.len(), read.months.len());
        for (number, (numbers, (outcomes, task))) in (0..).zip(groups) {
            let [domain, agent, complexity, latest, episodes, anywhere] = numbers;
            let is_known = (anywhere as usize) < all && ((latest as usize) < months || latest == NO_MONTH);
            check(is_known, "a group without its months")?;
            read.group_numbers.insert(Group { domain, agent, complexity: complexity as u8, task }, number);
            read.groups.push((latest, GroupOutcomes { episodes, outcomes }));
            read.anywhere.push(anywhere);
        }
        check(read.numbers.len() == months && read.group_numbers.len() == all, "a group stands twice")?;
        Ok(read)
    }
}
