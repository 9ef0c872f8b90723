"""Open episodes are stored in batches; other processes see them, and take over what was left open."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit import (
    AsyncMemory,
    EpisodeClosedError,
    LeaseHeldError,
    LeaseLostError,
    Memory,
    Outcome,
    RecordingSettings,
    Settings,
    StorageError,
    UnknownEpisodeError,
)
from tacit.model.record import Batch, Receipt
from tacit.storage import InMemoryStore
from tacit.testing import Clock, FaultyStore
from tests.watched import WatchedFile, WatchedStore

MANUAL = Settings(recording=RecordingSettings.manual())
BY_COUNT = Settings(recording=RecordingSettings(flush_steps=10, flush_seconds=0.0))
WELL = Outcome.success()


class CountingStore(InMemoryStore):
    """A store that counts its commits."""

    commits = 0

    def commit(self, batch: Batch) -> Receipt:
        self.commits += 1
        return super().commit(batch)


def log_steps(memory: Memory, episode_id: str, count: int) -> None:
    for number in range(count):
        memory.log(episode_id, f"tool_{number}", parameters={"n": number}, output={"ok": number})


def kinds(store: InMemoryStore) -> tuple[int, int]:
    return len(store.scan("open_episode")), len(store.scan("step_batch"))


def test_closing_a_memory_keeps_its_open_episodes(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        ids = {memory.start(f"task {number}") for number in range(5)}
    with Memory(tmp_path / "m.db") as memory:
        assert {episode.id for episode in memory.open_episodes()} == ids
        assert memory.episodes() == ()


def test_an_episode_that_is_resumed_equals_one_that_was_never_interrupted() -> None:
    store, clock = InMemoryStore(), Clock()
    first = Memory(store=store, settings=MANUAL, clock=clock)
    episode_id = first.start("Cancel order 17", domain="retail", metadata={"a": [1.5]}, tags=("some-tag",))
    first.log(episode_id, "get", parameters={"n": 1}, output={"a": None}, state="in the shop")
    first.log(episode_id, "set", error="order is locked", latency_ms=1.5, tokens=7)
    first.flush()
    first.log(episode_id, "wait", timed_out=True)
    first.log(episode_id, "note")
    expected = first.get(episode_id)
    first._rooms.opened.close()
    second = Memory(store=store, settings=MANUAL, clock=clock)
    assert second.get(episode_id) == expected
    assert second.open_episodes() == (expected,)
    with second.resume(episode_id) as episode:
        assert episode.log("set", output="done") == 5
        assert episode.succeed().state == "learned"
    stored = second.get(episode_id)
    open_before = replace(stored, steps=stored.steps[:4], outcome=None, ended_at=None)
    assert replace(open_before, reward=None, reflection=None) == expected
    assert kinds(store) == (0, 0)
    assert second.open_episodes() == ()


def test_each_full_batch_costs_one_commit() -> None:
    store = CountingStore()
    memory = Memory(store=store, settings=BY_COUNT)
    episode_id = memory.start("a long task")
    log_steps(memory, episode_id, 200)
    assert store.commits == 20
    assert len(Memory(store=store).get(episode_id).steps) == 200
    memory.complete(episode_id, WELL)
    assert store.commits == 21


def test_a_recorder_stores_a_full_batch_before_its_step_returns() -> None:
    store = CountingStore()
    with Memory(store=store, settings=BY_COUNT).episode("a long task") as episode:
        for number in range(10):
            assert store.commits == 0
            episode.log("get", output=number)
        assert store.commits == 1


def test_a_short_episode_is_stored_by_its_completion_alone() -> None:
    store = CountingStore()
    memory = Memory(store=store)
    episode_id = memory.start("a short task")
    log_steps(memory, episode_id, 20)
    memory.complete(episode_id, WELL)
    assert store.commits == 1


def test_the_timer_stores_steps_by_their_age() -> None:
    store = WatchedStore()
    memory = Memory(
        store=store, settings=Settings(recording=RecordingSettings(flush_steps=0, flush_seconds=0.01))
    )
    episode_id = memory.start("a slow task")
    memory.log(episode_id, "get", output=1)
    store.wait_until(lambda: any(len(each.steps) == 1 for each in Memory(store=store).open_episodes()))
    memory.close()
    timer = memory._rooms.opened._timer.thread
    assert timer is not None
    assert not timer.is_alive()


def test_the_timer_ends_with_its_memory() -> None:
    memory = Memory(settings=Settings(recording=RecordingSettings(flush_seconds=0.01)))
    memory.start("a task")
    timer = memory._rooms.opened._timer.thread
    assert timer is not None
    del memory
    gc.collect()
    timer.join(60)
    assert not timer.is_alive()


def test_a_memory_that_never_recorded_records_nothing_once_it_is_closed() -> None:
    memory = Memory()
    assert memory.recall("a task").hits == ()
    assert not memory._rooms.is_made("opened")
    memory.close()
    with pytest.raises(StorageError):
        memory.start("a task")
    with pytest.raises(StorageError):
        memory.open_episodes()
    memory.close()


def test_an_open_episode_of_a_living_process_is_not_taken_over() -> None:
    store, clock = InMemoryStore(), Clock()
    owner = Memory(store=store, settings=MANUAL, clock=clock)
    other = Memory(store=store, settings=MANUAL, clock=clock)
    episode_id = owner.start("a task")
    owner.flush()
    clock.advance(59)
    with pytest.raises(LeaseHeldError):
        other.resume(episode_id)
    owner._rooms.opened.tick(0.0)
    clock.advance(59)
    with pytest.raises(LeaseHeldError):
        other.resume(episode_id)
    clock.advance(2)
    assert other.resume(episode_id).id == episode_id


def test_an_owner_that_comes_back_late_loses_its_new_steps_and_says_so() -> None:
    store = InMemoryStore()
    owner, other = Memory(store=store, settings=BY_COUNT), Memory(store=store, settings=MANUAL)
    episode = owner.episode("a task")
    log_steps(owner, episode.id, 10)
    resumed = other.resume(episode.id, force=True)
    for _ in range(12):
        episode.log("late", output=1)
    assert any("LeaseLostError" in problem and "dropped: 10" in problem for problem in episode.problems)
    for verb in (
        lambda: owner.log(episode.id, "late"),
        lambda: owner.complete(episode.id, WELL),
        lambda: owner.recall("a task", episode_id=episode.id),
    ):
        with pytest.raises(LeaseLostError):
            verb()
    assert resumed.succeed().state == "learned"
    assert len(other.get(episode.id).steps) == 10
    assert owner.complete(episode.id, WELL).state == "unchanged"


def test_a_completion_by_an_owner_that_lost_the_lease_is_refused() -> None:
    store = InMemoryStore()
    owner, other = (Memory(store=store, settings=MANUAL) for _ in range(2))
    episode_id = owner.start("a task")
    owner.flush()
    other.resume(episode_id, force=True).log("look", output=1)
    with pytest.raises(LeaseLostError) as refused:
        owner.complete(episode_id, WELL)
    assert (refused.value.episode_id, refused.value.retryable) == (episode_id, False)
    assert other.complete(episode_id, Outcome.failure("no")).state == "learned"
    assert len(other.get(episode_id).steps) == 1


def test_a_takeover_just_before_the_completion_commits_is_noticed() -> None:
    store = FaultyStore()
    owner, other = (Memory(store=store, settings=MANUAL) for _ in range(2))
    episode_id = owner.start("a task")
    owner.flush()
    store.before = lambda: taken_over(other, episode_id)
    with pytest.raises(LeaseLostError):
        owner.complete(episode_id, WELL)
    assert other.complete(episode_id, WELL).state == "learned"


def taken_over(memory: Memory, episode_id: str) -> None:
    memory.resume(episode_id, force=True)


def test_an_episode_that_has_ended_is_not_resumed() -> None:
    memory = Memory()
    episode_id = memory.start("a task")
    assert memory.resume(episode_id).id == episode_id
    memory.complete(episode_id, WELL)
    with pytest.raises(EpisodeClosedError):
        memory.resume(episode_id)
    with pytest.raises(UnknownEpisodeError):
        memory.resume("01a22827-4e31-7543-952d-570d081dc362")


def test_forgetting_an_open_episode_removes_what_was_stored_of_it() -> None:
    store = InMemoryStore()
    owner, other = (Memory(store=store, settings=MANUAL) for _ in range(2))
    one, two = owner.start("a task"), owner.start("another task")
    owner.flush()
    assert kinds(store) == (2, 2)
    owner.forget(one)
    other.forget(two)
    assert kinds(store) == (0, 0)
    with pytest.raises(LeaseLostError):
        owner.complete(two, WELL)


def test_an_open_episode_belongs_to_its_namespace() -> None:
    store = InMemoryStore()
    owner, other = (Memory(store=store, settings=MANUAL) for _ in range(2))
    episode_id = owner.start("a task", namespace="tenant")
    owner.flush()
    for verb in (other.get, other.resume, other.forget):
        with pytest.raises(UnknownEpisodeError):
            verb(episode_id)
    assert (other.open_episodes(), owner.open_episodes()) == ((), ())
    assert [each.id for each in other.open_episodes(namespace="tenant")] == [episode_id]
    with other.resume(episode_id, force=True, namespace="tenant") as episode:
        episode.log("look", output=1)
        episode.succeed()
    assert len(other.get(episode_id, namespace="tenant").steps) == 1


def test_secrets_are_not_stored_with_a_batch() -> None:
    store = InMemoryStore()
    memory = Memory(store=store, settings=MANUAL)
    episode_id = memory.start("a task")
    secret = "ghp_" + "a1B2c3D4e5F6" * 3
    memory.log(episode_id, "call", parameters={"token": secret}, output=1)
    memory.flush()
    assert all(secret.encode() not in value for _, value in store.scan("step_batch"))
    assert "[REDACTED:" in str(Memory(store=store).get(episode_id).steps[0].parameters)


def test_steps_that_could_not_be_stored_are_stored_with_the_next_batch() -> None:
    store = FaultyStore()
    memory = Memory(store=store, settings=BY_COUNT)
    episode = memory.episode("a task")

    def full() -> None:
        raise StorageError("the disk is full")

    store.before = full
    log_steps(memory, episode.id, 10)
    assert any("the disk is full" in problem for problem in episode.problems)
    assert kinds(store) == (0, 0)
    log_steps(memory, episode.id, 10)
    assert episode.problems == ()
    assert len(Memory(store=store).get(episode.id).steps) == 20
    store.before = full
    log_steps(memory, episode.id, 1)
    with pytest.raises(StorageError, match="the disk is full"):
        memory.flush()
    memory.flush()
    assert len(Memory(store=store).get(episode.id).steps) == 21


def test_a_batch_that_landed_and_raised_all_the_same_is_stored_once() -> None:
    store = FaultyStore()
    memory = Memory(store=store, settings=MANUAL)
    episode_id = memory.start("a task")

    def cut() -> None:
        raise StorageError("the link died")

    for _ in range(2):
        log_steps(memory, episode_id, 3)
        store.after = cut
        with pytest.raises(StorageError):
            memory.flush()
        log_steps(memory, episode_id, 1)
        memory.flush()
    steps = Memory(store=store).get(episode_id).steps
    assert [step.number for step in steps] == list(range(1, 9))
    assert memory.complete(episode_id, WELL).state == "learned"
    assert memory.get(episode_id).steps == steps
    assert kinds(store) == (0, 0)


def test_a_completion_that_landed_and_raised_can_be_repeated_after_batches() -> None:
    store = FaultyStore()
    memory = Memory(store=store, settings=MANUAL)
    episode_id = memory.start("a task")
    memory.flush()

    def cut() -> None:
        raise StorageError("the link died")

    store.after = cut
    with pytest.raises(StorageError):
        memory.complete(episode_id, WELL)
    memory._rooms.opened.tick(0.0)
    assert memory.complete(episode_id, WELL).state == "unchanged"
    assert kinds(store) == (0, 0)


def test_nothing_is_left_open_beside_an_episode_whose_completion_raised() -> None:
    store = FaultyStore()
    memory = Memory(store=store, settings=MANUAL)
    episode_id = memory.start("a task")

    def cut() -> None:
        raise StorageError("the link died")

    store.after = cut
    with pytest.raises(StorageError):
        memory.complete(episode_id, WELL)
    memory.flush()
    assert kinds(store) == (0, 0)
    assert memory.complete(episode_id, WELL).state == "unchanged"


def test_awaited_steps_are_stored_without_waiting_and_resumed(tmp_path: Path) -> None:
    asyncio.run(awaited_steps(tmp_path / "m.db"))


async def awaited_steps(path: Path) -> None:
    settings = Settings(recording=RecordingSettings(flush_steps=10, flush_seconds=0.0))
    store = WatchedFile(path)
    reader = Memory(path)
    async with AsyncMemory(store=store, settings=settings) as memory:
        async with memory.episode("a task") as episode:
            for _ in range(10):
                await episode.log("get", output=1)
            store.wait_until(lambda: any(len(each.steps) == 10 for each in reader.open_episodes()))
            await episode.succeed()
        left = await memory.start("another task")
        await memory.flush()
    async with AsyncMemory(path) as memory:
        async with await memory.resume(left) as episode:
            await episode.log("get", output=1)
            assert (await episode.succeed()).state == "learned"
        assert await memory.open_episodes() == ()
    reader.close()


def test_the_index_of_another_memory_ignores_open_episodes() -> None:
    store = InMemoryStore()
    owner, other = (Memory(store=store, settings=MANUAL) for _ in range(2))
    owner.complete(owner.start("Cancel order 17"), WELL)
    before: Any = other.recall("Cancel order 18")
    owner.start("Cancel order 19")
    owner.flush()
    after = other.recall("Cancel order 18")
    assert [hit.episode_id for hit in after.hits] == [hit.episode_id for hit in before.hits]
    assert other.stats()["index"]["episodes"] == 1


def test_threads_that_start_episodes_at_once_share_one_timer() -> None:
    memory = Memory()
    before = sum(thread.name == "tacit-recording" for thread in threading.enumerate())
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        memory.start("a task")

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timer = memory._rooms.opened._timer.thread
    assert timer is not None
    running = sum(thread.name == "tacit-recording" for thread in threading.enumerate())
    assert running <= before + 1
    memory.close()
    assert not timer.is_alive()
