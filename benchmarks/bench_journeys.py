"""The two journeys: an episode is recorded, learned from and durable; a task gets its ranked, explained answer."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from benchmarks import reference, workloads
from tacit import Episode, Memory, Outcome, Step, TaskContext


class Record:
    """One caller records an episode of 20 steps and completes it, durably: learned from, or one bare JSON row."""

    params: ClassVar = [["native", "bare sqlite3"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, "memory.db")
        self.steps = workloads.steps(20, seed=7)
        self.task = workloads.tasks(1, seed=7)[0]
        self.record: Callable[[str, list[dict[str, Any]]], None]
        self.close: Callable[[], None]
        if implementation == "native":
            memory = Memory(path)
            self.record, self.close = functools.partial(record, memory), memory.close
        else:
            rows = reference.JsonRows(path)
            self.record, self.close = rows.record, rows.close

    def teardown(self, implementation: str) -> None:
        self.close()
        self.folder.cleanup()

    def time_record(self, implementation: str) -> None:
        self.record(self.task, self.steps)


class Log:
    """Five hundred steps of an open episode, validated; the yardstick only encodes and keeps them."""

    params: ClassVar = [["native", "json"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.memory = Memory()
        self.steps = workloads.steps(500, seed=7)
        self.log_all = {"native": self.log_into_memory, "json": lambda: reference.log_as_json(self.steps)}[
            implementation
        ]

    def log_into_memory(self) -> None:
        episode_id = self.memory.start("a long task")
        for step in self.steps:
            self.memory.log(episode_id, **step)

    def time_log(self, implementation: str) -> None:
        self.log_all()


class Recall:
    """A task's answer from n episodes: five hits, explained; the yardstick is an exact cosine over rows in sqlite."""

    params: ClassVar = [[1_000, 10_000], ["native", "sqlite and numpy"]]
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        self.queries = workloads.tasks(64, seed=11)
        self.asked = 0
        self.recall = answers(n)[implementation]
        assert len(self.recall(self.queries[0])) == 5

    def time_recall(self, n: int, implementation: str) -> None:
        self.asked += 1
        self.recall(self.queries[self.asked % len(self.queries)])


def record(memory: Memory, task: str, steps: list[dict[str, Any]]) -> None:
    episode_id = memory.start(task, domain="retail", agent="one")
    for step in steps:
        memory.log(episode_id, **step)
    memory.complete(episode_id, Outcome.success("done"))


def episodes(n: int) -> list[Episode]:
    """`n` finished episodes of about ten steps, three in four of them successes."""
    runs = [workloads.steps(4 + seed % 13, seed) for seed in range(64)]
    return [
        Episode(
            task=task,
            context=TaskContext(domain=workloads.DOMAINS[number % 4]),
            agent=f"agent-{number % 3}",
            started_at=1_700_000_000_000_000 + number * 60_000_000,
            ended_at=1_700_000_000_000_000 + number * 60_000_000 + 30_000_000,
            steps=tuple(
                Step(**step, status="error" if "error" in step else "ok") for step in runs[number % 64]
            ),
            outcome=Outcome.failure("no") if number % 4 == 3 else Outcome.success(),
        )
        for number, task in enumerate(workloads.tasks(n, seed=5))
    ]


@functools.lru_cache(maxsize=2)
def answers(n: int) -> dict[str, Callable[[str], Any]]:
    """The same `n` episodes in both, and how each is asked for five of them."""
    memory = Memory()
    for _ in memory.add_many(episodes(n)):
        pass
    rows = reference.NearestRows([episode.task for episode in episodes(n)])
    return {
        "native": lambda task: memory.recall(task, limit=5).hits,
        "sqlite and numpy": lambda task: rows.nearest(task, 5),
    }
