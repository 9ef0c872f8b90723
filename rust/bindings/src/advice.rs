//! The advice models as a Python class, and the rows of their answers.

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;
use tacit_advice::{
    Advisor, ArgumentCandidate, DueFit, Expected, FilledArgument, Fitted, Fix, Halt, Part, Plan, PlanDecay,
    Prediction, RankedAction, Run, SuggestedStep, prepare,
};
use tacit_kernels::index::Change;

use crate::error::invalid;
use crate::index::{PyChange, decay_of, last_of, native_change, strs, unreadable};
use crate::store::PyChanges;

/// The models behind suggestions, fixes, predictions and playbooks: it follows a store's changes.
#[pyclass(frozen, name = "Advisor", module = "tacit._native")]
pub(crate) struct PyAdvisor(RwLock<Advisor>);

#[pymethods]
impl PyAdvisor {
    #[new]
    fn new() -> Self {
        Self(RwLock::default())
    }

    /// The number of the last change that was applied.
    #[getter]
    fn sequence(&self, py: Python<'_>) -> i64 {
        py.detach(|| self.read().sequence())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.read().len())
    }

    /// Applies the store's changes, all or none, and returns the number of the last one applied.
    /// Raises CorruptRecordError with the id of an episode that cannot be read.
    fn apply(&self, py: Python<'_>, changes: &Bound<'_, PyAny>) -> PyResult<i64> {
        if let Ok(native) = changes.cast::<PyChanges>() {
            let (rows, last) = (native.get().rows(), native.get().last());
            return py.detach(|| self.follow(rows.iter().filter_map(native_change), last));
        }
        let rows: Vec<PyChange> = changes.try_iter()?.map(|row| row?.extract()).collect::<PyResult<_>>()?;
        let last = last_of(changes, &rows)?;
        py.detach(|| self.follow(rows.iter().filter_map(PyChange::change), last))
    }

    /// Returns an empty advisor, to be filled while this one answers.
    fn empty(&self) -> Self {
        Self::new()
    }

    /// Exchanges the contents of two advisors.
    fn swap(&self, py: Python<'_>, other: &Self) {
        if !std::ptr::eq(self, other) {
            py.detach(|| std::mem::swap(&mut *self.write(), &mut *other.write()));
        }
    }

    /// The parts of a namespace's models that are to be fitted now, of "steps", "ranking", "outcomes" and "fixes".
    fn due_parts(&self, py: Python<'_>, namespace: &str) -> Vec<&'static str> {
        py.detach(|| {
            let advisor = self.read();
            let due = Part::ALL.into_iter().filter(|part| advisor.is_due(namespace, *part));
            due.map(Part::name).collect()
        })
    }

    /// Returns True if the nearest situations may propose actions: recorded actions are texts.
    fn proposes(&self, py: Python<'_>, namespace: &str) -> bool {
        py.detach(|| self.read().proposes(namespace))
    }

    /// The ids of the episodes that "steps" is fitted on now, oldest first; None as long as that part is current.
    fn due<'py>(&self, py: Python<'py>, namespace: &str) -> Option<Vec<Bound<'py, PyBytes>>> {
        let due = py.detach(|| self.read().due(namespace))?;
        Some(due.iter().map(|id| PyBytes::new(py, id)).collect())
    }

    /// Fits "steps" on the payloads of episodes, held or not, and puts it in place. The same payloads in the same order
    /// give the same answers. Questions are answered meanwhile.
    fn fit(&self, py: Python<'_>, namespace: &str, payloads: Vec<PyBackedBytes>) -> PyResult<()> {
        py.detach(|| {
            let fitted = DueFit::of_runs(read_runs(&payloads)?).fit(&Halt::default());
            let replaced = fitted.map(|fitted| self.write().install(namespace, fitted));
            drop(replaced); // once the models can be asked again
            Ok(())
        })
    }

    /// A fit of one part on a copy of the episodes that are held; None as long as that part is current.
    fn fit_due(&self, py: Python<'_>, namespace: &str, part: &str) -> PyResult<Option<PyFit>> {
        let part = Part::ALL.into_iter().find(|each| each.name() == part).ok_or_else(|| {
            invalid("part", "must be steps, ranking, outcomes or fixes", format!("{part:?}"))
        })?;
        let due = py.detach(|| self.read().due_fit(namespace, part));
        Ok(due.map(|due| PyFit::new(namespace, due)))
    }

    /// Puts a part that was fitted in the place of the one before; returns False if there is none, or if an episode that
    /// it learned from was forgotten meanwhile.
    fn install(&self, py: Python<'_>, fit: &PyFit) -> bool {
        py.detach(|| {
            let Some(fitted) = fit.fitted.lock().unwrap_or_else(PoisonError::into_inner).take() else {
                return false;
            };
            let replaced = self.write().install(&fit.namespace, fitted);
            !replaced.was_refused
        })
    }

    /// The next steps after those of an open episode, the likeliest first; empty before the first success.
    /// `record` is the open episode's.
    fn suggest(&self, py: Python<'_>, record: &[u8], limit: usize) -> PyResult<Vec<PySuggestedRow>> {
        py.detach(|| {
            let run = read_run("record", record)?;
            Ok(self.read().suggest(&run, limit).into_iter().map(PySuggestedRow).collect())
        })
    }

    /// Fixes for an error, the likeliest to work first. The open episode's steps end with the one that failed, or with
    /// the one before it; steps and agent may be missing.
    fn recover(
        &self,
        py: Python<'_>,
        record: &[u8],
        tool: Option<&str>,
        error_class: &str,
        limit: usize,
    ) -> PyResult<Vec<PyFixRow>> {
        py.detach(|| {
            let run = read_run("record", record)?;
            Ok(self.read().recover(&run, tool, error_class, limit).into_iter().map(PyFixRow).collect())
        })
    }

    /// How an attempt at the task of an open episode will go.
    fn predict(&self, py: Python<'_>, record: &[u8]) -> PyResult<PyPredictionRow> {
        py.detach(|| {
            let run = read_run("record", record)?;
            Ok(PyPredictionRow(self.read().predict(&run)))
        })
    }

    /// One plan for the task of an open episode, naming at most `limit` of the episodes that it was merged from.
    ///
    /// With a half-life in seconds old successes weigh less, `now` being microseconds since 1970.
    #[pyo3(signature = (record, limit, *, now = 0, half_life_s = None))]
    fn plan(
        &self,
        py: Python<'_>,
        record: &[u8],
        limit: usize,
        now: i64,
        half_life_s: Option<f64>,
    ) -> PyResult<PyPlanRow> {
        let fading = decay_of(now, half_life_s)?.map(|decay| PlanDecay { now, half_life: decay.half_life });
        py.detach(|| {
            let run = read_run("record", record)?;
            Ok(PyPlanRow(self.read().plan(&run, limit, fading)))
        })
    }

    /// The arguments of a call to each of several tools after the steps of an open episode: the name, the
    /// value as msgpack or None for one left open, and the source of the value.
    fn arguments<'py>(
        &self,
        py: Python<'py>,
        record: &[u8],
        tools: Vec<PyBackedStr>,
    ) -> PyResult<Vec<Vec<PyFilledArgument<'py>>>> {
        let filled = py.detach(|| {
            let run = read_run("record", record)?;
            Ok::<_, PyErr>(self.read().arguments(&run, &strs(&tools)))
        })?;
        Ok(filled_rows(py, filled))
    }

    /// The arguments of the steps of a plan, in the form of `arguments`. A step may use the arguments that steps
    /// before it are given; one that is left open names the result of a planned step that it waits for.
    fn plan_arguments<'py>(
        &self,
        py: Python<'py>,
        record: &[u8],
        tools: Vec<PyBackedStr>,
    ) -> PyResult<Vec<Vec<PyFilledArgument<'py>>>> {
        let filled = py.detach(|| {
            let run = read_run("record", record)?;
            Ok::<_, PyErr>(self.read().plan_arguments(&run, &strs(&tools)))
        })?;
        Ok(filled_rows(py, filled))
    }

    /// Text actions that the nearest recorded situations propose after the steps of an open episode, each with its row,
    /// the best first.
    fn propose(
        &self,
        py: Python<'_>,
        record: &[u8],
        state: Option<&[u8]>,
        limit: usize,
    ) -> PyResult<Vec<(String, PyRankedActionRow)>> {
        py.detach(|| {
            let run = read_run("record", record)?;
            let proposed = self.read().propose(&run, state.unwrap_or_default(), limit);
            Ok(proposed.into_iter().map(|(text, row)| (text, PyRankedActionRow(row))).collect())
        })
    }

    /// The given actions after the steps of an open episode, the best first. An action is a text or a tool, and its
    /// parameters as msgpack or None; `state` is what the agent sees now, as msgpack or None.
    fn choose(
        &self,
        py: Python<'_>,
        record: &[u8],
        state: Option<&[u8]>,
        actions: Vec<(PyBackedStr, Option<PyBackedBytes>)>,
        limit: usize,
    ) -> PyResult<Vec<PyRankedActionRow>> {
        py.detach(|| {
            let run = read_run("record", record)?;
            let actions: Vec<(&str, &[u8])> = actions
                .iter()
                .map(|(tool, parameters)| (&**tool, parameters.as_deref().unwrap_or_default()))
                .collect();
            let ranked = self.read().choose(&run, state.unwrap_or_default(), &actions, limit);
            Ok(ranked.into_iter().map(PyRankedActionRow).collect())
        })
    }

    /// How large the models are.
    fn stats(&self, py: Python<'_>) -> std::collections::BTreeMap<&'static str, usize> {
        let (episodes, bytes) = py.detach(|| (self.read().len(), self.read().bytes()));
        [("episodes", episodes), ("bytes", bytes)].into()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("Advisor(episodes={})", self.__len__(py))
    }
}

