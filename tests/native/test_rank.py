"""Weighted sums, fused ranks and variety, against loops in plain Python."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit._native import diversify, reciprocal_ranks, weighted_sums
from tacit.errors import ValidationError

SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
LISTS = st.lists(st.lists(st.integers(0, 12), unique=True, max_size=8), max_size=4)


def reference_weighted_sum(row: list[float], weights: list[float]) -> float:
    present = [(value, weight) for value, weight in zip(row, weights, strict=True) if not math.isnan(value)]
    total = sum(weight for _, weight in present)
    return sum(value * weight / total for value, weight in present) if total else 0.0


def reference_diversify(
    relevance: list[float], similarity: list[list[float]], balance: float, limit: int
) -> list[int]:
    chosen: list[int] = []

    def worth(row: int) -> float:
        likeness = max([0.0, *(similarity[other][row] for other in chosen)])
        return balance * relevance[row] - (1 - balance) * likeness

    while len(chosen) < min(limit, len(relevance)):
        left = [row for row in range(len(relevance)) if row not in chosen]
        chosen.append(max(left, key=lambda row: (worth(row), -row)))
    return chosen


@given(
    st.lists(st.lists(SHARES | st.just(math.nan), min_size=3, max_size=3), max_size=5),
    st.tuples(*[SHARES] * 3),
)
def test_the_weights_are_shared_out_among_what_is_present(
    values: list[list[float]], weights: tuple[float, ...]
) -> None:
    found = weighted_sums(np.array(values).reshape(-1, 3), np.array(weights))
    expected = [reference_weighted_sum(row, list(weights)) for row in values]
    assert found.tolist() == pytest.approx(expected, abs=1e-9)


@given(LISTS)
def test_fused_ranks_are_the_sums_of_reciprocal_places(lists: list[list[int]]) -> None:
    items, scores = reciprocal_ranks([np.array(each, dtype=np.uint64) for each in lists])
    expected = {
        item: sum(1 / (60 + each.index(item) + 1) for each in lists if item in each) for item in chain(*lists)
    }
    assert dict(zip(items.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected)
    assert list(zip(-scores, items, strict=True)) == sorted(zip(-scores, items, strict=True))


@given(st.data(), st.integers(0, 7), st.integers(0, 9), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_variety_is_that_of_the_reference(data: st.DataObject, n: int, limit: int, balance: float) -> None:
    quarters = st.integers(0, 4).map(
        lambda quarter: quarter / 4
    )  # exact sums, so that ties are ties on both sides
    relevance = data.draw(st.lists(quarters, min_size=n, max_size=n))
    similarity = data.draw(st.lists(st.lists(quarters, min_size=n, max_size=n), min_size=n, max_size=n))
    found = diversify(np.array(relevance), np.array(similarity).reshape(n, n), balance=balance, limit=limit)
    assert found.tolist() == reference_diversify(relevance, similarity, balance, limit)


def test_arguments_that_do_not_fit_together_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="weights"):
        weighted_sums(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValidationError, match="weights"):
        weighted_sums(np.ones((2, 1)), -np.ones(1))
    with pytest.raises(ValidationError, match="similarity"):
        diversify(np.ones(2), np.ones((3, 2)), balance=0.5, limit=1)
    with pytest.raises(ValidationError, match="balance"):
        diversify(np.ones(2), np.ones((2, 2)), balance=1.5, limit=1)
    with pytest.raises(ValidationError, match="constant"):
        reciprocal_ranks([], constant=-1.0)
