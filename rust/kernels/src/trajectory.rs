//! An episode's steps as columns: the kernels' view of an episode.

use crate::error_class::error_class_in;
use crate::facts::Id;
use crate::msgpack::{Malformed, Reader, Result};
use crate::text::{TEXT_VERSION, TextVersion};
use std::ops::Range;

/// The stated difficulty of a task. Unknown counts as moderate in the reward and is a stratum of its own in the
/// evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Complexity {
    Simple = 0,
    Moderate = 1,
    Complex = 2,
    #[default]
    Unknown = 3,
}

impl Complexity {
    pub const NAMES: [&'static str; 4] = ["simple", "moderate", "complex", "unknown"];

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Simple, Self::Moderate, Self::Complex, Self::Unknown]
            .into_iter()
            .find(|each| each.name() == name)
    }

    /// The complexity of this number; `None` means that there is no such complexity.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Simple, Self::Moderate, Self::Complex, Self::Unknown]
            .into_iter()
            .find(|each| *each as u8 == number)
    }

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

/// The measures of the quality multiplier, beside the steps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quality {
    pub artifacts: u32,
    /// True if an artifact names coverage or tests.
    pub names_tests: bool,
    pub test_coverage: Option<f64>,
    pub lint_warnings: Option<f64>,
}

/// One episode as columns. A column has an element a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trajectory {
    /// The version of the text functions that made the error classes.
    pub text_version: TextVersion,
    pub id: Id,
    pub namespace: String,
    pub task: String,
    pub task_key: Option<String>,
    pub task_type: String,
    pub domain: String,
    pub language: Option<String>,
    pub framework: Option<String>,
    pub complexity: Complexity,
    pub tags: Vec<String>,
    pub agent: Option<String>,
    /// Microseconds since 1970, UTC.
    pub started_at: i64,
    pub ended_at: Option<i64>,
    /// True if the times are the run's own; an imported run without times has no duration.
    pub timed: bool,
    /// The outcome's share: 1 success, 0 failure, a partial success between; none while open or abandoned.
    pub base: Option<f64>,
    pub reward_total: Option<f64>,
    pub quality: Quality,
    /// Distinct tool names in order of first use; `tool_indices` points into it.
    pub tool_names: Vec<String>,
    pub tool_indices: Vec<u32>,
    /// The tools as symbols that mean the same in every episode.
    pub tools: Vec<u64>,
    /// 1 ok, 0 failed or timed out, -1 no result.
    pub ok: Vec<i8>,
    /// Milliseconds; NaN means unknown.
    pub latency_ms: Vec<f32>,
    /// The number of each step's batch, 0 for none; empty if the episode has no batch, and before version 3.
    pub batches: Vec<u32>,
    /// The class of the error of a failed step.
    pub error_classes: Vec<Option<String>>,
    pub actions: Vec<Option<String>>,
    /// Sorted names of the parameters of each step.
    pub parameter_keys: Vec<Vec<String>>,
    /// Tool names, short string parameters and errors: the text of the steps that a search may find.
    pub salient: String,
}

/// The symbol of a tool's name: the same in every episode and on every machine.
pub fn symbol(tool: &str) -> u64 {
    symbol_of_bytes(tool.as_bytes())
}

