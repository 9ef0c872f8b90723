"""The models of advice are fitted beside the caller, on the caller's thread, or in `maintain` alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from tacit import AdviceSettings, Memory, Settings
from tacit._native import Fit
from tacit.answers.training import MODELS_FAILED, MODELS_PENDING, Trainer
from tests.journeys.test_advice import ASKED, LOOKED_UP, cancel, lose

Training = Literal["background", "caller", "maintain"]
DEADLINE_S = 60.0


def trained_in(training: Training) -> Settings:
    return Settings(advice=AdviceSettings(training=training))


def filled(path: Path | None, training: Training) -> Memory:
    memory = Memory(path, settings=trained_in(training))
    for order in range(1, 9):
        cancel(memory, order)
    for order in range(1, 4):
        lose(memory, order)
    return memory


@pytest.fixture
def memory() -> Iterator[Memory]:
    with filled(None, "background") as memory:
        yield memory


def trainer_of(memory: Memory) -> Trainer:
    return memory._rooms.advisor.trainer


def settle(memory: Memory) -> None:
    assert trainer_of(memory).wait(DEADLINE_S)


ACTIONS: list[Any] = [
    {"tool": "cancel_order", "parameters": {"order_id": 17}},
    {"tool": "get_order", "parameters": {"order_id": 3}},
]


def answers(memory: Memory) -> dict[str, Any]:
    """An answer of each verb that gives advice, without what differs from call to call."""
    asked: dict[str, Callable[[], Any]] = {
        "suggest": lambda: memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED),
        "choose": lambda: memory.choose(ACTIONS, steps=[LOOKED_UP], task="Cancel order 17", **ASKED),
        "recover": lambda: memory.recover("payment method 'x' not named", tool="cancel_order", **ASKED),
        "predict": lambda: memory.predict("Cancel order 17", **ASKED),
        "playbook": lambda: memory.playbook("Cancel order 17", **ASKED),
    }
    found = {}
    for verb, ask in asked.items():
        answer = ask()
        plain: dict[str, Any] = {name: "" for name in ("id", "elapsed_ms") if hasattr(answer, name)}
        found[verb] = replace(answer, **plain)
    return found


class Gate:
    """Stands for native fits: each waits until the gate opens, or until it is halted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began = threading.Event()
        self.opened = threading.Event()
        self.halted = threading.Event()
        self._fit_of = Trainer._fit_of
        gate = self

        def fit_of(trainer: Trainer, namespace: str, part: Any) -> Any:
            fit = gate._fit_of(trainer, namespace, part)
            return fit if fit is None or gate.opened.is_set() else Held(gate)

        monkeypatch.setattr(Trainer, "_fit_of", fit_of)