impl PyAdvisor {
    /// A panic while writing leaves nothing half done that a reader could trip over.
    fn read(&self) -> RwLockReadGuard<'_, Advisor> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Advisor> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Episodes are read before the models are locked: questions are answered meanwhile.
    fn follow<'a>(&self, changes: impl Iterator<Item = Change<'a>>, sequence: i64) -> PyResult<i64> {
        let prepared = prepare(changes).map_err(unreadable)?;
        let mut advisor = self.write();
        advisor.apply(prepared, sequence);
        Ok(advisor.sequence())
    }
}

/// A part of the models on its way: what it is fitted on, then what was learned.
#[pyclass(frozen, name = "Fit", module = "tacit._native")]
pub(crate) struct PyFit {
    namespace: String,
    due: Mutex<Option<DueFit>>,
    fitted: Mutex<Option<Fitted>>,
    halt: Halt,
}

impl PyFit {
    fn new(namespace: &str, due: DueFit) -> Self {
        let (due, fitted) = (Mutex::new(Some(due)), Mutex::default());
        Self { namespace: namespace.to_owned(), due, fitted, halt: Halt::default() }
    }
}

#[pymethods]
impl PyFit {
    /// The ids of the episodes that `read` takes before `run`, oldest first.
    fn wanted<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = due.as_ref().map_or(&[][..], DueFit::wanted);
        wanted.iter().map(|id| PyBytes::new(py, id)).collect()
    }

    /// Takes the payloads of wanted episodes, in their order; those that are gone may be missing.
    fn read(&self, py: Python<'_>, payloads: Vec<PyBackedBytes>) -> PyResult<()> {
        py.detach(|| {
            let runs = read_runs(&payloads)?;
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(due) = due.as_mut() {
                due.read(runs);
            }
            Ok(())
        })
    }

    /// Fits, without a lock on the models: they answer questions meanwhile. Returns False if there is nothing to learn
    /// from, or if `halt` ended it early. A second call does nothing.
    fn run(&self, py: Python<'_>) -> bool {
        py.detach(|| {
            let due = self.due.lock().unwrap_or_else(PoisonError::into_inner).take();
            let fitted = due.and_then(|due| due.fit(&self.halt));
            let is_fitted = fitted.is_some();
            *self.fitted.lock().unwrap_or_else(PoisonError::into_inner) = fitted;
            is_fitted
        })
    }

    /// Has a `run`, of another thread too, end within some tenths of a second.
    fn halt(&self) {
        self.halt.raise();
    }
}

