"""Sessions that coding agents left on the disk, imported into the namespace of their repository."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..deferred import dataclass
from ..host_settings import claude_folder, codex_folder, gemini_folder, opencode_folder
from ..importers import Source, import_file, importer_for
from ..importers.base import Importer
from ..importers.forms import ClaudeCode, Codex, GeminiCli, OpenCode
from .repositories import is_excluded, namespace_of

if TYPE_CHECKING:
    from ..memory import Memory


@runtime_checkable
class SessionReader(Importer, Protocol):
    """An importer of the sessions of one coding agent: it also knows in which folder a session worked."""

    def folder_of(self, source: Source) -> str | None:
        """The working folder of a session; `None` if nothing names it."""
        ...


@dataclass(frozen=True, slots=True)
class AgentFolder:
    """A coding agent, the folder in which it keeps its sessions, and the pattern of their files below it."""

    name: str
    folder: Path
    pattern: str = "**/*.jsonl"

    @property
    def is_there(self) -> bool:
        """True if the agent was used on this machine."""
        return self.folder.parent.is_dir()

    def session_files(self) -> list[Path]:
        """The session files, oldest first."""
        files = [file for file in self.folder.glob(self.pattern) if file.is_file()] if self.is_there else []
        return sorted(files, key=lambda file: (file.stat().st_mtime_ns, str(file)))


@dataclass(slots=True)
class SessionCount:
    """The result of an import: files read, prompts new or known already, files that were refused or excluded.

    `namespaces` are those that got a new prompt.
    """

    sessions: int = 0
    imported: int = 0
    unchanged: int = 0
    refused: int = 0
    excluded: int = 0
    namespaces: set[str] = field(default_factory=set)


def agent_folders(home: Path) -> tuple[AgentFolder, ...]:
    """The folders of the sessions of each host: as the environment says, else below the home folder."""
    return (
        AgentFolder(ClaudeCode.name, claude_folder(home) / "projects"),
        AgentFolder(Codex.name, codex_folder(home) / "sessions"),
        AgentFolder(GeminiCli.name, gemini_folder(home) / "tmp", "*/chats/**/*.json*"),
        AgentFolder(OpenCode.name, opencode_folder(home) / "storage", "session/*/*.json"),
    )


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

    def __bool__(self) -> bool:
        return bool(self._seen)

    def note(self, file: Path) -> None:
        """Notes a file that was imported."""
        status = file.stat()
        self._seen[str(file)] = [status.st_size, status.st_mtime_ns]

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

    A session that grew takes the place of its shorter self; a file that is no session is counted as refused. Sessions
    of folders that `settings.hooks.exclude` names are passed over.
    """
    count = SessionCount()
    for file in files:
        with Source(file) as source:
            reader = _reader(source)
            folder = None if reader is None else reader.folder_of(source)
        if reader is None:
            count.refused += 1
            continue
        if is_excluded(folder or str(file.parent), memory.settings.hooks.exclude):
            count.excluded += 1
            continue
        # Without a folder the name must not depend on where the file lies: a copy would be imported twice.
        view = memory.within("default" if folder is None else namespace_of(folder))
        summary = import_file(view, file, format=reader)
        count.sessions += 1
        count.imported += summary.imported
        count.unchanged += summary.unchanged
        if summary.imported:
            count.namespaces.add(view.namespace)
        progress(count)
    return count


def _reader(source: Source) -> SessionReader | None:
    try:
        importer = importer_for(source)
    except ValueError:
        return None
    return importer if isinstance(importer, SessionReader) else None