class Held:
    """A fit that has no end of its own."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def run(self) -> bool:
        self._gate.began.set()
        self._gate.opened.wait(DEADLINE_S)
        return False

    def halt(self) -> None:
        self._gate.halted.set()
        self._gate.opened.set()


@pytest.fixture
def threads_of_fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """For each fit its part, and the name of the thread that it ran on."""
    seen: list[tuple[str, str]] = []
    begin = Trainer._begin
    fit_of = Trainer._fit_of
    parts = threading.local()

    def noted(trainer: Trainer, namespace: str, part: Any) -> Fit | None:
        parts.now = part
        return fit_of(trainer, namespace, part)

    def begun(trainer: Trainer, fit: Fit) -> bool:
        seen.append((parts.now, threading.current_thread().name))
        return begin(trainer, fit)

    monkeypatch.setattr(Trainer, "_fit_of", noted)
    monkeypatch.setattr(Trainer, "_begin", begun)
    return seen


def test_no_verb_fits_on_the_thread_of_its_caller(
    memory: Memory, threads_of_fits: list[tuple[str, str]]
) -> None:
    answers(memory)
    memory.recall("Cancel order 17", **ASKED)
    memory.heuristics()
    memory.maintain(dry_run=True)
    settle(memory)
    assert {part for part, _ in threads_of_fits} == {"steps", "ranking", "outcomes", "fixes"}
    assert {thread for _, thread in threads_of_fits} == {"tacit-training"}


def test_the_first_answers_are_made_of_counts_and_say_so(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    first = answers(memory)
    assert all(MODELS_PENDING in answer.degraded for answer in first.values())
    assert first["suggest"].steps[0].tool == "cancel_order"
    assert {reason.signal for reason in first["suggest"].steps[0].reasons} == {"sequence"}
    assert first["predict"].success > 0.5
    assert gate.began.wait(DEADLINE_S)
    assert memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED).steps, "nobody waits for a fit"
    assert memory.stats()["advice"]["waiting"] > 0
    gate.opened.set()
    settle(memory)


def test_after_the_fit_the_answers_are_those_of_a_caller_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with filled(path, "background") as beside:
        answers(beside)
        settle(beside)
        learned = answers(beside)
        settle(beside)
        assert beside.stats()["advice"]["fits"] == 4
    with Memory(path, settings=trained_in("caller")) as caller:
        assert answers(caller) == learned
    assert not any(MODELS_PENDING in answer.degraded for answer in learned.values())


def test_a_memory_that_grows_asks_for_another_fit_and_answers_by_the_last_one(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(memory)
    settle(memory)
    gate = Gate(monkeypatch)
    cancel(memory, 20)
    grown = memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED)
    assert grown.degraded == (MODELS_PENDING,)
    assert {reason.signal for reason in grown.steps[0].reasons} != {"sequence"}
    gate.opened.set()


def test_the_models_of_a_forgotten_episode_are_not_used_until_the_next_fit(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(memory)
    settle(memory)
    assert answers(memory)["suggest"].steps[0].arguments
    gate = Gate(monkeypatch)
    memory.forget(memory.episodes(domain="retail")[0].id)
    without = answers(memory)["suggest"]
    assert MODELS_PENDING in without.degraded
    assert {reason.signal for reason in without.steps[0].reasons} == {"sequence"}
    assert not without.steps[0].arguments
    gate.opened.set()


def test_a_first_suggestion_has_the_ranking_of_texts_fitted_too(
    threads_of_fits: list[tuple[str, str]],
) -> None:
    with Memory(settings=trained_in("caller")) as memory:
        for fruit in ("apple", "plum", "pear"):
            with memory.episode("Follow the note") as episode:
                episode.log("read note", state="You see a note.", output=f"Bring the {fruit}.")
                episode.log(f"take {fruit}", state=f"You see a {fruit}.", output="Taken.")
                episode.succeed()
        memory.suggest(["read note"], task="Follow the note", state="You see a plum.")
    assert [part for part, _ in threads_of_fits] == ["steps", "ranking"]


def test_a_caller_that_fits_is_never_degraded(threads_of_fits: list[tuple[str, str]]) -> None:
    with filled(None, "caller") as memory:
        assert not any(MODELS_PENDING in answer.degraded for answer in answers(memory).values())
    assert {thread for _, thread in threads_of_fits} == {threading.current_thread().name}


def test_with_maintain_nothing_else_fits(threads_of_fits: list[tuple[str, str]]) -> None:
    with filled(None, "maintain") as memory:
        assert all(MODELS_PENDING in answer.degraded for answer in answers(memory).values())
        memory.maintain(dry_run=True)
        assert not threads_of_fits
        memory.maintain()
        assert len(threads_of_fits) == 4
        assert not any(MODELS_PENDING in answer.degraded for answer in answers(memory).values())


def test_maintain_fits_what_is_due(memory: Memory, threads_of_fits: list[tuple[str, str]]) -> None:
    memory.predict("Cancel order 17", **ASKED)
    memory.maintain()
    assert {part for part, _ in threads_of_fits} == {"steps", "ranking", "outcomes", "fixes"}
    assert memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED).degraded == ()


def test_closing_ends_the_fit_that_runs(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED)
    assert gate.began.wait(DEADLINE_S)
    thread = trainer_of(memory)._thread
    assert thread is not None
    memory.close()
    assert gate.halted.is_set()
    assert not thread.is_alive()


@pytest.mark.parametrize("part", ["steps", "ranking", "outcomes", "fixes"])
def test_a_fit_that_was_halted_gives_nothing(part: Any) -> None:
    with filled(None, "maintain") as memory:
        answers(memory)
        models = memory._rooms.advisor._models
        fit = trainer_of(memory)._fit_of("default", part)
        assert fit is not None
        fit.halt()
        assert not fit.run()
        assert not models.install(fit)
        assert part in models.due_parts("default")


def test_a_failure_of_a_fit_is_reported_and_tried_again(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_of = Trainer._fit_of

    def refused(trainer: Trainer, namespace: str, part: Any) -> Fit | None:
        raise ValueError("no such luck")

    monkeypatch.setattr(Trainer, "_fit_of", refused)
    memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED)
    settle(memory)
    failed = memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED)
    assert failed.degraded == (MODELS_PENDING, MODELS_FAILED)
    assert memory.stats()["advice"]["failures"] == {"default/steps": "ValueError: no such luck"}
    settle(memory)
    monkeypatch.setattr(Trainer, "_fit_of", fit_of)
    cancel(memory, 20)
    cancel(memory, 21)
    memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED)
    settle(memory)
    assert memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED).degraded == ()
    assert memory.stats()["advice"]["failures"] == {}


def test_a_failure_is_not_tried_again_before_anything_has_changed(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refused(trainer: Trainer, namespace: str, part: Any) -> Fit | None:
        tries.append(part)
        raise ValueError("no such luck")

    monkeypatch.setattr(Trainer, "_fit_of", refused)
    for _ in range(3):
        memory.suggest([LOOKED_UP], task="Cancel order 17", **ASKED)
        settle(memory)
    assert tries == ["steps"]


FORKED = """
import os, sys, threading
from tacit import AdviceSettings, Memory, Settings
from tacit.answers.training import Trainer

