//! The circuit breaker, as Python sees it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyException, PyStopIteration, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use tacit_kernels::breaker::{BreakerLimits, CircuitBreaker, Permit, State, Window};

use crate::clock::Clock;
use crate::convert;
use crate::error::{UnavailableError, invalid};

/// Stops calls to a service that keeps failing, and finds out when it works again. One breaker serves threads and
/// asyncio alike: no lock is held while the guarded call runs, and a result that comes after its state is over
/// changes nothing.
///
/// Use it as `with breaker:`, `async with breaker:`, `breaker.call(function, ...)`, or by hand: `admit` gives a
/// token for `succeeded`, `failed` or `cancelled`. A rejected call raises UnavailableError with `retry_after_s`. An
/// exception that leaves the block counts as a success if it, or a base class, is named in `ignored`: the other
/// side did answer. A BaseException that is no `Exception`, like a cancelled task, counts as neither.
///
/// Example:
///     >>> from tacit import CircuitBreaker
///     >>> breaker = CircuitBreaker("payments", failures_to_open=1)
///     >>> with breaker:
///     ...     answer = "paid"
///     >>> breaker.failed(breaker.admit())
///     >>> breaker.state
///     'open'
#[pyclass(frozen, name = "CircuitBreaker", module = "tacit._native")]
pub(crate) struct PyCircuitBreaker {
    name: String,
    /// The message of the exception that a rejected caller gets.
    refusal: Py<PyString>,
    kernel: Mutex<CircuitBreaker>,
    clock: Clock,
    measures_latency: bool,
    ignored: Vec<String>,
    listeners: Mutex<Vec<Py<PyAny>>>,
    blocks: Blocks,
}

#[pymethods]
impl PyCircuitBreaker {
    #[new]
    #[pyo3(signature = (
        name = "breaker", *, failures_to_open = 5, window_calls = None, window_s = None, failure_rate = 0.5,
        slow_rate = None, slow_after_s = None, minimum_calls = 10, open_for_s = 30.0, growth = 2.0,
        longest_open_s = 300.0, jitter = 0.1, probes = 1, probes_to_close = 1, seed = None,
        ignored = Vec::new(), clock = None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        name: &str,
        failures_to_open: u32,
        window_calls: Option<u32>,
        window_s: Option<f64>,
        failure_rate: f64,
        slow_rate: Option<f64>,
        slow_after_s: Option<f64>,
        minimum_calls: u32,
        open_for_s: f64,
        growth: f64,
        longest_open_s: f64,
        jitter: f64,
        probes: u32,
        probes_to_close: u32,
        seed: Option<u64>,
        ignored: Vec<String>,
        clock: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let limits = BreakerLimits {
            failures_to_open,
            window: window(window_calls, window_s)?,
            failure_rate: share("failure_rate", failure_rate)?,
            slow_rate: slow_rate.map_or(Ok(f64::INFINITY), |rate| share("slow_rate", rate))?,
            slow_after: slow_after_s
                .map_or(Ok(Duration::MAX), |after| convert::seconds("slow_after_s", after))?,
            minimum_calls,
            open_for: convert::seconds("open_for_s", open_for_s)?,
            growth: convert::growth(growth)?,
            longest_open: convert::seconds("longest_open_s", longest_open_s)?,
            jitter: share("jitter", jitter)?,
            probes: at_least_one("probes", probes)?,
            probes_to_close: at_least_one("probes_to_close", probes_to_close)?,
            seed: seed.unwrap_or_else(convert::any_seed),
        };
        Ok(Self {
            name: name.to_owned(),
            refusal: PyString::new(py, &format!("{name} is open")).unbind(),
            kernel: Mutex::new(CircuitBreaker::new(limits)),
            clock: Clock::new(clock),
            measures_latency: limits.slow_after < Duration::MAX,
            ignored,
            listeners: Mutex::default(),
            blocks: Blocks::new(py, name)?,
        })
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Returns a token for the call that may go out now; raises UnavailableError if none may.
    fn admit(&self, py: Python<'_>) -> PyResult<u64> {
        let now = self.clock.now(py)?;
        match self.transact(py, |kernel| kernel.admit(now)) {
            Ok(permit) => Ok(permit.generation()),
            Err(wait) => Err(self.rejection(py, wait)),
        }
    }

