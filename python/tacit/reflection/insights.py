"""Insights: an episode beside the history."""

from __future__ import annotations

from collections.abc import Iterator

from .history import Reflecting


def sentences(reflecting: Reflecting) -> Iterator[str]:
    """Insights by comparison, the most telling first."""
    yield from _contrast(reflecting)
    yield from _against_usual(reflecting)
    yield from _novelty(reflecting)


def _contrast(reflecting: Reflecting) -> Iterator[str]:
    history = reflecting.history
    if reflecting.share < 1 or history.succeeded_before or not history.failed_attempts:
        return
    attempts = history.failed_attempts
    failed, tools = history.last_failed, reflecting.trajectory.tools
    new = [tool for tool in dict.fromkeys(tools) if tool not in failed]
    dropped = [tool for tool in dict.fromkeys(failed) if tool not in tools]
    differences = [
        f"{word} {', '.join(names)}" for word, names in (("with", new), ("without", dropped)) if names
    ]
    how = "; this time " + " and ".join(differences) if differences else "; with the same tools"
    yield f"First success at this task after {attempts} failed {'attempt' if attempts == 1 else 'attempts'}{how}."


def _against_usual(reflecting: Reflecting) -> Iterator[str]:
    history, trajectory = reflecting.history, reflecting.trajectory
    if history.usual_steps is None:
        return
    of = f"the median of this domain's successes ({history.episodes} episodes)"
    yield from _compared(len(trajectory), history.usual_steps, "steps", of)
    if trajectory.seconds is not None and history.usual_seconds is not None:
        yield from _compared(trajectory.seconds, history.usual_seconds, "seconds", of)
    usual_rate = history.usual_error_rate
    if usual_rate is not None and trajectory.error_rate > usual_rate + 0.1:
        yield f"{trajectory.error_rate:.0%} of the steps failed, against {usual_rate:.0%}, {of}."


def _compared(value: float, usual: float, unit: str, of: str) -> Iterator[str]:
    if usual > 0 and not 0.67 <= value / usual <= 1.5:
        yield f"{value:.4g} {unit} against {usual:.4g}, {of}."


def _novelty(reflecting: Reflecting) -> Iterator[str]:
    new = reflecting.history.new_patterns
    if new:
        yield f"{new} {'pattern was' if new == 1 else 'patterns were'} seen for the first time."
