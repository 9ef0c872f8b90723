"""What an importer is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ..model.episode import Episode
from ..registry import Registry
from .source import Refusal, Source

__all__ = ["Entry", "Importer", "Refusal", "importers"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An episode, the line it stood on and that line's bytes.

    `left_out` names what the line held and the episode does not.
    """

    line: int
    episode: Episode
    size: int = 0
    left_out: frozenset[str] = frozenset()


class Importer(Protocol):
    """Reads one form of recorded runs."""

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each line that says anything, in order and one at a time.

        The same line gives an equal episode each time, with an `external_id`: that is what makes an import
        repeatable. A time that the file does not give stays 0.
        """
        ...


importers: Registry[Importer] = Registry("importer")
"""The forms that can be imported, by name."""