/// The symbol of any bytes: their XXH3.
pub fn symbol_of_bytes(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

const SALIENT_BYTES: usize = 2_000;
const SALIENT_VALUE_BYTES: usize = 120;

impl Trajectory {
    /// The columns of an episode's msgpack payload, with error classes of the newest version. Keys that are not known
    /// are passed over.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        Self::decode_in(TEXT_VERSION, payload)
    }

    /// The columns of an episode's msgpack payload, with error classes of this version of the text functions.
    pub fn decode_in(text_version: TextVersion, payload: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(payload);
        let mut trajectory =
            Trajectory { text_version, domain: "general".into(), timed: true, ..Self::default() };
        for _ in 0..reader.map()? {
            trajectory.read_field(&mut reader)?;
        }
        Ok(trajectory)
    }

    pub fn len(&self) -> usize {
        self.tools.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Seconds from start to end; `None` means that the run carries no times.
    pub fn seconds(&self) -> Option<f64> {
        let ended_at = self.ended_at.filter(|_| self.timed)?;
        Some((ended_at.saturating_sub(self.started_at)).max(0) as f64 / 1e6)
    }

    pub fn failed_steps(&self) -> usize {
        self.ok.iter().filter(|ok| **ok == 0).count()
    }

    /// The steps in stretches that have an order: one step each, or neighbours of one batch.
    pub fn in_order(&self) -> Vec<Range<usize>> {
        let mut stretches: Vec<Range<usize>> = Vec::with_capacity(self.tool_indices.len());
        let batch = |step: usize| self.batches.get(step).copied().unwrap_or(0);
        for step in 0..self.tool_indices.len() {
            match stretches.last_mut() {
                Some(last) if batch(step) != 0 && batch(step) == batch(last.start) => last.end = step + 1,
                _ => stretches.push(step..step + 1),
            }
        }
        stretches
    }

    fn read_field(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        match reader.str()? {
            // An episode that was not given an id yet has none.
            "id" => {
                self.id = Some(reader.str()?).filter(|id| !id.is_empty()).map_or(Ok([0; 16]), parse_id)?
            }
            "namespace" => self.namespace = reader.str()?.into(),
            "task" => self.task = reader.str()?.into(),
            "task_key" => self.task_key = owned(reader)?,
            "task_type" => self.task_type = reader.str()?.into(),
            "context" => self.read_context(reader)?,
            "agent" => self.agent = owned(reader)?,
            "started_at" => self.started_at = reader.int()?,
            "ended_at" => self.ended_at = reader.optional(Reader::int)?,
            "timed" => self.timed = reader.byte()? == 0xc3,
            "outcome" => {
                if let Some(outcome) = reader.optional(read_outcome)? {
                    (self.base, self.quality.artifacts, self.quality.names_tests) = outcome;
                }
            }
            "reward" => self.reward_total = reader.optional(read_total)?.flatten(),
            "metadata" => self.read_metadata(reader)?,
            "steps" => {
                for _ in 0..reader.array()? {
                    self.read_step(reader)?;
                }
            }
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn read_context(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        for _ in 0..reader.map()? {
            match reader.str()? {
                "domain" => self.domain = reader.str()?.into(),
                "language" => self.language = owned(reader)?,
                "framework" => self.framework = owned(reader)?,
                "complexity" => {
                    self.complexity =
                        Complexity::from_name(reader.str()?).ok_or(Malformed("an unknown complexity"))?
                }
                "tags" => {
                    for _ in 0..reader.array()? {
                        self.tags.push(reader.str()?.into());
                    }
                }
                _ => reader.skip()?,
            }
        }
        Ok(())
    }

    fn read_metadata(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        for _ in 0..reader.map()? {
            let key = reader.str()?;
            let value = Reader::new(reader.raw()?).number().ok();
            match key {
                "test_coverage" => self.quality.test_coverage = value,
                "lint_warnings" => self.quality.lint_warnings = value,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_step(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let mut step = Step::default();
        for _ in 0..reader.map()? {
            match reader.str()? {
                "tool" => step.tool = reader.str()?,
                "action" => step.action = reader.optional(Reader::str)?,
                "status" => step.status = reader.optional(Reader::str)?,
                "error" => step.error = reader.optional(Reader::str)?,
                "latency_ms" => step.latency_ms = reader.optional(Reader::number)?,
                "parameters" => step.parameters = Some(reader.raw()?),
                "batch" => {
                    step.batch = reader.optional(Reader::int)?.and_then(|batch| u32::try_from(batch).ok())
                }
                _ => reader.skip()?,
            }
        }
        self.push(step)
    }

    fn push(&mut self, step: Step<'_>) -> Result<()> {
        let index = self.index_of(step.tool);
        self.tool_indices.push(index);
        self.tools.push(symbol(step.tool));
        self.ok.push(match step.status {
            Some("ok") => 1,
            Some(_) => 0,
            None => -1,
        });
        self.latency_ms.push(step.latency_ms.map_or(f32::NAN, |latency| latency as f32));
        if let Some(batch) = step.batch.filter(|batch| *batch > 0 && self.text_version >= TextVersion::V3) {
            self.batches.resize(self.tools.len() - 1, 0);
            self.batches.push(batch);
        }
        self.error_classes.push(step.error_class(self.text_version));
        self.actions.push(step.action.map(str::to_owned));
        let mut keys = Vec::new();
        if let Some(parameters) = step.parameters {
            read_parameters(parameters, &mut keys, &mut self.salient)?;
        }
        self.parameter_keys.push(keys);
        for text in step.action.iter().chain(step.error.iter()) {
            add_salient(&mut self.salient, text);
        }
        Ok(())
    }

    fn index_of(&mut self, tool: &str) -> u32 {
        if let Some(index) = self.tool_names.iter().position(|name| name == tool) {
            return index as u32;
        }
        add_salient(&mut self.salient, tool);
        self.tool_names.push(tool.to_owned());
        self.tool_names.len() as u32 - 1
    }
}

#[derive(Default)]
struct Step<'a> {
    tool: &'a str,
    action: Option<&'a str>,
    status: Option<&'a str>,
    error: Option<&'a str>,
    latency_ms: Option<f64>,
    parameters: Option<&'a [u8]>,
    batch: Option<u32>,
}

impl Step<'_> {
    fn error_class(&self, version: TextVersion) -> Option<String> {
        match self.status {
            Some("error") => Some(error_class_in(version, self.error.unwrap_or(""))),
            Some("timeout") => Some("timeout".into()),
            _ => None,
        }
    }
}

fn owned(reader: &mut Reader<'_>) -> Result<Option<String>> {
    reader.optional(|reader| reader.str().map(str::to_owned))
}

/// 16 bytes from the 36 characters of a UUID.
pub fn parse_id(text: &str) -> Result<Id> {
    let mut id = [0; 16];
    let mut digits = text.bytes().filter(|byte| *byte != b'-');
    for byte in &mut id {
        let high = digits.next().and_then(hex).ok_or(Malformed("an id has 32 hexadecimal digits"))?;
        let low = digits.next().and_then(hex).ok_or(Malformed("an id has 32 hexadecimal digits"))?;
        *byte = high << 4 | low;
    }
    if digits.next().is_some() { Err(Malformed("an id has 32 hexadecimal digits")) } else { Ok(id) }
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// The share of success, the number of artifacts, and whether one of them names coverage or tests.
fn read_outcome(reader: &mut Reader<'_>) -> Result<(Option<f64>, u32, bool)> {
    let (mut kind, mut artifacts, mut names_tests) = ("", 0, false);
    let (mut completed, mut failed) = (0, 0);
    for _ in 0..reader.map()? {
        match reader.str()? {
            "kind" => kind = reader.str()?,
            "artifacts" => {
                artifacts = reader.array()?;
                for _ in 0..artifacts {
                    let artifact = reader.str()?.to_lowercase();
                    names_tests |= artifact.contains("coverage") || artifact.contains("test");
                }
            }
            "completed" => completed = count(reader)?,
            "failed" => failed = count(reader)?,
            _ => reader.skip()?,
        }
    }
    Ok((base_of(kind, completed, failed), artifacts, names_tests))
}

fn count(reader: &mut Reader<'_>) -> Result<u32> {
    let length = reader.array()?;
    for _ in 0..length {
        reader.skip()?;
    }
    Ok(length)
}

fn base_of(kind: &str, completed: u32, failed: u32) -> Option<f64> {
    match kind {
        "success" => Some(1.0),
        "failure" => Some(0.0),
        "partial" if completed + failed == 0 => Some(0.5),
        "partial" => Some(f64::from(completed) / f64::from(completed + failed)),
        _ => None,
    }
}

fn read_total(reader: &mut Reader<'_>) -> Result<Option<f64>> {
    let mut total = None;
    for _ in 0..reader.map()? {
        match reader.str()? {
            "total" => total = Some(reader.number()?),
            _ => reader.skip()?,
        }
    }
    Ok(total)
}

fn read_parameters(parameters: &[u8], keys: &mut Vec<String>, salient: &mut String) -> Result<()> {
    let mut reader = Reader::new(parameters);
    let Ok(entries) = reader.map() else { return Ok(()) };
    for _ in 0..entries {
        keys.push(reader.str()?.to_owned());
        if let Ok(text) = Reader::new(reader.raw()?).str() {
            add_salient(salient, text);
        }
    }
    keys.sort_unstable();
    Ok(())
}

/// Adds a text that is short enough to say something, as long as there is room.
fn add_salient(salient: &mut String, text: &str) {
    let end = text.floor_char_boundary(SALIENT_VALUE_BYTES);
    if salient.len() + end < SALIENT_BYTES {
        salient.push_str(&text[..end]);
        salient.push('\n');
    }
}
