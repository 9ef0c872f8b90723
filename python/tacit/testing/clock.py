"""A clock that stands still until it is told to move."""

from __future__ import annotations


class Clock:
    """A clock for `Memory(clock=...)`: nanoseconds since 1970, UTC, as `time.time_ns` gives them."""

    def __init__(self, *, at_s: float = 1_700_000_000.0) -> None:
        self._now = int(at_s * 1e9)

    def __call__(self) -> int:
        """The time it stands at."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves the clock; backwards too, as real clocks sometimes do."""
        self._now += int(seconds * 1e9)
