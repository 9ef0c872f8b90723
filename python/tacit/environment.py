"""The environment and the settings file as they are, before anything is made of them.

A hook runs at every failed call: what it needs to know before it looks an answer up stands here, and loads nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .errors import ValidationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def named_database() -> str | None:
    """The database that the environment names; `None` if it names none."""
    return os.environ.get("TACIT_DB") or None


def named_auth_token() -> str | None:
    """The token of a libSQL server that the environment names; `None` if it names none."""
    return os.environ.get("TACIT_AUTH_TOKEN") or None


def default_database(environment: Mapping[str, str] | None = None) -> Path:
    """`tacit/memory.db` in the platform's folder for a user's data."""
    environment = os.environ if environment is None else environment
    if sys.platform == "win32":
        base = environment.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Application Support")
    else:
        base = environment.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(base) / "tacit" / "memory.db"


def settings_file(environment: Mapping[str, str]) -> str | None:
    """The TOML file: `TACIT_CONFIG`, else `tacit.toml` in the folder for configuration; `None` if none is there."""
    if named := environment.get("TACIT_CONFIG"):
        return named
    base = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    path = os.path.join(base, "tacit", "tacit.toml")
    return path if os.path.isfile(path) else None


def read_settings_file(environment: Mapping[str, str]) -> dict[str, Any]:
    """The tables of the TOML file. Raises `ValidationError` for one that cannot be read."""
    path = settings_file(environment)
    if path is None:
        return {}
    import tomllib

    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValidationError("TACIT_CONFIG", "a readable TOML file", f"{path}: {error}") from error


def database_of(environment: Mapping[str, str], tables: Mapping[str, Any]) -> str:
    """The database that the environment names, else the tables of the file, else the default one."""
    in_file = str(tables.get("database", ""))
    return environment.get("TACIT_DB") or in_file or str(default_database(environment))


def database_and_mark() -> tuple[str, str]:
    """The database, and a mark that is the same as long as the environment and the file give the same settings."""
    environment = os.environ
    database = environment.get("TACIT_DB") or database_of(environment, read_settings_file(environment))
    given = {
        name: value
        for name, value in environment.items()
        if name.startswith("TACIT_") and name not in ("TACIT_DB", "TACIT_AUTH_TOKEN")
    }
    path = settings_file(environment)
    status = os.stat(path) if path is not None else None
    written = None if status is None else (path, status.st_size, status.st_mtime_ns)
    return database, repr((sorted(given.items()), written))
