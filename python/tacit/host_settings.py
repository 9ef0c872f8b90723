"""Settings files of the programs that run agents: where they lie, read and replaced without a loss."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from .errors import ValidationError


def claude_folder(home: Path) -> Path:
    """The folder of Claude Code: `CLAUDE_CONFIG_DIR`, else `.claude` below the home folder."""
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")


def codex_folder(home: Path) -> Path:
    """The folder of Codex: `CODEX_HOME`, else `.codex` below the home folder."""
    return Path(os.environ.get("CODEX_HOME") or home / ".codex")


def gemini_folder(home: Path) -> Path:
    """The folder of Gemini CLI: `.gemini` below `GEMINI_CLI_HOME`, else below the home folder."""
    return Path(os.environ.get("GEMINI_CLI_HOME") or home) / ".gemini"


def opencode_folder(home: Path) -> Path:
    """The folder of opencode's data: `opencode` below `XDG_DATA_HOME`, else below `.local/share`."""
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "opencode"


def read_json_settings(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; an empty one without the file. Raises `ValidationError` for anything else."""
    if not path.exists():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValidationError("settings", "a file of JSON", f"{path}: {error}") from error
    if not isinstance(settings, dict):
        raise ValidationError("settings", "a JSON object", str(path))
    return settings


def json_settings(settings: dict[str, Any]) -> str:
    """The text of a file of JSON, as people read it."""
    return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"


def replace_settings(path: Path, text: str) -> None:
    """Replaces a file in one step, with its mode. The file before the first change stays beside it as `.bak`.

    Raises `OSError` if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    copy = path.with_name(path.name + ".bak")
    if path.exists() and not copy.exists():
        shutil.copy2(path, copy)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    # Settings may hold keys: until the mode is that of the file before, nobody else reads the new one.
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    if path.exists():
        shutil.copymode(path, fresh)
    fresh.replace(path)
