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
    gemini_folder,
    json_settings,
    read_json_settings,
    replace_settings,
)

_MARKS = ("-m tacit.hooks", "tacit-hook")
"""A command of ours holds one of them: the module, or the script that an installation brings."""
_TIMEOUT_S = 10
_IN_MILLISECONDS = ("gemini-cli",)
"""Hosts that count the time of a hook in milliseconds."""
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
    "gemini-cli": (
        ("SessionStart", False, False),
        ("BeforeAgent", False, False),
        ("AfterTool", True, False),
        ("AfterAgent", False, False),
        ("SessionEnd", False, False),
    ),
}
"""Each event of a host, whether it is about tools, and whether the host itself need not wait for its end."""
_LEARNING = ("SessionStart", "Stop", "AfterAgent", "SessionEnd")
"""Events whose hook says nothing: where the host waits for it, the work is done in the background."""


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
    if host == "gemini-cli":
        return gemini_folder(home) / "settings.json"
    return claude_folder(home) / "settings.json"


def has_hooks(host: str) -> bool:
    """True for a host in whose settings hooks can be entered."""
    return host in _EVENTS


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
            works_on = name in _LEARNING and not is_async
            mine = _entry(host, database, is_of_tools, is_async, works_on)
            there = hooks.get(name, [])
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


def _entry(
    host: str, database: str | None, is_of_tools: bool, is_async: bool, works_on: bool
) -> dict[str, Any]:
    command = _program() + (" --detach" if works_on else "")
    if database is not None:
        command = f"TACIT_DB={shlex.quote(database)} {command}"
    timeout = _TIMEOUT_S * (1_000 if host in _IN_MILLISECONDS else 1)
    hook: dict[str, Any] = {"type": "command", "command": command, "timeout": timeout}
    if is_async:
        hook |= {"async": True, "timeout": 600}
    return {"matcher": "*", "hooks": [hook]} if is_of_tools else {"hooks": [hook]}


def _program() -> str:
    """The script beside this Python, which starts sooner, or else the module."""
    script = Path(sys.executable).with_name("tacit-hook")
    return shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} {_MARKS[0]}"


def _is_ours(entry: object) -> bool:
    hooks = entry.get("hooks") if isinstance(entry, dict) else None
    if not isinstance(hooks, list):
        return False
    commands = [str(hook.get("command")) for hook in hooks if isinstance(hook, dict)]
    return any(mark in command for command in commands for mark in _MARKS)
