"""Sessions that coding agents left on the disk, imported into the namespace of their repository."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..host_settings import claude_folder, codex_folder
from ..importers import Source, import_file, importer_for
from ..importers.base import Importer
from ..importers.forms import ClaudeCode, Codex
from ..importers.sample import Sample
from .repositories import namespace_of

if TYPE_CHECKING:
    from ..memory import Memory


@dataclass(frozen=True, slots=True)
class AgentFolder:
    """A coding agent and the folder in which it keeps its sessions."""

    name: str
    folder: Path


@dataclass(slots=True)
class SessionCount:
    """The result of an import: files read, prompts learned from, prompts known already, files that were refused.

    `namespaces` are those that got a new prompt.
    """

    sessions: int = 0
    imported: int = 0
    unchanged: int = 0
    refused: int = 0
    namespaces: set[str] = field(default_factory=set)


def agent_folders(home: Path) -> tuple[AgentFolder, ...]:
    """The folders of the sessions of Claude Code and Codex: as the environment says, else below the home folder."""
    return (
        AgentFolder(ClaudeCode.name, claude_folder(home) / "projects"),
        AgentFolder(Codex.name, codex_folder(home) / "sessions"),
    )


def session_files(folder: Path) -> list[Path]:
    """The session files below a folder, oldest first."""
    files = [file for file in folder.rglob("*.jsonl") if file.is_file()] if folder.is_dir() else []
    return sorted(files, key=lambda file: (file.stat().st_mtime_ns, str(file)))


class SeenFiles:
    """Size and time of the files that were imported, so that a repeated import reads only those that changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, list[int]] = {}
        try:
            read = json.loads(path.read_text())
        except (OSError, ValueError):
            read = {}
        if isinstance(read, dict):
            self._seen = {name: mark for name, mark in read.items() if isinstance(mark, list)}

    def changed(self, files: Iterable[Path]) -> Iterator[Path]:
        """The files that are new or were written since; each is noted once it was taken."""
        for file in files:
            status = file.stat()
            mark = [status.st_size, status.st_mtime_ns]
            if self._seen.get(str(file)) != mark:
                yield file
                self._seen[str(file)] = mark

    def save(self) -> None:
        """Writes the marks, in one step. Raises `OSError`."""
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(self._seen))
        fresh.chmod(0o600)
        fresh.replace(self._path)


def import_sessions(
    memory: Memory, files: Iterable[Path], *, progress: Callable[[SessionCount], None] = lambda _: None
) -> SessionCount:
    """Imports sessions, each into the namespace of the repository that it worked in.

    A session that grew takes the place of its shorter self; a file that is no session is counted as refused.
    """
    count = SessionCount()
    for file in files:
        with Source(file) as source:
            folder = _folder_of(source)
            importer = _importer(source)
        if importer is None:
            count.refused += 1
            continue
        view = memory.within(namespace_of(folder or file.parent))
        summary = import_file(view, file, format=importer)
        count.sessions += 1
        count.imported += summary.imported
        count.unchanged += summary.unchanged
        if summary.imported:
            count.namespaces.add(view.namespace)
        progress(count)
    return count


def _importer(source: Source) -> Importer | None:
    try:
        importer = importer_for(source)
    except ValueError:
        return None
    return importer if isinstance(importer, ClaudeCode | Codex) else None


def _folder_of(source: Source) -> str | None:
    """The working folder that the first lines of a session name."""
    for value in Sample(source.path, source.head()).objects:
        for place in (value, value.get("payload")):
            if isinstance(place, dict) and isinstance(place.get("cwd"), str):
                return str(place["cwd"])
    return None
