"""How alike two sets, sequences, contexts or vectors are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _native
from .columns import Item, Numbering, Symbols, pair


def top_k(query: ArrayLike, matrix: ArrayLike, *, k: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Return the `k` rows of `matrix` with the highest cosine to `query`, best first, and their cosines.

    Equal cosines are in the order of the rows. The cosine with a row of zeros is 0. Every row is compared.

    Example:
        >>> rows, cosines = top_k([1.0, 0.0], [[0.0, 1.0], [2.0, 0.0]], k=1)
        >>> rows.tolist(), cosines.tolist()
        ([1], [1.0])
    """
    return _native.top_k(_floats(query), _floats(matrix), k=k)


class Quantised:
    """A matrix at one byte a number: `top_k` gives the exact answer and reads a quarter of the memory.

    Example:
        >>> import numpy as np
        >>> Quantised(np.eye(3)).top_k([0.0, 1.0, 0.0], k=1)[0].tolist()
        [1]
    """

    def __init__(self, matrix: ArrayLike) -> None:
        self._matrix = _floats(matrix)
        self._codes = _native.Quantised(self._matrix)

    def top_k(self, query: ArrayLike, *, k: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return the `k` rows with the highest cosine to `query`, best first, and their cosines."""
        return self._codes.top_k(_floats(query), self._matrix, k=k)

    def __len__(self) -> int:
        return len(self._codes)


class SignBits:
    """A matrix at one bit a number: `top_k` compares signs first, and cosines among the finalists alone.

    More finalists find more of the exact answer and take longer.

    Example:
        >>> import numpy as np
        >>> SignBits(np.eye(3) - 0.5).top_k([-1.0, 1.0, -1.0], k=1, finalists=2)[0].tolist()
        [1]
    """

    def __init__(self, matrix: ArrayLike) -> None:
        self._matrix = _floats(matrix)
        self._signs = _native.SignBits(self._matrix)

    def top_k(
        self, query: ArrayLike, *, k: int, finalists: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return the `k` highest cosines among the `finalists` rows whose signs differ least from the query's."""
        return self._signs.top_k(_floats(query), self._matrix, k=k, finalists=finalists)

    def __len__(self) -> int:
        return len(self._signs)


def jaccard(a: Iterable[Item], b: Iterable[Item]) -> float:
    """Return the items of both sets divided by the items of either; 1.0 for two empty sets.

    Example:
        >>> jaccard({"fast", "safe"}, {"safe"})
        0.5
    """
    one, other = pair(a, b)
    return _native.jaccard(np.unique(one), np.unique(other))


def levenshtein(a: Iterable[Item], b: Iterable[Item]) -> int:
    """Return the least number of insertions, deletions and replacements that turn `a` into `b`.

    Example:
        >>> levenshtein(["find", "open"], ["find", "read", "open"])
        1
    """
    return _native.levenshtein(*pair(a, b))


def levenshtein_ratio(a: Iterable[Item], b: Iterable[Item]) -> float:
    """Return 1 - edits / length of the longer sequence; 1.0 for two empty ones.

    Example:
        >>> levenshtein_ratio("kitten", "mitten") > 0.8
        True
    """
    return _native.levenshtein_ratio(*pair(a, b))


def levenshtein_many(query: Iterable[Item], sequences: Sequence[Iterable[Item]]) -> NDArray[np.uint32]:
    """Return `levenshtein` of the query and each sequence, in one call.

    Example:
        >>> levenshtein_many("ab", ["ab", "abc", ""]).tolist()
        [0, 1, 2]
    """
    return _native.levenshtein_many(*_one_and_many(query, sequences))


def levenshtein_ratio_many(query: Iterable[Item], sequences: Sequence[Iterable[Item]]) -> NDArray[np.float32]:
    """Return `levenshtein_ratio` of the query and each sequence, in one call.

    Example:
        >>> levenshtein_ratio_many("ab", ["ab", ""]).tolist()
        [1.0, 0.0]
    """
    return _native.levenshtein_ratio_many(*_one_and_many(query, sequences))


def lcs_length(a: Iterable[Item], b: Iterable[Item]) -> int:
    """Return the length of the longest common subsequence: items of both in one order, gaps allowed.

    Example:
        >>> lcs_length(["find", "open", "edit"], ["find", "edit"])
        2
    """
    return _native.lcs_length(*pair(a, b))


def lcs_ratio(a: Iterable[Item], b: Iterable[Item]) -> float:
    """Return 2 * `lcs_length` / the sum of both lengths; 1.0 for two empty sequences.

    Example:
        >>> lcs_ratio("aab", "b")
        0.5
    """
    return _native.lcs_ratio(*pair(a, b))


def lcs_coverage(a: Iterable[Item], b: Iterable[Item]) -> float:
    """Return `lcs_length` / the length of the longer sequence; 1.0 for two empty sequences.

    Example:
        >>> lcs_coverage("ab", "b")
        0.5
    """
    return _native.lcs_coverage(*pair(a, b))


def lcs_length_many(query: Iterable[Item], sequences: Sequence[Iterable[Item]]) -> NDArray[np.uint32]:
    """Return `lcs_length` of the query and each sequence, in one call.

    Example:
        >>> lcs_length_many("abc", ["ac", "x"]).tolist()
        [2, 0]
    """
    return _native.lcs_length_many(*_one_and_many(query, sequences))


def lcs_ratio_many(query: Iterable[Item], sequences: Sequence[Iterable[Item]]) -> NDArray[np.float32]:
    """Return `lcs_ratio` of the query and each sequence, in one call.

    Example:
        >>> lcs_ratio_many("aab", ["b", "aab"]).tolist()
        [0.5, 1.0]
    """
    return _native.lcs_ratio_many(*_one_and_many(query, sequences))


def lcs_coverage_many(query: Iterable[Item], sequences: Sequence[Iterable[Item]]) -> NDArray[np.float32]:
    """Return `lcs_coverage` of the query and each sequence, in one call.

    Example:
        >>> lcs_coverage_many("ab", ["a", "xy"]).tolist()
        [0.5, 0.0]
    """
    return _native.lcs_coverage_many(*_one_and_many(query, sequences))


def context_similarity(
    a: tuple[str, str | None, Sequence[str]], b: tuple[str, str | None, Sequence[str]]
) -> float:
    """Return how alike two contexts of (domain, language, tags) are, in 0 to 1.

    0.4 for the same domain, 0.3 for the same language, 0.3 times the Jaccard similarity of the tags. A term that both
    lack is dropped and the others are renormalised, so that equal contexts score 1.

    Example:
        >>> context_similarity(("web", "python", ["api"]), ("web", "python", ["api"]))
        1.0
    """
    return _native.context_similarity(a, b)


def _floats(values: ArrayLike) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)


def _one_and_many(
    query: Iterable[Any], sequences: Sequence[Iterable[Any]]
) -> tuple[Symbols, Symbols, Symbols]:
    numbering: Numbering[Any] = Numbering()
    symbols, offsets = numbering.columns(sequences)
    return numbering.symbols(query), symbols, offsets
