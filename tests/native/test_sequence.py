"""Patterns of sequences against every choice of places, in plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tacit import _native
from tacit.errors import ValidationError

TEXTS = st.lists(st.lists(st.integers(0, 3), max_size=8), max_size=8)
Run = tuple[int, ...]


def columns(texts: list[list[int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    symbols = np.array([symbol for text in texts for symbol in text], dtype=np.uint64)
    return symbols, np.cumsum([0] + [len(text) for text in texts]).astype(np.uint64)


def runs(symbols: NDArray[np.uint64], offsets: NDArray[np.uint64]) -> list[Run]:
    return [tuple(symbols[a:b].tolist()) for a, b in pairwise(offsets)]


def found_in(texts: list[list[int]], longest: int, gap: int) -> dict[Run, set[int]]:
    """Each pattern with the sequences it is found in."""
    found = defaultdict(set)
    for index, text in enumerate(texts):
        for length in range(1, longest + 1):
            for places in combinations(range(len(text)), length):
                if places[-1] - places[0] - (length - 1) <= gap:
                    found[tuple(text[place] for place in places)].add(index)
    return found


def closed(texts: list[list[int]], longest: int, gap: int, min_support: int) -> dict[Run, set[int]]:
    """The patterns of at least two symbols that no pattern with one more symbol accompanies everywhere."""
    found = {run: at for run, at in found_in(texts, longest, gap).items() if len(at) >= min_support}
    absorbed = {
        run[:left_out] + run[left_out + 1 :]
        for run, at in found.items()
        for left_out in range(len(run))
        if found.get(run[:left_out] + run[left_out + 1 :]) == at
    }
    return {run: at for run, at in found.items() if len(run) >= 2 and run not in absorbed}


@given(TEXTS, st.integers(1, 5), st.integers(1, 3))
def test_runs_are_counted_as_windows_are(texts: list[list[int]], longest: int, min_support: int) -> None:
    windows = [
        (tuple(text[at : at + length]), index)
        for index, text in enumerate(texts)
        for length in range(1, longest + 1)
        for at in range(len(text) - length + 1)
    ]
    support = Counter(run for run, _ in set(windows))
    occurrences = Counter(run for run, _ in windows)
    symbols, offsets, found_support, found = _native.ngrams(
        *columns(texts), shortest=1, longest=longest, min_support=min_support
    )
    counted = zip(found_support.tolist(), found.tolist(), strict=True)
    expected = {run: (n, occurrences[run]) for run, n in support.items() if n >= min_support}
    assert dict(zip(runs(symbols, offsets), counted, strict=True)) == expected


@given(TEXTS, st.integers(2, 4), st.integers(0, 2), st.integers(1, 3))
def test_frequent_sequences_are_the_closed_ones(
    texts: list[list[int]], longest: int, gap: int, min_support: int
) -> None:
    symbols, offsets, support = _native.frequent_sequences(
        *columns(texts), min_support=min_support, longest=longest, gap=gap
    )
    expected = closed(texts, longest, gap, min_support)
    in_order = sorted(expected, key=lambda run: (-len(expected[run]), len(run), run))
    assert runs(symbols, offsets) == in_order
    assert support.tolist() == [len(expected[run]) for run in in_order]


@given(TEXTS, st.integers(0, 255))
def test_discriminative_sequences_weigh_successes_against_failures(texts: list[list[int]], bits: int) -> None:
    successes = np.array([bool(bits >> index & 1) for index in range(len(texts))], dtype=np.bool_)
    symbols, offsets, support, won, scores = _native.discriminative_sequences(
        *columns(texts), successes, min_support=1, longest=3
    )
    expected = closed(texts, 3, 1, 1)
    assert set(runs(symbols, offsets)) == set(expected)
    for run, n, wins, score in zip(runs(symbols, offsets), support, won, scores, strict=True):
        assert (n, wins) == (len(expected[run]), sum(successes[list(expected[run])]))
        cells = [wins, n - wins, successes.sum() - wins, len(texts) - successes.sum() - n + wins]
        a, b, c, d = (int(cell) + 0.5 for cell in cells)
        spread = math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
        assert score == pytest.approx(math.log(a * d / (b * c)) / spread, abs=1e-12)
    assert np.all(np.diff(np.abs(scores)) <= 0)


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"min_support": 0}, "min_support"),
        ({"shortest": 0}, "shortest"),
        ({"shortest": 4, "longest": 3}, "longest"),
        ({"longest": 17}, "longest"),
        ({"gap": 5}, "gap"),
    ],
)
def test_limits_that_no_pattern_keeps_are_refused(limits: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        _native.frequent_sequences(*columns([[1, 2]]), **{"min_support": 1} | limits)
    assert refused.value.field == field


def test_outcomes_that_are_not_one_for_each_sequence_are_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        _native.discriminative_sequences(*columns([[1, 2]]), np.ones(2, dtype=np.bool_), min_support=1)
    assert refused.value.field == "successes"
