"""Checks that every extractor must pass."""

from __future__ import annotations

from collections.abc import Sequence

from .._native import Finding
from ..extractors.base import FINDINGS_AN_EPISODE, Extractor
from ..model.context import TaskContext
from ..model.episode import Episode, Outcome, Step
from .parameters import keeps_its_parameters_and_nothing_else


def example_episodes() -> list[Episode]:
    """Episodes of every shape there is: empty, one step, long, failing, partial, without results, with odd text."""
    ok, failed = Step("look", status="ok", output=1), Step("act", status="error", error="no such table: x")
    strange = Step("☂ tool", action="Check if 'this' works", status="timeout", parameters={"a": [1, None]})
    long = tuple(
        Step(f"tool-{n % 37}", status="ok" if n % 5 else "error", error=None if n % 5 else "e")
        for n in range(400)
    )
    context = TaskContext(domain="retail", language="python", tags=("b-tag", "a-tag"))
    return [
        Episode("nothing done", outcome=Outcome.failure("no steps")),
        Episode("one step", steps=(ok,), outcome=Outcome.success()),
        Episode("no result", steps=(Step("wait"),), outcome=Outcome.success()),
        Episode("an error at the end", steps=(ok, failed), outcome=Outcome.failure("gave up")),
        Episode("recovered", context=context, steps=(failed, ok, failed, ok), outcome=Outcome.success()),
        Episode("partly", steps=(ok, strange, ok), outcome=Outcome.partial(completed=["a"], failed=["b"])),
        Episode("long", steps=long, outcome=Outcome.success()),
    ]


def check_extractor(extractor: Extractor, episodes: Sequence[Episode] | None = None) -> None:
    """Holds an extractor to its promises; raises `AssertionError` that says which one it broke.

    `episodes` are looked at beside `example_episodes()`.
    """
    keeps_its_parameters_and_nothing_else(extractor)
    for episode in [*example_episodes(), *(episodes or ())]:
        _yields_findings(extractor, episode)
        _is_deterministic(extractor, episode)
        _stays_within_its_limit(extractor, episode)
        _counts_occurrences_from_zero(extractor, episode)


def _yields_findings(extractor: Extractor, episode: Episode) -> None:
    strangers = {type(each).__name__ for each in extractor.extract(episode) if not isinstance(each, Finding)}
    assert not strangers, f"extract yields Finding, not {sorted(strangers)}"


def _is_deterministic(extractor: Extractor, episode: Episode) -> None:
    assert list(extractor.extract(episode)) == list(extractor.extract(episode)), (
        "the same episode, the same findings"
    )


def _stays_within_its_limit(extractor: Extractor, episode: Episode) -> None:
    kinds: dict[str, set[str]] = {}
    for finding in extractor.extract(episode):
        kinds.setdefault(finding.kind, set()).add(finding.pattern_id)
    for kind, patterns in kinds.items():
        assert len(patterns) <= FINDINGS_AN_EPISODE, (
            f"at most {FINDINGS_AN_EPISODE} of a kind, not {len(patterns)} {kind}"
        )


def _counts_occurrences_from_zero(extractor: Extractor, episode: Episode) -> None:
    times: dict[str, list[int]] = {}
    for finding in extractor.extract(episode):
        times.setdefault(finding.pattern_id, []).append(finding.occurrence)
    for occurrences in times.values():
        assert sorted(occurrences) == list(range(len(occurrences))), "occurrences count 0, 1, 2, ..."
