"""The answers that hooks gave, newest last, in a bounded file beside the memory: `tacit why` shows them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST_BYTES = 1_000_000


class Journal:
    """A file of JSON lines. It never grows beyond two megabytes: the older half goes to `NAME.1`, which is replaced."""

    def __init__(self, path: Path) -> None:
        self.path: Path = path

    def add(self, entry: Mapping[str, Any]) -> None:
        """Appends an entry. Raises `OSError` if the file cannot be written."""
        if self.path.exists() and self.path.stat().st_size > _MOST_BYTES:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def last(self, count: int) -> list[dict[str, Any]]:
        """The newest entries, newest first; lines that cannot be read are passed over."""
        entries: list[dict[str, Any]] = []
        for path in (self.path, self.path.with_name(self.path.name + ".1")):
            if not path.exists():
                continue
            for line in reversed(path.read_text(encoding="utf-8", errors="replace").splitlines()):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    entries.append(entry)
                if len(entries) == count:
                    return entries
        return entries


def journal_of(database: str) -> Journal:
    """The journal beside a database file; of a server it stands in the folder for a user's data."""
    if "://" in database:
        from ..config import default_database

        return Journal(default_database().with_name("advice.jsonl"))
    path = Path(database).expanduser()
    return Journal(path.with_name(path.name + "-advice.jsonl"))
