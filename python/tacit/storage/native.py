"""A store in a libSQL file on this machine."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal
from weakref import WeakSet

from .. import _native
from ..errors import StorageError, ValidationError
from ..model.record import Batch, Kind, Receipt
from .base import Changes

__all__ = ["NativeStore"]


class NativeStore:
    """A libSQL file that several processes may share; created with its folder where there is none.

    `durability` is what a commit survives once it returned: `"durable"` the loss of power, `"fast"` the death
    of the process. A lock of another process is waited for `busy_timeout_ms`. What was read is kept, within
    `cache_entries`, `cache_bytes` and `cache_ttl_s`, and in a disposable file at `cache_path`: `"auto"` is
    beside the store, `None` is no file. A store cannot be carried through a fork: the child opens it again.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Literal["durable", "fast"] = "durable",
        cache_path: str | os.PathLike[str] | None = "auto",
        cache_entries: int = 1_000,
        cache_bytes: int = 64 << 20,
        cache_ttl_s: float = 3_600.0,
        readers: int = 3,
        busy_timeout_ms: int = 5_000,
    ) -> None:
        self.path: Path = _local_path(path)
        self._store = _native.Store(
            self.path,
            durability=durability,
            cache_path=cache_path,
            cache_entries=cache_entries,
            cache_bytes=cache_bytes,
            cache_ttl_s=cache_ttl_s,
            readers=readers,
            busy_timeout_ms=busy_timeout_ms,
        )
        _OPEN.add(self)

    def commit(self, batch: Batch) -> Receipt:
        """Lands the whole batch or nothing of it. An interrupt stops the waiting, not the commit."""
        return self._store.commit(batch)

    def get(self, kind: Kind, id: bytes) -> bytes | None:
        """An episode's payload, a pattern's content, an episode's embedding or a note's record."""
        return self._store.get(kind, id)

    def get_many(self, kind: Kind, ids: Sequence[bytes]) -> list[bytes | None]:
        """What `get` gives for each of `ids`, in their order."""
        return self._store.get_many(kind, ids)

    def scan(
        self,
        kind: Kind,
        *,
        after: bytes | None = None,
        limit: int = 100,
        newest_first: bool = False,
        namespace: str | None = None,
        domain: str | None = None,
        task_key: str | None = None,
        agent: str | None = None,
        external_id: str | None = None,
        state: str | None = None,
    ) -> list[tuple[bytes, bytes]]:
        """One page of ids and values in the order of ids."""
        return self._store.scan(
            kind,
            after=after,
            limit=limit,
            newest_first=newest_first,
            namespace=namespace,
            domain=domain,
            task_key=task_key,
            agent=agent,
            external_id=external_id,
            state=state,
        )

    def changes(self, since: int, limit: int = 1000) -> Changes:
        """What changed after the change numbered `since`, packed: a native index opens it as it is."""
        return self._store.changes(since, limit)

    def sequence(self) -> int:
        """The newest change's number, whichever process made it."""
        return self._store.sequence()

    def sums(self) -> tuple[int, bytes]:
        """A change's number and the packed sums of everything up to it."""
        return self._store.sums()

    def pending(self, limit: int = 100) -> list[bytes]:
        """The ids of episodes that wait to be learned from, oldest first."""
        return self._store.pending(limit)

    def stats(self) -> dict[str, int | float | str]:
        """Counts of what is stored and how it is held, by name."""
        return self._store.stats()

    def close(self) -> None:
        """Lands what was handed over and closes the file. Closing twice is once."""
        self._store.close()
        _OPEN.discard(self)

    def __enter__(self) -> NativeStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"NativeStore({str(self.path)!r})"


def _local_path(given: str | os.PathLike[str]) -> Path:
    text = os.fspath(given)
    if not isinstance(text, str) or "://" in text or text in {"", ":memory:"} or "\0" in text:
        raise ValidationError("path", "must name a file on this machine", repr(given))
    path = Path(text).expanduser().absolute()
    if path.is_dir():
        raise StorageError(f"{path} is a folder: a store is a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"no folder for {path}: {error.strerror}") from error
    return path


# A disk that hangs does not keep the interpreter from ending; what was acknowledged is safe all the same.
_EXIT_DEADLINE_S = 30.0
_OPEN: WeakSet[NativeStore] = WeakSet()


@atexit.register
def _close_what_is_open() -> None:
    for store in list(_OPEN):
        store._store.close(_EXIT_DEADLINE_S)
