"""The public kernels: their examples, their agreement with plain Python, and that no native export lies idle."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit import _native, kernels
from tacit.errors import ValidationError

PACKAGE = Path(_native.__file__).parent
MODULES = [f"tacit.kernels.{module.name}" for module in pkgutil.iter_modules(kernels.__path__)]
TOOLS = st.lists(st.sampled_from(["find", "open", "edit", ("quit", 1)]), max_size=8)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_kernels_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0
    functions = [
        each for each in kernels.__all__ if getattr(getattr(kernels, each), "__module__", "") == name
    ]
    documented = [each for each in functions if ">>>" in (getattr(kernels, each).__doc__ or "")]
    assert [each for each in functions if each[0].islower() and each not in documented] == []


@given(TOOLS, TOOLS)
def test_sequences_of_any_hashable_items_are_compared(a: list[object], b: list[object]) -> None:
    longest = kernels.lcs_length(a, b)
    assert longest == kernels.lcs_length_many(a, [b])[0]
    assert longest >= SequenceMatcher(None, a, b, autojunk=False).find_longest_match().size
    assert kernels.levenshtein(a, b) == kernels.levenshtein_many(a, [b])[0] <= max(len(a), len(b))
    either = set(a) | set(b)
    expected = len(set(a) & set(b)) / len(either) if either else 1.0
    assert kernels.jaccard(a, b) == pytest.approx(expected)


@given(st.lists(TOOLS, max_size=6))
def test_an_ngram_is_counted_in_the_sequences_that_hold_it(runs: list[list[object]]) -> None:
    def holds(run: Sequence[object], items: tuple[object, ...]) -> int:
        return sum(tuple(run[at : at + len(items)]) == items for at in range(len(run)))

    for found in kernels.ngrams(runs, longest=3):
        counts = [holds(run, found.items) for run in runs]
        assert (found.support, found.occurrences) == (sum(map(bool, counts)), sum(counts))


def test_lists_of_any_items_are_fused_and_ties_stay_in_order_of_first_use() -> None:
    lists: list[list[object]] = [["b"], ["a"], [("c", 1)]]
    assert [item for item, _ in kernels.reciprocal_ranks(lists)] == ["b", "a", ("c", 1)]


def test_no_sequences_have_no_patterns_and_no_clusters() -> None:
    none: list[list[str]] = []
    assert kernels.ngrams(none) == []
    assert kernels.frequent_sequences(none, min_support=1) == []
    assert kernels.dbscan_sequences(none, eps=0.5, min_points=1).labels.tolist() == []
    with pytest.raises(ValidationError, match="successes"):
        kernels.discriminative_sequences([["a"]], [], min_support=1)


def test_quantised_and_sign_bits_find_the_row_that_the_exact_scan_finds() -> None:
    matrix = np.random.default_rng(3).standard_normal((200, 24))
    exact = kernels.top_k(matrix[17], matrix, k=3)[0].tolist()
    assert kernels.Quantised(matrix).top_k(matrix[17], k=3)[0].tolist() == exact
    assert kernels.SignBits(matrix).top_k(matrix[17], k=3, finalists=200)[0].tolist() == exact
    assert len(kernels.Quantised(matrix)) == len(kernels.SignBits(matrix)) == 200


def test_every_native_export_is_used_within_the_package() -> None:
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.alias)
    }
    rows = {name for name in dir(_native) if name.endswith(("Row", "Rows")) or name in {"Changes", "Choices"}}
    # The version that new facts are labelled with, and the encoding that the tests of the boundary ask for.
    asked_from_outside = {"TEXT_VERSION", "encode_json"}
    exported = {name for name in dir(_native) if not name.startswith("__")} - rows - asked_from_outside
    assert exported - used == set()
