//! The counted runs in little room, and the examples of a step after another.

use super::tools::FINISH;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use tacit_kernels::facts::Id;

/// How many last tools are compared, and the most alike that two runs can be.
const MOST_SHARED: usize = 4;
/// How many of the newest runs that took a step are compared.
const MOST_COMPARED: usize = 24;
/// How many of them are named.
const MOST_NAMED: usize = 3;
/// How many runs with the same fix are named.
const MOST_FIXES: usize = 5;
/// Set in the number of the error class of a step in the batch of the step before it.
pub(super) const IN_BATCH: u32 = 1 << 31;
/// The number of a tool that no run used.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// One run.
#[derive(Debug)]
pub(super) struct CompactRun {
    id: Id,
    pub succeeded: bool,
    /// Numbers: domain, agent, then tool and error class of every step.
    numbers: Box<[u32]>,
}

impl CompactRun {
    pub(super) fn new(
        id: Id,
        succeeded: bool,
        domain: u32,
        agent: u32,
        steps: impl Iterator<Item = [u32; 2]>,
    ) -> Self {
        Self { id, succeeded, numbers: [domain, agent].into_iter().chain(steps.flatten()).collect() }
    }

    pub(super) fn domain(&self) -> u32 {
        self.numbers[0]
    }

    pub(super) fn agent(&self) -> u32 {
        self.numbers[1]
    }

    /// The numbers of each step's tool and error class.
    pub(super) fn steps(&self) -> &[[u32; 2]] {
        self.numbers[2..].as_chunks::<2>().0
    }

    /// The places of the first steps of its stretches: of steps, or of batches of calls.
    pub(super) fn starts(&self) -> Vec<usize> {
        let steps = self.steps().iter().enumerate();
        steps.filter(|(_, [_, class])| class & IN_BATCH == 0).map(|(at, _)| at).collect()
    }

    /// How many next steps it shows, finish included.
    pub(super) fn positions(&self) -> usize {
        self.steps().len() + 1
    }

    /// The tool of a step; finish stands behind the last one and before the first one.
    fn tool(&self, at: Option<usize>) -> u32 {
        at.and_then(|at| self.steps().get(at)).map_or(FINISH, |[tool, _]| *tool)
    }

    /// Each tool with the one before it, each pair once.
    fn pairs(&self) -> Vec<(u32, u32)> {
        let pair = |at: usize| (self.tool(at.checked_sub(1)), self.tool(Some(at)));
        let mut pairs: Vec<(u32, u32)> = (0..self.positions()).map(pair).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// The number of last tools, the last first, that the run shared before it took `tool`: the start counts as a tool.
    fn shared_tools(&self, last: &[u32], tool: u32) -> usize {
        let places = (0..self.positions()).filter(|at| self.tool(Some(*at)) == tool);
        let shared = |at: usize| {
            let before = |back: usize| self.tool(at.checked_sub(back + 1));
            let shared = last.iter().enumerate().take_while(|(back, tool)| before(*back) == **tool).count();
            if shared == last.len() { MOST_SHARED } else { shared }
        };
        places.map(shared).max().unwrap_or(0)
    }
}

/// All runs of a namespace. Its answers do not depend on their order of arrival.
#[derive(Debug, Default)]
pub(super) struct CompactRuns {
    places: BTreeMap<Id, u32>,
    runs: Vec<Option<CompactRun>>,
    free: Vec<u32>,
    /// The places of the successful runs that took a tool behind another, by id.
    took: FxHashMap<(u32, u32), Vec<u32>>,
    successes: usize,
}

impl CompactRuns {
    pub(super) fn insert(&mut self, run: CompactRun) {
        let place = self.free.pop().unwrap_or(self.runs.len() as u32);
        self.places.insert(run.id, place);
        if run.succeeded {
            self.successes += 1;
            for pair in run.pairs() {
                let runs = self.took.entry(pair).or_default();
                let at = runs.partition_point(|place| id_of(&self.runs, *place) < run.id);
                runs.insert(at, place);
            }
        }
        self.runs.resize_with(self.runs.len().max(place as usize + 1), || None);
        self.runs[place as usize] = Some(run);
    }

