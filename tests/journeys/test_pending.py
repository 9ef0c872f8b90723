"""Episodes that a part fails to learn from: stored at once, learned from later, once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit import (
    Episode,
    Finding,
    Learned,
    Memory,
    Outcome,
    Settings,
    Step,
    UnknownEpisodeError,
)
from tacit.intake.failure_streak import FailureStreak
from tacit.model.record import Batch, Receipt
from tacit.observing import Observer
from tacit.storage import InMemoryStore
from tacit.testing import Clock

WELL = Outcome.success()
STEPS = (
    Step("look", status="ok"),
    Step("buy", error="card refused", status="error"),
    Step("pay", status="ok"),
)


@dataclass
class Moody:
    """An embedder and an extractor that fail while `mood` is an exception."""

    mood: BaseException | None = None
    name: str = "moody"
    dimension: int = 2

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self._raise()
        return np.ones((len(texts), 2), dtype=np.float32)

    def extract(self, episode: Episode) -> Iterator[Finding]:
        self._raise()
        yield Finding("note", {"tools": len(episode.steps)})

    def _raise(self) -> None:
        if self.mood is not None:
            raise self.mood


class PanicException(BaseException):
    """As PyO3 raises it: no `Exception`."""


FAILURES = [RuntimeError("out of memory"), MemoryError(), PanicException("index out of bounds")]


@pytest.fixture
def moody() -> Moody:
    return Moody()


@pytest.fixture(params=["embedder", "extractor"])
def settings(request: pytest.FixtureRequest, moody: Moody) -> Settings:
    if request.param == "embedder":
        return Settings(embedder=moody)
    return Settings(extractors=("tool_sequence", "error_recovery", moody))


@pytest.fixture(params=["ram", "file"])
def memory(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "x.db" if request.param == "file" else None, settings=settings) as memory:
        yield memory


def complete(memory: Memory, task: str = "Buy a fern", outcome: Outcome | None = WELL) -> Learned:
    id = memory.start(task, domain="shop")
    for step in STEPS:
        given: dict[str, Any] = {"error": step.error} if step.error else {"output": 1}
        memory.log(id, step.tool, **given)
    return memory.complete(id, outcome)


def add(memory: Memory, task: str = "Buy a fern") -> Learned:
    return memory.add(Episode(task=task, steps=STEPS, outcome=WELL))


def add_many(memory: Memory, task: str = "Buy a fern") -> Learned:
    return next(iter(memory.add_many([Episode(task=task, steps=STEPS, outcome=WELL)])))


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("verb", [complete, add, add_many])
def test_an_episode_is_stored_before_it_is_learned_from(
    memory: Memory, moody: Moody, verb: Callable[[Memory], Learned], failure: BaseException
) -> None:
    moody.mood = failure
    learned = verb(memory)
    assert (learned.state, learned.receipt.committed) == ("pending", 1)
    assert type(failure).__name__ in learned.problems[0]
    stored = memory.get(learned.episode_id)
    assert stored.pending is not None
    assert (len(stored.steps), stored.outcome) == (3, WELL)
    assert memory.patterns() == ()

    moody.mood = None
    report = memory.maintain()
    assert (report.learned, report.pending, report.unchanged) == (1, 0, False)
    again = memory.get(learned.episode_id)
    assert (again.pending, again.steps, again.reward is not None) == (None, stored.steps, True)
    assert memory.recall("Buy a fern").hits[0].episode_id == learned.episode_id
    assert all(pattern.trials == 1 for pattern in memory.patterns())
    assert memory.maintain().learned == 0


def test_a_reflection_that_fails_leaves_the_episode_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no words")

    memory = Memory()
    with monkeypatch.context() as patched:
        patched.setattr("tacit.intake.learner.reflect", fail)
        learned = add(memory)
    assert (learned.state, learned.problems) == ("pending", ("learning: RuntimeError: no words",))
    assert memory.maintain().learned == 1


def test_an_interrupt_of_a_part_leaves_the_episode_open(memory: Memory, moody: Moody) -> None:
    moody.mood = KeyboardInterrupt()
    id = memory.start("Buy a fern")
    with pytest.raises(KeyboardInterrupt):
        memory.complete(id, WELL)
    assert [episode.id for episode in memory.open_episodes()] == [id]


def test_a_pending_episode_that_is_learned_from_equals_one_that_was_learned_from_at_once(
    settings: Settings, moody: Moody
) -> None:
    def filled(*, late: bool) -> Memory:
        memory = Memory(settings=settings)
        moody.mood = RuntimeError("down") if late else None
        given = [
            Episode(task=f"Buy fern {n}", steps=STEPS[n % 2 :], outcome=WELL, external_id=str(n))
            for n in range(5)
        ]
        list(memory.add_many(given))
        moody.mood = None
        memory.maintain()
        return memory

    def told(memory: Memory) -> Any:
        rewards = {episode.external_id: episode.reward for episode in memory.episodes()}
        return [(each.id, each.trials, each.successes) for each in memory.patterns()], rewards

    assert told(filled(late=True)) == told(filled(late=False))


def test_an_episode_that_always_fails_holds_up_no_other(moody: Moody) -> None:
    class Picky(Moody):
        poison = "poison"

        def extract(self, episode: Episode) -> Iterator[Finding]:
            if self.poison in episode.task:
                raise ValueError("cannot read it")
            return super().extract(episode)

    memory = Memory(settings=Settings(extractors=(Picky(),)))
    states = [add(memory, task).state for task in ("poison", "fern", "poison again")]
    assert states == ["pending", "learned", "pending"]
    poisoned = memory._store.pending()
    versions = [memory._store.version("episode", id) for id in poisoned]
    before = memory.stats()["sequence"]
    assert memory.maintain().pending == 2
    assert memory.maintain(dry_run=True).pending == 2
    stats = memory.stats()
    assert (stats["pending"], stats["pending_reasons"]) == (
        2,
        {"ValueError: cannot read it (in extractor Picky)": 2},
    )
    assert all(episode.pending for episode in memory.episodes() if "poison" in episode.task)
    sequence = memory.stats()["sequence"]
    memory.maintain()
    assert memory.stats()["sequence"] == sequence > before
    Picky.poison = "poison again"
    assert memory.maintain().learned == 1
    assert [memory._store.version("episode", id) for id in memory._store.pending()] == versions[1:], (
        "the same failure is not written again"
    )


class Slow(Moody):
    """An embedder that times out for all texts, or for those with a word."""

    def __init__(self, word: str = "") -> None:
        super().__init__()
        self.word: str | None = word
        self.calls = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.calls += 1
        if self.word is not None and any(self.word in text for text in texts):
            raise TimeoutError(f"no answer, call {self.calls}")
        return super().embed(texts)


def test_maintenance_gives_up_after_a_few_failures_alike_and_says_so() -> None:
    slow = Slow()
    memory = Memory(settings=Settings(embedder=slow))
    for number in range(80):
        add(memory, f"fern {number}")
    slow.calls = 0
    report = memory.maintain()
    assert (report.learned, report.pending, slow.calls) == (0, 80, 4)
    assert report.given_up == "TimeoutError: no answer, call 3 (in embedder moody)"
    assert memory.maintain(dry_run=True).given_up is None
    slow.word = None
    report = memory.maintain()
    assert (report.learned, report.pending, report.given_up) == (80, 0, None)


def test_episodes_that_fail_in_a_row_hold_up_no_other() -> None:
    slow = Slow("poison")
    memory = Memory(settings=Settings(embedder=slow))
    moods = ["poison", "fern"]
    slow.word = ""
    for number in range(70):
        add(memory, f"{moods[number >= 65]} {number}")
    slow.word = "poison"
    report = memory.maintain()
    assert (report.learned, report.pending, report.given_up) == (5, 65, None)


def test_failures_of_different_parts_are_no_streak() -> None:
    tried: list[str | None] = []
    streak = FailureStreak(lambda: tried.append(None))
    for failure in ("A: x (in embedder e)", "A: x (in extractor e)", "B: x (in embedder e)", None) * 3:
        streak.note(failure)
    assert (streak.reason, tried) == (None, [])
    for _ in range(3):
        streak.note("A: 1")
    assert (streak.reason, tried) == (None, [None])


def test_a_pending_episode_can_be_judged_and_is_learned_from_under_the_verdict(
    memory: Memory, moody: Moody
) -> None:
    moody.mood = RuntimeError("down")
    id = complete(memory).episode_id
    judged = memory.judge(id, Outcome.failure("reverted"), by="review")
    assert (judged.state, memory.get(id).judged_by) == ("pending", "review")
    moody.mood = None
    memory.maintain()
    stored = memory.get(id)
    assert (stored.outcome, stored.judged_by) == (Outcome.failure("reverted"), "review")
    assert all(pattern.successes == 0 for pattern in memory.patterns() if pattern.kind == "tool_sequence")


def test_a_verdict_is_stored_though_learning_from_it_fails_and_the_reward_is_that_of_the_first_ending(
    settings: Settings, moody: Moody
) -> None:
    rewards = []
    for late in (False, True):
        memory = Memory(settings=settings, clock=Clock())
        id = complete(memory).episode_id
        for n in range(6):
            add(memory, f"Sell fern {n}")
        moody.mood = RuntimeError("down") if late else None
        judged = memory.judge(id, Outcome.partial(completed=["look"], failed=["pay"]), by="review")
        assert judged.state == ("pending" if late else "learned")
        moody.mood = None
        memory.maintain()
        rewards.append(memory.get(id).reward)
    assert rewards[0] == rewards[1] is not None


def test_a_pending_episode_can_be_forgotten(memory: Memory, moody: Moody) -> None:
    moody.mood = RuntimeError("down")
    id = complete(memory).episode_id
    memory.forget(id)
    moody.mood = None
    assert memory.maintain().learned == 0
    with pytest.raises(UnknownEpisodeError):
        memory.get(id)


def test_maintenance_learns_from_the_pending_episodes_of_its_namespace_alone(
    memory: Memory, moody: Moody
) -> None:
    moody.mood = RuntimeError("down")
    ids = {name: add(memory.within(name)).episode_id for name in ("one", "other")}
    moody.mood = None
    assert memory.within("one").maintain().learned == 1
    assert memory.within("other").get(ids["other"]).pending is not None


def test_a_pending_episode_is_unchanged_when_it_is_added_again(memory: Memory, moody: Moody) -> None:
    run = Episode(task="Buy a fern", steps=STEPS, outcome=WELL, external_id="run-1")
    moody.mood = RuntimeError("down")
    assert [memory.add(run).state for _ in range(2)] == ["pending", "unchanged"]
    assert len(memory.episodes()) == 1


class Shared(InMemoryStore):
    """Does something before its next commit, as another process may."""

    meanwhile: Callable[[], object] | None = None

    def commit(self, batch: Batch) -> Receipt:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().commit(batch)


def test_a_verdict_that_comes_while_a_pending_episode_is_learned_from_holds(
    settings: Settings, moody: Moody
) -> None:
    store = Shared()
    one, other = Memory(store=store, settings=settings), Memory(store=store, settings=settings)
    moody.mood = RuntimeError("down")
    ids = [add(one, f"Buy fern {n}").episode_id for n in range(3)]
    moody.mood = None
    store.meanwhile = lambda: other.judge(ids[1], Outcome.failure("reverted"), by="review")
    assert one.maintain().learned == 2
    judged = one.get(ids[1])
    assert (judged.outcome, judged.judged_by) == (Outcome.failure("reverted"), "review")
    assert all(one.get(id).pending is None for id in ids)


def test_two_processes_learn_once_from_a_pending_episode(settings: Settings, moody: Moody) -> None:
    store = Shared()
    one, other = Memory(store=store, settings=settings), Memory(store=store, settings=settings)
    moody.mood = RuntimeError("down")
    ids = [add(one, f"Buy fern {n}").episode_id for n in range(3)]
    moody.mood = None
    store.meanwhile = lambda: other.maintain()
    assert one.maintain().learned == 0
    for memory in (one, other):
        assert {pattern.trials for pattern in memory.patterns(kind="tool_sequence")} <= {3}
        assert all(memory.get(id).pending is None for id in ids)


def test_memories_that_were_used_are_credited_though_the_embedder_fails(moody: Moody) -> None:
    memory = Memory(settings=Settings(embedder=moody))
    known = complete(memory).episode_id
    with memory.episode("Buy a fern", domain="shop") as episode:
        episode.recall()
        for step in STEPS:
            episode.log(step.tool, output=1)
        moody.mood = RuntimeError("down")
        assert episode.succeed().state == "pending"
    moody.mood = None
    assert memory.usage(known).applied == 1
    memory.maintain()
    assert memory.usage(known).applied == 1


def test_no_memory_is_credited_if_nothing_tells_which_was_used(moody: Moody) -> None:
    memory = Memory(settings=Settings(extractors=("tool_sequence", moody)))
    known = complete(memory).episode_id
    with memory.episode("Buy a fern", domain="shop") as episode:
        recall = episode.recall()
        for step in STEPS:
            episode.log(step.tool, output=1)
        moody.mood = RuntimeError("down")
        learned = episode.succeed()
    assert [problem.split(":")[0] for problem in learned.problems] == ["learning", "credit"]
    assert (memory.usage(known).retrieved, memory.usage(known).applied) == (1, 0)
    moody.mood = None
    memory.maintain()
    memory.feedback(recall.id, helped={known: True})
    assert memory.usage(known).applied == 1


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_questions_are_answered_without_vectors_while_the_embedder_fails(
    moody: Moody, failure: BaseException
) -> None:
    memory = Memory(settings=Settings(embedder=moody))
    known = complete(memory).episode_id
    complete(memory, "Sell a palm", Outcome.failure("no buyer"))
    moody.mood = failure
    answer = memory.recall("Buy a fern", domain="shop")
    assert (answer.hits[0].episode_id, answer.degraded) == (known, ("vector",))
    assert memory.contrasts("Sell a palm", domain="shop")
    moody.mood = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        memory.recall("Buy a fern", domain="shop")


def test_the_failure_is_told_to_observers_and_redacted() -> None:
    heard: list[Learned] = []

    class Hearing(Observer):
        def learned(self, event: Any) -> None:
            heard.append(event.value)

    memory = Memory(
        settings=Settings(embedder=Moody(RuntimeError("401 for sk-ant-api03-" + "a1B2" * 12))),
        observers=[Hearing()],
        redactor="secrets",
    )
    learned = add(memory)
    assert [each.state for each in heard] == ["pending"]
    assert "401 for" in learned.problems[0]
    assert "a1B2a1B2" not in learned.problems[0]
    assert "a1B2a1B2" not in str(memory.get(learned.episode_id).pending)


KILLED = """
import os, sys, tacit
from tacit.embedding import embedders
class Failing:
    name, dimension = "failing", 2
    def embed(self, texts):
        raise RuntimeError("down")
memory = tacit.Memory(sys.argv[1], settings=tacit.Settings(embedder=Failing()))
with memory.episode("Buy a fern") as episode:
    episode.log("buy", output=1)
    print(episode.succeed().state, flush=True)
os.kill(os.getpid(), 9)
"""


def test_an_episode_that_was_pending_when_its_process_was_killed_is_learned_from(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    done = subprocess.run([sys.executable, "-c", KILLED, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-9, "pending\n")
    with Memory(path) as memory:
        assert memory.stats()["pending_reasons"] == {"RuntimeError: down (in embedder failing)": 1}
        assert memory.maintain().learned == 1
        assert len(memory.recall("Buy a fern").hits) == 1
