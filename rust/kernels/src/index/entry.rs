//! One episode in the form in which the index takes it, made before the index is locked.

use super::statistics::Measures;
use super::symbols;
use crate::extract::{recoveries, recovery_id};
use crate::facts::{Fact, Id, decode_facts};
use crate::msgpack::Result;
use crate::text::TextVersion;
use crate::text_likeness::{MOST_FEATURES, TextFeatures};
use crate::trajectory::{Complexity, Trajectory, symbol};
use std::ops::Range;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// The number of features that are kept of the text of an episode's steps.
const MOST_STEP_FEATURES: usize = 48;

/// The row of one episode in the store, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct EpisodeRow<'a> {
    pub id: Id,
    pub payload: &'a [u8],
    pub facts: &'a [u8],
    pub embedder: Option<&'a str>,
    /// Little-endian floats; empty for none.
    pub embedding: &'a [u8],
}

/// A way out of an error that an episode took: which pattern it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The symbol of tool and error class.
    pub error: u64,
    pub next: String,
    pub pattern: Id,
}

/// One episode, decoded and analysed.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: Id,
    pub namespace: String,
    pub domain: String,
    pub language: Option<String>,
    pub framework: Option<String>,
    pub task_type: String,
    pub agent: Option<String>,
    pub complexity: Complexity,
    pub ended_at: i64,
    /// The share of success; `None` means that the outcome is unknown.
    pub base: Option<f64>,
    pub measures: Measures,
    /// The group of the attempts at one task.
    pub group: u64,
    /// Equal for near-copies: see `copy_of`.
    pub copy: u64,
    pub task: TextFeatures,
    pub steps: TextFeatures,
    pub tags: Vec<u64>,
    pub tools: Vec<u64>,
    pub tool_names: Vec<String>,
    pub tool_indices: Vec<u32>,
    pub facts: Vec<Fact>,
    pub recoveries: Vec<Recovery>,
    /// The result of each step, as the trajectory has it.
    pub ok: Vec<i8>,
    pub error_classes: Vec<Option<String>>,
    /// The stretches of steps that were called in one batch.
    pub batches: Vec<Range<usize>>,
    pub vector: Option<Vec<f32>>,
}

impl Entry {
    /// Vectors of another embedder than the index's are left out: they are never compared. Another dimension is
    /// another embedder, whatever its name.
    pub fn read(row: &EpisodeRow<'_>, embedder: &str, dimension: usize, text: TextVersion) -> Result<Self> {
        let trajectory = Trajectory::decode_in(text, row.payload)?;
        let vector = match row.embedder {
            Some(name) if name == embedder && row.embedding.len() == dimension * 4 => {
                read_vector(row.embedding)
            }
            _ => None,
        };
        Ok(Self::from_trajectory(trajectory, row.id, decode_facts(row.facts)?, vector))
    }

    pub fn from_trajectory(
        trajectory: Trajectory,
        id: Id,
        facts: Vec<Fact>,
        vector: Option<Vec<f32>>,
    ) -> Self {
        let mut tags: Vec<u64> = trajectory.tags.iter().map(|tag| tag_symbol(tag)).collect();
        tags.sort_unstable();
        tags.dedup();
        let mut steps = TextFeatures::of_words(&trajectory.salient);
        thin(&mut steps.buckets, MOST_STEP_FEATURES);
        thin(&mut steps.words, MOST_STEP_FEATURES);
        Self {
            id,
            ended_at: trajectory.ended_at.unwrap_or(trajectory.started_at),
            base: trajectory.base,
            measures: measures_of(&trajectory),
            group: group_of(trajectory.task_key.as_deref(), &trajectory.task),
            copy: copy_of(&trajectory),
            task: TextFeatures::new(&trajectory.task),
            steps,
            tags,
            recoveries: recoveries_of(&trajectory),
            batches: batches_of(&trajectory),
            ok: trajectory.ok,
            error_classes: trajectory.error_classes,
            facts,
            vector,
            namespace: trajectory.namespace,
            domain: trajectory.domain,
            language: trajectory.language,
            framework: trajectory.framework,
            task_type: trajectory.task_type,
            agent: trajectory.agent,
            complexity: trajectory.complexity,
            tools: trajectory.tools,
            tool_names: trajectory.tool_names,
            tool_indices: trajectory.tool_indices,
        }
    }

