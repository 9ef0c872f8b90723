"""Entering the hooks in a host's settings, and taking them out: merged, with a copy of what was there."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ValidationError

_MARK = "-m tacit.hooks"
_TIMEOUT_S = 10
_EVENTS: Mapping[str, tuple[tuple[str, bool, bool], ...]] = {
    "claude-code": (
        ("SessionStart", False, True),
        ("UserPromptSubmit", False, False),
        ("PostToolUseFailure", True, False),
        ("Stop", False, True),
        ("SessionEnd", False, True),
    ),
    "codex": (
        ("SessionStart", False, False),
        ("UserPromptSubmit", False, False),
        ("PostToolUse", True, False),
        ("Stop", False, False),
    ),
}
"""Each event of a host, whether it is about tools, and whether the host need not wait for its answer."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The settings of a host before and after: `text` is `None` if nothing changes."""

    path: Path
    text: str | None

    def write(self) -> Path | None:
        """Writes the settings in one step; returns the copy of those before, `None` if there were none."""
        if self.text is None:
            return None
        copy = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            copy = self.path.with_name(self.path.name + ".bak")
            shutil.copy2(self.path, copy)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        fresh.write_text(self.text)
        if self.path.exists():
            shutil.copymode(self.path, fresh)
        fresh.replace(self.path)
        return copy


def settings_path(host: str, home: Path) -> Path:
    """The file in which a host looks for hooks."""
    if host == "codex":
        return Path(os.environ.get("CODEX_HOME") or home / ".codex") / "hooks.json"
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or home / ".claude") / "settings.json"


def wired(host: str, path: Path, *, database: str | None, remove: bool = False) -> Wiring:
    """The settings with the hooks entered once, or without them. Everything else stays as it is.

    Raises `ValidationError` for a file that is no JSON object: it is left alone.
    """
    settings = _read(path)
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict) or not all(isinstance(each, list) for each in hooks.values()):
        raise ValidationError("hooks", "an object of lists", str(path))
    kept = {name: [entry for entry in entries if not _is_ours(entry)] for name, entries in hooks.items()}
    if not remove:
        for name, is_of_tools, is_async in _EVENTS[host]:
            mine, there = _entry(database, is_of_tools, is_async), hooks.get(name, [])
            if mine in there:
                kept[name] = [entry for entry in there if entry == mine or not _is_ours(entry)]
            else:
                kept.setdefault(name, []).append(mine)
    kept = {
        name: entries
        for name, entries in kept.items()
        if entries or not any(map(_is_ours, hooks.get(name, [])))
    }
    changed = {**settings, "hooks": kept}
    if not kept:
        del changed["hooks"]
    if changed == settings:
        return Wiring(path, None)
    return Wiring(path, json.dumps(changed, indent=2, ensure_ascii=False) + "\n")


def _entry(database: str | None, is_of_tools: bool, is_async: bool) -> dict[str, Any]:
    command = f"{shlex.quote(sys.executable)} {_MARK}"
    if database is not None:
        command = f"TACIT_DB={shlex.quote(database)} {command}"
    hook: dict[str, Any] = {"type": "command", "command": command, "timeout": _TIMEOUT_S}
    if is_async:
        hook |= {"async": True, "timeout": 600}
    return {"matcher": "*", "hooks": [hook]} if is_of_tools else {"hooks": [hook]}


def _is_ours(entry: object) -> bool:
    hooks = entry.get("hooks") if isinstance(entry, dict) else None
    if not isinstance(hooks, list):
        return False
    return any(isinstance(hook, dict) and _MARK in str(hook.get("command")) for hook in hooks)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValidationError("settings", "a file of JSON", f"{path}: {error}") from error
    if not isinstance(settings, dict):
        raise ValidationError("settings", "a JSON object", str(path))
    return settings
