//! One episode as the models read it.

use tacit_kernels::facts::Id;
use tacit_kernels::index::group_of;
use tacit_kernels::msgpack::{Reader, Result};
use tacit_kernels::trajectory::{Complexity, Trajectory};

/// Possible actions of one step that are read.
const MOST_OFFERED: usize = 10_000;

/// One episode as advice sees it. A question is one too: an episode that has not ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub id: Id,
    pub namespace: String,
    pub task: String,
    pub task_key: Option<String>,
    /// The same for all attempts at one task.
    pub group: u64,
    pub domain: String,
    pub language: Option<String>,
    pub framework: Option<String>,
    pub agent: Option<String>,
    pub complexity: Complexity,
    /// The share of success; none while the episode is open.
    pub base: Option<f64>,
    pub reward_total: Option<f64>,
    /// Microseconds since 1970, UTC.
    pub ended_at: i64,
    pub steps: Vec<RunStep>,
}

/// One step that was taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunStep {
    pub tool: String,
    /// 1 ok, 0 failed or timed out, -1 no result.
    pub ok: i8,
    /// The number of the batch that it was called in; 0 for none.
    pub batch: u32,
    pub error: Option<String>,
    pub error_class: Option<String>,
    /// A msgpack value; empty for none.
    pub parameters: Box<[u8]>,
    /// A msgpack value; empty for none.
    pub output: Box<[u8]>,
    /// The agent's view of its situation: a msgpack value; empty for none.
    pub state: Box<[u8]>,
    /// The texts of the actions that were possible, as far as the step's metadata say.
    pub offered: Vec<String>,
}

impl Run {
    /// The episode of a stored record.
    pub fn decode(record: &[u8]) -> Result<Self> {
        let columns = Trajectory::decode(record)?;
        let raw = read_steps(record)?;
        let of_step = |(number, raw): (usize, RawStep<'_>)| RunStep {
            tool: columns.tool_names[columns.tool_indices[number] as usize].clone(),
            ok: columns.ok[number],
            batch: columns.batches.get(number).copied().unwrap_or(0),
            error: raw.error.map(str::to_owned),
            error_class: columns.error_classes[number].clone(),
            parameters: raw.parameters.into(),
            output: raw.output.into(),
            state: raw.state.into(),
            offered: raw.offered.into_iter().map(str::to_owned).collect(),
        };
        let steps = raw.into_iter().enumerate().map(of_step).collect();
        Ok(Self {
            id: columns.id,
            group: group_of(columns.task_key.as_deref(), &columns.task),
            namespace: columns.namespace,
            task: columns.task,
            task_key: columns.task_key,
            domain: columns.domain,
            language: columns.language,
            framework: columns.framework,
            agent: columns.agent,
            complexity: columns.complexity,
            base: columns.base,
            reward_total: columns.reward_total,
            ended_at: columns.ended_at.unwrap_or(columns.started_at),
            steps,
        })
    }

    pub fn is_success(&self) -> bool {
        self.base == Some(1.0)
    }

    /// The steps in stretches that have an order: one step each, or neighbours of one batch.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &[RunStep]> {
        self.steps.chunk_by(|one, next| one.batch != 0 && one.batch == next.batch)
    }

    /// The steps in an order that is the same however the calls of a batch came in, each with the start of its stretch.
    pub(crate) fn ordered_steps(&self) -> Vec<(&RunStep, bool)> {
        let mut ordered: Vec<(&RunStep, bool)> = Vec::with_capacity(self.steps.len());
        for stretch in self.in_order() {
            let mut steps: Vec<&RunStep> = stretch.iter().collect();
            steps.sort_by(|one, other| (&one.tool, &one.error_class).cmp(&(&other.tool, &other.error_class)));
            ordered.extend(steps.into_iter().enumerate().map(|(at, step)| (step, at == 0)));
        }
        ordered
    }
}

