//! The choices of every episode in every state, as columns: the data that rules are induced from.

use super::namespace_index::{NONE, NamespaceIndex, OK};
use crate::names::Names;
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

/// One choice. Names are places in `Choices::names`. A batch of calls is one choice: of its first tool by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StepChoice {
    /// Its place in `Choices::episodes`.
    pub episode: i32,
    /// The number of steps taken before.
    pub step: i32,
    /// The last tool; -1 at the start.
    pub after: i32,
    /// The result of the last tool: -1 none or not known yet, -2 success, else the class of its error.
    pub result: i32,
    /// The number of steps that had failed, the last one included.
    pub errors: i32,
    /// 1 if the step before the last one had failed too.
    pub again: i32,
    /// The tool that was chosen; -1 to finish.
    pub choose: i32,
    /// The result of that step: 1 or 0; -1 without a result.
    pub ok: i32,
    /// 1 if the same tool failed with the same class once more later on.
    pub came_back: i32,
}

/// One episode that chose. Names are places in `Choices::names`; -1 means that it has none.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Chooser {
    pub domain: i32,
    pub language: i32,
    pub framework: i32,
    pub task_type: i32,
    pub agent: i32,
    pub complexity: i32,
    /// Its place in `Choices::approaches`.
    pub approach: i32,
    /// The number of the task among whose attempts it is compared; -1 for a task that its agent tried once.
    pub task: i32,
    /// The share of success.
    pub base: f64,
}

/// The choices of a namespace or of one of its domains, by the episodes' ids and their steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choices {
    /// Sorted.
    pub names: Vec<String>,
    pub choices: Vec<StepChoice>,
    pub episodes: Vec<Chooser>,
    /// Tools in the order of their first use, each approach once.
    pub approaches: Vec<Vec<String>>,
}

impl Choices {
    pub(super) fn new(space: &NamespaceIndex, names: &Names, domain: Option<u32>) -> Self {
        let mut documents: Vec<u32> = (0..space.documents.len() as u32)
            .filter(|number| space.alive[*number as usize])
            .filter(|number| space.documents[*number as usize].base.is_some())
            .filter(|number| domain.is_none_or(|domain| space.documents[*number as usize].domain == domain))
            .collect();
        documents.sort_unstable_by_key(|number| space.documents[*number as usize].id);
        let places = Places::new(space, names, &documents);
        let mut found = Self { names: places.sorted.clone(), ..Self::default() };
        let mut approaches: FxHashMap<Vec<u32>, i32> = FxHashMap::default();
        let task_of = |document: u32| {
            space.task_of(&space.documents[document as usize], space.groups[document as usize])
        };
        let mut tasks: Vec<u64> = documents.iter().map(|document| task_of(*document)).collect();
        tasks.sort_unstable();
        tasks.dedup();
        for document in documents {
            let task = task_of(document);
            let place = tasks.binary_search(&task).map_or(-1, |place| place as i32);
            found.add(space, document, if task == 0 { -1 } else { place }, &places, &mut approaches);
        }
        found.approaches = vec![Vec::new(); approaches.len()];
        for (tools, place) in approaches {
            let named = tools.iter().filter_map(|tool| names.name(*tool).map(str::to_owned));
            found.approaches[place as usize] = named.collect();
        }
        found
    }

