"""bench_rank.py: scores, fused ranks and variety among n candidates, native beside NumPy in the same run."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

import numpy as np

from benchmarks import reference, workloads
from tacit import _native

IMPLEMENTATIONS: dict[str, ModuleType] = {"native": _native, "reference": reference}


class Rank:
    params: ClassVar = [[100, 1_000], ["native", "reference"]]
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        self.rank = IMPLEMENTATIONS[implementation]
        self.values, self.weights = workloads.signals(n, 8, seed=7)
        random = np.random.default_rng(7)
        self.lists = [random.permutation(2 * n)[:n].astype(np.uint64) for _ in range(4)]
        self.relevance, self.similarity = random.random(n), workloads.similarities(n, seed=7)
        self.check()

    def check(self) -> None:
        sums = reference.weighted_sums(self.values, self.weights)
        assert np.allclose(self.rank.weighted_sums(self.values, self.weights), sums)
        items, scores = reference.reciprocal_ranks(self.lists)
        found_items, found_scores = self.rank.reciprocal_ranks(self.lists)
        assert np.allclose(found_scores, scores)
        assert set(found_items) == set(items)
        assert (self.choose(self.rank) == self.choose(reference)).all()

    def choose(self, rank: ModuleType) -> np.ndarray:
        return rank.diversify(self.relevance, self.similarity, balance=0.7, limit=10)

    def time_weighted_sums(self, n: int, implementation: str) -> None:
        self.rank.weighted_sums(self.values, self.weights)

    def time_reciprocal_ranks(self, n: int, implementation: str) -> None:
        self.rank.reciprocal_ranks(self.lists)

    def time_diversify(self, n: int, implementation: str) -> None:
        self.choose(self.rank)
