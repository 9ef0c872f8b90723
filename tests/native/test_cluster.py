"""k-means and DBSCAN against a few lines of Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tacit import _native
from tacit.errors import ValidationError

SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 5), st.integers(0, 2**32 - 1))
TEXTS = st.lists(st.lists(st.integers(0, 2), max_size=5), max_size=15)


def points(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    rows, width, seed = shape
    return np.random.default_rng(seed).integers(-4, 5, size=(rows, width)).astype(np.float32)


def grown(distances: NDArray[np.float64], eps: float, min_points: int) -> list[int]:
    """From each dense row outwards, in order of row, as the textbook has it; numbered by first row."""
    near = [np.flatnonzero(row <= eps) for row in distances]
    labels = [-1] * len(near)
    for first in range(len(near)):
        if labels[first] != -1 or len(near[first]) < min_points:
            continue
        open_rows = [first]
        while open_rows:
            row = open_rows.pop()
            if labels[row] == -1:
                labels[row] = first
                open_rows += list(near[row]) if len(near[row]) >= min_points else []
    return numbered(labels)


def numbered(labels: list[int]) -> list[int]:
    numbers: dict[int, int] = {}
    return [-1 if label == -1 else numbers.setdefault(label, len(numbers)) for label in labels]


def euclidean(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = matrix.astype(np.float64)
    return np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2))


def cosine(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = matrix.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    units = np.divide(rows, lengths[:, None], out=np.zeros_like(rows), where=lengths[:, None] > 0)
    distances = 1 - units @ units.T
    np.fill_diagonal(distances, 0)
    return distances


def is_between_two_rows(distances: NDArray[np.float64], eps: float) -> bool:
    """Returns True if no distance is so close to `eps` that the order of a sum decides."""
    return bool((np.abs(distances - eps) > 1e-9).all())


@pytest.mark.parametrize(("metric", "distance"), [("euclidean", euclidean), ("cosine", cosine)])
@given(shape=SHAPES, eps=st.sampled_from([0.15123, 0.70517, 1.10391, 2.10113]), min_points=st.integers(1, 5))
def test_dbscan_grows_clusters_as_the_textbook_does(
    metric: str,
    distance: Callable[[NDArray[np.float32]], NDArray[np.float64]],
    shape: tuple[int, int, int],
    eps: float,
    min_points: int,
) -> None:
    distances = distance(points(shape))
    assert is_between_two_rows(distances, eps)
    labels, medoids = _native.dbscan(points(shape), eps=eps, min_points=min_points, metric=metric)
    assert labels.tolist() == grown(distances, eps, min_points)
    assert labels[medoids].tolist() == list(range(len(medoids)))


@given(TEXTS, st.integers(1, 3))
def test_sequences_cluster_as_their_distances_do(texts: list[list[int]], min_points: int) -> None:
    symbols = np.array([symbol for text in texts for symbol in text], dtype=np.uint64)
    offsets = np.cumsum([0] + [len(text) for text in texts]).astype(np.uint64)
    found = _native.dbscan_sequences(symbols, offsets, eps=0.45, min_points=min_points)
    rows = [np.array(text, dtype=np.uint64) for text in texts]
    distances = np.array([1 - _native.levenshtein_ratio_many(row, symbols, offsets) for row in rows])
    assert found[0].tolist() == grown(distances, 0.45, min_points)
    if texts:
        same = _native.dbscan_distances(distances.astype(np.float32), eps=0.45, min_points=min_points)
        assert [part.tolist() for part in same] == [part.tolist() for part in found]


def test_a_medoid_is_the_member_with_the_least_distances_to_the_others() -> None:
    distances = np.array([[0, 3, 1, 9], [3, 0, 1, 9], [1, 1, 0, 9], [9, 9, 9, 0]], dtype=np.float32)
    labels, medoids = _native.dbscan_distances(distances, eps=3, min_points=2)
    assert (labels.tolist(), medoids.tolist()) == ([0, 0, 0, -1], [2])


@given(SHAPES, st.integers(1, 6), st.integers(0, 2**64 - 1))
def test_settled_k_means_leaves_each_row_with_its_nearest_mean(
    shape: tuple[int, int, int], k: int, seed: int
) -> None:
    matrix, k = points(shape), min(k, shape[0])
    labels, medoids = _native.kmeans(matrix, k, seed=seed, iterations=1000)
    assert numbered(labels.tolist()) == labels.tolist()
    assert len(medoids) == labels.max() + 1 <= k
    means = np.array(
        [matrix[labels == label].mean(axis=0, dtype=np.float64) for label in range(len(medoids))]
    )
    distances = np.linalg.norm(matrix[:, None] - means[None], axis=2)
    np.testing.assert_allclose(distances[np.arange(len(matrix)), labels], distances.min(axis=1), atol=1e-4)
    for label, medoid in enumerate(medoids):
        members = np.flatnonzero(labels == label)
        assert distances[medoid, label] == pytest.approx(distances[members, label].min(), abs=1e-6)


def test_k_means_finds_groups_that_lie_apart_and_repeats_itself() -> None:
    random = np.random.default_rng(5)
    truth = np.arange(300) % 5
    matrix = (np.eye(5)[truth] * 50 + random.standard_normal((300, 5))).astype(np.float32)
    for seed in range(8):
        labels, medoids = _native.kmeans(matrix, 5, seed=seed)
        assert labels.tolist() == truth.tolist()
        again = _native.kmeans(matrix, 5, seed=seed)
        assert medoids.tolist() == again[1].tolist()


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda matrix: _native.kmeans(matrix, 0), "k"),
        (lambda matrix: _native.kmeans(matrix, 4), "k"),
        (lambda matrix: _native.kmeans(matrix * np.float32("nan"), 2), "matrix"),
        (lambda matrix: _native.kmeans(matrix[:, :0], 2), "matrix"),
        (lambda matrix: _native.dbscan(matrix, eps=-1, min_points=2), "eps"),
        (lambda matrix: _native.dbscan(matrix, eps=float("nan"), min_points=2), "eps"),
        (lambda matrix: _native.dbscan(matrix, eps=1, min_points=0), "min_points"),
        (lambda matrix: _native.dbscan(matrix, eps=1, min_points=2, metric="manhattan"), "metric"),
        (lambda matrix: _native.dbscan(matrix * np.float32("inf"), eps=1, min_points=2), "matrix"),
        (lambda matrix: _native.dbscan_distances(matrix, eps=1, min_points=2), "distances"),
    ],
)
def test_what_cannot_be_clustered_is_named(call: Callable[[NDArray[np.float32]], object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        call(np.ones((3, 2), dtype=np.float32))
    assert refused.value.field == field
