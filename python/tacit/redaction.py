"""Redaction: secrets are replaced before anything of an episode is learned from or stored."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

import msgspec

from ._native import Redactor as NativeRedactor
from .errors import StorageError, ValidationError
from .registry import Registry

KEY_BYTES = 32
MARKER = "[REDACTED:"
"""The beginning of every marker of the default redactor."""
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_STEP_FIELDS = ("action", "parameters", "output", "error", "metadata", "state")


@runtime_checkable
class Redactor(Protocol):
    """Replaces secrets in the record of an episode, between recording and everything else.

    Example:
        >>> from tacit.redaction import replace_texts
        >>> class NoOrders:
        ...     def redact(self, record: bytes) -> tuple[bytes, int]:
        ...         return replace_texts(record, lambda text: text.replace("order 17", "an order"))
        >>> with Memory(redactor=NoOrders()) as memory:
        ...     with memory.episode("Cancel order 17") as episode:
        ...         episode.succeed()
        ...     memory.episodes()[0].task
        'Cancel an order'
    """

    def redact(self, record: bytes) -> tuple[bytes, int]:
        """The record (msgpack) without secrets, and how many there were.

        Ids, names and the number of steps stay as they are. Redacting the result again changes nothing.
        """
        ...


@runtime_checkable
class KeyedRedactor(Protocol):
    """A redactor that marks equal secrets alike, by a hash with the key of one memory."""

    def with_key(self, key: bytes) -> Redactor:
        """The same redactor with this key of 32 bytes."""
        ...


redactors: Registry[Redactor] = Registry("redactor", Redactor)
"""Redactors by name; those of other distributions come through the entry points `tacit.redactors`."""


@redactors.register("secrets")
class Secrets:
    """The default: keys of known providers, private keys, tokens, passwords become `[REDACTED:rule:hash8]`.

    The hash is keyed, so equal secrets of one memory stay equal. Without a key of its own it gets the memory's.

    Example:
        >>> from tacit.redaction import Secrets
        >>> Secrets(key=bytes(32)).redact_text("DB_PASSWORD=correct7horse")
        ('DB_PASSWORD=[REDACTED:password:7fe15a0a]', 1)
    """

    def __init__(self, *, key: bytes | None = None) -> None:
        self.key = key
        self._native = NativeRedactor(os.urandom(KEY_BYTES) if key is None else key)

    def redact(self, record: bytes) -> tuple[bytes, int]:
        """The record without secrets in its task, metadata, steps and outcome, and how many there were."""
        return self._native.redact_record(record)

    def redact_text(self, text: str) -> tuple[str, int]:
        """A text without secrets, and how many there were."""
        return self._native.redact_text(text)

    def with_key(self, key: bytes) -> Secrets:
        """The same rules with the key of a memory; a key that was given stays."""
        return Secrets(key=key) if self.key is None else self

    def __repr__(self) -> str:
        return f"Secrets(key={'None' if self.key is None else '...'})"


@redactors.register("off")
class Off:
    """Stores what was recorded as it is."""

    def redact(self, record: bytes) -> tuple[bytes, int]:
        """The record itself."""
        return record, 0

    def __repr__(self) -> str:
        return "Off()"


class Chain:
    """Several redactors, one after another."""

    def __init__(self, parts: Iterable[Redactor]) -> None:
        self.parts: tuple[Redactor, ...] = tuple(parts)

    def redact(self, record: bytes) -> tuple[bytes, int]:
        """The record as the last one leaves it, and the sum of their secrets."""
        total = 0
        for part in self.parts:
            record, found = part.redact(record)
            total += found
        return record, total

    def __repr__(self) -> str:
        return f"Chain({list(self.parts)!r})"


def open_redactor(chosen: object, store_path: Path | None) -> Redactor:
    """The redactor of a memory, with the key that lies beside its store.

    `chosen` is one part or several; `None` means no redaction. A store without a path (in RAM) gets a random key.
    """
    if chosen is None:
        return Off()
    parts = [redactors.resolve(part) for part in (chosen if _are_several(chosen) else [chosen])]
    if any(isinstance(part, KeyedRedactor) for part in parts):
        key = os.urandom(KEY_BYTES) if store_path is None else key_beside(store_path)
        parts = [part.with_key(key) if isinstance(part, KeyedRedactor) else part for part in parts]
    return parts[0] if len(parts) == 1 else Chain(parts)


def _are_several(chosen: object) -> TypeGuard[Sequence[object]]:
    return isinstance(chosen, (list, tuple))


def redact_checked(redactor: Redactor, record: bytes) -> tuple[bytes, int]:
    """The redacted record and the number of secrets. Raises `ValidationError` for anything but bytes and a count."""
    redacted = redactor.redact(record)
    match redacted:
        case (bytes(), int()) if redacted[1] >= 0:
            # A redactor that miscounts must not have its work thrown away.
            return redacted[0], max(redacted[1], int(redacted[0] != record))
        case _:
            raise ValidationError("redact", "a method that returns (bytes, int)", repr(redacted)[:80])


def replace_texts(record: bytes, replace: Callable[[str], str]) -> tuple[bytes, int]:
    """A record with `replace` called on each text of its task, metadata, steps and outcome, for redactors in Python.

    Returns the record and the number of texts that changed. Names of values (the keys of mappings) are texts too.
    """
    changes = 0

    def counted(text: str) -> str:
        nonlocal changes
        replaced = replace(text)
        changes += replaced != text
        return replaced

    episode = msgspec.msgpack.decode(record)
    outcome = episode.get("outcome") or {}
    for part, fields in [
        (episode, ("task", "metadata")),
        *((step, _STEP_FIELDS) for step in episode.get("steps", ())),
    ]:
        for field in fields:
            if field in part:
                part[field] = _with_texts(part[field], counted)
    for field in outcome.keys() - {"kind"}:
        outcome[field] = _with_texts(outcome[field], counted)
    return (msgspec.msgpack.encode(episode), changes) if changes else (record, 0)


def _with_texts(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, list):
        return [_with_texts(each, replace) for each in value]
    if isinstance(value, dict):
        return {_with_texts(key, replace): _with_texts(each, replace) for key, each in value.items()}
    return value


def key_beside(store_path: Path) -> bytes:
    """The redaction key of a store, made with it: `NAME.redaction-key` beside the database, for its owner only.

    The key is random if the folder cannot be written to (read-only, full). Raises `StorageError` if the file is no key.
    """
    path = store_path.with_name(store_path.name + ".redaction-key")
    try:
        return _read_key(path)
    except FileNotFoundError:
        pass
    key = os.urandom(KEY_BYTES)
    try:
        _make_key(path, key)
    except FileExistsError:
        return _read_key(path)
    except OSError as error:
        if error.errno in _NOT_WRITABLE:
            return key
        raise StorageError(f"cannot make the redaction key {path}: {error.strerror}") from error
    return key


def _make_key(path: Path, key: bytes) -> None:
    """Writes the key under another name first: no process ever reads half a key, and the first one's key holds."""
    fresh = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    _write_private(fresh, key)
    try:
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError:  # A file system without hard links.
        _write_private(path, key)
    finally:
        fresh.unlink()


def _write_private(path: Path, key: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _read_key(path: Path) -> bytes:
    try:
        text = path.read_bytes()[:256]
        key = bytes.fromhex(text.decode("ascii"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read the redaction key {path}: {error}") from error
    if len(key) != KEY_BYTES:
        raise StorageError(f"{path} must be a key of {KEY_BYTES} bytes; got {len(key)} bytes")
    return key
