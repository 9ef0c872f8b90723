"""Recall from the resident index by all signals, beside an exact cosine alone; the cost of adding an episode."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from benchmarks import reference, workloads
from tacit._native import HashedEmbedder, Index

EMBEDDER = HashedEmbedder()
NOW = 1_700_000_100_000_000


@functools.lru_cache(maxsize=1)
def filled(n: int) -> tuple[Index, np.ndarray, list[str]]:
    """An index of about `n` episodes, the matrix of their vectors, and 60 new tasks on the same subjects."""
    texts = workloads.requests(n // workloads.ATTEMPTS + 60, seed=5)
    index = Index(EMBEDDER.name, EMBEDDER.dimension)
    known = workloads.changes(texts[:-60], EMBEDDER, seed=5)
    while chunk := list(islice(known, 1_000)):
        index.apply(chunk)
    matrix = np.repeat(EMBEDDER.embed(texts[:-60]), workloads.ATTEMPTS, axis=0)
    return index, matrix, texts[-60:]


class Recall:
    """Five hits of a new task with its domain and steps so far. NumPy takes five by the cosine, and nothing else."""

    params: ClassVar = [[1_000, 10_000, 100_000], ["native", "numpy"]]
    param_names: ClassVar = ["n", "implementation"]
    timeout = 600

    def setup(self, n: int, implementation: str) -> None:
        self.index, self.matrix, self.tasks = filled(n)
        first = len(self.matrix) // workloads.ATTEMPTS
        self.domains = {task: f"domain-{number % 20}" for number, task in enumerate(self.tasks, first)}
        self.asked = 0
        ways: dict[str, Callable[[str], Any]] = {"native": self.by_all_signals, "numpy": self.by_cosine}
        self.recall = ways[implementation]
        assert len(self.recall(self.tasks[0])) == 5

    def by_all_signals(self, task: str, limit: int = 5) -> list[bytes]:
        hits, _, _ = self.index.recall(
            task,
            now=NOW,
            limit=limit,
            vector=EMBEDDER.embed_packed([task])[0],
            domain=self.domains[task],
            tools=workloads.TOOLS[:3],
            half_life_s=2_592_000.0,
        )
        return [hit.id for hit in hits]

    def by_cosine(self, task: str) -> list[int]:
        best, _ = reference.top_k(EMBEDDER.embed([task])[0], self.matrix, k=5)
        return best.tolist()

    def time_recall(self, n: int, implementation: str) -> None:
        self.asked += 1
        self.recall(self.tasks[self.asked % len(self.tasks)])

    def track_agreement_at_ten(self, n: int, implementation: str) -> float:
        """Which share of the ten hits is among the ten of a recall that judges every episode."""
        shares = []
        for task in self.tasks[:16]:
            exact = self.by_all_signals(task, limit=n)[:10]
            shares.append(len(set(exact) & set(self.by_all_signals(task, limit=10))) / 10)
        return float(np.mean(shares))

    def track_bytes_an_episode(self, n: int, implementation: str) -> float:
        return self.index.stats()["bytes"] / n


class Apply:
    """A thousand changes followed: decoded, analysed, counted. The yardstick only decodes them."""

    params: ClassVar = [["native", "msgspec"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        texts = workloads.requests(1_000 // workloads.ATTEMPTS, seed=9)
        self.changes = list(workloads.changes(texts, EMBEDDER, seed=9))
        self.apply: Callable[[], None] = {"native": self.follow, "msgspec": self.decode}[implementation]

    def follow(self) -> None:
        Index(EMBEDDER.name, EMBEDDER.dimension).apply(self.changes)

    def decode(self) -> None:
        reference.decode_records([change.record.payload for change in self.changes if change.record])

    def time_apply(self, implementation: str) -> None:
        self.apply()