/// A candidate's value as msgpack, its probability and its source.
type PyArgumentCandidate<'py> = (Bound<'py, PyBytes>, f32, String);
type PyFilledArgument<'py> =
    (String, Option<Bound<'py, PyBytes>>, Option<String>, Vec<PyArgumentCandidate<'py>>);

fn filled_rows<'py>(py: Python<'py>, rows: Vec<Vec<FilledArgument>>) -> Vec<Vec<PyFilledArgument<'py>>> {
    let candidate = |each: ArgumentCandidate| (PyBytes::new(py, &each.value), each.probability, each.source);
    let row = |each: FilledArgument| {
        let candidates = each.candidates.into_iter().map(candidate).collect();
        (each.name, each.value.map(|value| PyBytes::new(py, &value)), each.source, candidates)
    };
    rows.into_iter().map(|filled| filled.into_iter().map(row).collect()).collect()
}

fn read_runs(payloads: &[PyBackedBytes]) -> PyResult<Vec<Run>> {
    payloads.iter().map(|payload| read_run("payloads", payload)).collect()
}

fn read_run(field: &str, record: &[u8]) -> PyResult<Run> {
    Run::decode(record).map_err(|error| invalid(field, "must be an episode", error))
}

/// One step that may come next.
#[pyclass(frozen, name = "SuggestedRow", module = "tacit._native")]
pub(crate) struct PySuggestedRow(SuggestedStep);

#[pymethods]
impl PySuggestedRow {
    /// None: the episode may end.
    #[getter]
    fn tool(&self) -> Option<&str> {
        self.0.tool.as_deref()
    }

