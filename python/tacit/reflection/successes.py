"""Successes, with the tools and the evidence."""

from __future__ import annotations

from collections.abc import Iterator

from .history import Reflecting


def sentences(reflecting: Reflecting) -> Iterator[str]:
    """Successes of this episode, the most telling first."""
    if reflecting.share > 0:
        yield from _approach(reflecting)
        yield from _completed(reflecting)
    yield from _recovered(reflecting)
    if reflecting.share > 0:
        yield from _flawless(reflecting)


def _approach(reflecting: Reflecting) -> Iterator[str]:
    tools = list(dict.fromkeys(reflecting.trajectory.tools))
    if not tools:
        return
    history = reflecting.history
    trials = history.approach_trials + 1
    succeeded = history.approach_successes + reflecting.share
    evidence = f"has now succeeded {succeeded:g} of {trials} times here" if trials > 1 else "succeeded"
    yield f"The approach {' > '.join(tools)} {evidence}."


def _completed(reflecting: Reflecting) -> Iterator[str]:
    if reflecting.outcome.completed:
        yield f"Completed: {', '.join(reflecting.outcome.completed)}."


def _recovered(reflecting: Reflecting) -> Iterator[str]:
    tools, ok = reflecting.trajectory.tools, reflecting.trajectory.ok
    for place, tool, error in reflecting.errors():
        if place + 1 < len(tools) and ok[place + 1]:
            yield f'After {tool} failed with "{error}", {tools[place + 1]} worked.'


def _flawless(reflecting: Reflecting) -> Iterator[str]:
    ok = reflecting.trajectory.ok
    if len(ok) >= 3 and all(ok):
        yield f"All {len(ok)} steps went well."
