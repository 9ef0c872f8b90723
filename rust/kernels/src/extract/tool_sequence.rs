//! Runs of tools, anywhere in the episode, with at most a few steps passed over.
//!
//! Calls of one batch have no order: a run goes through a batch by one of its calls.

use rustc_hash::FxHashMap;

use super::finding::{
    CountedFinding, Found, distinct_tools, keep, write_array, write_map, write_str, write_strs,
};
use crate::trajectory::Trajectory;
use std::ops::Range;

/// The longest run that can be asked for.
const LONGEST: usize = 8;
/// The most tools of one batch that runs go through.
const MOST_OF_A_BATCH: usize = 4;

/// The lengths of the runs to extract.
#[derive(Debug, Clone, Copy)]
pub struct RunLengths {
    pub min_length: usize,
    /// At most 8.
    pub max_length: usize,
    /// Steps that may be passed over within a run: 0 or 1.
    pub max_skipped: usize,
}

type Run = ([u32; LONGEST], usize);

/// Each distinct run, once for every step it starts at.
pub fn tool_sequences(trajectory: &Trajectory, lengths: RunLengths, limit: usize) -> Vec<Found> {
    let share = trajectory.base.unwrap_or(0.0);
    let stretches = trajectory.in_order();
    let mut counted = count_runs(&ways_through(trajectory, &stretches), lengths);
    counted.iter_mut().for_each(|run| run.first = stretches[run.first].start);
    keep(counted, limit).into_iter().map(|run| finding(trajectory, &run, share)).collect()
}

/// Ways through an episode, each with one tool of every stretch: one way, and more where a stretch has more tools.
fn ways_through(trajectory: &Trajectory, stretches: &[Range<usize>]) -> Vec<Vec<u32>> {
    let tools: Vec<Vec<u32>> =
        stretches.iter().map(|stretch| distinct_tools(trajectory, stretch.clone())).collect();
    let ways = tools.iter().map(Vec::len).max().unwrap_or(0).min(MOST_OF_A_BATCH);
    (0..ways).map(|way| tools.iter().map(|tools| tools[way % tools.len()]).collect()).collect()
}

fn count_runs(ways: &[Vec<u32>], lengths: RunLengths) -> Vec<CountedFinding<Run>> {
    let mut counts: FxHashMap<Run, (usize, usize)> = FxHashMap::default();
    let mut here: Vec<Run> = Vec::new();
    for start in 0..ways.first().map_or(0, Vec::len) {
        here.clear();
        ways.iter().for_each(|tools| runs_at(tools, start, lengths, &mut here));
        here.sort_unstable();
        here.dedup();
        for run in &here {
            counts.entry(*run).or_insert((0, start)).0 += 1;
        }
    }
    counts
        .into_iter()
        .map(|(run, (count, first))| CountedFinding { what: run, rank: run.1, count, first })
        .collect()
}

fn runs_at(tools: &[u32], start: usize, lengths: RunLengths, into: &mut Vec<Run>) {
    for length in lengths.min_length..=lengths.max_length.min(LONGEST) {
        if let Some(run) = run_without(tools, start, length, None) {
            into.push(run);
        }
        if lengths.max_skipped > 0 {
            into.extend((1..length).filter_map(|skipped| run_without(tools, start, length, Some(skipped))));
        }
    }
}

/// The `length` tools from `start` on, passing over the step `skipped` places behind it.
fn run_without(tools: &[u32], start: usize, length: usize, skipped: Option<usize>) -> Option<Run> {
    let taken = length + usize::from(skipped.is_some());
    let window = tools.get(start..start + taken)?;
    let mut run = [u32::MAX; LONGEST];
    let kept = window.iter().enumerate().filter(|(place, _)| Some(*place) != skipped);
    for (slot, (_, tool)) in run.iter_mut().zip(kept) {
        *slot = *tool;
    }
    Some((run, length))
}

