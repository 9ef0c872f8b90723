"""Reasons for which a tool is withdrawn: its pattern is no longer proven, or its newest runs fail."""

from __future__ import annotations

from collections.abc import Sequence

from .._native import beta_interval
from ..model.episode import Episode
from ..model.pattern import Pattern
from .occurrences import does

_NEWEST = 10
"""The newest runs that are compared with the earlier ones, which must be as many at least."""


def reason_of(pattern: Pattern, runs: Sequence[Episode]) -> str | None:
    """The reason to withdraw the tool of a pattern; `None` if there is none. `runs` are the newest first."""
    if pattern.state == "retired":
        return "no run did this for long"
    if pattern.state == "pitfall":
        return "runs with it now go with failure"
    if pattern.state != "proven":
        odds = "" if pattern.odds_low is None else f": {pattern.odds_low:.2f} to {pattern.odds_high:.2f}"
        return f"its odds are no longer beyond chance{odds}"
    return _failing(pattern, runs)


def _failing(pattern: Pattern, runs: Sequence[Episode]) -> str | None:
    """A sentence if the newest runs of one agent succeed less than its earlier ones, their 95% intervals apart."""
    shares: list[float] = []
    agent: str | None = None
    for run in runs:
        share = None if run.outcome is None else run.outcome.share
        if share is None or (shares and run.agent != agent) or not does(pattern, run):
            continue
        agent = run.agent
        shares.append(share)
    newest, earlier = shares[:_NEWEST], shares[_NEWEST:]
    if len(earlier) < _NEWEST:
        return None
    _, _, high = beta_interval(sum(newest), len(newest))
    _, low, _ = beta_interval(sum(earlier), len(earlier))
    if high >= low:
        return None
    before = f"{sum(earlier):g} of {len(earlier)}"
    return f"it started to fail: {sum(newest):g} of the newest {len(newest)} runs succeeded, {before} before"
