"""Fits the models of advice: on a thread of their own, on the thread of the caller, or in `maintain` alone."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .. import _native
from ..errors import is_failure
from ..storage import Store

MODELS_PENDING = "models_pending"
"""The code in `degraded` of an answer whose models are missing or stale: counts or the last models made it."""
MODELS_FAILED = "models_failed"
"""Stands beside it if the last fit raised: `Memory.stats()["advice"]` says what."""

Part: TypeAlias = Literal["steps", "ranking", "outcomes", "fixes"]
Task: TypeAlias = tuple[str, Part]
"""A namespace, and the part of its models."""

_PAGE = 32
"""Episodes that are read at once: who asks meanwhile waits for no more."""
_DEADLINE_S = 30.0
_MOST_PATIENCE = 16


@dataclass(frozen=True, slots=True)
class _Failure:
    """A fit that raised; it is tried again after as many changes as it failed times, doubled."""

    error: str
    sequence: int
    times: int

    def is_over(self, sequence: int) -> bool:
        return sequence - self.sequence >= 1 << min(self.times, _MOST_PATIENCE)


class Trainer:
    """Fits what is due, one part at a time. Its thread lives as long as there is something to fit.

    Models and store are read and changed under a lock that is never held for a fit: a fork waits for it, so that
    no lock of theirs is held in the child.
    """

    def __init__(self, store: Store, models: _native.Advisor, training: str) -> None:
        self._store = store
        self._models = models
        self._training = training
        self._fits = 0
        self._failures: dict[Task, _Failure] = {}
        self._is_closed = False
        self._start_anew()
        _LIVING.add(self)

    def _start_anew(self) -> None:
        self._exchange = threading.RLock()
        self._fitting = threading.RLock()
        self._state = threading.Condition(threading.RLock())
        self._queue: dict[Task, None] = {}
        self._running: _native.Fit | None = None
        self._thread: threading.Thread | None = None

    def pending(self, namespace: str, wanted: Iterable[Part]) -> tuple[str, ...]:
        """Has the wanted parts fitted if they are due; the codes of what an answer is made without now."""
        known = self._models.due_parts(namespace)
        due: list[Part] = [part for part in wanted if part in known]
        if due and self._training == "caller":
            for part in due:
                self._fit(namespace, part)
            return ()
        if due and self._training == "background":
            self._put(namespace, due)
        if not due:
            return ()
        has_failed = any((namespace, part) in self._failures for part in due)
        return (MODELS_PENDING, MODELS_FAILED) if has_failed else (MODELS_PENDING,)

    def fit_all(self, namespace: str) -> None:
        """Fits every part that is due, on this thread. A failure is kept for `stats`."""
        for part in self._models.due_parts(namespace):
            self._try(namespace, part)

    def stats(self) -> dict[str, Any]:
        """The `training` setting, the number of fits, how many wait, and the parts whose last fit raised."""
        with self._state:
            waiting = len(self._queue) + (self._thread is not None)
            failures = {
                f"{namespace}/{part}": each.error for (namespace, part), each in self._failures.items()
            }
            return {"training": self._training, "fits": self._fits, "waiting": waiting, "failures": failures}

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until nothing is left to fit; returns False if the time was over first."""
        with self._state:
            return self._state.wait_for(lambda: self._thread is None, timeout_s)

    def close(self) -> None:
        """Ends the fit that runs, and waits for the thread; nothing is fitted any more."""
        with self._state:
            self._is_closed = True
            self._queue.clear()
            running, thread = self._running, self._thread
        if running is not None:
            running.halt()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_DEADLINE_S)

    # --- the thread ---

    def _put(self, namespace: str, due: Sequence[Part]) -> None:
        sequence = self._models.sequence
        with self._state:
            if self._is_closed:
                return
            for part in due:
                failure = self._failures.get((namespace, part))
                if failure is None or failure.is_over(sequence):
                    self._queue[namespace, part] = None
            if self._queue and self._thread is None:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="tacit-training", daemon=True)
        self._thread = thread  # before it starts: a signal handler may ask meanwhile
        try:
            thread.start()
        except (
            RuntimeError
        ):  # the interpreter ends, or the system has no thread left: the next question tries again
            self._thread = None

    def _work(self) -> None:
        while (task := self._next()) is not None:
            self._try(*task)

    def _next(self) -> Task | None:
        with self._state:
            if self._queue:
                task = next(iter(self._queue))
                del self._queue[task]
                return task
            self._thread = None
            self._state.notify_all()
            return None

    # --- one fit ---

    def _try(self, namespace: str, part: Part) -> None:
        try:
            self._fit(namespace, part)
        except BaseException as error:
            if not is_failure(error):
                raise
            with self._state:
                if self._is_closed:
                    return
                times = 1 + (before.times if (before := self._failures.get((namespace, part))) else 0)
                text = f"{type(error).__name__}: {error}"
                self._failures[namespace, part] = _Failure(text, self._models.sequence, times)

    def _fit(self, namespace: str, part: Part) -> None:
        """Fits a part unless it is current by now."""
        with self._fitting:
            fit = self._fit_of(namespace, part)
            if fit is None or not self._begin(fit):
                return
            try:
                is_fitted = fit.run()
            finally:
                self._running = None
            if is_fitted:
                with self._exchange:
                    self._fits += self._models.install(fit)
        with self._state:
            self._failures.pop((namespace, part), None)

    def _fit_of(self, namespace: str, part: Part) -> _native.Fit | None:
        """A fit that has all it learns from; `None` if the part is current, or this trainer closed."""
        with self._exchange:
            fit = self._models.fit_due(namespace, part)
        if fit is None:
            return None
        wanted = fit.wanted()
        for at in range(0, len(wanted), _PAGE):
            if self._is_closed:
                return None
            with self._exchange:
                page = self._store.get_many("episode", wanted[at : at + _PAGE])
            fit.read([payload for payload in page if payload is not None])
        return fit

    def _begin(self, fit: _native.Fit) -> bool:
        with self._state:
            self._running = None if self._is_closed else fit
            return not self._is_closed

    # --- a fork ---

    def _hold(self) -> None:
        self._exchange.acquire()
        self._state.acquire()

    def _release(self) -> None:
        self._state.release()
        self._exchange.release()


_LIVING: weakref.WeakSet[Trainer] = weakref.WeakSet()
_HELD: list[Trainer] = []


@atexit.register
def _close_all() -> None:
    """A thread that is stopped by force may be within Rust."""
    for trainer in list(_LIVING):
        trainer.close()


def _before_fork() -> None:
    for trainer in list(_LIVING):
        trainer._hold()
        _HELD.append(trainer)


def _after_fork(then: Callable[[Trainer], None]) -> None:
    while _HELD:
        then(_HELD.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(Trainer._release),
        after_in_child=lambda: _after_fork(Trainer._start_anew),
    )
