"""Ours keep the promises that strangers' inducers are held to, and a broken promise is named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from tacit import Episode, Finding, Outcome, Step
from tacit.inducers import History, Induced, inducers
from tacit.model.record import Change
from tacit.testing import check_inducer, example_history

OURS = ["clustering", "heuristic"]


def test_these_are_the_inducers_there_are() -> None:
    assert sorted(inducers) == OURS


@pytest.mark.parametrize("name", OURS)
def test_an_inducer_of_ours_keeps_its_promises(name: str) -> None:
    check_inducer(inducers.create(name))


@pytest.mark.parametrize("name", OURS)
def test_an_inducer_of_ours_finds_something_where_episodes_are_alike(name: str) -> None:
    steps = (Step("look", status="ok"), Step("act", status="ok"))
    history = example_history([Episode("again", steps=steps, outcome=Outcome.success())] * 4)
    assert list(inducers.create(name).induce(history))


@dataclass(frozen=True)
class Size:
    """How much there is."""

    count: int

    @property
    def id(self) -> str:
        return Finding("size", {"count": self.count}).pattern_id


class Counts:
    """Breaks the promises that a subclass names."""

    def induce(self, history: History) -> Iterable[Induced]:
        medians = history.index.medians(history.namespace, history.domain or "general")
        return [Size(medians[3])] if medians[3] else []


class Remembers(Counts):
    def __init__(self) -> None:
        self.seen = 0


class Wavers(Counts):
    def __init__(self) -> None:
        self._calls = 0

    def induce(self, history: History) -> Iterable[Induced]:
        self._calls += 1
        return [Size(self._calls)]


class Repeats(Counts):
    def induce(self, history: History) -> Iterable[Induced]:
        return [*super().induce(history), *super().induce(history)]


class Talks(Counts):
    def induce(self, history: History) -> Iterable[Induced]:
        return ["a habit"]  # type: ignore[list-item]


class Writes(Counts):
    def induce(self, history: History) -> Iterable[Induced]:
        gone = Change(history.index.sequence + 1, "remove", None, bytes(16))
        history.index.apply([gone])
        return super().induce(history)


class CountsChanges(Counts):
    def induce(self, history: History) -> Iterable[Induced]:
        return [Size(history.index.sequence)]


class SeesEverything(Counts):
    def induce(self, history: History) -> Iterable[Induced]:
        return [Size(len(history.index))]


def test_a_strangers_inducer_that_keeps_its_promises_passes() -> None:
    check_inducer(Counts())


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Remembers(), "attributes are parameters: .*seen"),
        (Wavers(), "the same history, the same findings"),
        (Repeats(), "each id once"),
        (Talks(), "32 hexadecimal digits, which has no .*str"),
        (Writes(), "an inducer only reads"),
        (CountsChanges(), "in whatever order they came"),
        (SeesEverything(), "invisible in another"),
    ],
)
def test_a_broken_promise_is_told(broken: Counts, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_inducer(broken)
