"""Stores by the scheme of an address: `file:`, `memory:`, `libsql:`, and those of other distributions."""

from __future__ import annotations

import re
from pathlib import Path

from ..config import StorageSettings
from ..environment import named_auth_token
from ..errors import ValidationError
from ..registry import Registry
from .base import Store

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)

stores: Registry[Store] = Registry("store")
"""Factories of stores by scheme, called with `location` (the text behind the scheme) and `settings`.

Other distributions register theirs under the entry points `tacit.stores`.
"""


_SERVERS = ("libsql", "https", "http")


def open_store(
    database: str | Path | None, settings: StorageSettings, *, auth_token: str | None = None
) -> Store:
    """The store at an address: a path or `file:PATH`; `memory:` or `None` keep everything in RAM.

    `libsql://HOST`, `https://HOST` and `http://HOST` are libSQL servers; their token is `auth_token`, else the
    variable `TACIT_AUTH_TOKEN`.

    Raises `UnknownNameError` for a scheme `name://` that no store is registered under, and `ValidationError` for a
    token that the store does not take.
    """
    scheme, location = ("file", str(database)) if isinstance(database, Path) else _scheme_of(database)
    if scheme in _SERVERS:
        return _server(scheme, location, settings, auth_token)
    if auth_token is not None:
        raise ValidationError("auth_token", "left out for a store that is no libSQL server", "a token")
    return stores.create(scheme, location=location, settings=settings)


def _scheme_of(database: str | None) -> tuple[str, str]:
    """The scheme and the rest of an address; other texts are paths, also those with a drive letter."""
    if database is None:
        return "memory", ""
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
        snapshot=settings.snapshot == "auto",
        read_only=settings.read_only,
    )


@stores.register("memory")
def _memory(*, location: str, settings: StorageSettings) -> Store:
    if location.strip("/"):
        raise ValidationError("database", "memory: without a name behind it", repr(f"memory:{location}"))
    from .in_memory import InMemoryStore

    return InMemoryStore()


def _server(scheme: str, location: str, settings: StorageSettings, auth_token: str | None) -> Store:
    from .remote import RemoteStore

    token = named_auth_token() if auth_token is None else auth_token
    return RemoteStore(
        scheme,
        location,
        auth_token=token,
        settings=settings.remote,
        cache_entries=settings.cache_entries,
        cache_bytes=settings.cache_bytes,
        cache_ttl_s=settings.cache_ttl_s,
    )


@stores.register("libsql")
def _libsql(*, location: str, settings: StorageSettings) -> Store:
    return _server("libsql", location, settings, None)


@stores.register("https")
def _https(*, location: str, settings: StorageSettings) -> Store:
    return _server("https", location, settings, None)


@stores.register("http")
def _http(*, location: str, settings: StorageSettings) -> Store:
    return _server("http", location, settings, None)
