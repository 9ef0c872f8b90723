"""The fixes of every known error, worked out when the memory learns: a failed call is then answered by a look-up.

Working one out takes a fit to the whole memory. A file for each namespace, beside the memory, holds the answers as of
one change of the store; a failure is looked up in it as long as nothing of the namespace was changed since.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..environment import database_and_mark
from .repositories import is_excluded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._native import Store as NativeStore
    from ..memory import Memory
    from ..model.record import Change
    from ..storage import Store
    from .events import HookEvent

_MOST_PATTERNS = 10_000
_MOST_CHANGES = 256
"""Changes of the store that are looked at for one of the namespace; beyond them the file counts as outdated."""


class KnownFixes:
    """The file of a namespace: by tool and class of error, the text for the model and the tools that it names."""

    def __init__(self, database: str, namespace: str) -> None:
        path = Path(database).expanduser()
        self.path: Path = path.with_name(f"{path.name}-fixes") / f"{namespace}.json"

    @classmethod
    def renew(cls, database: str, store: Store, memory: Memory) -> None:
        """Writes the file of the memory's namespace. Nothing is written for a server."""
        if "://" not in database:
            sequence = store.sequence()
            cls(database, memory.namespace).write(memory, sequence, database_and_mark()[1])

    def discard(self) -> None:
        """Removes the file: what was forgotten must not be said again."""
        self.path.unlink(missing_ok=True)

    def write(self, memory: Memory, sequence: int, mark: str) -> None:
        """Works out the fixes of the memory's namespace, as of change `sequence`. Raises `OSError`.

        `mark` stands for the settings: with others the answers may be others.
        """
        max_tokens, exclude = memory.settings.hooks.failure_tokens, memory.settings.hooks.exclude
        known: dict[str, dict[str, tuple[str, list[str]] | None]] = {}
        for pattern in memory.patterns(kind="error_recovery", limit=_MOST_PATTERNS):
            tool, error = str(pattern.content["tool"]), str(pattern.content["error"])
            if error in known.setdefault(tool, {}):
                continue
            fixes = memory.recover(error, tool=tool)
            if fixes.error_class != error:  # the class is no message that leads to itself
                known[tool][error] = None
                continue
            text = fixes.to_prompt(max_tokens=max_tokens)
            known[tool][error] = text, [fix.tool for fix in fixes.ways if fix.successes]
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            held = {"sequence": sequence, "settings": mark, "exclude": exclude, "fixes": known}
            json.dump(held, stream)
        fresh.replace(self.path)

    def answer(
        self, store: NativeStore, event: HookEvent, error_class: str, mark: str
    ) -> tuple[str, list[str]] | None:
        """The text and the tools for a failure; `None` means that the memory itself has to be asked.

        An empty text means that the memory knows no fix.
        """
        held = self._read()
        if held is None or held.get("settings") != mark:
            return None
        if not _is_current(store, int(held["sequence"]), self.path.name.removesuffix(".json")):
            self.discard()
            return None
        if is_excluded(event.folder, held["exclude"]):
            return "", []
        found = held["fixes"].get(event.tool, {}).get(error_class, ("", []))
        return None if found is None else (str(found[0]), list(found[1]))

    def _read(self) -> dict[str, Any] | None:
        try:
            held = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return held if isinstance(held, dict) else None


def _is_current(store: NativeStore, sequence: int, namespace: str) -> bool:
    """True if no change after `sequence` can have changed the namespace."""
    newest = store.sequence()
    if newest == sequence:
        return True
    if not sequence < newest <= sequence + _MOST_CHANGES:
        return False
    return all(_is_of_another(change, namespace) for change in store.changes(sequence, _MOST_CHANGES))


def _is_of_another(change: Change, namespace: str) -> bool:
    """True for what was written in another namespace; a removal names none."""
    written = change.record or change.side_record
    return written is not None and written.namespace != namespace