    pub(super) fn remove(&mut self, id: &Id) -> Option<CompactRun> {
        let place = self.places.remove(id)?;
        let run = self.runs[place as usize].take()?;
        self.free.push(place);
        if run.succeeded {
            self.successes -= 1;
            for pair in run.pairs() {
                if let Some(runs) = self.took.get_mut(&pair) {
                    runs.retain(|other| *other != place);
                }
            }
        }
        Some(run)
    }

    pub(super) fn has_success(&self, id: &Id) -> bool {
        let run = self.places.get(id).and_then(|place| self.runs[*place as usize].as_ref());
        run.is_some_and(|run| run.succeeded)
    }

    /// How many runs are held.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The newest run.
    pub(super) fn last(&self) -> Id {
        self.places.last_key_value().map_or([0; 16], |(id, _)| *id)
    }

    pub(super) fn successes(&self) -> usize {
        self.successes
    }

    /// Each successful run with how many next steps it shows, by id.
    pub(super) fn succeeded(&self) -> impl Iterator<Item = (&Id, usize)> {
        let run = self.places.values().filter_map(|place| self.runs[*place as usize].as_ref());
        run.filter(|run| run.succeeded).map(|run| (&run.id, run.positions()))
    }

    /// The newest runs.
    pub(super) fn newest(&self, most: usize) -> impl Iterator<Item = &CompactRun> {
        self.places.values().rev().take(most).filter_map(|place| self.runs[*place as usize].as_ref())
    }

    /// A few successful runs that took `tool` behind the last of some tools, the last first: of the newest those that
    /// shared most of them, then those of the domain, then the newest.
    pub(super) fn examples_of(&self, last: &[u32], tool: u32, domain: Option<u32>) -> Vec<Id> {
        let last = &last[..last.len().min(MOST_SHARED)];
        let took = self.took.get(&(last.first().copied().unwrap_or(FINISH), tool));
        let newest = took.into_iter().flatten().rev().take(MOST_COMPARED);
        let run = newest.filter_map(|place| self.runs[*place as usize].as_ref());
        let mut found: Vec<_> =
            run.map(|run| ((run.shared_tools(last, tool), Some(run.domain()) == domain), run.id)).collect();
        found.sort_by_key(|(shared_tools, _)| std::cmp::Reverse(*shared_tools));
        found.into_iter().take(MOST_NAMED).map(|(_, id)| id).collect()
    }

    /// The newest successful runs in which `next` went well right after a failure: tool and error class by number.
    pub(super) fn examples_of_fix(&self, failed: [u32; 2], next: u32, well: u32) -> Vec<Id> {
        let shows = |run: &&CompactRun| {
            run.steps()
                .windows(2)
                .any(|pair| [pair[0][0], pair[0][1] & !IN_BATCH] == failed && pair[1] == [next, well])
        };
        let took = self.took.get(&(failed[0], next));
        let newest = took.into_iter().flatten().rev().take(MOST_COMPARED);
        let run = newest.filter_map(|place| self.runs[*place as usize].as_ref());
        run.filter(shows).map(|run| run.id).take(MOST_FIXES).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        let runs: usize = self.runs.iter().flatten().map(|run| run.numbers.len() * 4).sum();
        let took: usize = self.took.values().map(|places| 32 + places.capacity() * 4).sum();
        runs + took + self.places.len() * 28 + self.runs.capacity() * size_of::<Option<CompactRun>>()
    }
}

fn id_of(runs: &[Option<CompactRun>], place: u32) -> Id {
    runs[place as usize].as_ref().map_or([0; 16], |run| run.id)
}
