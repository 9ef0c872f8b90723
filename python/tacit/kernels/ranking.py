"""Lists fused, scores summed, results diversified, and a cache of the most recently used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _native
from .._native import Lru
from .columns import Item, Numbering

__all__ = ["Lru", "diversify", "reciprocal_ranks", "weighted_sums"]


def weighted_sums(values: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """Return the weighted sum of each row; the weights are renormalised over the values present (NaN is absent).

    Example:
        >>> weighted_sums([[1.0, 0.0], [1.0, float("nan")]], [3.0, 1.0]).tolist()
        [0.75, 1.0]
    """
    return _native.weighted_sums(_floats(values), _floats(weights))


def reciprocal_ranks(lists: Sequence[Iterable[Item]], *, constant: float = 60.0) -> list[tuple[Item, float]]:
    """Return the items of all lists by reciprocal rank fusion (Cormack, Clarke and Büttcher 2009), best first.

    Each list is best first; an item scores the sum of 1 / (constant + place). Ties are in the order of first use.

    Example:
        >>> [item for item, _ in reciprocal_ranks([["a", "b"], ["b", "c"]])]
        ['b', 'a', 'c']
    """
    numbering: Numbering[Item] = Numbering()
    items, scores = _native.reciprocal_ranks([numbering.symbols(each) for each in lists], constant=constant)
    edges = np.arange(len(items) + 1, dtype=np.uint64)
    named = (item for (item,) in numbering.sequences(items, edges))
    return list(zip(named, scores.tolist(), strict=True))


def diversify(relevance: ArrayLike, similarity: ArrayLike, *, balance: float, limit: int) -> list[int]:
    """Return up to `limit` rows by maximal marginal relevance (Carbonell and Goldstein 1998), in the order chosen.

    Each row chosen has the most of `balance * relevance - (1 - balance) * its largest similarity to those before`.

    Example:
        >>> diversify([1.0, 0.9, 0.5], [[1, 1, 0], [1, 1, 0], [0, 0, 1]], balance=0.5, limit=2)
        [0, 2]
    """
    chosen = _native.diversify(_floats(relevance), _floats(similarity), balance=balance, limit=limit)
    return [int(row) for row in chosen]


def _floats(values: ArrayLike) -> NDArray[np.float64]:
    return np.ascontiguousarray(values, dtype=np.float64)
