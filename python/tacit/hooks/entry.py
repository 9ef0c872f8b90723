"""The entry point of the hooks: it never fails, never blocks, and says nothing where nothing is known."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..config import Configuration
    from ..memory import Memory
    from .events import HookEvent

_MOST_BYTES = 10_000_000
_PROMPT_TOKENS = 200
_FAILURE_TOKENS = 150
_HITS = 3


def main() -> None:
    """Reads one event from standard input and prints the answer of `answered`. The exit status is always 0."""
    try:
        given = json.loads(sys.stdin.buffer.read(_MOST_BYTES))
        answer = answered(given) if isinstance(given, dict) else None
        if answer is not None:
            sys.stdout.write(json.dumps(answer))
    except Exception as error:
        # The user's session must not see a failure of its memory: the journal has it.
        _note_failure(error)
    sys.exit(0)


def answered(given: dict[str, Any]) -> dict[str, Any] | None:
    """The object that the host gets for an event; `None` if there is nothing to say.

    A prompt is answered with what is known of tasks like it, a failure with the fixes that worked. At the end of a
    turn and of a session its transcript is learned from. The memory is the one that `TACIT_DB` or the settings name;
    where there is none yet, nothing is done.
    """
    from .events import event_of

    event = event_of(given)
    if event.kind == "other":
        return None
    from ..config import load

    chosen = load(unknown=lambda *_: None)
    if "://" not in chosen.database and not Path(chosen.database).expanduser().exists():
        return None
    from ..memory import Memory

    with Memory(chosen.database, settings=chosen.settings) as memory:
        if event.kind in ("start", "stop"):
            _learn(memory, event, chosen.database)
            return None
        text = _advice(memory, event)
    if not text:
        return None
    _note(chosen, event, text)
    return {"hookSpecificOutput": {"hookEventName": event.name, "additionalContext": text}}


def _advice(memory: Memory, event: HookEvent) -> str:
    from .repositories import namespace_of

    view = memory.within(namespace_of(event.folder or Path.cwd()))
    if event.kind == "failure":
        return view.recover(event.error, tool=event.tool).to_prompt(max_tokens=_FAILURE_TOKENS)
    prompt = event.prompt.strip()
    if not prompt:
        return ""
    limit = memory.settings.limits.task_bytes
    task = prompt.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
    return view.recall(task, limit=_HITS).to_prompt(max_tokens=_PROMPT_TOKENS)


def _learn(memory: Memory, event: HookEvent, database: str) -> None:
    """Imports the session of the event, or at the start of one those that were written since the last start."""
    from .sessions import SeenFiles, agent_folders, import_sessions, session_files

    if event.kind == "stop":
        if event.transcript and Path(event.transcript).is_file():
            import_sessions(memory, [Path(event.transcript)])
        return
    seen = SeenFiles(seen_path(database))
    for agent in agent_folders(Path.home()):
        import_sessions(memory, seen.changed(session_files(agent.folder)))
    seen.save()


def seen_path(database: str) -> Path:
    """The file of `SeenFiles` beside the journal."""
    from .journal import journal_of

    return journal_of(database).path.with_suffix(".seen.json")


def _note(chosen: Configuration, event: HookEvent, text: str) -> None:
    """Writes the answer to the journal, without secrets: a prompt may hold one."""
    import msgspec

    from ..redaction import open_redactor
    from .journal import journal_of

    path = None if "://" in chosen.database else Path(chosen.database).expanduser()
    redactor = open_redactor(chosen.settings.redactor, path)

    def clean(text: str) -> str:
        record, _ = redactor.redact(msgspec.msgpack.encode({"task": text, "steps": []}))
        return str(msgspec.msgpack.decode(record)["task"])

    entry = {
        "at": time.time_ns() // 1_000,
        "event": event.name,
        "session": event.session,
        "folder": event.folder,
        "asked": clean((event.prompt or event.error)[:2_000])[:200],
        "said": clean(text),
    }
    journal_of(chosen.database).add(entry)


def _note_failure(error: Exception) -> None:
    try:
        from ..config import load
        from .journal import journal_of

        entry = {
            "at": time.time_ns() // 1_000,
            "event": "error",
            "said": f"{type(error).__name__}: {error}"[:1_000],
        }
        journal_of(load(unknown=lambda *_: None).database).add(entry)
    except Exception:
        # Nowhere is left to write it: `tacit doctor` finds a memory that cannot be opened or written.
        return
