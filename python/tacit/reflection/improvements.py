"""Improvements."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from .history import Reflecting

SLOW_SECONDS = 300.0
MANY_STEPS = 50
SLOW_STEP_MS = 1_000.0
SLOW_STEP_TIMES_MEAN = 3.0


def sentences(reflecting: Reflecting) -> Iterator[str]:
    """Advice for next time, the most telling first."""
    yield from _what_failed(reflecting)
    yield from _unused_recoveries(reflecting)
    yield from _repeated_errors(reflecting)
    yield from _failing_tools(reflecting)
    yield from _slowest_step(reflecting)
    yield from _length(reflecting)
    yield from _pairs(reflecting)


def _what_failed(reflecting: Reflecting) -> Iterator[str]:
    outcome = reflecting.outcome
    if outcome.reason:
        yield f"It failed: {outcome.reason}."
    if outcome.failed:
        yield f"Not done: {', '.join(outcome.failed)}."


def _unused_recoveries(reflecting: Reflecting) -> Iterator[str]:
    tools = reflecting.trajectory.tools
    for place, tool, error in reflecting.errors():
        known = reflecting.history.recoveries.get((tool, error))
        if known and (place + 1 >= len(tools) or tools[place + 1] != known.next):
            evidence = f"{known.successes:g} of {known.trials} times"
            yield f'After {tool} fails with "{error}", {known.next} worked {evidence}; it was not tried.'


def _repeated_errors(reflecting: Reflecting) -> Iterator[str]:
    counts = Counter((tool, error) for _, tool, error in reflecting.errors())
    for (tool, error), count in counts.most_common():
        if count >= 2:
            yield f'{tool} failed {count} times with the same error "{error}".'


def _failing_tools(reflecting: Reflecting) -> Iterator[str]:
    counts = Counter(tool for _, tool, _ in reflecting.errors())
    for tool, count in counts.most_common():
        if count >= 2:
            yield f"{tool} failed {count} times."


def _slowest_step(reflecting: Reflecting) -> Iterator[str]:
    latencies = reflecting.trajectory.latency_ms
    known = [latency for latency in latencies if not math.isnan(latency)]
    if len(known) < 2:
        return
    slowest = max(known)
    if slowest > SLOW_STEP_MS and slowest > SLOW_STEP_TIMES_MEAN * sum(known) / len(known):
        place = latencies.index(slowest)
        yield f"Step {place + 1} ({reflecting.trajectory.tools[place]}) took {slowest / 1000:.1f} s, most of the time."


def _length(reflecting: Reflecting) -> Iterator[str]:
    seconds = reflecting.trajectory.seconds
    if seconds is not None and seconds > SLOW_SECONDS:
        yield f"It took {seconds:.0f} s, more than {SLOW_SECONDS:.0f} s."
    if len(reflecting.trajectory) > MANY_STEPS:
        yield f"It took {len(reflecting.trajectory)} steps, more than {MANY_STEPS}."


def _pairs(reflecting: Reflecting) -> Iterator[str]:
    pairs = Counter(one for one, other in pairwise(reflecting.trajectory.tools) if one == other)
    for tool, count in pairs.most_common(1):
        yield f"{tool} followed itself {count} times: perhaps one call would do."
