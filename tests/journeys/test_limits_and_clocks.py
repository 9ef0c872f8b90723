"""The limits of each verb, the sizes it defaults to, and the clock they date things by."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tacit import (
    Episode,
    EvidenceSettings,
    Learned,
    Limits,
    MaintenanceSettings,
    Memory,
    Outcome,
    Settings,
    Step,
    StorageError,
    TaskContext,
    TooLargeError,
    UnknownRecallError,
    ValidationError,
)
from tacit.storage import InMemoryStore

NOW = 1_764_547_200_000_000
MINUTE = 60_000_000
WELL = Outcome.success()

Ask = Callable[[Memory, int], object]
LIMITED: dict[str, tuple[Ask, int]] = {
    "recall": (lambda memory, n: memory.recall("t", limit=n), 100),
    "suggest": (lambda memory, n: memory.suggest((), task="t", limit=n), 100),
    "choose": (lambda memory, n: memory.choose(["a"], task="t", limit=n), 100),
    "recover": (lambda memory, n: memory.recover("e", tool="a", limit=n), 100),
    "playbook": (lambda memory, n: memory.playbook("t", limit=n), 100),
    "contrasts": (lambda memory, n: memory.contrasts(limit=n), 1_000),
    "patterns": (lambda memory, n: memory.patterns(limit=n), 10_000),
    "heuristics": (lambda memory, n: memory.heuristics(limit=n), 10_000),
    "clusters": (lambda memory, n: memory.clusters(limit=n), 10_000),
    "episodes": (lambda memory, n: memory.episodes(limit=n), 1_000_000),
}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now * 1_000


def ok(*tools: str) -> tuple[Step, ...]:
    return tuple(Step(tool, status="ok") for tool in tools)


@pytest.mark.parametrize("verb", LIMITED)
def test_a_limit_may_be_from_one_to_its_most(verb: str) -> None:
    ask, most = LIMITED[verb]
    memory = Memory()
    memory.add(Episode("t", steps=ok("a", "b"), outcome=WELL))
    for accepted in (1, most):
        ask(memory, accepted)
    for refused in (0, most + 1):
        with pytest.raises(ValidationError, match="limit"):
            ask(memory, refused)


@pytest.mark.parametrize("confidence", [0, 1.0])
def test_a_confidence_may_be_nothing_or_certainty(confidence: float) -> None:
    assert Memory().heuristics(min_confidence=confidence) == ()


@pytest.mark.parametrize("confidence", [-0.001, 1.001, True, "1"])
def test_a_confidence_outside_of_them_is_refused(confidence: Any) -> None:
    with pytest.raises(ValidationError, match="min_confidence"):
        Memory().heuristics(min_confidence=confidence)


def test_patterns_may_have_no_trials_or_as_many_as_can_be_counted() -> None:
    memory = Memory()
    memory.patterns(min_trials=0)
    memory.patterns(min_trials=2**32 - 1)
    with pytest.raises(ValidationError, match="min_trials"):
        memory.patterns(min_trials=2**32)
    with pytest.raises(ValidationError, match="order"):
        memory.patterns(order="alphabet")


def test_a_step_may_have_used_no_tokens_or_as_many_as_can_be_counted() -> None:
    memory = Memory()
    id = memory.start("t")
    assert [memory.log(id, "a", tokens=tokens) for tokens in (0, 2**63 - 1)] == [1, 2]
    for tokens in (-1, 2**63):
        with pytest.raises(ValidationError, match="tokens"):
            memory.log(id, "a", tokens=tokens)


def test_pages_have_their_default_lengths() -> None:
    memory = Memory()
    runs = [
        Episode(
            f"task {number}",
            steps=ok(*(f"{letter}{number}" for letter in "abcd")),
            outcome=WELL if number % 2 else Outcome.failure("no"),
            context=TaskContext("lab"),
        )
        for number in range(30)
    ]
    assert len(list(memory.add_many(runs))) == 30
    assert len(memory.episodes()) == 20
    assert len(memory.patterns()) == 20
    assert len(memory.recall("task 3").hits) == 5
    assert len(memory.contrasts()) == 5
    assert len(memory.suggest((), task="task").steps) == 5


def test_every_time_is_that_of_the_clock() -> None:
    clock, store = Clock(), InMemoryStore()
    memory = Memory(store=store, clock=clock)
    id = memory.start("t")
    clock.now += MINUTE
    memory.log(id, "a", output=1)
    clock.now += MINUTE
    memory.log(id, "b", output=1)
    memory.recall("t", episode_id=id)
    clock.now += MINUTE
    memory.complete(id, WELL)
    episode = memory.get(id)
    assert episode.started_at == NOW
    assert [step.at for step in episode.steps] == [NOW + MINUTE, NOW + 2 * MINUTE]
    assert episode.ended_at == NOW + 3 * MINUTE
    assert episode.duration_s == 180
    [(_, receipt)] = store.scan("receipt")
    assert msgspec.msgpack.decode(receipt)["at"] == NOW + 2 * MINUTE


def test_an_episode_without_times_is_dated_by_the_clock_and_lasts_what_it_says() -> None:
    memory = Memory(clock=Clock())
    dated = [
        memory.get(memory.add(Episode("t", metadata=metadata, outcome=WELL)).episode_id)
        for metadata in ({}, {"duration_s": 60}, {"duration_s": 0}, {"duration_s": True}, {"duration_s": -1})
    ]
    assert [(each.ended_at, each.duration_s) for each in dated] == [
        (NOW, None),
        (NOW, 60.0),
        (NOW, 0.0),
        (NOW, None),
        (NOW, None),
    ]
    longest = 10 * 365 * 86_400
    for seconds, expected in ((longest, longest), (longest + 1, None)):
        id = memory.add(Episode("t", metadata={"duration_s": seconds}, outcome=WELL)).episode_id
        assert memory.get(id).duration_s == expected


def test_an_episode_cannot_end_before_it_began_when_the_clock_goes_back() -> None:
    clock = Clock()
    memory = Memory(clock=clock)
    id = memory.start("t")
    clock.now -= MINUTE
    memory.complete(id, WELL)
    assert memory.get(id).ended_at == NOW


def test_maintenance_and_its_undo_are_dated_by_the_clock() -> None:
    clock, store = Clock(), InMemoryStore()
    memory = Memory(store=store, clock=clock)
    for error in ("payment was refused", "payments was refused"):
        steps = (Step("pay", status="error", error=error), *ok("look"))
        for _ in memory.add_many([Episode("t", steps=steps, outcome=WELL)] * 3):
            pass
    report = memory.maintain()
    clock.now += MINUTE
    memory.undo(str(report.id))
    entries = [msgspec.msgpack.decode(record) for _, record in store.scan("audit")]
    assert sorted((entry["at"], entry["kind"]) for entry in entries if "at" in entry) == [
        (NOW, "maintenance"),
        (NOW + MINUTE, "undo"),
    ]


def test_the_time_an_answer_took_is_no_more_than_passed() -> None:
    memory = Memory()
    memory.add(Episode("t", steps=ok("a"), outcome=WELL))
    started = time.perf_counter()
    answers = memory.recall("t"), memory.suggest((), task="t"), memory.maintain()
    passed = (time.perf_counter() - started) * 1_000
    assert all(answer.elapsed_ms > 0 for answer in answers)
    assert sum(answer.elapsed_ms for answer in answers) < passed


def test_evidence_fades_by_half_in_its_half_life() -> None:
    clock = Clock()
    fading = Settings(evidence=EvidenceSettings(decay_half_life_days=3_650.0))
    memory = Memory(clock=clock, settings=fading)
    memory.add(Episode("t", steps=ok("a", "b"), outcome=WELL))
    fresh = memory.patterns(kind="tool_sequence")[0]
    clock.now += 3_650 * 86_400 * 1_000_000
    faded = memory.patterns(kind="tool_sequence", min_trials=0)[0]
    assert fresh.mean == pytest.approx(1.5 / 2, abs=0.01)
    assert faded.mean == pytest.approx(1.0 / 1.5, abs=0.01)


def test_repeating_a_completion_commits_nothing_and_says_so() -> None:
    memory = Memory()
    id = memory.start("t")
    memory.complete(id, WELL)
    again: Learned = memory.complete(id, WELL)
    assert (again.receipt.committed, again.receipt.unchanged) == (0, 1)


@pytest.mark.parametrize(("times", "is_known"), [(3, False), (4, True)])
def test_a_recovery_is_held_against_an_episode_once_it_more_likely_works_than_not(
    times: int, is_known: bool
) -> None:
    memory = Memory()
    failed = Step("pay", status="error", error="payment was refused")
    for _ in range(times):
        memory.add(Episode("buy a lamp", steps=(failed, *ok("look", "pay")), outcome=WELL))
    id = memory.add(Episode("buy a lamp", steps=(failed,), outcome=Outcome.failure("no"))).episode_id
    reflection = memory.get(id).reflection
    assert reflection is not None
    assert any("look" in sentence for sentence in reflection.improvements) is is_known


def test_a_closed_memory_stores_nothing_more(tmp_path: Path) -> None:
    for memory in (Memory(), Memory(tmp_path / "memory.db")):
        memory.close()
        memory.close()
        with pytest.raises(StorageError):
            memory.add(Episode("t", outcome=WELL))


def test_a_maintenance_report_counts_the_rules_that_differ_from_before() -> None:
    memory = Memory(clock=Clock())
    steps = (Step("pay", status="error", error="payment was refused"), *ok("look", "pay"))
    ids = [memory.add(Episode("t", steps=steps, outcome=WELL)).episode_id for _ in range(12)]
    first = memory.maintain()
    assert first.new_heuristics == len(first.heuristics) > 0
    again = memory.maintain()
    assert (again.new_heuristics, again.gone_heuristics, again.unchanged) == (0, 0, True)
    for id in ids:
        memory.forget(id)
    last = memory.maintain()
    assert (last.gone_heuristics, last.heuristics) == (len(first.heuristics), ())


@pytest.mark.parametrize(("later", "state"), [(0, "candidate"), (1, "retired")])
def test_a_pattern_retires_beyond_the_set_age(later: int, state: str) -> None:
    clock = Clock()
    days = MaintenanceSettings(retire_after_days=90.0, min_episodes=2)
    memory = Memory(clock=clock, settings=Settings(maintenance=days))
    for _ in range(3):
        memory.add(Episode("t", steps=ok("a", "b"), outcome=WELL, started_at=NOW - 1, ended_at=NOW))
    clock.now += 90 * 86_400 * 1_000_000 + later
    memory.maintain()
    assert {pattern.state for pattern in memory.patterns()} == {state}


def test_open_episodes_beyond_their_limit_are_refused_until_one_ends() -> None:
    with Memory(settings=Settings(limits=Limits(open_episodes=2))) as memory:
        first, _ = memory.start("t"), memory.start("t")
        with pytest.raises(TooLargeError, match="open episodes must be at most 2"):
            memory.start("t")
        memory.complete(first, Outcome.success())
        assert memory.start("t")


def test_an_open_episode_keeps_its_newest_answers_and_says_how_many_were_dropped() -> None:
    with Memory(settings=Settings(limits=Limits(answers=2))) as memory:
        memory.add(
            Episode(task="Cancel order 17", steps=(Step("look", status="ok"),), outcome=Outcome.success())
        )
        id = memory.start("Cancel order 17")
        oldest, *newest = [memory.recall("Cancel order 17", episode_id=id) for _ in range(3)]
        with pytest.raises(UnknownRecallError):
            memory.feedback(oldest.id, helped={})
        memory.feedback(newest[0].id, helped={newest[0].hits[0].episode_id: True})
        learned = memory.complete(id, Outcome.success())
        assert learned.problems == ("answers: kept the newest 2 of 3",)
        assert memory.usage(newest[0].hits[0].episode_id).retrieved == 2
