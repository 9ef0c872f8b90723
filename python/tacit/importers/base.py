"""The protocol of an importer, and its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..deferred import dataclass
from ..model.episode import Episode
from ..registry import Registry
from .source import Refusal, Source

__all__ = ["Entry", "Importer", "Refusal", "importers"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An episode, its line and the bytes of that line.

    `left_out` names the fields of the line that an episode does not hold.
    """

    line: int
    episode: Episode
    size: int = 0
    left_out: frozenset[str] = frozenset()


class Importer(Protocol):
    """Reads one form of recorded runs."""

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each line with content, in order and one at a time.

        The same line gives an equal episode each time, with an `external_id`, so an import can be repeated. A time
        that the file does not give stays 0.
        """
        ...


importers: Registry[Importer] = Registry("importer")
"""The forms that can be imported, by name."""
