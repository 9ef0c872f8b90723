"""Runs of tools in 10,000 sequences, beside NumPy and a Counter."""

from __future__ import annotations

from typing import Any, ClassVar

from benchmarks import reference, workloads
from tacit import _native


class Ngrams:
    """Every run of two to `longest` tools and how often it occurs."""

    params: ClassVar = [[3, 5], ["native", "numpy", "counter"]]
    param_names: ClassVar = ["longest", "implementation"]

    def setup(self, longest: int, implementation: str) -> None:
        sequences = workloads.episodes_of_tools(10_000, seed=7)
        symbols, offsets = workloads.columns(sequences)
        lists = [sequence.tolist() for sequence in sequences]
        calls: dict[str, Any] = {
            "native": lambda: _native.ngrams(symbols, offsets, shortest=2, longest=longest)[3],
            "numpy": lambda: reference.ngram_counts(symbols, offsets, 2, longest),
            "counter": lambda: reference.ngram_counter(lists, 2, longest),
        }
        self.count = calls[implementation]
        occurrences = sorted(calls["native"]().tolist())
        assert occurrences == sorted(calls["numpy"]().tolist()) == sorted(calls["counter"]().values())

    def time_ngrams(self, longest: int, implementation: str) -> None:
        self.count()


class FrequentSequences:
    """Closed runs of two to five tools with at most one passed over, in one in fifty of 10,000 sequences."""

    def setup(self) -> None:
        self.columns = workloads.columns(workloads.episodes_of_tools(10_000, seed=7))
        assert len(_native.frequent_sequences(*self.columns, min_support=200)[2])

    def time_frequent_sequences(self) -> None:
        _native.frequent_sequences(*self.columns, min_support=200)
