"""Occurrences of a plan in recorded runs, as the patterns count them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model.episode import Episode, Step
from ..model.pattern import Pattern

_SKIPPED = 1
"""The most steps of other tools that may stand within an occurrence of a tool sequence."""
_LONGEST_PLAN = 12


def does(pattern: Pattern, episode: Episode) -> bool:
    """True if the run went as the pattern says, whether or not its steps succeeded."""
    if pattern.kind == "tool_sequence":
        tools = pattern.content["tools"]
        return any(_matched(tools, episode.steps, start) for start in range(len(episode.steps)))
    return distinct_tools(episode.steps) == tuple(pattern.content["approach"])


def occurrence(tools: Sequence[str], steps: Sequence[Step], *, is_whole: bool) -> tuple[Step, ...] | None:
    """The first steps that carry the plan out and all succeed; with `is_whole` they are all successful steps."""
    good = tuple(step for step in steps if step.status == "ok")
    if is_whole:
        return good if tuple(step.tool for step in good) == tuple(tools) else None
    for start in range(len(steps)):
        matched = _matched(tools, steps, start)
        if matched and all(step.status == "ok" for step in matched):
            return matched
    return None


def usual_plan(runs: Iterable[Episode], least: int) -> tuple[str, ...] | None:
    """The tools of the successful steps that most runs share, if at least `least` do; `None` for one step alone."""
    counts: dict[tuple[str, ...], int] = {}
    for run in runs:
        plan = tuple(step.tool for step in run.steps if step.status == "ok")
        if len(plan) <= _LONGEST_PLAN:
            counts[plan] = counts.get(plan, 0) + 1
    best = min(counts, key=lambda plan: (-counts[plan], len(plan), plan), default=None)
    return best if best and len(best) > 1 and counts[best] >= least else None


def distinct_tools(steps: Sequence[Step]) -> tuple[str, ...]:
    """The tools of a run in the order of their first use."""
    return tuple(dict.fromkeys(step.tool for step in steps))


def _matched(tools: Sequence[str], steps: Sequence[Step], start: int) -> tuple[Step, ...] | None:
    """The steps of an occurrence that begins at `start`."""
    at, skips = start, _SKIPPED
    found: list[Step] = []
    for tool in tools:
        if found and skips and at < len(steps) and steps[at].tool != tool:
            at, skips = at + 1, skips - 1
        if at >= len(steps) or steps[at].tool != tool:
            return None
        found.append(steps[at])
        at += 1
    return tuple(found)
