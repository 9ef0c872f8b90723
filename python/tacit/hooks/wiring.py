"""Entering the hooks in a host's settings, and taking them out: merged, with a copy of what was there."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ValidationError
from ..host_settings import (
    claude_folder,
    codex_folder,
    json_settings,
    read_json_settings,
    replace_settings,
)

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

    def write(self) -> None:
        """Writes the settings if they change; see `replace_settings`."""
        if self.text is not None:
            replace_settings(self.path, self.text)


def settings_path(host: str, home: Path) -> Path:
    """The file in which a host looks for hooks."""
    if host == "codex":
        return codex_folder(home) / "hooks.json"
    return claude_folder(home) / "settings.json"


def wired(host: str, path: Path, *, database: str | None, remove: bool = False) -> Wiring:
    """The settings with the hooks entered once, or without them. Everything else stays as it is.

    Raises `ValidationError` for a file that is no JSON object: it is left alone.
    """
    settings = read_json_settings(path)
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
    return Wiring(path, json_settings(changed))


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
