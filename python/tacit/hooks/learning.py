"""The learning of the hooks: the session of an event, and at the start of one those that were written since."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StorageError
from ..memory import Memory
from ..storage import open_store
from .journal import journal_of
from .known_fixes import KnownFixes
from .sessions import SeenFiles, agent_folders, import_sessions
from .spool import Spool

if TYPE_CHECKING:
    from ..config import Configuration
    from .events import HookEvent


def learn(chosen: Configuration, event: HookEvent) -> None:
    """Imports the sessions of an event. If the memory is busy they are noted, and the next event takes them."""
    spool = spool_of(chosen.database)
    sessions = spool.take()
    if event.kind == "stop" and event.transcript:
        sessions.append(event.transcript)
    try:
        store = open_store(chosen.database, chosen.settings.storage)
        with Memory(store=store, settings=chosen.settings) as memory:
            seen, files = SeenFiles(seen_path(chosen.database)), _files(sessions)
            changed = import_sessions(memory, files).namespaces
            for file in files:
                seen.note(file)
            if event.kind == "start":
                changed |= _import_changed(memory, seen)
            seen.save()
            for namespace in sorted(changed):
                KnownFixes.renew(chosen.database, store, memory.within(namespace))
    except StorageError:
        spool.add(dict.fromkeys(sessions))
        raise


def _files(sessions: Sequence[str]) -> list[Path]:
    return [path for session in dict.fromkeys(sessions) if (path := Path(session)).is_file()]


def _import_changed(memory: Memory, seen: SeenFiles) -> set[str]:
    """Imports the sessions that were written since; gives the namespaces that got a new prompt."""
    changed: set[str] = set()
    for agent in agent_folders(Path.home()):
        changed |= import_sessions(memory, seen.changed(agent.session_files())).namespaces
    return changed


def unread_sessions(seen: SeenFiles, *, older_than_s: float) -> int:
    """How many sessions no hook has read, although they were written so long ago."""
    latest = time.time() - older_than_s
    files = [file for agent in agent_folders(Path.home()) for file in agent.session_files()]
    return sum(1 for _ in seen.changed(file for file in files if file.stat().st_mtime < latest))


def seen_path(database: str) -> Path:
    """The file of `SeenFiles` beside the journal."""
    return journal_of(database).path.with_suffix(".seen.json")


def spool_of(database: str) -> Spool:
    """The spool beside the journal."""
    return Spool(journal_of(database).path.with_suffix(".spool"))
