"""The journal of the hooks, newest last, in a bounded file beside the memory.

An entry is a prompt or a failure that a hook was asked about: `said` is its answer, absent if there was none, and
`withheld` is true if the prompt was drawn to be given nothing. `tacit why` and `tacit impact` read it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_MOST_BYTES = 1_000_000
_TAIL_BYTES = 100_000
"""The end of the journal in which the last prompt of a session is looked for."""


class Journal:
    """A file of JSON lines. It never grows beyond two megabytes: the older half goes to `NAME.1`, which is replaced."""

    def __init__(self, path: Path) -> None:
        self.path: Path = path

    def add(self, entry: Mapping[str, Any]) -> None:
        """Appends an entry. Raises `OSError` if the file cannot be written."""
        if self.path.exists() and self.path.stat().st_size > _MOST_BYTES:
            self.path.replace(self._older)
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode("utf-8", "replace"))
        finally:
            os.close(file)

    def newest_first(self) -> Iterator[dict[str, Any]]:
        """Every entry; lines that cannot be read are passed over."""
        for path in (self.path, self._older):
            if path.exists():
                yield from _entries(path.read_bytes())

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest entries that have an answer or a failure of the hook itself, newest first."""
        found: list[dict[str, Any]] = []
        for entry in self.newest_first():
            if entry.get("said"):
                found.append(entry)
            if len(found) == count:
                break
        return found

    def newest(self, kind: str, session: str) -> dict[str, Any] | None:
        """The newest entry of a kind and a session among the last ones; `None` if there is none."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                tail = file.read()
        except FileNotFoundError:
            return None
        matching = (
            entry for entry in _entries(tail) if entry.get("session") == session and entry.get("kind") == kind
        )
        return next(matching, None)

    @property
    def _older(self) -> Path:
        return self.path.with_name(self.path.name + ".1")


def _entries(lines: bytes) -> Iterator[dict[str, Any]]:
    for line in reversed(lines.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def journal_of(database: str) -> Journal:
    """The journal beside a database file; of a server it stands in the folder for a user's data."""
    if "://" in database:
        from ..environment import default_database

        return Journal(default_database().with_name("advice.jsonl"))
    path = Path(database).expanduser()
    return Journal(path.with_name(path.name + "-advice.jsonl"))
