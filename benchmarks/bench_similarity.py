"""Likeness of one query with many rows or sequences, beside NumPy and rapidfuzz."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
from rapidfuzz.distance import LCSseq, Levenshtein
from rapidfuzz.process import cdist

from benchmarks import reference, workloads
from tacit import _native


class TopTen:
    """The ten vectors of `n` of 384 numbers with the highest cosine: all forms of the rows, with exact scores."""

    params: ClassVar = [[10_000, 100_000], ["exact", "quantised", "sign bits"], ["native", "numpy"]]
    param_names: ClassVar = ["n", "form", "implementation"]
    timeout = 300

    def setup(self, n: int, form: str, implementation: str) -> None:
        self.matrix = workloads.vectors(n + 1, 384, seed=7)
        self.query, self.matrix = self.matrix[n], self.matrix[:n].copy()
        forms: dict[str, Any] = {
            "numpy": lambda: partial(reference.top_k, k=10),
            "exact": lambda: partial(_native.top_k, k=10),
            "quantised": lambda: partial(_native.Quantised(self.matrix).top_k, k=10),
            "sign bits": lambda: partial(_native.SignBits(self.matrix).top_k, k=10, finalists=200),
        }
        self.top_k = forms[implementation if implementation == "numpy" else form]()
        assert self.recall() == 1.0 or form == "sign bits"

    def recall(self) -> float:
        expected, _ = reference.top_k(self.query, self.matrix, k=10)
        found, _ = self.top_k(self.query, self.matrix)
        return len(set(found.tolist()) & set(expected.tolist())) / 10

    def time_top_ten(self, n: int, form: str, implementation: str) -> None:
        self.top_k(self.query, self.matrix)

    def track_recall_at_ten(self, n: int, form: str, implementation: str) -> float:
        return self.recall()


class OneAgainstMany:
    """One sequence of tools against 10,000; rapidfuzz compares the same tools as letters of strings."""

    params: ClassVar = [["levenshtein", "lcs"], ["native", "rapidfuzz"]]
    param_names: ClassVar = ["measure", "implementation"]

    def setup(self, measure: str, implementation: str) -> None:
        sequences = workloads.tool_sequences(10_000, seed=7)
        symbols, offsets = workloads.columns(sequences)
        letters = workloads.letters(sequences)
        native, scorer = {
            "levenshtein": (_native.levenshtein_many, Levenshtein.distance),
            "lcs": (_native.lcs_length_many, LCSseq.similarity),
        }[measure]
        calls: dict[str, Any] = {
            "native": lambda: native(sequences[0], symbols, offsets),
            "rapidfuzz": lambda: cdist(letters[:1], letters, scorer=scorer)[0],
        }
        self.compare = calls[implementation]
        np.testing.assert_array_equal(calls["native"](), calls["rapidfuzz"]())

    def time_one_against_many(self, measure: str, implementation: str) -> None:
        self.compare()
