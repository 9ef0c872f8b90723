"""Threads that learn from pending episodes in the background."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable
from random import Random

from ..errors import StorageError
from .conversion import error_text
from .queue import ExtractionQueue, QueueSignal

_GATHER_S = 0.05
"""The wait after an arrival that woke a worker: episodes that come shortly after it share its commits."""
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
"""The waits after a failure of the store: the first, doubled up to the longest."""
_EXIT_DEADLINE_S = 30.0


class ExtractionWorkers:
    """Daemon threads that serve one queue; they end with it. The store hands each episode to one of them."""

    def __init__(self, queue: ExtractionQueue, count: int) -> None:
        self._queue = queue
        self._count = count
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._seen = -1
        self._starting = threading.RLock()
        self.problem: str | None = None
        """The failure because of which a worker waits; `None` if the last try went well."""

    @property
    def is_stopping(self) -> bool:
        """Returns True once the threads are to end."""
        return self._queue.signal.is_closing

    def start(self) -> None:
        """Starts the threads unless they run."""
        with self._starting:
            if self._threads or self.is_stopping:
                return
            signal = self._queue.signal
            arguments = weakref.ref(self, lambda _: signal.wake()), signal
            self._threads = [
                threading.Thread(target=_serve, args=arguments, name="tacit-learning", daemon=True)
                for _ in range(self._count)
            ]
            _RUNNING.add(self)
            for thread in self._threads:
                thread.start()

    def is_idle(self) -> bool:
        """Returns True if every worker has looked since the last arrival, and none found anything to do."""
        return not self._threads or (not self._busy and self._seen == self._queue.signal.arrivals)

    def work(self) -> float | None:
        """Has this thread work once; returns the seconds until it should look again, `None` without a limit."""
        changed = self._queue.changed
        with changed:
            self._busy += 1
            arrivals = self._queue.signal.arrivals
        wait: float | None = 0.0
        try:
            wait, self.problem = self._queue.work(), None
        except BaseException as error:
            self._note(error)
            raise
        finally:
            with changed:
                self._busy -= 1
                if wait != 0.0:
                    self._seen = arrivals
                changed.notify_all()
        return wait

    def _note(self, error: BaseException) -> None:
        if not self.is_stopping and self.problem is None:
            logging.getLogger("tacit").warning("a worker cannot learn now and will try again: %s", error)
        self.problem = error_text(error)

    def follow(self, stop: threading.Event, interval_s: float) -> None:
        """Looks for episodes of other processes, about once in an interval, until `stop` is set.

        Only the number of the newest change is read, and the workers are woken if it moved. Raises `StorageError` if a
        retry cannot help.
        """
        random, seen = Random(), -1
        while not stop.is_set():
            try:
                newest = self._queue.sequence()
            except StorageError as error:
                if not error.retryable:
                    raise
                newest = seen
            if newest != seen:
                self._queue.signal.wake()
            seen = newest
            stop.wait(interval_s * random.uniform(0.8, 1.2))

    def finish(self, stop: threading.Event, interval_s: float) -> int:
        """Waits until the workers have nothing to do, or until `stop` is set; returns how many episodes still wait."""
        while True:
            waiting = self._queue.wait_for_none(self.is_idle, interval_s, for_due=False)
            with self._queue.changed:
                if not waiting or stop.is_set() or self.is_idle():
                    return waiting

    def stop(self, timeout: float = _EXIT_DEADLINE_S) -> None:
        """Lets each thread end after the episode it works on, and waits for them."""
        self._queue.signal.is_closing = True
        self._queue.signal.wake()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        _RUNNING.discard(self)


def _serve(served: Callable[[], ExtractionWorkers | None], signal: QueueSignal) -> None:
    """Works until the workers that are served end or stop; sleeps while there is nothing to do."""
    failures = 0
    while True:
        workers = served()
        if workers is None or signal.is_closing:
            return
        seen = signal.arrivals
        try:
            wait, failures = workers.work(), 0
        except (
            BaseException
        ):  # of the store, or an exit that a part raised: a thread that ends would serve nobody
            wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**failures)
            failures += 1
        del workers
        with signal.changed:
            signal.changed.wait_for(lambda: signal.arrivals != seen or signal.is_closing, wait)  # noqa: B023
            if wait != 0.0:
                signal.changed.wait_for(lambda: signal.is_hurried, _GATHER_S)


_RUNNING: weakref.WeakSet[ExtractionWorkers] = weakref.WeakSet()


@atexit.register
def _stop_workers() -> None:
    """Stops before the interpreter ends: a thread must not come back from native code after that."""
    for workers in list(_RUNNING):
        workers.stop()
