//! The record of an episode while it grows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyEllipsis, PyString};
use tacit_kernels::episode::{self, EpisodeLimits, Full, Unfit};

use crate::error::{invalid, too_large};
use crate::json;

/// An open episode: validates each step and appends it to the record that will be stored.
#[pyclass(frozen, name = "RecordBuilder", module = "tacit._native")]
pub struct PyRecordBuilder {
    episode: Mutex<episode::RecordBuilder>,
    observation_limit: usize,
}

/// The arguments of `log`, opened.
struct StepFields<'a, 'py> {
    at: i64,
    tool: &'a Bound<'py, PyString>,
    action: Option<&'a Bound<'py, PyString>>,
    parameters: Option<&'a Bound<'py, PyAny>>,
    output: &'a Bound<'py, PyAny>,
    error: Option<&'a Bound<'py, PyString>>,
    timed_out: bool,
    latency_ms: Option<f64>,
    tokens: Option<u64>,
    metadata: Option<&'a Bound<'py, PyDict>>,
    state: Option<&'a Bound<'py, PyAny>>,
    altered: Option<&'a Bound<'py, PyAny>>,
    call_id: Option<&'a Bound<'py, PyString>>,
    batch: Option<u32>,
}

#[pymethods]
impl PyRecordBuilder {
    /// `head` holds the fields that are known at the start.
    #[new]
    #[pyo3(signature = (head, *, max_steps, max_bytes, max_observation))]
    fn new(
        head: &Bound<'_, PyDict>,
        max_steps: usize,
        max_bytes: usize,
        max_observation: usize,
    ) -> PyResult<Self> {
        let (fields, count) = json::encode_fields(head, "episode")?;
        if fields.len() > max_bytes {
            return Err(too_large("episode", &format!("at most {max_bytes} bytes"), fields.len()));
        }
        let limits = EpisodeLimits { steps: max_steps, bytes: max_bytes };
        let episode = Mutex::new(episode::RecordBuilder::new(fields, count, limits));
        Ok(Self { episode, observation_limit: max_observation })
    }

    /// Appends a step and returns its number, counted from 1. Nothing changes if it raises.
    #[pyo3(signature = (at, tool, action=None, parameters=None, output=None, error=None, timed_out=false, latency_ms=None, tokens=None, metadata=None, truncate=false, state=None, altered=None, call_id=None, batch=None))]
    #[allow(clippy::too_many_arguments, reason = "a step's fields, passed without a dict in between")]
    fn log(
        &self,
        py: Python<'_>,
        at: i64,
        tool: &Bound<'_, PyString>,
        action: Option<&Bound<'_, PyString>>,
        parameters: Option<&Bound<'_, PyAny>>,
        output: Option<&Bound<'_, PyAny>>,
        error: Option<&Bound<'_, PyString>>,
        timed_out: bool,
        latency_ms: Option<f64>,
        tokens: Option<u64>,
        metadata: Option<&Bound<'_, PyDict>>,
        truncate: bool,
        state: Option<&Bound<'_, PyAny>>,
        altered: Option<&Bound<'_, PyAny>>,
        call_id: Option<&Bound<'_, PyString>>,
        batch: Option<u32>,
    ) -> PyResult<u32> {
        let none = py.None().into_bound(py);
        let output = output.unwrap_or(&none);
        let fields = StepFields {
            at,
            tool,
            action,
            parameters,
            output,
            error,
            timed_out,
            latency_ms,
            tokens,
            metadata,
            state,
            altered,
            call_id,
            batch,
        };
        // The lock is not held while values are read: naming a wrong one may run Python code.
        loop {
            let number = self.lock().next_number();
            let step = self.encode_step(number, &fields, truncate)?;
            let mut episode = self.lock();
            if episode.next_number() == number {
                return episode.push(&step).map_err(refused);
            }
        }
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    /// Appends the steps of another record, with the numbers that follow; returns the number of the last step.
    fn push_steps(&self, record: &[u8]) -> PyResult<u32> {
        self.lock().push_steps(record).map_err(|unfit| match unfit {
            Unfit::Full(full) => refused(full),
            Unfit::Malformed(error) => invalid("record", "must be a record with steps", error),
        })
    }

    /// A record of the steps after the first `before` alone.
    fn steps_after<'py>(&self, py: Python<'py>, before: usize) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.lock().steps_after(before))
    }

    /// The record with the fields of `ending` behind the steps.
    fn record<'py>(&self, py: Python<'py>, ending: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyBytes>> {
        let (fields, count) = json::encode_fields(ending, "outcome")?;
        let record = self.lock().record(&fields, count);
        Ok(PyBytes::new(py, &record))
    }
}

