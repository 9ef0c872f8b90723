"""Guesses at legacy names from general knowledge, none of it about any one schema."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache

from .language import Kind
from .vocabulary import NOUNS, plural

_PARTS = re.compile(r"[a-z]+")
_TYPES = {"text": ("TEXT",), "number": ("REAL", "INTEGER"), "key": ("INTEGER",)}


@lru_cache(maxsize=16_384)
def likeness(word: str, name: str) -> float:
    """How much a name looks like a word that was shortened, 0 to 1."""
    return max((_part_likeness(word, part) for part in _PARTS.findall(name.lower())), default=0.0)


@lru_cache(maxsize=16_384)
def likeness_to_others(word: str, name: str) -> float:
    """How much a table's name looks like any other thing that comes to mind."""
    return max(likeness(noun.word, name) for noun in NOUNS if noun.word != word)


def _part_likeness(word: str, part: str) -> float:
    if part in (word, plural(word)):
        return 1.0
    if len(part) >= 3 and word.startswith(part):
        return 0.8
    return 0.6 if len(part) >= 2 and part[0] == word[0] and _is_within(part, word) else 0.0


def _is_within(part: str, word: str) -> bool:
    letters = iter(word)
    return all(letter in letters for letter in part)


def fits(kind: Kind, column_type: str) -> bool:
    """True for a type that a column of the kind can have."""
    return column_type in _TYPES.get(kind, ())


def spellings(word: str) -> tuple[str, ...]:
    """The obvious name of its table."""
    return plural(word), word


def fit(columns: Mapping[str, str], wanted: list[tuple[str, Kind]]) -> float:
    """How well a table's columns can answer these words, 0 to 1."""
    best = [
        max((likeness(word, name) for name, type in columns.items() if fits(kind, type)), default=-1.0)
        for word, kind in wanted
    ]
    return sum(best) / len(best) if best else 0.0


def draw(salt: int, *names: str) -> float:
    """A number from 0 to 1 that is settled by the names: how an undecided mind decides the same way twice."""
    return zlib.crc32(f"{salt} {' '.join(names)}".encode()) / 2**32
