"""Groups of rows or sequences that are near each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _native
from .columns import Item, Numbering


class Clusters(NamedTuple):
    """The cluster of each row, and the row that stands for each cluster."""

    labels: NDArray[np.int32]
    """By row, the number of its cluster from 0 on; -1 means that the row is in none."""
    medoids: NDArray[np.uint32]
    """By cluster, the row in its middle."""


def kmeans(matrix: ArrayLike, k: int, *, seed: int = 0, iterations: int = 100) -> Clusters:
    """Return at most `k` clusters of rows by k-means with a greedy k-means++ start.

    The same arguments give the same clusters on the same processor.

    Example:
        >>> kmeans([[0.0], [0.1], [9.0]], 2).labels.tolist()
        [0, 0, 1]
    """
    rows = np.ascontiguousarray(matrix, np.float32)
    return Clusters(*_native.kmeans(rows, k, seed=seed, iterations=iterations))


def dbscan(
    matrix: ArrayLike,
    *,
    eps: float,
    min_points: int,
    metric: Literal["euclidean", "cosine"] = "euclidean",
) -> Clusters:
    """Return dense clusters of rows: a row with `min_points` rows within `eps`, itself counted, makes one grow.

    Example:
        >>> dbscan([[0.0], [0.1], [9.0]], eps=0.5, min_points=2).labels.tolist()
        [0, 0, -1]
    """
    rows = np.ascontiguousarray(matrix, np.float32)
    return Clusters(*_native.dbscan(rows, eps=eps, min_points=min_points, metric=metric))


def dbscan_distances(distances: ArrayLike, *, eps: float, min_points: int) -> Clusters:
    """Return the clusters of `dbscan` for a square matrix of distances, of which the upper half is read.

    Example:
        >>> dbscan_distances([[0.0, 1.0], [1.0, 0.0]], eps=1.0, min_points=2).labels.tolist()
        [0, 0]
    """
    rows = np.ascontiguousarray(distances, np.float32)
    return Clusters(*_native.dbscan_distances(rows, eps=eps, min_points=min_points))


def dbscan_sequences(sequences: Sequence[Iterable[Item]], *, eps: float, min_points: int) -> Clusters:
    """Return the clusters of `dbscan` for sequences whose distance is 1 - `levenshtein_ratio`.

    Example:
        >>> dbscan_sequences(["abcd", "abce", "xyz"], eps=0.3, min_points=2).labels.tolist()
        [0, 0, -1]
    """
    numbering: Numbering[Item] = Numbering()
    columns = numbering.columns(sequences)
    return Clusters(*_native.dbscan_sequences(*columns, eps=eps, min_points=min_points))