impl PyRecordBuilder {
    fn lock(&self) -> MutexGuard<'_, episode::RecordBuilder> {
        self.episode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encode_step(&self, number: u32, step: &StepFields<'_, '_>, truncate: bool) -> PyResult<Vec<u8>> {
        let mut map = MapWriter::new();
        map.key("number").int(i64::from(number));
        map.key("at").int(step.at);
        map.text("tool", step.tool, 256)?;
        if let Some(action) = step.action {
            map.text("action", action, self.observation_limit)?;
        }
        if let Some(parameters) = step.parameters {
            map.json("parameters", parameters)?;
        }
        if let Some(status) = status(step) {
            map.key("status").str(status);
        }
        if let Some(error) = step.error {
            self.observation(&mut map, "error", error.as_any(), truncate)?;
        }
        if !step.output.is_none() && !step.output.is_instance_of::<PyEllipsis>() {
            self.observation(&mut map, "output", step.output, truncate)?;
        }
        if let Some(latency_ms) = step.latency_ms {
            map.key("latency_ms").float(finite_latency(latency_ms)?);
        }
        if let Some(tokens) = step.tokens {
            map.key("tokens")
                .int(i64::try_from(tokens).map_err(|_| invalid("tokens", "below 2**63", tokens))?);
        }
        if let Some(metadata) = step.metadata {
            map.json("metadata", metadata.as_any())?;
        }
        if let Some(state) = step.state {
            self.observation(&mut map, "state", state, truncate)?;
        }
        if let Some(altered) = step.altered {
            map.json("altered", altered)?;
        }
        if let Some(call_id) = step.call_id {
            map.text("call_id", call_id, 256)?;
        }
        if let Some(batch) = step.batch {
            map.key("batch").int(i64::from(batch));
        }
        Ok(map.finish())
    }

    /// Writes an output or an error. A text is measured in characters, and cut if that was asked for; any other
    /// value is measured in the bytes of its encoding.
    fn observation(
        &self,
        map: &mut MapWriter,
        field: &'static str,
        value: &Bound<'_, PyAny>,
        truncate: bool,
    ) -> PyResult<()> {
        let limit = self.observation_limit;
        if let (true, Ok(text)) = (truncate, value.cast::<PyString>()) {
            let text =
                text.to_str().map_err(|_| invalid(field, "must be valid Unicode", "a lone surrogate"))?;
            let end = text.char_indices().nth(limit).map_or(text.len(), |(end, _)| end);
            map.key(field).str(&text[..end]);
            return Ok(());
        }
        if let Ok(text) = value.cast::<PyString>() {
            return map.text(field, text, limit);
        }
        let bytes = map.json(field, value)?;
        if bytes > limit {
            return Err(too_large(field, &format!("at most {limit} bytes"), bytes));
        }
        Ok(())
    }
}

fn status(step: &StepFields<'_, '_>) -> Option<&'static str> {
    if step.timed_out {
        Some("timeout")
    } else if step.error.is_some() {
        Some("error")
    } else if step.output.is_instance_of::<PyEllipsis>() {
        None
    } else {
        Some("ok")
    }
}

fn finite_latency(latency_ms: f64) -> PyResult<f64> {
    if latency_ms.is_finite() && latency_ms >= 0.0 {
        Ok(latency_ms)
    } else {
        Err(invalid("latency_ms", "must be finite and not negative", latency_ms))
    }
}

fn refused(full: Full) -> PyErr {
    match full {
        Full::Steps { limit } => too_large("steps", &format!("at most {limit} steps an episode"), limit + 1),
        Full::Bytes { limit, size } => too_large("episode", &format!("at most {limit} bytes"), size),
    }
}

/// A msgpack map whose entries are counted as they are written. At most 15.
struct MapWriter {
    bytes: Vec<u8>,
}

impl MapWriter {
    fn new() -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(0x80);
        Self { bytes }
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.bytes[0] += 1;
        self.str(key)
    }

    fn str(&mut self, text: &str) -> &mut Self {
        json::put_str(text, &mut self.bytes);
        self
    }

    fn int(&mut self, number: i64) {
        json::put_int(number, &mut self.bytes);
    }

    fn float(&mut self, number: f64) {
        json::put_float(number, &mut self.bytes);
    }

    /// A text of 1 (a tool) or 0 (anything else) to `limit` characters.
    fn text(&mut self, field: &'static str, text: &Bound<'_, PyString>, limit: usize) -> PyResult<()> {
        let text = text.to_str().map_err(|_| invalid(field, "must be valid Unicode", "a lone surrogate"))?;
        if field == "tool" && text.is_empty() {
            return Err(invalid(field, "must not be empty", "''"));
        }
        if text.len() > limit {
            let characters = text.chars().count();
            if characters > limit {
                return Err(too_large(field, &format!("at most {limit} characters"), characters));
            }
        }
        self.key(field).str(text);
        Ok(())
    }

    /// Any JSON value; returns how many bytes it takes.
    fn json(&mut self, field: &'static str, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.key(field);
        let start = self.bytes.len();
        json::encode(value, false, &mut self.bytes).map_err(|error| error.of(field))?;
        Ok(self.bytes.len() - start)
    }

    fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A record with the entries of another msgpack map behind its own.
#[pyfunction]
pub(crate) fn extend_record<'py>(
    py: Python<'py>,
    record: &[u8],
    more: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    episode::extend(record, more)
        .map(|record| PyBytes::new(py, &record))
        .map_err(|error| invalid("record", "must be a record of an episode", error))
}

/// A JSON value as msgpack with sorted keys: equal values have equal bytes.
#[pyfunction]
pub(crate) fn encode_json<'py>(
    py: Python<'py>,
    value: &Bound<'py, PyAny>,
    field: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut bytes = Vec::with_capacity(128);
    json::encode(value, true, &mut bytes).map_err(|error| error.of(field))?;
    Ok(PyBytes::new(py, &bytes))
}

/// A new id: the 36 characters of a UUIDv7, later than every one this process made before.
#[pyfunction]
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
