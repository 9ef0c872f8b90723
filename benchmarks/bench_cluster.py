"""Clusters of 10,000 vectors, beside scikit-learn."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.cluster import DBSCAN, KMeans

from benchmarks import workloads
from tacit import _native


class KMeansOfVectors:
    """Ten moves of 70 centres among 10,000 vectors of 32 numbers, from a greedy k-means++ start."""

    params: ClassVar = [["native", "scikit-learn"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        matrix = workloads.vectors(10_000, 32, seed=7)
        calls = {
            "native": lambda: _native.kmeans(matrix, 70, seed=1, iterations=10)[0],
            "scikit-learn": lambda: (
                KMeans(70, n_init=1, max_iter=10, tol=0, random_state=1).fit(matrix).labels_
            ),
        }
        self.cluster = calls[implementation]
        native, yardstick = (workloads.inertia(matrix, call()) for call in calls.values())
        assert native < 1.05 * yardstick

    def time_kmeans(self, implementation: str) -> None:
        self.cluster()


class DbscanOfVectors:
    """Dense regions among 10,000 vectors; scikit-learn chooses its algorithm by the data."""

    params: ClassVar = [[32, 384], ["native", "scikit-learn"]]
    param_names: ClassVar = ["width", "implementation"]
    timeout = 300

    def setup(self, width: int, implementation: str) -> None:
        matrix = workloads.vectors(10_000, width, seed=7)
        eps = workloads.usual_distance(matrix, seed=7)
        calls = {
            "native": lambda: _native.dbscan(matrix, eps=eps, min_points=5)[0],
            "scikit-learn": lambda: DBSCAN(eps=eps, min_samples=5).fit(matrix).labels_,
        }
        self.cluster = calls[implementation]
        native, yardstick = (call() for call in calls.values())
        assert len(np.unique(native)) > 2
        assert len(np.unique(np.stack([native, yardstick]), axis=1).T) == len(np.unique(native))

    def time_dbscan(self, width: int, implementation: str) -> None:
        self.cluster()