    /// The words of task and steps, ascending, each once.
    pub fn words(&self) -> Vec<u64> {
        let mut words = [self.task.words.as_slice(), &self.steps.words].concat();
        words.sort_unstable();
        words.dedup();
        words
    }

    pub fn pairs(&self) -> Vec<u64> {
        symbols::pairs(&self.tools)
    }
}

fn batches_of(trajectory: &Trajectory) -> Vec<Range<usize>> {
    if trajectory.batches.is_empty() {
        return Vec::new();
    }
    trajectory.in_order().into_iter().filter(|stretch| stretch.len() > 1).collect()
}

fn recoveries_of(trajectory: &Trajectory) -> Vec<Recovery> {
    let recovery = |(tool, class, next): (&str, &str, &str)| Recovery {
        error: error_symbol(tool, class),
        next: next.to_owned(),
        pattern: recovery_id(tool, class, next),
    };
    recoveries(trajectory).map(recovery).collect()
}

/// The symbol of an error of a tool.
pub(crate) fn error_symbol(tool: &str, class: &str) -> u64 {
    xxh3_64_with_seed(class.as_bytes(), symbol(tool))
}

fn measures_of(trajectory: &Trajectory) -> Measures {
    Measures {
        total: trajectory.reward_total.filter(|total| !total.is_nan()),
        is_judged: trajectory.base.is_some(),
        is_success: trajectory.base == Some(1.0),
        seconds: trajectory.seconds(),
        steps: trajectory.len() as u32,
        failed_steps: trajectory.failed_steps() as u32,
    }
}

/// Attempts belong together by their key, or else by the very same text.
pub fn group_of(task_key: Option<&str>, task: &str) -> u64 {
    match task_key {
        Some(key) => key_group(key),
        None => xxh3_64_with_seed(task.as_bytes(), 4),
    }
}

/// The hash of an episode up to numbers and ids: of its domain, its task's text, its tools, and the text of its steps.
/// Episodes with other steps are no near-copies.
fn copy_of(trajectory: &Trajectory) -> u64 {
    let mut hasher = Xxh3::with_seed(7);
    hasher.update(trajectory.domain.as_bytes());
    for text in [&trajectory.task, &trajectory.salient] {
        hasher.update(&[0xff]);
        template(text, |word| hasher.update(word.as_bytes()));
    }
    trajectory.tools.iter().for_each(|tool| hasher.update(&tool.to_le_bytes()));
    hasher.digest()
}

/// Visits the words of a text, each that has a digit as "0".
fn template(text: &str, mut visit: impl FnMut(&str)) {
    let separates = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '#');
    for word in text.split(separates).filter(|word| !word.is_empty()) {
        visit(if word.contains(|c: char| c.is_numeric()) { "0" } else { word });
        visit(" ");
    }
}

pub(super) fn key_group(task_key: &str) -> u64 {
    xxh3_64_with_seed(task_key.as_bytes(), 3)
}

pub(super) fn tag_symbol(tag: &str) -> u64 {
    xxh3_64_with_seed(tag.as_bytes(), 5)
}

/// Keeps some of the elements, spread evenly: which of them says nothing about any one text.
fn thin<T: Copy>(elements: &mut Vec<T>, most: usize) {
    debug_assert!(most <= MOST_FEATURES);
    if elements.len() > most {
        let len = elements.len();
        *elements = (0..most).map(|place| elements[place * len / most]).collect();
    }
}

/// The vector of these bytes; `None` means that a number is not finite, so that it cannot be compared.
fn read_vector(bytes: &[u8]) -> Option<Vec<f32>> {
    let (fours, _) = bytes.as_chunks::<4>();
    let vector: Vec<f32> = fours.iter().map(|four| f32::from_le_bytes(*four)).collect();
    vector.iter().all(|x| x.is_finite()).then_some(vector)
}
