"""Sequences of hashable items as columns of numbers, which is how they cross to the native kernels."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item", bound=Hashable)

Symbols = NDArray[np.uint64]


class Numbering(Generic[Item]):
    """Numbers for items, in the order of their first use, and the items back."""

    def __init__(self) -> None:
        self._numbers: dict[Item, int] = {}

    def symbols(self, sequence: Iterable[Item]) -> Symbols:
        """Return the number of each item, a new one for an item that was not numbered yet."""
        numbers = self._numbers
        return np.array([numbers.setdefault(item, len(numbers)) for item in sequence], np.uint64)

    def columns(self, sequences: Sequence[Iterable[Item]]) -> tuple[Symbols, Symbols]:
        """Return all symbols one after another, and the offsets at which the sequences begin and the last one ends."""
        parts = [self.symbols(sequence) for sequence in sequences]
        offsets = np.zeros(len(parts) + 1, np.uint64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        return np.concatenate([np.zeros(0, np.uint64), *parts]), offsets

    def sequences(self, symbols: Symbols, offsets: Symbols) -> list[tuple[Item, ...]]:
        """Return the items of sequences that are given as columns."""
        items = list(self._numbers)
        edges = offsets.tolist()
        return [
            tuple(items[number] for number in symbols[start:end].tolist()) for start, end in pairwise(edges)
        ]


def pair(a: Iterable[Item], b: Iterable[Item]) -> tuple[Symbols, Symbols]:
    """Return two sequences as symbols of one numbering."""
    numbering: Numbering[Item] = Numbering()
    return numbering.symbols(a), numbering.symbols(b)
