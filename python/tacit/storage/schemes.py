"""Stores by the scheme of an address: `file:`, `memory:`, `libsql:`, and those of other distributions."""

from __future__ import annotations

import re
from pathlib import Path

from ..config import StorageSettings
from ..errors import ValidationError
from ..registry import Registry
from .base import Store

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)

stores: Registry[Store] = Registry("store")
"""Factories of stores by scheme, called with `location` (the text behind the scheme) and `settings`.

Other distributions register theirs under the entry points `tacit.stores`.
"""


def open_store(database: str | Path | None, settings: StorageSettings) -> Store:
    """The store at an address: a path or `file:PATH`; `memory:` or `None` keep everything in RAM.

    Raises `UnknownNameError` for a scheme `name://` that no store is registered under, and `ValidationError` for
    `libsql://`, which this version does not build.
    """
    if database is None:
        return stores.create("memory", location="", settings=settings)
    scheme, location = _scheme_of(str(database)) if isinstance(database, str) else ("file", str(database))
    return stores.create(scheme, location=location, settings=settings)


def _scheme_of(database: str) -> tuple[str, str]:
    """The scheme and the rest of an address; other texts are paths, also those with a drive letter."""
    address = _ADDRESS.fullmatch(database)
    if address is None:
        return "file", database
    scheme, location = address[1], address[2]
    return (scheme, location) if location.startswith("//") or scheme in stores else ("file", database)


@stores.register("file")
def _file(*, location: str, settings: StorageSettings) -> Store:
    from .native import NativeStore

    return NativeStore(
        location.removeprefix("//") if location.startswith("///") else location,
        durability=settings.durability,
        cache_path="auto" if settings.cache == "auto" else None,
        cache_entries=settings.cache_entries,
        cache_bytes=settings.cache_bytes,
        cache_ttl_s=settings.cache_ttl_s,
        readers=settings.readers,
        busy_timeout_ms=settings.busy_timeout_ms,
    )


@stores.register("memory")
def _memory(*, location: str, settings: StorageSettings) -> Store:
    if location.strip("/"):
        raise ValidationError("database", "memory: without a name behind it", repr(f"memory:{location}"))
    from .in_memory import InMemoryStore

    return InMemoryStore()


@stores.register("libsql")
@stores.register("https")
@stores.register("http")
def _server(*, location: str, settings: StorageSettings) -> Store:
    raise ValidationError(
        "database",
        "a local path or memory:, because this version is built without servers",
        "a server's address",
    )
