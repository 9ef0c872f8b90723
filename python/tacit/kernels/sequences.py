"""Patterns that many sequences share: n-grams, closed frequent sequences, and those that go with success."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from .. import _native
from .columns import Item, Numbering


@dataclass(frozen=True, slots=True)
class Ngram(Generic[Item]):
    """A run of neighbouring items."""

    items: tuple[Item, ...]
    support: int
    """The number of sequences that hold it."""
    occurrences: int
    """The number of times it is found in all of them."""


@dataclass(frozen=True, slots=True)
class FrequentSequence(Generic[Item]):
    """Items that many sequences hold in this order."""

    items: tuple[Item, ...]
    support: int
    """The number of sequences that hold it."""


@dataclass(frozen=True, slots=True)
class DiscriminativeSequence(Generic[Item]):
    """Items that go with success or with failure."""

    items: tuple[Item, ...]
    support: int
    """The number of sequences that hold it."""
    successes: int
    """The number of successes among those."""
    score: float
    """The logarithm of the odds ratio divided by its standard error: above 0 if the items go with success."""


def ngrams(
    sequences: Sequence[Iterable[Item]], *, shortest: int = 2, longest: int = 5, min_support: int = 1
) -> list[Ngram[Item]]:
    """Return every run of `shortest` to `longest` neighbours that at least `min_support` sequences hold.

    `longest` is at most 16.

    Example:
        >>> [found.items for found in ngrams(["abc", "ab"], longest=2, min_support=2)]
        [('a', 'b')]
    """
    numbering: Numbering[Item] = Numbering()
    symbols, offsets, support, occurrences = _native.ngrams(
        *numbering.columns(sequences), shortest=shortest, longest=longest, min_support=min_support
    )
    found = zip(numbering.sequences(symbols, offsets), support.tolist(), occurrences.tolist(), strict=True)
    return [Ngram(*each) for each in found]


def frequent_sequences(
    sequences: Sequence[Iterable[Item]],
    *,
    min_support: int,
    shortest: int = 2,
    longest: int = 5,
    gap: int = 1,
) -> list[FrequentSequence[Item]]:
    """Return the closed sequences that at least `min_support` sequences hold, the most frequent first.

    At most `gap` items in all may be passed over within one (0 to 4). A sequence is closed if none with one more item
    is held by the same sequences.

    Example:
        >>> frequent_sequences(["axb", "ab"], min_support=2)
        [FrequentSequence(items=('a', 'b'), support=2)]
    """
    numbering: Numbering[Item] = Numbering()
    symbols, offsets, support = _native.frequent_sequences(
        *numbering.columns(sequences),
        min_support=min_support,
        shortest=shortest,
        longest=longest,
        gap=gap,
    )
    found = zip(numbering.sequences(symbols, offsets), support.tolist(), strict=True)
    return [FrequentSequence(*each) for each in found]


def discriminative_sequences(
    sequences: Sequence[Iterable[Item]],
    successes: Sequence[bool],
    *,
    min_support: int,
    shortest: int = 2,
    longest: int = 5,
    gap: int = 1,
) -> list[DiscriminativeSequence[Item]]:
    """Return the closed sequences with how clearly each goes with success or failure, the clearest first.

    `successes` says of each sequence if it succeeded. The limits are those of `frequent_sequences`.

    Example:
        >>> found = discriminative_sequences(["ab", "ab", "ba"], [True, True, False], min_support=2)
        >>> found[0].items, found[0].successes, found[0].score > 0
        (('a', 'b'), 2, True)
    """
    numbering: Numbering[Item] = Numbering()
    symbols, offsets, support, succeeded, scores = _native.discriminative_sequences(
        *numbering.columns(sequences),
        np.asarray(successes, np.bool_),
        min_support=min_support,
        shortest=shortest,
        longest=longest,
        gap=gap,
    )
    found = zip(
        numbering.sequences(symbols, offsets),
        support.tolist(),
        succeeded.tolist(),
        scores.tolist(),
        strict=True,
    )
    return [DiscriminativeSequence(*each) for each in found]