    /// The admitted call ended well, after so long.
    #[pyo3(signature = (token, latency_s = 0.0, /))]
    fn succeeded(&self, py: Python<'_>, token: u64, latency_s: f64) -> PyResult<()> {
        let (now, latency) = (self.clock.now(py)?, convert::seconds("latency_s", latency_s)?);
        self.transact(py, |kernel| kernel.succeeded(Permit::from_generation(token), now, latency));
        Ok(())
    }

    /// The admitted call failed, after so long.
    #[pyo3(signature = (token, latency_s = 0.0, /))]
    fn failed(&self, py: Python<'_>, token: u64, latency_s: f64) -> PyResult<()> {
        let (now, latency) = (self.clock.now(py)?, convert::seconds("latency_s", latency_s)?);
        self.transact(py, |kernel| kernel.failed(Permit::from_generation(token), now, latency));
        Ok(())
    }

    /// The admitted call was given up: it says nothing about the other side.
    #[pyo3(signature = (token, /))]
    fn cancelled(&self, py: Python<'_>, token: u64) {
        self.transact(py, |kernel| kernel.cancelled(Permit::from_generation(token)));
    }

    /// Calls `function`, counts how it ends, and passes on its result or exception. A coroutine function needs
    /// `async with`.
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn call<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let token = self.admit(py)?;
        let begun = self.begin(py)?;
        let answer = function.call(args, kwargs).and_then(refuse_coroutine);
        self.settle(py, token, begun, answer.as_ref().err().map(|error| error.get_type(py)))?;
        answer
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().enter(slf.py())?;
        Ok(slf)
    }

    #[pyo3(signature = (kind, _error, _traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyType>>,
        _error: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.leave(py, kind)
    }

    fn __aenter__(slf: Bound<'_, Self>) -> PyResult<Ready> {
        slf.get().enter(slf.py())?;
        Ok(Ready(slf.into_any().unbind()))
    }

    #[pyo3(signature = (kind, _error, _traceback, /))]
    fn __aexit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyType>>,
        _error: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Ready> {
        self.leave(py, kind)?;
        Ok(Ready(py.None()))
    }

    /// closed, open, half_open, forced_open, disabled or metrics_only.
    #[getter]
    fn state(&self) -> &'static str {
        self.lock().state().name()
    }

    /// The seconds until a call may be admitted: 0 if one may be now. `None` means that the breaker was forced
    /// open.
    #[getter]
    fn retry_after_s(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let now = self.clock.now(py)?;
        Ok(known_seconds(self.lock().retry_after(now)))
    }

    /// Rejects every call until another state is set.
    fn force_open(&self, py: Python<'_>) {
        self.transact(py, CircuitBreaker::force_open);
    }

    /// Admits every call, however it ends, until another state is set.
    fn disable(&self, py: Python<'_>) {
        self.transact(py, CircuitBreaker::disable);
    }

    /// Admits every call and keeps its figures, until another state is set.
    fn only_measure(&self, py: Python<'_>) {
        self.transact(py, CircuitBreaker::only_measure);
    }

    /// Closes it, as if nothing had failed before.
    fn reset(&self, py: Python<'_>) {
        self.transact(py, CircuitBreaker::reset);
    }

    /// Calls `listener(old, new)` after each change of state, outside the lock; an exception it raises is reported
    /// as unraisable.
    #[pyo3(signature = (listener, /))]
    fn listen(&self, listener: Py<PyAny>) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// The figures since the breaker was made, and the calls in its window.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (state, metrics) = {
            let kernel = self.lock();
            (kernel.state(), kernel.metrics())
        };
        let figures = PyDict::new(py);
        figures.set_item("state", state.name())?;
        figures.set_item("admitted", metrics.admitted)?;
        figures.set_item("rejected", metrics.rejected)?;
        figures.set_item("succeeded", metrics.succeeded)?;
        figures.set_item("failed", metrics.failed)?;
        figures.set_item("slow", metrics.slow)?;
        figures.set_item("cancelled", metrics.cancelled)?;
        figures.set_item("late", metrics.late)?;
        figures.set_item("opened", metrics.opened)?;
        figures.set_item("consecutive_failures", metrics.consecutive_failures)?;
        figures.set_item("window_calls", metrics.recent.calls)?;
        figures.set_item("failure_rate", metrics.recent.failure_rate())?;
        figures.set_item("slow_rate", metrics.recent.slow_rate())?;
        Ok(figures)
    }

    fn __repr__(&self) -> String {
        format!("CircuitBreaker({:?}, state={:?})", self.name, self.state())
    }
}

