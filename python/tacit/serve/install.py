"""Entering the server in a host's settings: merged, never overwritten, with a copy of what was there."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ValidationError

NAME = "tacit"
HOSTS = ("claude-code", "codex", "cursor")


def enter(host: str, database: str | None, namespace: str, *, folder: Path | None = None) -> str:
    """Adds the server to the settings of a host and says what was changed.

    Claude Code reads `.mcp.json` in the folder, Cursor in its `.cursor/mcp.json`, Codex in `~/.codex/config.toml`.
    A file that changes is copied beside itself first (`.bak`). Entering it again changes nothing. Raises
    `ValidationError` for another host, or a file that cannot be read.
    """
    folder = Path.cwd() if folder is None else folder
    command = _command(database, namespace)
    if host == "claude-code":
        return _enter_json(folder / ".mcp.json", command)
    if host == "cursor":
        return _enter_json(folder / ".cursor" / "mcp.json", command)
    if host == "codex":
        home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
        return _enter_toml(home / "config.toml", command)
    raise ValidationError("install", f"one of {', '.join(HOSTS)}", repr(host))


def _command(database: str | None, namespace: str) -> dict[str, Any]:
    """How a host starts the server: by this Python, wherever its commands are."""
    arguments = ["-m", "tacit", "serve"]
    if database is not None:
        path = database if "://" in database else str(Path(database).expanduser().absolute())
        arguments += ["--db", path]
    if namespace != "default":
        arguments += ["--namespace", namespace]
    return {"command": sys.executable, "args": arguments}


def _enter_json(path: Path, command: dict[str, Any]) -> str:
    settings = _read_json(path)
    servers = settings.setdefault("mcpServers", {})
    if not isinstance(servers, dict):
        raise ValidationError("mcpServers", "an object", f"{type(servers).__name__} in {path}")
    if servers.get(NAME) == command:
        return f"{path}: {NAME} is entered already"
    servers[NAME] = command
    _write(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    return f"{path}: entered {NAME}"


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValidationError("settings", "a file of JSON", f"{path}: {error}") from error
    if not isinstance(settings, dict):
        raise ValidationError("settings", "a JSON object", str(path))
    return settings


def _enter_toml(path: Path, command: dict[str, Any]) -> str:
    """Appends a table: the rest of the file keeps its comments and its order."""
    text = path.read_text() if path.exists() else ""
    try:
        servers = tomllib.loads(text).get("mcp_servers", {})
    except tomllib.TOMLDecodeError as error:
        raise ValidationError("settings", "a file of TOML", f"{path}: {error}") from error
    if isinstance(servers, Mapping) and NAME in servers:
        same = servers[NAME] == command
        return f"{path}: {NAME} is entered already" + (
            "" if same else ", with another command; left as it is"
        )
    lines = [f"[mcp_servers.{NAME}]", *(f"{name} = {json.dumps(value)}" for name, value in command.items())]
    gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    _write(path, text + gap + "\n".join(lines) + "\n")
    return f"{path}: entered {NAME}"


def _write(path: Path, text: str) -> None:
    """Replaces a file in one step; the first one stays beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    copy = path.with_name(path.name + ".bak")
    if path.exists() and not copy.exists():
        shutil.copy2(path, copy)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    if path.exists():
        shutil.copymode(path, fresh)
    fresh.replace(path)