memory = Memory(settings=Settings(advice=AdviceSettings(training="background")))
for order in range(6):
    with memory.episode(f"Cancel order {order}") as episode:
        episode.log("get_order", parameters={"order_id": order}, output="pending")
        episode.log("cancel_order", parameters={"order_id": order}, output="done")
        episode.succeed()

began, go_on = threading.Event(), threading.Event()
begin = Trainer._begin

def held(trainer, fit):
    began.set()
    go_on.wait(60)
    return begin(trainer, fit)

Trainer._begin = held
memory.suggest(["get_order"], task="Cancel order 9")
assert began.wait(60)
child = os.fork()
if child == 0:
    Trainer._begin = begin
    trainer = memory._rooms.advisor.trainer
    assert trainer._thread is None
    memory.suggest(["get_order"], task="Cancel order 9")
    assert trainer.wait(60)
    os._exit(0 if memory.suggest(["get_order"], task="Cancel order 9").degraded == () else 1)
_, status = os.waitpid(child, 0)
go_on.set()
assert memory._rooms.advisor.trainer.wait(60)
assert memory.suggest(["get_order"], task="Cancel order 9").degraded == ()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_a_thread_of_its_own() -> None:
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, b"")


LEFT_OPEN = """
from tacit import AdviceSettings, Memory, Settings

memory = Memory(settings=Settings(advice=AdviceSettings(training="background")))
for order in range(150):
    with memory.episode(f"Cancel order {order}") as episode:
        for step in range(12):
            episode.log(f"tool_{(order + step) % 7}", parameters={"order_id": order}, output=f"item {order * step}")
        episode.succeed()
memory.suggest(["tool_1"], task="Cancel order 9")
"""


def test_a_process_that_ends_during_a_fit_ends_cleanly() -> None:
    ended = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, b"")