impl PyCircuitBreaker {
    /// Held for the change of state only; nothing of Python's runs meanwhile.
    fn lock(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the kernel, then tells the listeners if it is in another state.
    #[inline]
    fn transact<R>(&self, py: Python<'_>, change: impl FnOnce(&mut CircuitBreaker) -> R) -> R {
        let mut kernel = self.lock();
        let old = kernel.state();
        let result = change(&mut kernel);
        let new = kernel.state();
        drop(kernel);
        if old != new {
            self.tell(py, old, new);
        }
        result
    }

    #[cold]
    fn tell(&self, py: Python<'_>, old: State, new: State) {
        let listeners: Vec<Py<PyAny>> = {
            let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            listeners.iter().map(|listener| listener.clone_ref(py)).collect()
        };
        for listener in listeners {
            if let Err(error) = listener.call1(py, (old.name(), new.name())) {
                error.write_unraisable(py, Some(listener.bind(py)));
            }
        }
    }

    fn rejection(&self, py: Python<'_>, wait: Duration) -> PyErr {
        UnavailableError::new_err((self.refusal.clone_ref(py), known_seconds(wait)))
    }

    fn enter(&self, py: Python<'_>) -> PyResult<()> {
        let (token, begun, outer) = (self.admit(py)?, self.begin(py)?, self.blocks.innermost(py)?);
        self.blocks.set(py, Some(Py::new(py, Block { token, begun, outer })?))
    }

    /// A block that is left in another context than it was entered in counts as cancelled: its token is not there.
    fn leave(&self, py: Python<'_>, raised: Option<Bound<'_, PyType>>) -> PyResult<()> {
        let Some(block) = self.blocks.innermost(py)? else {
            self.cancelled(py, u64::MAX);
            return Ok(());
        };
        let Block { token, begun, outer } = block.get();
        self.blocks.set(py, outer.as_ref().map(|outer| outer.clone_ref(py)))?;
        self.settle(py, *token, *begun, raised)
    }

    /// The time at which the call began, if latency is measured.
    fn begin(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.measures_latency.then(|| Ok(self.clock.seconds(self.clock.now(py)?))).transpose()
    }

    fn settle(
        &self,
        py: Python<'_>,
        token: u64,
        begun: Option<f64>,
        raised: Option<Bound<'_, PyType>>,
    ) -> PyResult<()> {
        let (now, permit) = (self.clock.now(py)?, Permit::from_generation(token));
        let elapsed = begun.map_or(0.0, |begun| self.clock.seconds(now) - begun);
        let latency = Duration::from_secs_f64(elapsed.max(0.0));
        let Some(kind) = raised else {
            self.transact(py, |kernel| kernel.succeeded(permit, now, latency));
            return Ok(());
        };
        if !kind.is_subclass_of::<PyException>()? {
            self.transact(py, |kernel| kernel.cancelled(permit));
        } else if self.ignores(&kind)? {
            self.transact(py, |kernel| kernel.succeeded(permit, now, latency));
        } else {
            self.transact(py, |kernel| kernel.failed(permit, now, latency));
        }
        Ok(())
    }

    /// Returns true if the class or one of its bases is named among the ignored, with or without its module.
    fn ignores(&self, kind: &Bound<'_, PyType>) -> PyResult<bool> {
        for class in kind.mro().iter().filter(|_| !self.ignored.is_empty()) {
            let class = class.cast_into::<PyType>()?;
            let (name, full) = (class.name()?.to_string(), class.fully_qualified_name()?.to_string());
            if self.ignored.iter().any(|ignored| *ignored == name || *ignored == full) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The awaitable of `__aenter__` and `__aexit__`: its result is there at once.
#[pyclass(frozen, module = "tacit._native")]
pub(crate) struct Ready(Py<PyAny>);

#[pymethods]
impl Ready {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<()> {
        Err(PyStopIteration::new_err(self.0.clone_ref(py)))
    }
}

/// A call that only makes a coroutine has not been made: its end would not be seen.
fn refuse_coroutine(answer: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let coroutine = COROUTINE.import(answer.py(), "types", "CoroutineType")?;
    if !answer.is_exact_instance(coroutine) {
        return Ok(answer);
    }
    answer.call_method0(intern!(answer.py(), "close"))?;
    Err(PyTypeError::new_err("a coroutine function is guarded by 'async with', not by call()"))
}

/// A guarded block that a thread or task is in.
#[pyclass(frozen, module = "tacit._native")]
struct Block {
    token: u64,
    begun: Option<f64>,
    outer: Option<Py<Block>>,
}

/// The innermost block of each thread and task: `get` and `set` of a context variable.
struct Blocks {
    get: Py<PyAny>,
    set: Py<PyAny>,
}

impl Blocks {
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        let default = PyDict::new(py);
        default.set_item("default", py.None())?;
        let variable = py.import("contextvars")?.getattr("ContextVar")?.call((name,), Some(&default))?;
        Ok(Self { get: variable.getattr("get")?.unbind(), set: variable.getattr("set")?.unbind() })
    }

    fn innermost(&self, py: Python<'_>) -> PyResult<Option<Py<Block>>> {
        Ok(self.get.call0(py)?.extract(py)?)
    }

    fn set(&self, py: Python<'_>, block: Option<Py<Block>>) -> PyResult<()> {
        self.set.call1(py, (block,)).map(drop)
    }
}

/// Each call in the window takes 12 bytes.
const MOST_WINDOW_CALLS: u32 = 1_000_000;

fn window(calls: Option<u32>, seconds: Option<f64>) -> PyResult<Window> {
    match (calls, seconds) {
        (None, None) => Ok(Window::Off),
        (Some(calls), None) => match calls {
            1..=MOST_WINDOW_CALLS => Ok(Window::Calls(calls)),
            _ => Err(invalid("window_calls", "must be within 1 and 1,000,000", calls)),
        },
        (None, Some(seconds)) => convert::seconds("window_s", seconds).map(Window::Time),
        (Some(_), Some(_)) => Err(invalid("window_calls", "must not be given beside window_s", "both")),
    }
}

fn share(field: &str, share: f64) -> PyResult<f64> {
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(invalid(field, "must lie between 0 and 1", share))
    }
}

fn at_least_one(field: &str, count: u32) -> PyResult<u32> {
    if count > 0 { Ok(count) } else { Err(invalid(field, "must be at least 1", count)) }
}

/// Seconds as Python counts them; `None` for a wait without an end.
fn known_seconds(wait: Duration) -> Option<f64> {
    (wait < Duration::MAX).then_some(wait.as_secs_f64())
}
