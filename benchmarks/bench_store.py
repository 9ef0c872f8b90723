"""bench_store.py: a durable commit beside a bare sqlite3 commit of the same bytes, and reads from each place."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import struct
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from benchmarks import workloads
from tacit.model.record import Batch, EpisodeRecord
from tacit.storage import NativeStore
from tacit.testing import episode_record

PAYLOAD = bytes(workloads.incompressible(8_700, seed=3))


def records() -> Iterator[EpisodeRecord]:
    """Episodes of 8.7 KB that each say something about 30 of 300 patterns."""
    patterns = [struct.pack("<QQ", number, number) for number in range(300)]
    facts = [
        b"".join(struct.pack("<16sBHd", each, 0, 2, 1.0) for each in patterns[at::10]) for at in range(10)
    ]
    contents = [
        b"".join(struct.pack("<16sBI", each, 0, 120) + bytes(120) for each in patterns[at::10])
        for at in range(10)
    ]
    for number in itertools.count():
        at = number % 10
        yield episode_record(number, payload=PAYLOAD, facts=facts[at], contents=contents[at])


class Bare:
    """The yardstick: one table of ids and bytes in SQLite, write-ahead log, synced at each commit."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = wal")
        self.connection.execute("PRAGMA synchronous = full")
        self.connection.execute("CREATE TABLE episode (id BLOB PRIMARY KEY, value BLOB NOT NULL)")

    def commit(self, batch: Batch) -> None:
        rows = [(record.id, record.payload) for record in batch.episodes]
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany("INSERT INTO episode VALUES (?, ?)", rows)
        self.connection.execute("COMMIT")

    def get(self, kind: str, id: bytes) -> bytes:
        (value,) = self.connection.execute("SELECT value FROM episode WHERE id = ?", (id,)).fetchone()
        return value

    def changes(self, since: int, limit: int) -> list[tuple[bytes, bytes]]:
        rows = self.connection.execute(
            "SELECT id, value FROM episode WHERE rowid > ? ORDER BY rowid LIMIT ?", (since, limit)
        )
        return rows.fetchall()

    def sequence(self) -> int:
        (sequence,) = self.connection.execute("SELECT max(rowid) FROM episode").fetchone()
        return sequence

    def close(self) -> None:
        self.connection.close()


def opened(owner: object, implementation: str, **options: Any) -> NativeStore | Bare:
    """A new store, which is closed and deleted with its owner."""
    folder = Path(tempfile.mkdtemp(prefix="bench-store-"))
    native = implementation == "native"
    store = NativeStore(folder / "a.db", **options) if native else Bare(folder / "a.db")
    weakref.finalize(owner, _discard, store.close, folder)
    return store


def _discard(close: Callable[[], None], folder: Path) -> None:
    close()
    shutil.rmtree(folder)


class Commit:
    """One transaction of n episodes of 8.7 KB, durable when it returns."""

    params = ([1, 100], ["native", "sqlite3"])
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        self.store = opened(self, implementation)
        every = records()
        self.batches = iter(
            [Batch(tuple(itertools.islice(every, n))) for _ in range(12_000 // (1 + n // 25))]
        )
        first = next(self.batches)
        self.store.commit(first)
        assert self.store.get("episode", first.episodes[0].id) == PAYLOAD

    def time_commit(self, n: int, implementation: str) -> None:
        self.store.commit(next(self.batches))


class Get:
    """One episode of 8.7 KB by its id, from memory, from the cache's file, and from the store itself."""

    params = (["memory", "redb", "libsql"], ["native", "sqlite3"])
    param_names: ClassVar = ["place", "implementation"]

    def setup(self, place: str, implementation: str) -> None:
        entries, path = {"memory": (1_000, None), "redb": (1, "auto"), "libsql": (1, None)}[place]
        self.store = opened(self, implementation, cache_entries=entries, cache_path=path)
        batch = Batch(tuple(itertools.islice(records(), 500)))
        self.store.commit(batch)
        ids = [record.id for record in batch.episodes]
        assert all(self.store.get("episode", id) == PAYLOAD for id in ids)
        self.ids = itertools.cycle(ids)

    def time_get(self, place: str, implementation: str) -> None:
        self.store.get("episode", next(self.ids))


class CatchUp:
    """The questions of an index: if there are changes, and all the changes."""

    params = (["native", "sqlite3"],)
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        self.store = opened(self, implementation)
        self.store.commit(Batch(tuple(itertools.islice(records(), 2_000))))
        assert (self.store.sequence(), len(self.store.changes(0, 5_000))) == (2_000, 2_000)

    def time_sequence(self, implementation: str) -> None:
        self.store.sequence()

    def time_changes_of_2000(self, implementation: str) -> None:
        self.store.changes(0, 2_000)
