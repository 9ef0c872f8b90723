"""Entering the server in a host's settings: merged, never overwritten, with a copy of what was there."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ValidationError
from ..host_settings import codex_folder, json_settings, read_json_settings, replace_settings

NAME = "tacit"
HOSTS = ("claude-code", "codex", "cursor")


def enter(host: str, database: str | None, namespace: str | None, *, folder: Path | None = None) -> str:
    """Adds the server to the settings of a host and says what was changed.

    Claude Code reads `.mcp.json` in the folder, Cursor in its `.cursor/mcp.json`, Codex in `~/.codex/config.toml`.
    Without a namespace the server chooses it when it starts, by its folder. A file that changes is copied beside
    itself first (`.bak`). Entering it again changes nothing. Raises `ValidationError` for another host, or a file that
    cannot be read.
    """
    folder = Path.cwd() if folder is None else folder
    command = _command(database, namespace)
    if host == "claude-code":
        return _enter_json(folder / ".mcp.json", command)
    if host == "cursor":
        return _enter_json(folder / ".cursor" / "mcp.json", command)
    if host == "codex":
        return _enter_toml(codex_folder(Path.home()) / "config.toml", command)
    raise ValidationError("install", f"one of {', '.join(HOSTS)}", repr(host))


def _command(database: str | None, namespace: str | None) -> dict[str, Any]:
    """How a host starts the server: by this Python, wherever its commands are."""
    arguments = ["-m", "tacit", "serve"]
    if database is not None:
        path = database if "://" in database else str(Path(database).expanduser().absolute())
        arguments += ["--db", path]
    if namespace is not None:
        arguments += ["--namespace", namespace]
    return {"command": sys.executable, "args": arguments}


def _enter_json(path: Path, command: dict[str, Any]) -> str:
    settings = read_json_settings(path)
    servers = settings.setdefault("mcpServers", {})
    if not isinstance(servers, dict):
        raise ValidationError("mcpServers", "an object", f"{type(servers).__name__} in {path}")
    if servers.get(NAME) == command:
        return f"{path}: {NAME} is entered already"
    servers[NAME] = command
    replace_settings(path, json_settings(settings))
    return f"{path}: entered {NAME}"


def _enter_toml(path: Path, command: dict[str, Any]) -> str:
    """Appends a table: the rest of the file keeps its comments and its order."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
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
    replace_settings(path, text + gap + "\n".join(lines) + "\n")
    return f"{path}: entered {NAME}"
