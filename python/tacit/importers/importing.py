"""The import of a file of runs into a memory: in chunks, repeatable, with a list of refused lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import ConflictError, ValidationError
from ..model.episode import Episode, Step
from .base import Entry, importers
from .source import Refusal, Source

if TYPE_CHECKING:
    from ..memory import Memory

_CHUNK = 64
"""Lines that are read before they are committed together; the chunk of `Memory.add_many`."""
_CHUNK_BYTES = 16_000_000
"""The same in bytes of lines, so that long lines do not pile up."""


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The result of an import.

    `imported` episodes are new, `unchanged` ones were there already, `refused` lists the lines that could not be
    used. `pending` counts the new ones that a part failed to learn from. `truncated` counts the observations that
    were cut with the caller's permission; `left_out` names the fields of lines that episodes do not hold.
    """

    path: str
    imported: int = 0
    unchanged: int = 0
    refused: tuple[Refusal, ...] = ()
    truncated: int = 0
    left_out: tuple[str, ...] = ()
    pending: int = 0


def import_file(
    memory: Memory,
    path: str | Path,
    *,
    format: str = "jsonl",
    truncate: Literal["observation"] | None = None,
    replace: bool = False,
    nan_as_null: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportSummary:
    """Adds every run of a file to a memory and learns from it; importing the file again changes nothing.

    `path` may be "-" for standard input. A line that cannot be used is refused with its number and the reason, and
    the rest is imported. An observation beyond the memory's limit is such a reason, unless `truncate="observation"`
    allows to cut it; NaN and infinities are one, unless `nan_as_null` reads them as null. With `replace` a run takes
    the place of another one that is stored under its identity.
    `progress` gets the bytes read and all bytes of the file after each chunk.

    Raises `ValidationError` for a file that cannot be opened, `UnknownNameError` for an unknown format, and
    `StorageError` if the store fails; the lines imported until then stay.
    """
    if truncate not in (None, "observation"):
        raise ValidationError("truncate", "None or 'observation'", repr(truncate))
    importer = importers.create(format, **({"nan_as_null": True} if nan_as_null else {}))
    run = _Run(memory, cuts=truncate is not None, replaces=replace)
    with Source(path) as source:
        for chunk in _chunks(importer.read(source)):
            run.take(chunk, source)
            if progress is not None:
                progress(source.position, source.size)
    return run.summary(str(path))


def _chunks(entries: Iterable[Entry | Refusal]) -> Iterator[list[Entry | Refusal]]:
    chunk: list[Entry | Refusal] = []
    size = 0
    for entry in entries:
        chunk.append(entry)
        size += entry.size if isinstance(entry, Entry) else 0
        if len(chunk) == _CHUNK or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Run:
    """The state of one import."""

    def __init__(self, memory: Memory, *, cuts: bool, replaces: bool) -> None:
        self._memory = memory
        self._replaces = replaces
        self._cuts = cuts
        self._imported = 0
        self._unchanged = 0
        self._pending = 0
        self._truncated = 0
        self._refused: list[Refusal] = []
        self._left_out: set[str] = set()

    def take(self, chunk: list[Entry | Refusal], source: Source) -> None:
        """Commits the chunk at once; if that fails, line by line, so that only the faulty lines are refused."""
        self._refused += [each for each in chunk if isinstance(each, Refusal)]
        entries = [self._prepared(each) for each in chunk if isinstance(each, Entry)]
        try:
            self._add(each.episode for each in entries)
        except (ConflictError, ValidationError):
            for entry in entries:
                self._take_one(entry, source)

    def _take_one(self, entry: Entry, source: Source) -> None:
        try:
            self._add([entry.episode])
        except (ConflictError, ValidationError) as error:
            self._refused.append(source.refusal(entry.line, str(error)))

    def _add(self, episodes: Iterable[Episode]) -> None:
        for learned in self._memory.add_many(episodes, replace=self._replaces):
            if learned.state == "unchanged":
                self._unchanged += 1
            else:
                self._imported += 1
                self._pending += learned.state == "pending"

    def _prepared(self, entry: Entry) -> Entry:
        self._left_out |= entry.left_out
        steps = entry.episode.steps
        if self._cuts:
            steps = tuple(self._cut(step) for step in steps)
        return replace(entry, episode=replace(entry.episode, namespace=self._memory.namespace, steps=steps))

    def _cut(self, step: Step) -> Step:
        limit = self._memory.settings.limits.observation_characters
        output = step.output[:limit] if isinstance(step.output, str) else step.output
        error = step.error[:limit] if step.error is not None else None
        if output == step.output and error == step.error:
            return step
        self._truncated += 1
        return replace(step, output=output, error=error)

    def summary(self, path: str) -> ImportSummary:
        return ImportSummary(
            path=path,
            imported=self._imported,
            unchanged=self._unchanged,
            refused=tuple(sorted(self._refused, key=lambda refusal: (refusal.path, refusal.line))),
            truncated=self._truncated,
            pending=self._pending,
            left_out=tuple(sorted(self._left_out)),
        )
