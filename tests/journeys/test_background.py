"""Episodes that are stored at once and learned from in the background: each once, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tacit import (
    AsyncMemory,
    DeadLetter,
    Episode,
    Finding,
    Learned,
    LearningSettings,
    Memory,
    Outcome,
    Pattern,
    QueueFullError,
    Settings,
    Step,
    UnknownEpisodeError,
    Usage,
)
from tacit.observing import Event, Observer
from tacit.storage import InMemoryStore
from tacit.testing import Clock

from .conftest import MakeMemory

WELL = Outcome.success()
NOBODY = LearningSettings(mode="background", workers=0)
"""Episodes wait until a test has the queue work."""


def settings(*extractors: object, **learning: Any) -> Settings:
    """Settings whose queue is served by the test itself."""
    return Settings(
        extractors=("tool_sequence", "error_recovery", *extractors), learning=replace(NOBODY, **learning)
    )


def shop(memory: Memory, number: int) -> Learned:
    """One run of an agent that asks the memory first, and sometimes has to try twice."""
    id = memory.start(f"Buy fern {number % 3}", domain="shop", agent="solo", task_key=str(number % 3))
    memory.recall(f"Buy fern {number % 3}", domain="shop", episode_id=id)
    memory.log(id, "look", output=number)
    if number % 2:
        memory.log(id, "buy", error=f"card {number} refused")
        memory.log(id, "pay", output="ok")
    memory.log(id, "buy", output="ok")
    return memory.complete(id, WELL if number % 4 else Outcome.failure("sold out"))


def work(memory: Memory) -> None:
    """Learns from everything that can be learned from now, on this thread."""
    while memory._rooms.queue.work() == 0.0:
        pass


def evidence(memory: Memory) -> list[Pattern]:
    """The patterns with their sums, without the usage of answers."""
    return [replace(each, usage=Usage()) for each in memory.patterns(limit=1_000)]


def knowledge(memory: Memory) -> Any:
    """Everything that episodes taught."""
    episodes = memory.episodes(limit=1_000)
    scores = [(each.task, each.reward, each.reflection) for each in episodes]
    return memory.patterns(limit=1_000), scores, [memory.usage(each.id) for each in episodes]


def test_an_episode_is_pending_when_the_verb_returns_and_learned_from_after_a_drain(
    make_memory: MakeMemory,
) -> None:
    memory = make_memory(learning="background")
    learned = shop(memory, 1)
    assert (learned.state, learned.problems, learned.receipt.committed) == ("pending", (), 2)
    assert memory.drain() == 0
    assert memory.get(learned.episode_id).pending is None
    assert memory.recall("Buy fern 1", domain="shop").hits[0].episode_id == learned.episode_id
    stats = memory.stats()
    assert stats["pending"] == 0
    assert stats["learning"] == {
        **{"mode": "background", "enqueued": 1, "learned": 1, "failed": 0, "retried": 0, "dead": 0},
        "lag_s": 0.0,
    }


def test_learning_in_the_background_teaches_the_same_as_learning_at_once(make_memory: MakeMemory) -> None:
    clock = Clock()
    at_once, later = make_memory(clock=clock), make_memory(clock=clock, learning="background")
    for number in range(12):
        clock.advance(1)
        shop(at_once, number)
        shop(later, number)
        later.drain()
    assert knowledge(later) == knowledge(at_once)
    assert any(usage.applied for usage in knowledge(later)[2])
    assert later.stats()["index"] == at_once.stats()["index"]


def test_a_chunk_of_the_queue_teaches_the_same_patterns_as_learning_one_by_one() -> None:
    clock = Clock()
    at_once, later = Memory(clock=clock), Memory(clock=clock, settings=Settings(learning=NOBODY))
    for number in range(100):
        shop(at_once, number)
        shop(later, number)
    assert later.patterns() == ()
    work(later)
    assert evidence(later) == evidence(at_once)


def add(memory: Memory) -> Learned:
    return memory.add(Episode(task="Buy a fern", steps=(Step("buy", status="ok"),), outcome=WELL))


def add_many(memory: Memory) -> Learned:
    given = [Episode(task=f"Buy fern {n}", steps=(Step("buy", status="ok"),), outcome=WELL) for n in range(3)]
    first, *_ = memory.add_many(given)
    return first


@pytest.mark.parametrize("verb", [add, add_many, lambda memory: shop(memory, 1)])
def test_every_verb_that_ends_an_episode_leaves_the_learning_to_a_worker(
    verb: Callable[[Memory], Learned],
) -> None:
    memory = Memory(settings=settings())
    learned = verb(memory)
    assert (learned.state, memory.get(learned.episode_id).pending) == ("pending", "waiting for a worker")
    assert (memory.patterns(), memory.stats()["pending_reasons"].keys()) == ((), {"waiting for a worker"})
    work(memory)
    assert memory.get(learned.episode_id).reward is not None


def test_an_abandoned_episode_does_not_wait() -> None:
    memory = Memory(settings=settings())
    assert memory.complete(memory.start("Buy a fern"), Outcome.abandoned()).state == "abandoned"
    assert memory.stats()["learning"]["enqueued"] == 0


@pytest.mark.parametrize("is_learned", [False, True])
def test_a_verdict_on_an_episode_of_the_queue_is_learned_from_in_its_turn(is_learned: bool) -> None:
    at_once = Memory(settings=replace(settings(), learning=LearningSettings()), clock=Clock())
    later = Memory(settings=settings(), clock=Clock())
    rewards = []
    for memory in (at_once, later):
        shop(memory, 3)
        id = shop(memory, 1).episode_id
        if is_learned and memory is later:
            work(memory)
        judged = memory.judge(id, Outcome.failure("reverted"), by="review")
        assert judged.state == ("learned" if memory is at_once else "pending")
        if memory is later:
            work(memory)
        assert memory.get(id).judged_by == "review"
        rewards.append(memory.get(id).reward)
    assert rewards[0] == rewards[1]
    assert evidence(later) == evidence(at_once)


def test_feedback_on_an_answer_of_a_pending_episode_stands() -> None:
    memory = Memory(settings=settings())
    known = shop(memory, 1).episode_id
    work(memory)
    with memory.episode("Buy fern 1", domain="shop") as episode:
        answer = episode.recall()
        episode.log("look", output=1)
        episode.succeed()
    assert memory.usage(known).retrieved == 1
    memory.feedback(answer.id, helped={known: False})
    work(memory)
    usage = memory.usage(known)
    assert (usage.retrieved, usage.applied, usage.helped) == (1, 1, 0)


def test_memories_of_a_pending_episode_are_credited_by_maintenance_and_by_a_verdict_too() -> None:
    def applied(*, by: str) -> int:
        store = InMemoryStore()
        memory, other = Memory(store=store, settings=settings()), Memory(store=store)
        known = shop(memory, 1).episode_id
        work(memory)
        id = shop(memory, 1).episode_id
        if by == "maintenance":
            other.maintain()
        else:
            other.judge(id, Outcome.success("reviewed"))
        return other.usage(known).applied

    assert [applied(by=each) for each in ("maintenance", "verdict")] == [1, 1]


# --- several workers ---


def test_two_workers_never_hold_the_same_episode() -> None:
    store = InMemoryStore()
    one, other = Memory(store=store, settings=settings()), Memory(store=store, settings=settings())
    for number in range(3):
        shop(one, number)
    held, _ = one._rooms.queue._claims.take(2, one._now())
    rest, _ = other._rooms.queue._claims.take(9, other._now())
    assert [len(held), len(rest)] == [2, 1]
    assert {each.id for each in held}.isdisjoint(each.id for each in rest)
    assert other._rooms.queue._claims.take(9, other._now())[0] == []


class Meanwhile(InMemoryStore):
    """Does something before its next commit, as another process may."""

    meanwhile: Callable[[], object] | None = None

    def commit(self, batch: Any) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().commit(batch)


def test_two_workers_that_look_at_once_share_the_episodes() -> None:
    store = Meanwhile()
    one, other = Memory(store=store, settings=settings()), Memory(store=store, settings=settings())
    for number in range(5):
        shop(one, number)
    store.meanwhile = lambda: other._rooms.queue._claims.take(2, other._now())
    held, _ = one._rooms.queue._claims.take(9, one._now())
    assert len(held) == 3


def test_an_episode_whose_lease_ran_out_is_taken_over_and_learned_from_once() -> None:
    store, clock = InMemoryStore(), Clock()
    slow = Memory(store=store, settings=settings(), clock=clock)
    quick = Memory(store=store, settings=settings(), clock=clock)
    ids = [shop(slow, number).episode_id for number in range(2)]
    held, _ = slow._rooms.queue._claims.take(9, slow._now())
    work(quick)
    assert quick.stats()["learning"]["learned"] == 0
    clock.advance(61)
    work(quick)
    assert quick.stats()["learning"]["learned"] == quick.stats()["learning"]["retried"] == 2
    slow._rooms.queue._commit(slow._rooms.queue._attempt(held))
    assert slow.stats()["learning"]["learned"] == 0
    for memory in (slow, quick):
        assert {each.trials for each in memory.patterns(kind="tool_sequence")} <= {1, 2}
        assert all(memory.get(id).pending is None for id in ids)
        assert memory.stats()["index"] == quick.stats()["index"]


def test_a_verdict_that_comes_while_a_worker_learns_holds() -> None:
    store = Meanwhile()
    memory, judge = Memory(store=store, settings=settings()), Memory(store=store)
    ids = [shop(memory, number).episode_id for number in range(1, 4)]
    held, _ = memory._rooms.queue._claims.take(9, memory._now())
    attempts = memory._rooms.queue._attempt(held)
    store.meanwhile = lambda: judge.judge(ids[1], Outcome.failure("reverted"), by="review")
    memory._rooms.queue._commit(attempts)
    assert [memory.get(id).judged_by for id in ids] == [None, "review", None]
    assert memory.stats()["learning"]["learned"] == 2
    assert (memory.stats()["pending"], memory._store.scan("claim")) == (0, [])
    by_both = {each.id: each.trials for each in memory.patterns()}
    assert by_both == {each.id: each.trials for each in judge.patterns()}


def test_an_episode_that_is_forgotten_while_a_worker_learns_stays_forgotten() -> None:
    memory = Memory(settings=settings())
    ids = [shop(memory, number).episode_id for number in range(1, 3)]
    held, _ = memory._rooms.queue._claims.take(9, memory._now())
    attempts = memory._rooms.queue._attempt(held)
    memory.forget(ids[0])
    memory._rooms.queue._commit(attempts)
    with pytest.raises(UnknownEpisodeError):
        memory.get(ids[0])
    assert memory.get(ids[1]).reward is not None
    assert memory._store.scan("claim") == []


def test_maintenance_leaves_an_episode_to_the_worker_that_holds_it() -> None:
    store = InMemoryStore()
    worker, other = Memory(store=store, settings=settings()), Memory(store=store)
    for number in range(3):
        shop(worker, number)
    worker._rooms.queue._claims.take(1, worker._now())
    report = other.maintain()
    assert (report.learned, report.pending) == (2, 1)


@pytest.mark.parametrize("back", [3_600.0, 315_360_000.0])
def test_a_lease_of_a_clock_that_was_ahead_holds_no_episode_for_ever(back: float) -> None:
    clock = Clock()
    memory = Memory(settings=settings(), clock=clock)
    shop(memory, 1)
    assert len(memory._rooms.queue._claims.take(9, memory._now())[0]) == 1
    clock.advance(-back)
    work(memory)
    assert memory.stats()["pending"] == 0


# --- failures ---


@dataclass
class Picky:
    """An extractor that fails on some tasks."""

    poison: str = "poison"
    seen: list[str] = field(default_factory=list, compare=False)
    name: str = "picky"

    def extract(self, episode: Episode) -> Iterator[Finding]:
        self.seen.append(episode.task)
        if self.poison in episode.task:
            raise ValueError("cannot read it")
        yield Finding("note", {"tools": len(episode.steps)})


def ended(memory: Memory, task: str) -> str:
    return memory.complete(memory.start(task), WELL).episode_id


def test_a_failing_episode_is_tried_again_after_growing_waits_and_becomes_a_dead_letter() -> None:
    clock, picky = Clock(), Picky()
    memory = Memory(settings=settings(picky, max_attempts=3, retry_seconds=10.0), clock=clock)
    good, bad = ended(memory, "fern"), ended(memory, "poison")
    work(memory)
    assert (memory.get(good).pending, memory.stats()["learning"]["failed"]) == (None, 1)
    assert memory.get(bad).pending == "ValueError: cannot read it (in extractor Picky)"
    due = memory._rooms.queue.work()
    assert due is not None
    assert 5.0 <= due <= 10.0
    for attempt, wait in ((2, 10.0), (3, 20.0)):
        clock.advance(wait)
        work(memory)
        assert picky.seen.count("poison") == attempt
    assert memory._rooms.queue.work() is None
    letter = DeadLetter(
        bad, "default", 3, "ValueError: cannot read it (in extractor Picky)", clock() // 1_000
    )
    assert memory.dead_letters() == (letter,)
    assert memory.within("other").dead_letters() == ()
    stats = memory.stats()
    assert (stats["pending"], stats["learning"]["dead"], stats["learning"]["retried"]) == (1, 1, 2)
    clock.advance(1_000_000)
    work(memory)
    assert picky.seen.count("poison") == 3


def test_a_dead_letter_is_replayed() -> None:
    picky = Picky()
    memory = Memory(settings=settings(picky, max_attempts=1))
    ids = {ended(memory, f"poison {number}") for number in range(3)}
    work(memory)
    assert {each.episode_id for each in memory.dead_letters()} == ids
    with pytest.raises(UnknownEpisodeError):
        memory.replay("01a228ac-31a7-7100-aaa0-321c56eea6f1")
    assert memory.replay(min(ids)) == 1
    picky.poison = "none"
    work(memory)
    assert {each.episode_id for each in memory.dead_letters()} == ids - {min(ids)}
    assert memory.replay() == 2
    work(memory)
    assert (memory.dead_letters(), memory.stats()["pending"]) == ((), 0)


def test_maintenance_tries_dead_letters() -> None:
    picky = Picky()
    memory = Memory(settings=settings(picky, max_attempts=1))
    ended(memory, "poison")
    work(memory)
    assert memory.maintain().pending == len(memory.dead_letters()) == 1
    picky.poison = "none"
    assert memory.maintain().learned == 1
    assert memory.dead_letters() == ()


def test_an_episode_whose_workers_end_in_the_middle_becomes_a_dead_letter_and_takes_no_other_along() -> None:
    clock = Clock()
    memory = Memory(settings=settings(max_attempts=2), clock=clock)
    ids = [ended(memory, "the death of workers"), ended(memory, "fern")]
    held, _ = memory._rooms.queue._claims.take(9, memory._now())
    assert len(held) == 2
    clock.advance(61)
    alone, _ = memory._rooms.queue._claims.take(9, memory._now())
    assert [each.claim.attempts for each in alone] == [2]
    clock.advance(61)
    work(memory)
    assert [each.episode_id for each in memory.dead_letters()] == ids[:1]
    assert memory.dead_letters()[0].error is None
    assert memory.get(ids[1]).reward is not None


@pytest.mark.parametrize("clock", [time.time_ns, Clock()], ids=["running", "standing"])
def test_a_worker_prolongs_the_lease_of_what_it_has_not_reached(clock: Callable[[], int]) -> None:
    memory = Memory(settings=settings(lease_seconds=1e-9), clock=clock)
    for number in range(3):
        shop(memory, number)
    work(memory)
    figures = memory.stats()["learning"]
    assert (figures["learned"], figures["retried"]) == (3, 0)


# --- room in the queue ---


def test_a_full_queue_refuses_an_episode_which_stays_open() -> None:
    memory = Memory(settings=settings(max_pending=2, when_full="refuse"))
    for number in range(2):
        shop(memory, number)
    id = memory.start("Buy one more fern")
    with pytest.raises(QueueFullError, match="fewer than 2") as refused:
        memory.complete(id, WELL)
    assert (refused.value.pending, refused.value.max_pending, refused.value.retryable) == (2, 2, True)
    assert [each.id for each in memory.open_episodes()] == [id]
    with pytest.raises(QueueFullError):
        memory.add(Episode(task="another", outcome=WELL))
    work(memory)
    assert memory.complete(id, WELL).state == "pending"


def test_a_wait_for_room_in_the_queue_has_a_deadline() -> None:
    memory = Memory(settings=settings(max_pending=1, wait_seconds=0.0))
    shop(memory, 1)
    with pytest.raises(QueueFullError):
        shop(memory, 2)


def test_a_caller_waits_for_room_in_the_queue_and_gets_it_from_the_worker_of_another_process() -> None:
    store = InMemoryStore()
    memory = Memory(store=store, settings=settings(max_pending=1))
    worker = Memory(store=store, settings=settings())
    shop(memory, 1)
    waiting = threading.Event()
    wait = memory._rooms.queue.changed.wait

    def noted_wait(timeout: float | None = None) -> bool:
        waiting.set()
        return wait(timeout)

    memory._rooms.queue.changed.wait = noted_wait  # type: ignore[method-assign]
    states: list[str] = []
    caller = threading.Thread(target=lambda: states.append(shop(memory, 2).state))
    caller.start()
    assert waiting.wait(30)
    assert states == []
    work(worker)
    caller.join(30)
    assert states == ["pending"]


def test_dead_letters_take_no_room_in_the_queue() -> None:
    memory = Memory(settings=settings(Picky(), max_pending=1, max_attempts=1, when_full="refuse"))
    for number in range(3):
        ended(memory, f"poison {number}")
        work(memory)
    assert memory.stats()["learning"]["dead"] == 3


def test_a_chunk_that_is_larger_than_the_queue_is_taken_once_the_queue_is_empty() -> None:
    memory = Memory(settings=settings(max_pending=2, when_full="refuse"))
    assert add_many(memory).state == "pending"
    with pytest.raises(QueueFullError):
        add_many(memory)


# --- the life of a memory ---


@dataclass
class Held:
    """An extractor that does not return before it is let."""

    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    name: str = "held"

    def extract(self, episode: Episode) -> Iterator[Finding]:
        self.begun.set()
        assert self.may_end.wait(30)
        yield Finding("note", {"tools": len(episode.steps)})


def test_closing_leaves_the_episodes_pending_for_which_there_is_no_time(tmp_path: Path) -> None:
    held = Held()
    memory = Memory(tmp_path / "m.db", settings=settings(held, workers=1, drain_seconds=0.0))
    ids = [ended(memory, "Buy a fern")]
    assert held.begun.wait(30)
    ids += [ended(memory, f"Buy fern {number}") for number in range(3)]
    assert memory.drain(0.0) == 4
    closing = threading.Thread(target=memory.close)
    closing.start()
    held.may_end.set()
    closing.join(30)
    with Memory(tmp_path / "m.db", settings=settings()) as memory:
        assert [memory.get(id).pending is None for id in ids] == [True, False, False, False]
        work(memory)  # their claims were given back: nothing has to run out
        assert memory.stats()["pending"] == 0


def test_closing_waits_for_the_workers(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db", learning="background") as memory:
        for number in range(20):
            shop(memory, number)
    with Memory(tmp_path / "m.db") as memory:
        assert memory.stats()["pending"] == 0


def test_a_memory_learns_from_what_an_earlier_one_left_pending(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db", settings=Settings(learning=NOBODY)) as memory:
        shop(memory, 1)
    with Memory(tmp_path / "m.db", learning="background") as memory:
        assert memory.drain() == 0
        assert len(memory.patterns()) > 0


def test_a_memory_that_nobody_closed_leaves_no_thread_behind() -> None:
    memory = Memory(learning="background")
    shop(memory, 1)
    memory.drain()
    threads = memory._rooms.workers._threads
    del memory
    gc.collect()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_several_workers_learn_each_episode_once() -> None:
    memory = Memory(settings=Settings(learning=LearningSettings(mode="background", workers=4)))
    callers = [
        threading.Thread(target=lambda: [shop(memory, number) for number in range(15)]) for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert memory.drain() == 0
    figures = memory.stats()["learning"]
    assert (figures["enqueued"], figures["learned"], figures["failed"]) == (60, 60, 0)
    (pattern,) = (each for each in memory.patterns(limit=1_000) if each.content == {"tools": ["look", "buy"]})
    assert pattern.trials == 60
    memory.close()


def test_observers_hear_when_a_worker_learned() -> None:
    heard: list[tuple[str, str]] = []

    class Hearing(Observer):
        def learned(self, event: Event[Learned]) -> None:
            heard.append((event.verb, event.value.state))

    memory = Memory(settings=settings(), observers=[Hearing(), "logging"])
    shop(memory, 1)
    work(memory)
    assert heard == [("complete", "pending"), ("learn", "learned")]
    assert memory.stats()["observer_failures"] == 0


def test_a_queue_of_an_asyncio_program_is_drained() -> None:
    async def journey() -> tuple[str, int, int]:
        async with AsyncMemory(learning="background") as memory:
            async with memory.episode("Buy a fern") as episode:
                await episode.log("buy", output=1)
                state = (await episode.succeed()).state
            waiting = await memory.drain()
            return state, waiting, len(await memory.patterns())

    state, waiting, patterns = asyncio.run(journey())
    assert (state, waiting) == ("pending", 0)
    assert patterns > 0


def test_lag_is_the_age_of_the_oldest_queued_episode() -> None:
    clock = Clock()
    memory = Memory(settings=settings(Picky(), max_attempts=1), clock=clock)
    ended(memory, "poison")
    work(memory)
    clock.advance(100)
    ended(memory, "fern")
    clock.advance(5)
    assert memory.stats()["learning"]["lag_s"] == 5.0  # a dead letter does not count
