"""Ours keep the promises that strangers' extractors are held to, and a broken promise is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tacit import Episode, Finding
from tacit.extractors import extractors
from tacit.testing import check_extractor, example_episodes

OURS = ["context_pattern", "decision_point", "error_recovery", "hybrid", "tool_sequence"]


def test_these_are_the_extractors_there_are() -> None:
    assert sorted(extractors) == OURS


@pytest.mark.parametrize("name", OURS)
def test_an_extractor_of_ours_keeps_its_promises(name: str) -> None:
    check_extractor(extractors.create(name))


def test_columns_and_value_give_the_same_findings() -> None:
    hybrid = extractors.create("hybrid")
    apart = [extractors.create(name) for name in OURS if name != "hybrid"]
    for episode in example_episodes():
        together = sorted(hybrid.extract(episode), key=lambda each: (each.pattern_id, each.occurrence))
        one_by_one = [finding for part in apart for finding in part.extract(episode)]
        assert together == sorted(one_by_one, key=lambda each: (each.pattern_id, each.occurrence))


class Habit:
    """Breaks the promises that a subclass names."""

    def extract(self, episode: Episode) -> Iterator[Finding]:
        yield Finding("habit", {"steps": len(episode.steps)})


class Remembers(Habit):
    def __init__(self) -> None:
        self.seen: list[str] = []


class Wavers(Habit):
    def __init__(self) -> None:
        self._calls = 0

    def extract(self, episode: Episode) -> Iterator[Finding]:
        self._calls += 1
        yield Finding("habit", {"calls": self._calls})


class Floods(Habit):
    def extract(self, episode: Episode) -> Iterator[Finding]:
        yield from (Finding("habit", {"n": n}) for n in range(33))


class Repeats(Habit):
    def extract(self, episode: Episode) -> Iterator[Finding]:
        yield from [Finding("habit", {}), Finding("habit", {})]


class Talks(Habit):
    def extract(self, episode: Episode) -> Iterator[Finding]:
        yield "a habit"  # type: ignore[misc]


def test_a_strangers_extractor_that_keeps_its_promises_passes() -> None:
    check_extractor(Habit())


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Remembers(), "attributes are parameters: .*seen"),
        (Wavers(), "the same episode, the same findings"),
        (Floods(), "at most 32 of a kind"),
        (Repeats(), "occurrences count"),
        (Talks(), "extract yields Finding, not .*str"),
    ],
)
def test_a_broken_promise_is_told(broken: Habit, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_extractor(broken)
