"""The import of a file of runs into a memory: in chunks, repeatable, with a list of refused lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace as dataclass_replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..deferred import dataclass
from ..errors import ConflictError, ValidationError
from ..model.episode import Episode, Step
from .base import Entry, Importer, importers
from .detecting import files_of, form_name, importer_of
from .jsonl import Jsonl
from .source import Refusal, Source

if TYPE_CHECKING:
    from ..memory import Memory

_CHUNK = 64
"""Lines that are read before they are committed together; the chunk of `Memory.add_many`."""
_CHUNK_BYTES = 16_000_000
"""The same in bytes of lines, so that long lines do not pile up."""
_HOPELESS = 10_000
"""Lines without a single run after which a file is given up."""
_MOST_REASONS = 1_000
"""Different reasons that are kept of one import; further ones are counted with the last."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The result of an import.

    `imported` episodes are new or took the place of a shorter run, `unchanged` ones were there already. `refused` has
    one entry for each reason for which lines could not be used, with the first such line and their count. `truncated`
    counts the observations that were cut with the caller's permission; `forgotten` runs were left out because `forget`
    removed them; `left_out` names the fields of lines that
    episodes do not hold. `pending` counts new ones that a part failed to learn from. `formats` names the forms that
    were read, and `files` counts them.
    """

    path: str
    imported: int = 0
    unchanged: int = 0
    refused: tuple[Refusal, ...] = ()
    truncated: int = 0
    left_out: tuple[str, ...] = ()
    pending: int = 0
    formats: tuple[str, ...] = ()
    files: int = 0
    forgotten: int = 0

    @property
    def refused_lines(self) -> int:
        """How many lines could not be used."""
        return sum(refusal.count for refusal in self.refused)


def import_file(
    memory: Memory,
    path: str | Path,
    *,
    format: str | Importer = "auto",
    truncate: Literal["observation"] | None = None,
    replace: bool = False,
    nan_as_null: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportSummary:
    """Adds every run of a file or a folder to a memory and learns from it; importing it again changes nothing.

    `path` may be "-" for standard input, a packed file, a zip archive or a folder. `format` is the name of an
    importer or an importer itself; "auto" tells it from the beginning of each file. A line that cannot be used is
    refused with its number and the reason, and the rest is imported; a file of an unknown form in a folder likewise.
    An observation beyond the memory's limit is such a reason in tacit's own lines, unless `truncate="observation"`
    allows to cut it; the other forms cut it and say so in the step. NaN and infinities are one in tacit's own lines,
    unless `nan_as_null` reads them as null; the other forms do. With `replace` a run takes the place of another one
    that is stored under its identity, and one that was forgotten comes back; a session that grew takes the place of its
    shorter self anyway. `progress` gets the bytes read and all
    bytes of the file after each chunk.

    Raises `ValidationError` for a file that cannot be opened or is of no known form, `UnknownNameError` for an
    unknown format, and `StorageError` if the store fails; the lines imported until then stay.

    Example:
        >>> import json, pathlib, tempfile
        >>> from tacit import Memory
        >>> from tacit.importers import import_file
        >>> called = {"id": "1", "function": {"name": "get_order", "arguments": "{}"}}
        >>> chat = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [called]}]}
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "chats.jsonl"
        >>> _ = path.write_text(json.dumps(chat))
        >>> import_file(Memory(), path).formats
        ('messages',)
    """
    if truncate not in (None, "observation"):
        raise ValidationError("truncate", "None or 'observation'", repr(truncate))
    if isinstance(format, str) and format != "auto":
        importers.create(format)
    run = _Run(memory, cuts=truncate is not None, replaces=replace)
    is_folder = str(path) != "-" and Path(path).is_dir()
    for source in files_of(path, memory.settings.limits):
        try:
            importer = _importer(format, source, nan_as_null)
        except ValidationError as error:
            if not is_folder:
                raise
            run.refuse([source.refusal(1, str(error))])
            continue
        run.read(importer, source, progress)
    return run.summary(str(path))


def _importer(format: str | Importer, source: Source, nan_as_null: bool) -> Importer:
    importer = importer_of(format, source)
    if isinstance(format, str) and isinstance(importer, Jsonl):
        return Jsonl(nan_as_null=nan_as_null)
    return importer


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
        self._forgotten = 0
        self._truncated = 0
        self._refused: dict[tuple[str, str], Refusal] = {}
        self._formats: set[str] = set()
        self._files = 0
        self._left_out: set[str] = set()

    def read(self, importer: Importer, source: Source, progress: Callable[[int, int], None] | None) -> None:
        """Imports one file, as long as there is any hope of a run in it."""
        self._files += 1
        self._formats.add(form_name(importer))
        replaces = self._replaces or getattr(importer, "grows", False)
        lines = runs = 0
        for chunk in _chunks(importer.read(source)):
            self.take(chunk, source, replaces)
            if progress is not None:
                progress(source.position, source.size)
            lines += len(chunk)
            runs += sum(isinstance(each, Entry) for each in chunk)
            if not runs and lines >= _HOPELESS:
                self.refuse([source.refusal(lines, f"no run in the first {lines:,} lines: reading ended")])
                return

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Counts refusals: those of one file for one reason, whatever numbers it names, are one."""
        for each in refusals:
            key = each.path, _NUMBER.sub("0", each.reason)[:200]
            if key not in self._refused and len(self._refused) >= _MOST_REASONS:
                key = next(reversed(self._refused))
            first = self._refused.setdefault(key, dataclass_replace(each, count=0))
            self._refused[key] = dataclass_replace(first, count=first.count + each.count)

    def take(self, chunk: list[Entry | Refusal], source: Source, replaces: bool) -> None:
        """Commits the chunk at once; if that fails, line by line, so that only the faulty lines are refused."""
        self.refuse(each for each in chunk if isinstance(each, Refusal))
        prepared = [self._prepared(each) for each in chunk if isinstance(each, Entry)]
        entries = [each for each in prepared if self._is_wanted(each.episode, replaces)]
        try:
            self._add((each.episode for each in entries), replaces)
        except (ConflictError, ValidationError):
            for entry in entries:
                self._take_one(entry, source, replaces)

    def _is_wanted(self, episode: Episode, replaces: bool) -> bool:
        """False for a run that was forgotten, and for the shorter self of a session that is stored."""
        id = episode.external_id
        if id is None or self._replaces:
            return True
        try:
            return self._is_new(id, episode, replaces)
        except ValidationError:  # an id that breaks a limit: the memory refuses the run by itself
            return True

    def _is_new(self, id: str, episode: Episode, replaces: bool) -> bool:
        stored = self._memory.find(id) if replaces else None
        if stored is not None and len(stored.steps) > len(episode.steps):
            self._unchanged += 1
            return False
        if stored is None and self._memory.was_forgotten(id):
            self._forgotten += 1
            return False
        return True

    def _take_one(self, entry: Entry, source: Source, replaces: bool) -> None:
        try:
            self._add([entry.episode], replaces)
        except (ConflictError, ValidationError) as error:
            self.refuse([source.refusal(entry.line, str(error))])

    def _add(self, episodes: Iterable[Episode], replaces: bool) -> None:
        for learned in self._memory.add_many(episodes, replace=replaces):
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
        episode = dataclass_replace(entry.episode, namespace=self._memory.namespace, steps=steps)
        return dataclass_replace(entry, episode=episode)

    def _cut(self, step: Step) -> Step:
        limit = self._memory.settings.limits.observation_characters
        output = step.output[:limit] if isinstance(step.output, str) else step.output
        error = step.error[:limit] if step.error is not None else None
        if output == step.output and error == step.error:
            return step
        self._truncated += 1
        return dataclass_replace(step, output=output, error=error)

    def summary(self, path: str) -> ImportSummary:
        return ImportSummary(
            path=path,
            imported=self._imported,
            unchanged=self._unchanged,
            refused=tuple(sorted(self._refused.values(), key=lambda refusal: (refusal.path, refusal.line))),
            truncated=self._truncated,
            pending=self._pending,
            forgotten=self._forgotten,
            left_out=tuple(sorted(self._left_out)),
            formats=tuple(sorted(self._formats)),
            files=self._files,
        )
