"""The sessions that could not be learned from while the memory was busy: the next hook that learns takes them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_MOST_BYTES = 1_000_000


class Spool:
    """A file of paths beside the memory, one a line."""

    def __init__(self, path: Path) -> None:
        self.path: Path = path

    def add(self, sessions: Iterable[str]) -> None:
        """Notes sessions. Raises `OSError` if the file cannot be written."""
        if self.path.exists() and self.path.stat().st_size > _MOST_BYTES:
            return  # the start of a session reads every file that changed
        lines = "".join(f"{session}\n" for session in sessions if "\n" not in session)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, lines.encode("utf-8", "surrogateescape"))
        finally:
            os.close(file)

    def take(self) -> list[str]:
        """The noted sessions, each once; the file is empty afterwards, and no other process takes them too."""
        mine = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.replace(mine)
            text = mine.read_text(encoding="utf-8", errors="surrogateescape")
            mine.unlink()
        except FileNotFoundError:
            return []
        return list(dict.fromkeys(text.splitlines()))
