"""Two memories of one store, or two threads of one memory, at the worst moment: between catching up and committing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tacit import (
    ConflictError,
    Episode,
    Learned,
    Memory,
    Outcome,
    Step,
    UnknownEpisodeError,
)
from tacit.testing.faulty import FaultyStore

WELL = Outcome.success()
STEPS = (Step("look", status="ok"), Step("act", status="ok"))


def run(task: str = "find the order", **fields: Any) -> Episode:
    return Episode(task, steps=STEPS, outcome=WELL, **fields)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


class Meanwhile:
    """Starts something in a thread, gives it a moment to get stuck at a lock, and lets it end later."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.result: Any = None
        self._action = action
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.result = self._action()
        except Exception as error:
            self.result = error

    def start(self) -> None:
        self._thread.start()
        self._thread.join(0.2)

    def end(self) -> Any:
        self._thread.join(30)
        return self.result


def commits_of(memory: Memory) -> dict[str, Callable[[], Any]]:
    """Everything that commits, made ready to do so."""
    old = memory.add(run("find the order again")).episode_id
    id = memory.start("find the order")
    memory.recall("find the order", episode_id=id)
    memory.log(id, "look", output=1)
    ended = memory.start("find the order")
    answer = memory.recall("find the order", episode_id=ended)
    memory.complete(ended, WELL)
    return {
        "complete": lambda: memory.complete(id, WELL),
        "add": lambda: memory.add(run()),
        "add_many": lambda: list(memory.add_many([run(), run("another")])),
        "forget": lambda: memory.forget(old),
        "feedback": lambda: memory.feedback(answer.id, helped={old: True}),
        "maintain": lambda: memory.maintain(),
    }


@pytest.mark.parametrize("verb", ["complete", "add", "add_many", "forget", "feedback", "maintain"])
def test_an_episode_that_another_memory_commits_just_before_is_known_afterwards(
    store: FaultyStore, verb: str
) -> None:
    memory, other = Memory(store=store, clock=lambda: 10**18), Memory(store=store)
    commit = commits_of(memory)[verb]
    store.before = lambda: other.add(run("sort the mail", external_id="theirs"))
    commit()
    assert store.before is None
    assert [hit.task for hit in memory.recall("sort the mail", limit=1).hits] == ["sort the mail"]
    fresh = Memory(store=store, clock=lambda: 10**18)
    assert memory.patterns(min_trials=0) == fresh.patterns(min_trials=0)
    assert memory.recall("find the order").hits == fresh.recall("find the order").hits


def test_an_external_id_that_another_memory_took_meanwhile_leaves_the_episode_open(
    store: FaultyStore,
) -> None:
    memory, other = Memory(store=store), Memory(store=store)
    id = memory.start("find the order", external_id="run-1")
    store.before = lambda: other.add(run("another task", external_id="run-1"))
    with pytest.raises(ConflictError):
        memory.complete(id, WELL)
    assert memory.get(id).outcome is None
    assert memory.stats()["open"] == 1


def test_episodes_beside_one_that_was_added_meanwhile_keep_their_own_ids(store: FaultyStore) -> None:
    memory, other = Memory(store=store), Memory(store=store)
    memory.add(run("an old task"))
    theirs: list[Learned] = []
    both = run(external_id="run-1", started_at=1_700_000_000_000_000, ended_at=1_700_000_000_000_001)
    store.before = lambda: theirs.append(other.add(both))
    ours, shared = memory.add_many([run("alone"), both])
    assert (ours.state, memory.get(ours.episode_id).task) == ("learned", "alone")
    assert (shared.state, shared.episode_id) == ("unchanged", theirs[0].episode_id)


def test_forgetting_takes_back_the_credit_that_another_memory_gave(store: FaultyStore) -> None:
    memory, other = Memory(store=store), Memory(store=store)
    shown = memory.add(run()).episode_id
    with other.episode("find the order") as episode:
        episode.recall()
        for step in STEPS:
            episode.log(step.tool, output=1)
        episode.succeed()
    memory.forget(episode.id)
    assert memory.usage(shown).retrieved == 0
    assert other.usage(shown).retrieved == 0
    assert store.scan("credit") == store.scan("receipt") == []


def test_an_episode_that_is_forgotten_while_it_is_completed_is_gone(store: FaultyStore) -> None:
    memory = Memory(store=store)
    id = memory.start("find the order")
    forgetting = Meanwhile(lambda: memory.forget(id))
    store.before = forgetting.start
    assert memory.complete(id, WELL).state == "learned"
    assert forgetting.end() is None
    with pytest.raises(UnknownEpisodeError):
        memory.get(id)


def test_a_second_completion_waits_for_the_first(store: FaultyStore) -> None:
    memory = Memory(store=store)
    id = memory.start("find the order")
    again = Meanwhile(lambda: memory.complete(id, WELL))
    store.before = again.start
    assert memory.complete(id, WELL).state == "learned"
    assert again.end().state == "unchanged"


def test_two_threads_that_maintain_at_once_do_not_decide_the_same_twice(store: FaultyStore) -> None:
    memory = Memory(store=store)
    for error in ("payment was refused", "payments was refused"):
        steps = (Step("pay", status="error", error=error), Step("look", status="ok"))
        assert len(list(memory.add_many([Episode("t", steps=steps, outcome=WELL)] * 3))) == 3
    again = Meanwhile(memory.maintain)
    store.before = again.start
    assert memory.maintain().merges
    second = again.end()
    assert (second.merges, second.unchanged) == ((), True)


def test_a_run_of_maintenance_that_waited_reads_what_the_one_before_it_decided() -> None:
    memory = Memory()
    for error in ("payment was refused", "payments was refused"):
        steps = (Step("pay", status="error", error=error), Step("look", status="ok"))
        assert len(list(memory.add_many([Episode("t", steps=steps, outcome=WELL)] * 3))) == 3
    first, second = (memory._rooms.maintainer.maintain("default", now=0, dry_run=False) for _ in range(2))
    assert first.merges
    assert (second.merges, second.unchanged) == ((), True)


def complete_many(memory: Memory, agent: str, number: int) -> None:
    for each in range(number):
        with memory.episode(f"find order {each}", agent=agent) as episode:
            episode.recall(limit=2)
            for step in STEPS:
                episode.log(step.tool, output=each)
            episode.succeed()


def test_completions_recalls_and_maintenance_of_one_memory_go_on_at_once() -> None:
    memory, ended = Memory(), threading.Event()

    def until_the_end(action: Callable[[], Any]) -> int:
        times = 0
        while not ended.is_set():
            action()
            times += 1
        return times

    with ThreadPoolExecutor(5) as pool:
        others = [
            pool.submit(until_the_end, action)
            for action in (lambda: memory.recall("find order 3"), memory.maintain)
        ]
        writers = [pool.submit(complete_many, memory, agent, 25) for agent in "abc"]
        try:
            assert [writer.result() for writer in writers] == [None] * 3
        finally:
            ended.set()
        assert all(other.result() for other in others)
    assert memory.stats()["episodes"] == 75
    [pattern] = memory.patterns(kind="tool_sequence")
    assert (pattern.trials, pattern.successes, pattern.episodes) == (75, 75.0, 75)
