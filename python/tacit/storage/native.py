"""A store in a libSQL file on this machine."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal
from weakref import WeakSet

from .. import _native
from ..errors import ReadOnlyError, StorageError, ValidationError
from ..model.record import Batch, Compaction, DamagedRow, Filters, Kind, Receipt, SnapshotState
from .base import Changes
from .private_files import make_private_folder

__all__ = ["NativeStore"]

_NO_FILTERS = Filters()


class NativeStore:
    """A libSQL file that several processes may share. The file and its folder are created if they are absent.

    `durability` is the failure that a commit survives once it returned: `"durable"` the loss of power, `"fast"` the
    death of the process. `busy_timeout_ms` is the longest wait for a lock of another process. Values that were read
    stay in memory within `cache_entries`, `cache_bytes` and `cache_ttl_s`, and in a disposable file at `cache_path`:
    `"auto"` is a file beside the store, `None` is no file. A path that names another kind of file is left alone, and
    `stats()["cache_problem"]` says so. With `snapshot`, the state of an index that `write_snapshot` is given lies in
    `NAME.index` beside the store, disposable too. Files are created readable by their owner alone.

    With `read_only` nothing is written: the file may lie in a folder or on a mount that takes no writes. A fork
    (`os.fork`, `multiprocessing`) closes the files for its moment; the store works in both processes afterwards.

    Raises `SchemaError` for a file that is not tacit's, newer than this version, or an incomplete copy, and
    `ReadOnlyError` for a place that takes no writes.
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
        snapshot: bool = True,
        read_only: bool = False,
    ) -> None:
        self.path: Path = _local_path(path, creates=not read_only)
        self.read_only = read_only
        self._store = _native.Store(
            self.path,
            durability=durability,
            cache_path=cache_path,
            cache_entries=cache_entries,
            cache_bytes=cache_bytes,
            cache_ttl_s=cache_ttl_s,
            readers=readers,
            busy_timeout_ms=busy_timeout_ms,
            has_snapshot=snapshot,
            read_only=read_only,
        )
        _OPEN.add(self)

    def commit(self, batch: Batch) -> Receipt:
        """Commits the whole batch or nothing of it. An interrupt stops the waiting, not the commit.

        A commit that removes an episode deletes the backups that migrations left beside the file, because they hold
        its content.
        """
        return self._store.commit(batch)

    def get(self, kind: Kind, id: bytes, namespace: str | None = None) -> bytes | None:
        """Returns an episode's payload, a pattern's content, an episode's embedding or a side record's bytes.

        A damaged row raises `CorruptRecordError`.
        """
        return self._store.get(kind, id, namespace)

    def get_many(self, kind: Kind, ids: Sequence[bytes], namespace: str | None = None) -> list[bytes | None]:
        """Returns the values of `ids`, in their order; `None` stands for an absent or damaged row."""
        return self._store.get_many(kind, ids, namespace)

    def version(self, kind: Kind, id: bytes) -> int | None:
        """Returns the version of an episode or a side record, without reading its record; `None` if it is absent."""
        return self._store.version(kind, id)

    def get_versioned(self, kind: Kind, id: bytes) -> tuple[int, bytes] | None:
        """Returns the version and the value of an episode or a side record, read together."""
        return self._store.get_versioned(kind, id)

    def scan(
        self,
        kind: Kind,
        *,
        after: bytes | None = None,
        limit: int = 100,
        newest_first: bool = False,
        filters: Filters = _NO_FILTERS,
    ) -> list[tuple[bytes, bytes]]:
        """Returns one page of ids and values in the order of ids, without damaged rows."""
        return self._store.scan(kind, after=after, limit=limit, newest_first=newest_first, filters=filters)

    def changes(self, since: int, limit: int = 1000, *, began: int | None = None) -> Changes:
        """Returns the changes after the one numbered `since`, packed: a native index reads them as they are.

        Raises `ResyncRequiredError` for a `since` between 0 and the horizon.
        """
        return self._store.changes(since, limit, began=began)

    def sequence(self) -> int:
        """Returns the number of the newest change, of whichever process."""
        return self._store.sequence()

    def pending(self, limit: int = 100) -> list[bytes]:
        """Returns the ids of episodes that wait to be learned from, oldest first."""
        return self._store.pending(limit)

    def damaged(self) -> list[DamagedRow]:
        """Reads every row and returns the unreadable ones."""
        return [DamagedRow(*row) for row in self._store.damaged()]

    def damaged_count(self) -> int:
        """Returns the number of unreadable rows that this process met. Reads nothing."""
        return self._store.damaged_count()

    def remove_damaged(self) -> list[DamagedRow]:
        """Removes every unreadable row and returns them."""
        return [DamagedRow(*row) for row in self._store.remove_damaged()]

    def compact(self, keep: int = 100_000) -> Compaction:
        """Prunes the change log but for its newest `keep` numbers, and moves its horizon."""
        return Compaction(*self._store.compact(keep))

    def shrink(self) -> int:
        """Gives the space of removed rows back to the disk, and returns how many bytes.

        The file is rewritten, so writers of every process wait meanwhile and readers do not. Nothing happens without
        free space in the file. Raises `UnavailableError` without room on the disk for the rewritten file.
        """
        return self._store.shrink()

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copies the store to a new file, as of one moment, while it is in use.

        The copy is one file, readable by its owner alone, without deleted content. Raises `ValidationError` for a file
        that exists and `UnavailableError` without room on the disk; neither leaves a file.
        """
        self._store.backup(_local_path(path))

    def read_snapshot(self, index: _native.Index) -> bool:
        """Fills an empty index from the snapshot beside the file; returns False on any doubt about it.

        The index then follows the log from its `sequence`. It answers as one that read the whole log. A snapshot from
        before a removal is deleted once it was read.
        """
        return index.read_snapshot(self._store) is not None

    def write_snapshot(self, index: _native.Index) -> bool:
        """Replaces the snapshot beside the file by the state of `index`; returns True if it is there.

        The new file is written and synced under another name first, and its owner alone may read it. It is not kept if
        an episode is removed meanwhile, and a removal deletes it. Only an absent or empty file, or a snapshot, is
        replaced. `snapshot` says what went wrong.
        """
        return index.write_snapshot(self._store)

    def snapshot(self) -> SnapshotState:
        """Returns the state of the snapshot beside the file. Reads its header only."""
        return SnapshotState(*self._store.snapshot())

    @staticmethod
    def restore(
        backup: str | os.PathLike[str], path: str | os.PathLike[str], *, replace: bool = False
    ) -> None:
        """Makes the store of the file `backup` the one at `path`.

        Raises `ValidationError` for a file that exists, unless `replace` is set, and `UnavailableError` for one that
        is open in any process. A restore that fails leaves the file as it was.
        """
        _native.restore(_local_path(backup, creates=False), _local_path(path), replace)

    def schema_backups(self) -> list[Path]:
        """Returns the backups `NAME.schema-N.bak` that migrations left beside the file."""
        return self._store.schema_backups()

    def stats(self) -> dict[str, int | float | str]:
        """Returns figures of the stored rows and of the cache, by name."""
        return self._store.stats()

    def close(self) -> None:
        """Commits what was handed over and closes the file. Closing a closed store does nothing."""
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


def open_readable(path: str | os.PathLike[str]) -> NativeStore:
    """Opens a store to write, or to read if its place takes no writes."""
    try:
        return NativeStore(path)
    except ReadOnlyError:
        return NativeStore(path, read_only=True)


def _local_path(given: str | os.PathLike[str], *, creates: bool = True) -> Path:
    text = os.fspath(given)
    if not isinstance(text, str) or "://" in text or text in {"", ":memory:"} or "\0" in text:
        raise ValidationError("path", "the name of a file on this machine", repr(given))
    path = Path(text).expanduser().absolute()
    if path.is_dir():
        raise StorageError(f"path must be a file; got the folder {path}")
    if creates:
        try:
            make_private_folder(path.parent)
        except OSError as error:
            raise StorageError(f"no folder for {path}: {error.strerror}") from error
    return path


# A disk that hangs does not keep the interpreter from ending: acknowledged commits are safe.
_EXIT_DEADLINE_S = 30.0
_OPEN: WeakSet[NativeStore] = WeakSet()


# A writer that waits longer than this for another process keeps its files: the child cannot use them then.
_FORK_DEADLINE_S = 10.0
_FORKING = threading.Lock()
_HELD: list[NativeStore] = []


def _before_fork() -> None:
    """Closes every store. Those that are opened meanwhile are closed once no further one can be."""
    _FORKING.acquire()
    _hold(list(_OPEN))
    _native.begin_fork()
    _hold([store for store in _OPEN if store not in _HELD])


def _hold(stores: list[NativeStore]) -> None:
    for store in stores:
        with suppress(StorageError):
            store._store.sequence()  # one that an earlier fork has closed is opened, so that nobody else opens it
        _HELD.append(store)
        store._store.hold(_FORK_DEADLINE_S)


def _after_fork_in_parent() -> None:
    for store in _HELD:
        store._store.release()
    _end_fork()


def _after_fork_in_child() -> None:
    for store in _HELD:
        store._store.renew()
    _end_fork()


def _end_fork() -> None:
    _HELD.clear()
    _native.end_fork()
    _FORKING.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )


@atexit.register
def _close_open_stores() -> None:
    for store in list(_OPEN):
        store._store.close(_EXIT_DEADLINE_S)