fn finding(trajectory: &Trajectory, run: &CountedFinding<Run>, share: f64) -> Found {
    let tools = &run.what.0[..run.what.1];
    let mut content = Vec::with_capacity(64);
    write_map(&mut content, 1);
    write_str(&mut content, "tools");
    write_strs(&mut content, tools.iter().map(|tool| trajectory.tool_names[*tool as usize].as_str()));
    let detail = parameters(trajectory, tools, run.first);
    Found::new("tool_sequence", &content, Some(&detail), vec![share; run.count])
}

/// The names of the parameters each tool of the run was first called with.
fn parameters(trajectory: &Trajectory, tools: &[u32], first: usize) -> Vec<u8> {
    let mut detail = Vec::with_capacity(64);
    write_map(&mut detail, 1);
    write_str(&mut detail, "parameters");
    write_array(&mut detail, tools.len());
    let mut place = first;
    for tool in tools {
        while trajectory.tool_indices[place] != *tool {
            place += 1;
        }
        write_strs(&mut detail, trajectory.parameter_keys[place].iter().map(String::as_str));
        place += 1;
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTHS: RunLengths = RunLengths { min_length: 2, max_length: 5, max_skipped: 1 };

    fn trajectory(tools: &[u32]) -> Trajectory {
        Trajectory {
            base: Some(1.0),
            tool_names: (0..10).map(|n| format!("t{n}")).collect(),
            tool_indices: tools.to_vec(),
            parameter_keys: vec![Vec::new(); tools.len()],
            ..Trajectory::default()
        }
    }

    fn counted(tools: &[u32]) -> Vec<(Vec<u32>, usize)> {
        let mut runs: Vec<_> = count_runs(&[tools.to_vec()], LENGTHS)
            .iter()
            .map(|run| (run.what.0[..run.what.1].to_vec(), run.count))
            .collect();
        runs.sort();
        runs
    }

    #[test]
    fn a_run_may_pass_over_one_step() {
        assert_eq!(
            counted(&[0, 1, 2]),
            [(vec![0, 1], 1), (vec![0, 1, 2], 1), (vec![0, 2], 1), (vec![1, 2], 1),]
        );
    }

    #[test]
    fn a_run_counts_once_for_each_step_it_starts_at() {
        assert_eq!(counted(&[0, 0, 0])[0], (vec![0, 0], 2));
    }

    #[test]
    fn shorter_and_more_frequent_runs_are_kept_first() {
        let found = tool_sequences(&trajectory(&[0, 1, 0, 1, 2, 3, 4, 5, 6, 7]), LENGTHS, 3);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].ok.len(), 2);
    }

    #[test]
    fn calls_of_one_batch_are_no_sequence() {
        let batched = Trajectory { batches: vec![0, 1, 1, 0], ..trajectory(&[0, 2, 1, 3]) };
        let found = tool_sequences(&batched, LENGTHS, 32);
        let mut runs: Vec<String> =
            found.iter().map(|run| String::from_utf8_lossy(&run.record).into()).collect();
        let other_order = Trajectory { batches: vec![0, 1, 1, 0], ..trajectory(&[0, 1, 2, 3]) };
        let ids = |found: &[Found]| found.iter().map(|run| run.pattern).collect::<Vec<_>>();
        assert_eq!(ids(&tool_sequences(&other_order, LENGTHS, 32)), ids(&found));
        runs.retain(|run| run.contains("t1") && run.contains("t2"));
        assert!(runs.is_empty(), "{runs:?}");
        assert_eq!(found.len(), 7);
    }

    proptest! {
        #[test]
        fn every_run_is_a_run_of_the_episode(tools in prop::collection::vec(0u32..5, 0..30)) {
            for (run, count) in counted(&tools) {
                prop_assert!(count <= tools.len());
                let fits = |start: usize| {
                    let mut window = tools[start..tools.len().min(start + run.len() + 1)].iter();
                    run.iter().all(|tool| window.any(|other| other == tool))
                };
                prop_assert!((0..tools.len()).filter(|start| fits(*start)).count() >= count);
            }
        }

        #[test]
        fn findings_never_exceed_their_limit(tools in prop::collection::vec(0u32..10, 0..200)) {
            prop_assert!(tool_sequences(&trajectory(&tools), LENGTHS, 32).len() <= 32);
        }
    }
}
