"""Shared by the readers of foreign forms: objects of a source, and entries with the line they began on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...errors import ValidationError
from ...model.episode import Episode, Outcome
from ..base import Entry, Refusal
from ..decoding import decoded_object, listed, mapping
from ..sample import Sample
from ..source import Source

__all__ = ["Objects", "entries_of", "listed", "mapping", "objects_of", "scored", "working_folder"]

Objects = Iterator[tuple[int, dict[str, Any]] | Refusal]


def objects_of(source: Source) -> Objects:
    """Every JSON object of a source with its line; a refusal for everything else."""
    for text in source.values():
        if isinstance(text, Refusal):
            yield text
            continue
        try:
            yield text.line, decoded_object(text.content or b"")
        except ValueError as error:
            yield source.refusal(text.line, str(error))


def entries_of(
    source: Source, episodes: Callable[[dict[str, Any], int], Iterable[Episode]]
) -> Iterator[Entry | Refusal]:
    """An entry for each episode that `episodes` makes of an object and its line; `ValueError` refuses the object."""
    for each in objects_of(source):
        if isinstance(each, Refusal):
            yield each
            continue
        line, value = each
        try:
            for episode in episodes(value, line):
                yield Entry(line, episode)
        except (ValueError, ValidationError) as error:
            yield source.refusal(line, str(error))


def working_folder(source: Source) -> str | None:
    """The `cwd` that one of the first objects has, itself or in its payload; `None` if none has."""
    for value in Sample(source.path, source.head()).objects:
        for place in (value, value.get("payload")):
            if isinstance(place, dict) and isinstance(place.get("cwd"), str):
                return str(place["cwd"])
    return None


def scored(reward: object) -> Outcome:
    """Success for 1, failure for 0, unknown for anything else: a share between says not what was done.

    Example:
        >>> scored(1.0).kind, scored(False).kind, scored(0.5).kind, scored(None).kind
        ('success', 'failure', 'unknown', 'unknown')
    """
    if not isinstance(reward, int | float):
        return Outcome.unknown()
    if reward >= 1.0 - 1e-6:
        return Outcome.success()
    return Outcome.failure(f"the run was scored {reward:g}") if reward <= 0 else Outcome.unknown()