/// The values of a step that its columns leave out.
#[derive(Default)]
struct RawStep<'a> {
    error: Option<&'a str>,
    parameters: &'a [u8],
    output: &'a [u8],
    state: &'a [u8],
    offered: Vec<&'a str>,
}

fn read_steps(record: &[u8]) -> Result<Vec<RawStep<'_>>> {
    let mut reader = Reader::new(record);
    let mut steps = Vec::new();
    for _ in 0..reader.map()? {
        if reader.str()? == "steps" {
            for _ in 0..reader.array()? {
                steps.push(read_step(&mut reader)?);
            }
        } else {
            reader.skip()?;
        }
    }
    Ok(steps)
}

fn read_step<'a>(reader: &mut Reader<'a>) -> Result<RawStep<'a>> {
    let mut raw = RawStep::default();
    for _ in 0..reader.map()? {
        match reader.str()? {
            "error" => raw.error = reader.optional(Reader::str)?,
            "parameters" => raw.parameters = reader.optional(Reader::raw)?.unwrap_or_default(),
            "metadata" => raw.offered = reader.optional(read_offered)?.unwrap_or_default(),
            "state" => raw.state = reader.optional(Reader::raw)?.unwrap_or_default(),
            "output" => raw.output = reader.optional(Reader::raw)?.unwrap_or_default(),
            _ => reader.skip()?,
        }
    }
    Ok(raw)
}

/// The texts of the entry "actions" of a step's metadata, if it is a list of texts.
fn read_offered<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a str>> {
    let mut offered = Vec::new();
    for _ in 0..reader.map()? {
        let key = reader.str()?;
        let mut value = Reader::new(reader.raw()?);
        if key == "actions"
            && let Ok(count) = value.array()
        {
            offered = (0..count).map_while(|_| value.str().ok()).take(MOST_OFFERED).collect();
        }
    }
    Ok(offered)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A map with a step of every kind, as the house writes it.
    pub(crate) fn record() -> Vec<u8> {
        let mut out = Vec::new();
        let text = |out: &mut Vec<u8>, text: &str| rmp::encode::write_str(out, text).unwrap();
        rmp::encode::write_map_len(&mut out, 3).unwrap();
        text(&mut out, "task");
        text(&mut out, "cancel order 17");
        text(&mut out, "agent");
        text(&mut out, "a");
        text(&mut out, "steps");
        rmp::encode::write_array_len(&mut out, 2).unwrap();
        rmp::encode::write_map_len(&mut out, 4).unwrap();
        for (key, value) in [("tool", "find"), ("status", "ok"), ("output", "order 17")] {
            text(&mut out, key);
            text(&mut out, value);
        }
        text(&mut out, "parameters");
        rmp::encode::write_map_len(&mut out, 1).unwrap();
        text(&mut out, "id");
        rmp::encode::write_uint(&mut out, 17).unwrap();
        rmp::encode::write_map_len(&mut out, 3).unwrap();
        for (key, value) in [("tool", "cancel"), ("status", "error"), ("error", "order 17 is locked")] {
            text(&mut out, key);
            text(&mut out, value);
        }
        out
    }

    #[test]
    fn a_run_has_the_raw_values_of_each_step_beside_its_columns() {
        let run = Run::decode(&record()).unwrap();
        assert_eq!((run.task.as_str(), run.agent.as_deref(), run.base), ("cancel order 17", Some("a"), None));
        assert_eq!(run.steps.len(), 2);
        assert_eq!(Reader::new(&run.steps[0].output).str().unwrap(), "order 17");
        assert_eq!(Reader::new(&run.steps[0].parameters).map().unwrap(), 1);
        assert!(run.steps[1].parameters.is_empty() && run.steps[1].output.is_empty());
        assert_eq!((run.steps[0].ok, run.steps[1].ok), (1, 0));
        assert_eq!(
            run.steps[1].error_class.as_deref(),
            Some(&*tacit_kernels::error_class::error_class("order 17 is locked"))
        );
    }
}
