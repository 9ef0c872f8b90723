"""Observers hear every event on the main path, and cannot disturb it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tacit import Episode, Memory, Outcome, Step
from tacit.errors import TacitError, ValidationError
from tacit.observing import Event, LoggingObserver, Observer

EVENTS = ("committed", "recalled", "learned", "maintained", "degraded", "refused")


class Listener(Observer):
    """Keeps every event; with `fails`, each of them raises afterwards."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.heard: list[tuple[str, Event[Any]]] = []

    def _hear(self, method: str, event: Event[Any]) -> None:
        self.heard.append((method, event))
        if self.fails:
            raise RuntimeError(f"the observer fails in {method}")

    def committed(self, event: Event[Any]) -> None:
        self._hear("committed", event)

    def recalled(self, event: Event[Any]) -> None:
        self._hear("recalled", event)

    def learned(self, event: Event[Any]) -> None:
        self._hear("learned", event)

    def maintained(self, event: Event[Any]) -> None:
        self._hear("maintained", event)

    def degraded(self, event: Event[Any]) -> None:
        self._hear("degraded", event)

    def refused(self, event: Event[Any]) -> None:
        self._hear("refused", event)

    def verbs(self, method: str) -> list[str]:
        return [event.verb for heard, event in self.heard if heard == method]


def use_every_verb(memory: Memory) -> None:
    for number in range(3):
        with memory.episode(f"cancel order {number}", domain="retail") as episode:
            episode.recall()
            episode.log("cancel_order", parameters={"order": number}, output="ok")
            episode.succeed()
    episodes = [Episode(f"refund order {n}", outcome=Outcome.success()) for n in range(2)]
    list(memory.add_many(episodes))
    added = memory.add(Episode("look", steps=(Step("look", status="ok"),), outcome=Outcome.success()))
    memory.suggest(["cancel_order"], task="cancel order 9")
    memory.recover("not found", tool="cancel_order")
    memory.predict("cancel order 9")
    memory.playbook("cancel order 9")
    memory.maintain()
    memory.forget(added.episode_id)
    with pytest.raises(ValidationError):
        memory.recall("t", limit=0)
    with pytest.raises(TacitError):
        memory.log("no such id", "look")


def test_every_event_is_heard() -> None:
    listener = Listener()
    with Memory(observers=[listener]) as memory:
        use_every_verb(memory)
    assert listener.verbs("learned") == ["complete"] * 3 + ["add_many"] * 2 + ["add"]
    assert listener.verbs("recalled") == ["recall"] * 3 + ["suggest", "recover", "predict", "playbook"]
    assert listener.verbs("maintained") == ["maintain"]
    assert listener.verbs("refused") == ["recall", "log"]
    assert listener.verbs("committed") == ["complete"] * 3 + ["add_many", "add", "maintain", "forget"]
    assert "recover" in listener.verbs("degraded")
    values = {method: event.value for method, event in listener.heard}
    assert values["committed"].committed > 0
    assert values["degraded"]
    assert isinstance(values["refused"], TacitError)
    assert all(event.elapsed_ms >= 0.0 and event.namespace == "default" for _, event in listener.heard)


def test_an_observer_that_raises_disturbs_nothing_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(fails=True)
    with caplog.at_level(logging.ERROR, "tacit"), Memory(observers=[listener]) as memory:
        use_every_verb(memory)
        assert memory.stats()["observer_failures"] == len(listener.heard) > 20
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == len({method for method, _ in listener.heard}) == len(EVENTS)
    assert "fails in recalled" in str(caplog.records[0].exc_info)


def test_one_observer_that_raises_does_not_silence_the_next() -> None:
    listener = Listener()
    with Memory(observers=[Listener(fails=True), listener]) as memory:
        memory.add(Episode("t", outcome=Outcome.success()))
    assert [method for method, _ in listener.heard] == ["committed", "learned"]


def test_an_observer_may_use_the_memory_without_hearing_itself() -> None:
    class Curious(Listener):
        memory: Memory

        def learned(self, event: Event[Any]) -> None:
            super().learned(event)
            self.memory.recall("cancel order 17")
            self.memory.add(Episode("seen", outcome=Outcome.success()))

    curious = Curious()
    with Memory(observers=[curious]) as memory:
        curious.memory = memory
        episode_id = memory.start("cancel order 17")
        memory.complete(episode_id, Outcome.success())
        assert len(memory.episodes()) == 2
    assert [method for method, _ in curious.heard] == ["committed", "learned"]


def test_an_interrupt_in_an_observer_passes() -> None:
    class Interrupted(Observer):
        def learned(self, event: Event[Any]) -> None:
            raise KeyboardInterrupt

    with Memory(observers=[Interrupted()]) as memory:
        with pytest.raises(KeyboardInterrupt):
            memory.add(Episode("t", outcome=Outcome.success()))
        assert len(memory.episodes()) == 1


def test_the_logging_observer_writes_to_the_logger_of_the_package(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tacit"), Memory(observers=["logging"]) as memory:
        use_every_verb(memory)
    levels = {record.getMessage().split(" (")[0]: record.levelname for record in caplog.records}
    assert all(record.name == "tacit" for record in caplog.records)
    assert levels["default maintain: merged 0, changed 0 patterns"] == "INFO"
    assert levels["default recall: refused: ValidationError: limit must be 1 to 100; got 0"] == "WARNING"
    assert any(line.startswith("default recover: degraded: ") for line in levels)
    quiet = LoggingObserver(level=logging.DEBUG)
    caplog.clear()
    with caplog.at_level(logging.INFO, "tacit"), Memory(observers=[quiet]) as memory:
        memory.add(Episode("t", outcome=Outcome.success()))
    assert caplog.records == []


def test_something_that_is_no_observer_is_refused() -> None:
    with pytest.raises(ValidationError, match="observer"):
        Memory(observers=[object()])  # type: ignore[list-item]
