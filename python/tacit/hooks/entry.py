"""The entry point of the hooks: it never fails, never blocks, and says nothing where nothing is known.

Modules are loaded when an event is known to need them: most events need none.
"""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from ..config import Configuration
    from ..memory import Memory
    from .events import HookEvent
    from .journal import Journal

_MOST_BYTES = 10_000_000
_HITS = 3
_LONGEST_LINE = 200
"""Characters of the line about changed files."""
_BUSY_MS = 200
"""The longest wait for another writer where the user waits for the answer."""


def main() -> None:
    """Reads one event from standard input and prints the answer of `answered`. The exit status is always 0.

    With `--detach` the work is done by a child that the host does not wait for.
    """
    try:
        given = json.loads(sys.stdin.buffer.read(_MOST_BYTES))
        if "--detach" in sys.argv[1:] and not _is_child():
            sys.exit(0)
        answer = answered(given) if isinstance(given, dict) else None
        if answer:
            sys.stdout.write(json.dumps(answer))
    except Exception as error:
        # The user's session must not see a failure of its memory: the journal has it.
        _note_failure(error)
    sys.exit(0)


def answered(given: dict[str, Any]) -> dict[str, Any] | None:
    """The object that the host gets for an event; `None` or an empty one if there is nothing to say.

    A prompt is answered with what is known of tasks like it, a failure with the fixes that worked, unless the prompt
    was drawn to be withheld. At the end of a turn and of a session its transcript is learned from. The memory is the
    one that `TACIT_DB` or the settings name; where there is none yet, nothing is done.
    """
    from .events import event_of

    event = event_of(given)
    if event.kind == "other":
        return None
    if event.kind == "failure" and (known := _looked_up(event)) is not None:
        return known
    from ..config import load
    from .repositories import is_excluded

    chosen = load(unknown=lambda *_: None)
    if is_excluded(event.folder, chosen.settings.hooks.exclude) or not _exists(chosen.database):
        return None
    if event.kind in ("start", "stop"):
        from .learning import learn

        learn(chosen, event)
        return None
    text = _advised(chosen, event)
    if not text:
        return None
    return _output(event, text)


def _output(event: HookEvent, text: str) -> dict[str, Any]:
    return {"hookSpecificOutput": {"hookEventName": event.name, "additionalContext": text}}


def _is_child() -> bool:
    """True in a new process in a session of its own, without the streams of this one; False in this one."""
    import os

    if os.fork():
        return False
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return True


def _exists(database: str) -> bool:
    from os.path import exists, expanduser

    return "://" in database or exists(expanduser(database))


def _advised(chosen: Configuration, event: HookEvent) -> str:
    """The advice for a prompt or a failure, noted in the journal; empty if there is none or it is withheld."""
    from .journal import journal_of

    journal = journal_of(chosen.database)
    is_held_back = _is_held_back(chosen, event)
    try:
        text, notes = _advice(chosen, event)
    except Exception:
        journal.add(_entry(event, is_held_back))
        raise
    if text or event.kind == "prompt":
        journal.add(_entry(event, is_held_back) | _clean(chosen, event, text) | notes)
    return "" if is_held_back else text


def _is_held_back(chosen: Configuration, event: HookEvent) -> bool:
    """The draw of a prompt; a failure goes by the last prompt of its session."""
    from .journal import journal_of

    journal = journal_of(chosen.database)
    if event.kind == "failure":
        return _was_held_back(journal, event)
    share = chosen.settings.hooks.withheld_share
    if not share:
        return False
    from .withholding import is_withheld

    return is_withheld(_key(chosen.database, journal.path), event.session, event.prompt.strip(), share)


def _key(database: str, journal: Path) -> bytes:
    from pathlib import Path

    from ..redaction import key_beside

    return key_beside(journal if "://" in database else Path(database).expanduser())