    fn add(
        &mut self,
        space: &NamespaceIndex,
        document: u32,
        task: i32,
        places: &Places,
        approaches: &mut FxHashMap<Vec<u32>, i32>,
    ) {
        let tools: Vec<u32> = space.runs.iter(document).collect();
        let (results, stretches) = space.results_of(document);
        let mut approach: Vec<u32> = Vec::new();
        for stretch in &stretches {
            // As in the extractor: the tools of one batch by name.
            let mut of_stretch = tools[stretch.clone()].to_vec();
            of_stretch.sort_unstable_by_key(|tool| places.of_name(*tool));
            of_stretch.into_iter().for_each(|tool| {
                if !approach.contains(&tool) {
                    approach.push(tool)
                }
            });
        }
        let next = approaches.len() as i32;
        let of = &space.documents[document as usize];
        let episode = self.episodes.len() as i32;
        self.episodes.push(Chooser {
            domain: places.of_name(of.domain),
            language: places.of_name(of.language),
            framework: places.of_name(of.framework),
            task_type: places.of_name(of.task_type),
            agent: places.of_name(of.agent),
            complexity: of.complexity as i32,
            approach: *approaches.entry(approach).or_insert(next),
            task,
            base: of.base.unwrap_or_default(),
        });
        if tools.is_empty() {
            return;
        }
        let (mut errors, mut failed_before) = (0, false);
        for at in 0..=stretches.len() {
            let before = at.checked_sub(1).map(|before| stretches[before].clone());
            let last = before.clone().map(|stretch| places.state_after(&tools, &results, stretch));
            let chosen = stretches.get(at).map(|stretch| places.first_by_name(&tools, stretch.clone()));
            let failed =
                before.map_or(0, |stretch| results[stretch].iter().filter(|result| **result > OK).count());
            errors += failed as i32;
            self.choices.push(StepChoice {
                episode,
                step: stretches.get(at).map_or(tools.len(), |stretch| stretch.start) as i32,
                after: last.map_or(-1, |last| places.of_name(tools[last])),
                result: last.map_or(-1, |last| places.of_result(results[last])),
                errors,
                again: i32::from(failed > 0 && failed_before),
                choose: chosen.map_or(-1, |step| places.of_name(tools[step])),
                ok: chosen.map_or(-1, |step| match results[step] {
                    NONE => -1,
                    result => i32::from(result == OK),
                }),
                came_back: i32::from(last.is_some_and(|last| {
                    let next = stretches.get(at).map_or(tools.len(), |stretch| stretch.start);
                    came_back(&tools, &results, last, next)
                })),
            });
            failed_before = failed > 0;
        }
    }
}

/// Returns true if the step's error came back from step `next` on.
fn came_back(tools: &[u32], results: &[u32], last: usize, next: usize) -> bool {
    let same = |later: usize| tools[later] == tools[last] && results[later] == results[last];
    results[last] > OK && (next..tools.len()).any(same)
}

/// The place of each number's name among the sorted names.
struct Places {
    sorted: Vec<String>,
    places: FxHashMap<u32, i32>,
}

impl Places {
    fn new(space: &NamespaceIndex, names: &Names, documents: &[u32]) -> Self {
        let mut numbers: FxHashSet<u32> = FxHashSet::default();
        for document in documents {
            let of = &space.documents[*document as usize];
            numbers.extend([of.domain, of.language, of.framework, of.task_type, of.agent]);
            numbers.extend(space.runs.iter(*document));
            numbers.extend(
                space
                    .results_of(*document)
                    .0
                    .into_iter()
                    .filter(|result| *result > OK)
                    .map(|result| result - 1),
            );
        }
        let mut named: Vec<(&str, u32)> =
            numbers.into_iter().filter_map(|number| Some((names.name(number)?, number))).collect();
        named.sort_unstable();
        let places = named.iter().enumerate().map(|(place, (_, number))| (*number, place as i32)).collect();
        Self { sorted: named.into_iter().map(|(name, _)| name.to_owned()).collect(), places }
    }

    fn first_by_name(&self, tools: &[u32], stretch: Range<usize>) -> usize {
        let start = stretch.start;
        stretch.min_by_key(|step| self.of_name(tools[*step])).unwrap_or(start)
    }

    /// The step whose result is the state after a stretch: of those that failed, or else of all, the first by name.
    fn state_after(&self, tools: &[u32], results: &[u32], stretch: Range<usize>) -> usize {
        let start = stretch.start;
        stretch.min_by_key(|step| (results[*step] <= OK, self.of_name(tools[*step]))).unwrap_or(start)
    }

    fn of_name(&self, number: u32) -> i32 {
        self.places.get(&number).copied().unwrap_or(-1)
    }

    fn of_result(&self, result: u32) -> i32 {
        match result {
            NONE => -1,
            OK => -2,
            class => self.of_name(class - 1),
        }
    }
}
