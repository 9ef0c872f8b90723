"""Each measure of likeness against a few lines of Python."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tacit import _native
from tacit.errors import ValidationError

SYMBOLS = st.lists(st.integers(0, 4).map(lambda symbol: symbol * 0x9E3779B97F4A7C15 % 2**64), max_size=90)
TEXTS = st.lists(SYMBOLS, max_size=12)
WORDS = st.sampled_from(["", "web", "api", "grün"])
CONTEXTS = st.tuples(WORDS, st.none() | WORDS, st.lists(st.sampled_from(["a", "b", "c"]), max_size=4))
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 90), st.integers(0, 2**32 - 1))


def symbols(values: list[int]) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def columns(texts: list[list[int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    offsets = np.cumsum([0] + [len(text) for text in texts])
    return symbols([symbol for text in texts for symbol in text]), offsets.astype(np.uint64)


def query_and_matrix(shape: tuple[int, int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows, width, seed = shape
    random = np.random.default_rng(seed)
    matrix = random.integers(-3, 4, size=(rows, width)).astype(np.float32)
    return random.standard_normal(width, dtype=np.float32), matrix


def cosines(query: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(matrix.astype(np.float64), axis=1) * np.linalg.norm(query.astype(np.float64))
    return np.divide(matrix @ query.astype(np.float64), lengths, out=np.zeros(len(matrix)), where=lengths > 0)


def edit_distance(a: list[int], b: list[int]) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        replaced = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(replaced, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(a), len(b))


def common_length(a: list[int], b: list[int]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        before = row
        row = [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
    return row[-1]


def share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


@given(SHAPES, st.integers(1, 12))
def test_the_best_rows_are_those_of_a_full_sort(shape: tuple[int, int, int], k: int) -> None:
    query, matrix = query_and_matrix(shape)
    expected = cosines(query, matrix)
    for found in (
        _native.top_k(query, matrix, k=k),
        _native.Quantised(matrix).top_k(query, matrix, k=k),
        _native.SignBits(matrix).top_k(query, matrix, k=k, finalists=len(matrix)),
    ):
        rows, scores = found
        np.testing.assert_allclose(scores, np.sort(expected)[::-1][:k], atol=1e-5)
        np.testing.assert_allclose(scores, expected[rows], atol=1e-5)
        assert list(zip(-scores, rows, strict=True)) == sorted(zip(-scores, rows, strict=True))


def test_equal_scores_are_in_order_of_row() -> None:
    matrix = np.ones((6, 3), dtype=np.float32)
    rows, _ = _native.top_k(matrix[0], matrix, k=4)
    assert rows.tolist() == [0, 1, 2, 3]


def test_a_row_of_zeros_scores_zero() -> None:
    matrix = np.array([[-1, 0], [0, 0]], dtype=np.float32)
    rows, scores = _native.top_k(np.array([1, 0], dtype=np.float32), matrix, k=2)
    assert (rows.tolist(), scores.tolist()) == ([1, 0], [0.0, -1.0])


def test_few_finalists_still_find_what_is_nearly_the_query() -> None:
    random = np.random.default_rng(3)
    matrix = random.standard_normal((500, 128), dtype=np.float32)
    query = matrix[77] + 0.1 * random.standard_normal(128, dtype=np.float32)
    rows, _ = _native.SignBits(matrix).top_k(query, matrix, k=1, finalists=5)
    assert rows.tolist() == [77]


@pytest.mark.parametrize(
    ("query", "matrix", "k", "field"),
    [
        (np.ones(3), np.ones((2, 4)), 1, "query"),
        (np.ones(0), np.ones((2, 4)), 1, "query"),
        (np.full(4, np.nan), np.ones((2, 4)), 1, "query"),
        (np.ones(4), np.ones((2, 0)), 1, "matrix"),
        (np.ones(4), np.full((2, 4), np.inf), 1, "matrix"),
        (np.ones(4), np.ones((4, 2)).T, 1, "matrix"),
        (np.ones(4), np.ones((2, 4)), 0, "k"),
    ],
)
def test_a_query_that_cannot_be_answered_names_what_is_wrong(
    query: NDArray[np.float64], matrix: NDArray[np.float64], k: int, field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        _native.top_k(query.astype(np.float32), matrix.astype(np.float32), k=k)
    assert refused.value.field == field


def test_codes_refuse_a_matrix_of_another_shape_and_numbers_that_are_not_finite() -> None:
    matrix = np.ones((3, 4), dtype=np.float32)
    for kind, finalists in ((_native.Quantised, {}), (_native.SignBits, {"finalists": 3})):
        assert len(kind(matrix)) == 3
        with pytest.raises(ValidationError, match="shape"):
            kind(matrix).top_k(matrix[0], matrix[:2], k=1, **finalists)
        with pytest.raises(ValidationError, match="finite"):
            kind(matrix * np.nan)


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_jaccard_is_the_share_of_the_union(a: set[int], b: set[int]) -> None:
    found = _native.jaccard(symbols(sorted(a)), symbols(sorted(b)))
    assert found == pytest.approx(share(len(a & b), len(a | b)))


def test_jaccard_refuses_what_is_no_set() -> None:
    with pytest.raises(ValidationError, match="ascending"):
        _native.jaccard(symbols([1, 1]), symbols([]))


@given(SYMBOLS, SYMBOLS)
def test_pairs_of_sequences_agree_with_the_textbook(a: list[int], b: list[int]) -> None:
    distance, common, longer = edit_distance(a, b), common_length(a, b), max(len(a), len(b))
    pair = symbols(a), symbols(b)
    assert _native.levenshtein(*pair) == distance
    assert _native.levenshtein_ratio(*pair) == pytest.approx(1 - share(distance, longer) if longer else 1.0)
    assert _native.lcs_length(*pair) == common
    assert _native.lcs_ratio(*pair) == pytest.approx(share(2 * common, len(a) + len(b)))
    assert _native.lcs_coverage(*pair) == pytest.approx(share(common, longer))


@given(SYMBOLS, TEXTS)
def test_one_against_many_is_one_against_each(query: list[int], texts: list[list[int]]) -> None:
    for measure in ("levenshtein", "levenshtein_ratio", "lcs_length", "lcs_ratio", "lcs_coverage"):
        one, many = getattr(_native, measure), getattr(_native, f"{measure}_many")
        each = [one(symbols(query), symbols(text)) for text in texts]
        assert many(symbols(query), *columns(texts)).tolist() == each


def test_columns_that_do_not_fit_are_refused() -> None:
    for offsets in ([], [0, 3], [2, 1]):
        with pytest.raises(ValidationError) as refused:
            _native.lcs_ratio_many(symbols([1]), symbols([1, 2]), symbols(offsets))
        assert refused.value.field == "offsets"


@given(CONTEXTS, CONTEXTS)
def test_contexts_weigh_only_the_terms_that_one_has(
    a: tuple[str, str | None, list[str]], b: tuple[str, str | None, list[str]]
) -> None:
    weight = score = 0.0
    for term, (x, y) in ((0.4, (a[0], b[0])), (0.3, (a[1], b[1]))):
        if x or y:
            weight, score = weight + term, score + term * ((x or None) == (y or None))
    if a[2] or b[2]:
        union = set(a[2]) | set(b[2])
        weight, score = weight + 0.3, score + 0.3 * len(set(a[2]) & set(b[2])) / len(union)
    assert _native.context_similarity(a, b) == pytest.approx(share(score, weight))


@given(CONTEXTS)
def test_a_context_equals_itself(context: tuple[str, str | None, list[str]]) -> None:
    assert _native.context_similarity(context, context) == 1.0