def _looked_up(event: HookEvent) -> dict[str, Any] | None:
    """The answer to a failure as the last learning worked it out, empty for none; `None` if the memory has to be asked.

    It runs while a user works: no settings, no memory and no answers are loaded.
    """
    from ..environment import database_and_mark
    from .known_fixes import KnownFixes

    database, mark = database_and_mark()
    known = KnownFixes(database, _namespace(event))
    if "://" in database or not known.path.exists():
        return None
    from os.path import expanduser

    from .._native import Store, error_class
    from .journal import journal_of

    named = error_class(event.error)
    store = Store(expanduser(database), cache_path=None, readers=1, busy_timeout_ms=_BUSY_MS)
    try:
        found = known.answer(store, event, named, mark)
    finally:
        store.close()
    if found is None:
        return None
    text, fixes = found
    if not text:
        return {}
    journal = journal_of(database)
    is_held_back = _was_held_back(journal, event)
    # The class of the error holds no secret: the memory learned it from a redacted record.
    notes = {"asked": named, "said": text, "tool": event.tool, "fixes": fixes}
    journal.add(_entry(event, is_held_back) | notes)
    return {} if is_held_back else _output(event, text)


def _was_held_back(journal: Journal, event: HookEvent) -> bool:
    last = journal.newest("prompt", event.session)
    return last is not None and last.get("withheld") is True


def _namespace(event: HookEvent) -> str:
    from os import getcwd

    from .repositories import namespace_of

    return namespace_of(event.folder or getcwd())


def _advice(chosen: Configuration, event: HookEvent) -> tuple[str, dict[str, Any]]:
    """The text for the model, and what `tacit impact` needs to know of it."""
    from dataclasses import replace

    from ..config import with_caller_training
    from ..memory import Memory

    settings = chosen.settings
    storage = replace(
        settings.storage, busy_timeout_ms=min(_BUSY_MS, settings.storage.busy_timeout_ms), readers=1
    )
    namespace = _namespace(event)
    settings = with_caller_training(replace(settings, storage=storage))  # this process asks once
    with Memory(chosen.database, namespace=namespace, settings=settings) as memory:
        if event.kind == "failure":
            fixes = memory.recover(event.error, tool=event.tool)
            text = fixes.to_prompt(max_tokens=settings.hooks.failure_tokens)
            return text, {"tool": event.tool, "fixes": [fix.tool for fix in fixes.ways if fix.successes]}
        return _told(memory, event, settings.hooks.prompt_tokens), {}


def _told(memory: Memory, event: HookEvent, max_tokens: int) -> str:
    """The advice for a prompt, and behind it the files that changed since, within the tokens."""
    prompt = event.prompt.strip()
    if not prompt:
        return ""
    from ..answers.prompt import TAIL, escaped, estimated_tokens
    from .changed_files import changed_line

    limit = memory.settings.limits.task_bytes
    task = prompt.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
    answer = memory.recall(task, limit=_HITS)
    line = escaped(changed_line(answer.hits, event.folder), _LONGEST_LINE) if event.folder else ""
    room = max_tokens - estimated_tokens(line) - 1
    if not line or room < max_tokens // 2:
        return answer.to_prompt(max_tokens=max_tokens)
    text = answer.to_prompt(max_tokens=room)
    return text and f"{text.removesuffix(TAIL)}{line}\n{TAIL}"


def _entry(event: HookEvent, is_held_back: bool) -> dict[str, Any]:
    import time

    entry = {
        "at": time.time_ns() // 1_000,
        "event": event.name,
        "kind": event.kind,
        "session": event.session,
        "folder": event.folder,
    }
    return entry | {"withheld": True} if is_held_back else entry


def _clean(chosen: Configuration, event: HookEvent, text: str) -> dict[str, Any]:
    """The question and the answer without secrets: a prompt may hold one. Nothing if there is no answer."""
    if not text:
        return {}
    from pathlib import Path

    import msgspec

    from ..redaction import open_redactor

    path = None if "://" in chosen.database else Path(chosen.database).expanduser()
    redactor = open_redactor(chosen.settings.redactor, path)

    def clean(text: str) -> str:
        record, _ = redactor.redact(msgspec.msgpack.encode({"task": text, "steps": []}))
        return str(msgspec.msgpack.decode(record)["task"])

    return {"asked": clean((event.prompt or event.error)[:2_000])[:200], "said": clean(text)}


def _note_failure(error: Exception) -> None:
    try:
        import time

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
