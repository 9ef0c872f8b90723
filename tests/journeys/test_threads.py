"""One memory, many threads: complete, recall and maintain at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tacit import Memory, Outcome

from .conftest import MakeMemory

WORKERS, EPISODES = 4, 40


def test_threads_complete_recall_and_maintain_at_once_and_nothing_is_lost(make_memory: MakeMemory) -> None:
    memory = make_memory()
    start = threading.Barrier(WORKERS + 3)
    completing = threading.Event()
    completing.set()

    def complete(worker: int) -> list[str]:
        start.wait()
        ids = []
        for n in range(EPISODES):
            with memory.episode(f"cancel order {n}", domain="retail", agent=f"agent {worker}") as episode:
                answer = episode.recall(limit=3)
                episode.log("get_order", parameters={"order_id": n}, output={"status": "pending"})
                if n % 3:
                    episode.log("cancel_order", error="payment method not found")
                episode.log("cancel_order", output="done")
                learned = episode.succeed() if n % 2 else episode.fail("no")
                assert learned.state == "learned"
                assert all(hit.episode_id != episode.id for hit in answer.hits)
                ids.append(episode.id)
        return ids

    def ask() -> int:
        start.wait()
        seen = 0
        while completing.is_set():
            known = len(memory.episodes(limit=10_000))
            assert known >= seen
            seen = known
            memory.recall("cancel order 7", domain="retail")
            memory.suggest(["get_order"], task="cancel order 7")
            memory.patterns(domain="retail")
        return seen

    def maintain() -> int:
        start.wait()
        runs = 0
        while completing.is_set() or runs == 0:
            memory.maintain(dry_run=runs % 2 == 1)
            memory.heuristics()
            memory.clusters()
            runs += 1
        return runs

    with ThreadPoolExecutor(WORKERS + 3) as pool:
        completed = [pool.submit(complete, worker) for worker in range(WORKERS)]
        others = [pool.submit(ask), pool.submit(ask), pool.submit(maintain)]
        try:
            ids = [id for each in completed for id in each.result()]
        finally:
            completing.clear()
        assert all(each.result() for each in others)
    check(memory, ids)


def check(memory: Memory, ids: list[str]) -> None:
    """The memory answers the same as one that recorded all of it in order."""
    stored = memory.episodes(limit=10_000)
    assert {episode.id for episode in stored} == set(ids)
    assert len(ids) == WORKERS * EPISODES
    memory.maintain()
    with Memory() as alone:
        for episode in sorted(stored, key=lambda each: each.id):
            alone.add(episode)
        alone.maintain()
        assert evidence(memory) == evidence(alone)
    assert memory.maintain().unchanged


def evidence(memory: Memory) -> dict[str, Any]:
    found = memory.patterns(limit=10_000, min_trials=0)
    return {each.id: (each.trials, each.successes, each.episodes, each.outcomes) for each in found}


def test_one_episode_is_completed_once_by_many_threads(make_memory: MakeMemory) -> None:
    memory = make_memory()
    for _ in range(20):
        id = memory.start("cancel order 17")
        memory.log(id, "cancel_order", output="done")
        with ThreadPoolExecutor(8) as pool:
            completions = [pool.submit(memory.complete, id, Outcome.success()) for _ in range(8)]
        states = [each.result().state for each in completions]
        assert sorted(states) == ["learned"] + ["unchanged"] * 7
