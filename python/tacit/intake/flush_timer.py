"""The timer of open episodes: it stores steps by their age, and renews leases."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

from ..errors import is_failure

TICKS = 0.2
"""The share of `flush_seconds` between two looks of the timer."""
_EXIT_DEADLINE_S = 30.0


class Ticking(Protocol):
    """The one whom the timer serves."""

    @property
    def is_closed(self) -> bool:
        """Returns True once the timer is to end."""
        ...

    def tick(self, now: float) -> None:
        """Does what is due at `now` seconds of a clock that never stands back."""
        ...


class FlushTimer:
    """A daemon thread that starts when it is needed first, and ends with the one that it serves."""

    def __init__(self, served: Ticking, flush_seconds: float) -> None:
        self.thread: threading.Thread | None = None
        self._wake = threading.Event()
        wake = self._wake.set
        self._served: Callable[[], Ticking | None] = weakref.ref(served, lambda _: wake())
        self._wait = flush_seconds * TICKS or None
        self._starting = threading.RLock()

    def start(self) -> None:
        """Starts the thread unless it runs."""
        with self._starting:
            if self.thread is None:
                arguments = (self._served, self._wake, self._wait)
                thread = threading.Thread(target=_tick, args=arguments, name="tacit-recording", daemon=True)
                self.thread = thread  # before it starts: a signal handler may start an episode meanwhile
                thread.start()

    def wake(self) -> None:
        """Has the thread look now, without waiting for it."""
        if self.thread is None:
            self.start()
        self._wake.set()

    def stop(self) -> None:
        """Waits for the thread to end; the one that it serves is closed."""
        self._wake.set()
        thread = self.thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(_EXIT_DEADLINE_S)


def _tick(served: Callable[[], Ticking | None], wake: threading.Event, wait: float | None) -> None:
    while True:
        wake.wait(wait)
        wake.clear()
        one = served()
        if one is None or one.is_closed:
            return
        try:
            one.tick(time.monotonic())
        except BaseException as error:  # of a clock, say: the next tick may go well
            if not is_failure(error):
                raise
        del one