    #[getter]
    fn probability(&self) -> f64 {
        self.0.probability
    }

    #[getter]
    fn support(&self) -> f64 {
        self.0.support
    }

    /// (signal, value, weight): values times weights sum to the probability.
    #[getter]
    fn reasons(&self) -> Vec<(&'static str, f64, f64)> {
        self.0.reasons.iter().map(|term| (term.signal, term.value, term.weight)).collect()
    }

    #[getter]
    fn episodes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.episodes.iter().map(|id| PyBytes::new(py, id)).collect()
    }

    fn __repr__(&self) -> String {
        format!("SuggestedRow({:?}, {:.3})", self.0.tool, self.0.probability)
    }
}

/// One of the actions that were given.
#[pyclass(frozen, name = "RankedActionRow", module = "tacit._native")]
pub(crate) struct PyRankedActionRow(RankedAction);

#[pymethods]
impl PyRankedActionRow {
    /// Its place among the given actions.
    #[getter]
    fn given(&self) -> usize {
        self.0.given
    }

    #[getter]
    fn probability(&self) -> f64 {
        self.0.probability
    }

    /// (signal, value, weight): values times weights sum to the probability.
    #[getter]
    fn reasons(&self) -> Vec<(&'static str, f64, f64)> {
        self.0.reasons.iter().map(|term| (term.signal, term.value, term.weight)).collect()
    }

    /// The episodes in whose nearest situations it was taken.
    #[getter]
    fn episodes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.episodes.iter().map(|id| PyBytes::new(py, id)).collect()
    }

    fn __repr__(&self) -> String {
        format!("RankedActionRow({}, {:.3})", self.0.given, self.0.probability)
    }
}

/// One fix for an error.
#[pyclass(frozen, name = "FixRow", module = "tacit._native")]
pub(crate) struct PyFixRow(Fix);

#[pymethods]
impl PyFixRow {
    /// None: the episode may end.
    #[getter]
    fn tool(&self) -> Option<&str> {
        self.0.tool.as_deref()
    }

    #[getter]
    fn probability(&self) -> f64 {
        self.0.probability
    }

    #[getter]
    fn support(&self) -> f64 {
        self.0.support
    }

    #[getter]
    fn episodes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.episodes.iter().map(|id| PyBytes::new(py, id)).collect()
    }

    fn __repr__(&self) -> String {
        format!("FixRow({:?}, {:.3})", self.0.tool, self.0.probability)
    }
}

/// A number and the bounds that hold it with 95% probability.
type PyExpected = (f64, f64, f64);

fn bounds(Expected { value, low, high }: Expected) -> PyExpected {
    (value, low, high)
}

/// How an attempt will go.
#[pyclass(frozen, name = "PredictionRow", module = "tacit._native")]
pub(crate) struct PyPredictionRow(Prediction);

#[pymethods]
impl PyPredictionRow {
    /// The probability of success, and its bounds.
    #[getter]
    fn success(&self) -> PyExpected {
        bounds(self.0.success)
    }

    #[getter]
    fn base_rate(&self) -> f64 {
        self.0.base_rate
    }

    /// The steps of a success, and their bounds; None before the first success.
    #[getter]
    fn steps(&self) -> Option<PyExpected> {
        self.0.steps.map(bounds)
    }

    /// `None` means that no reward is known.
    #[getter]
    fn reward(&self) -> Option<f64> {
        self.0.reward
    }

    /// How many episodes are comparable.
    #[getter]
    fn support(&self) -> f64 {
        self.0.support
    }

    /// (signal, value, weight): values times weights sum to the probability of success.
    #[getter]
    fn reasons(&self) -> Vec<(&'static str, f64, f64)> {
        self.0.reasons.iter().map(|reason| (reason.signal, reason.value, reason.weight)).collect()
    }

    fn __repr__(&self) -> String {
        format!("PredictionRow({:.3}, support={:.1})", self.0.success.value, self.0.support)
    }
}

/// One merged plan.
#[pyclass(frozen, name = "PlanRow", module = "tacit._native")]
pub(crate) struct PyPlanRow(Plan);

#[pymethods]
impl PyPlanRow {
    /// (tool, share): the weighted share of the merged successes that take this step here.
    #[getter]
    fn steps(&self) -> Vec<(&str, f64)> {
        self.0.steps.iter().map(|step| (step.tool.as_str(), step.share)).collect()
    }

    /// Of each merged task the success that is nearest to the plan; the nearest task's first.
    #[getter]
    fn episodes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.episodes.iter().map(|id| PyBytes::new(py, id)).collect()
    }

    fn __repr__(&self) -> String {
        format!("PlanRow(steps={})", self.0.steps.len())
    }
}
