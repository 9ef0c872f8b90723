"""A database file that is removed, replaced, moved, overwritten or truncated while it is open.

The file that was put there stays whole, and nothing is acknowledged that nobody will find.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tacit import Memory, Outcome
from tacit.errors import FileChangedError, SchemaError, StorageError
from tacit.model.record import Batch
from tacit.storage import NativeStore
from tacit.testing import episode_record


def sqlite(path: Path, statement: str) -> str:
    """Runs a statement in another process: SQLite's locks belong to the process."""
    script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])"
    found = subprocess.run([sys.executable, "-c", script, path, statement], stdout=-1, check=True, text=True)
    return found.stdout.strip()


def copy_over(source: Path, target: Path) -> None:
    """Overwrites a file in place, from another process."""
    subprocess.run(["cp", source, target], check=True)


def filled(path: Path, first: int, count: int = 5) -> Path:
    with NativeStore(path) as store:
        for number in range(first, first + count):
            store.commit(Batch((episode_record(number),)))
    return path


def numbers(store: NativeStore) -> list[int]:
    found = [int.from_bytes(id[8:]) & 0xFFFF_FFFF for id, _ in store.scan("episode", limit=999)]
    return sorted(found)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    os.replace(path.with_name("other.db"), path)


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def overwrite_with_another_store(path: Path) -> None:
    copy_over(path.with_name("other.db"), path)


def restore_an_older_copy(path: Path) -> None:
    copy_over(path.with_name("older.db"), path)


def restore_a_backup_in_place(path: Path) -> None:
    copy_over(path.with_name("backup.db"), path)


def overwrite_with_text(path: Path) -> None:
    subprocess.run(["sh", "-c", f"yes thesis | head -c 50000 > {path}"], check=True)


def truncate(path: Path) -> None:
    subprocess.run(["truncate", "-s", "8192", path], check=True)


def empty(path: Path) -> None:
    subprocess.run(["truncate", "-s", "0", path], check=True)


CHANGES = [
    remove,
    replace,
    move,
    overwrite_with_another_store,
    restore_an_older_copy,
    restore_a_backup_in_place,
    overwrite_with_text,
    truncate,
    empty,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("first", ["commit", "read"])
def test_a_store_whose_file_was_changed_refuses_and_leaves_the_new_file_whole(
    tmp_path: Path, change: Callable[[Path], None], first: str
) -> None:
    path = filled(tmp_path / "store.db", 0, 20)
    shutil.copy(path, tmp_path / "older.db")
    filled(tmp_path / "other.db", 500)
    filled(path, 20, 5)
    store = NativeStore(path)
    store.backup(tmp_path / "backup.db")
    store.commit(Batch((episode_record(100),)))
    assert store.get("episode", episode_record(1).id) is not None
    change(path)
    put_there = path.read_bytes() if path.exists() else None

    def commit() -> None:
        store.commit(Batch((episode_record(101),)))

    reads = [store.sequence, lambda: store.get("episode", episode_record(1).id)]
    for verb in [commit, *reads] if first == "commit" else [*reads, commit]:
        with pytest.raises(FileChangedError, match="open it again") as refused:
            verb()
        assert not refused.value.retryable
    store.close()
    assert (path.read_bytes() if path.exists() else None) == put_there
    assert not (tmp_path / "store.db-wal").exists()
    assert not (tmp_path / "store.db-shm").exists()
    if change is move:
        with NativeStore(tmp_path / "moved.db") as moved:
            assert numbers(moved) == [*range(25), 100]
    if change in (replace, overwrite_with_another_store):
        with NativeStore(path) as other:
            assert numbers(other) == [500, 501, 502, 503, 504]
    if change in (restore_an_older_copy, restore_a_backup_in_place):
        with NativeStore(path) as older:
            assert numbers(older) == [*range(20 if change is restore_an_older_copy else 25)]
            assert older.commit(Batch((episode_record(200),))).committed == 1
        assert sqlite(path, "PRAGMA integrity_check") == "ok"


def checkpointed_copy(path: Path) -> Path:
    """The store's file as a checkpoint leaves it, made from a copy in another process."""
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):
        subprocess.run(["cp", f"{path}{suffix}", f"{copy}{suffix}"], check=True)
    sqlite(copy, "PRAGMA wal_checkpoint(TRUNCATE)")
    return copy


def write_pages(source: Path, target: Path, pages: range, page_bytes: int = 4096) -> None:
    """Writes some pages of one file to another, from another process."""
    script = (
        "import sys; a, b, at, n = open(sys.argv[1], 'rb'), open(sys.argv[2], 'r+b'), *map(int, sys.argv[3:]);"
        "a.seek(at); b.seek(at); b.write(a.read(n))"
    )
    place = [str(pages.start * page_bytes), str(len(pages) * page_bytes)]
    subprocess.run([sys.executable, "-c", script, source, target, *place], check=True)


def test_a_new_store_whose_first_checkpoint_has_only_begun_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with NativeStore(path) as store:
        store.commit(Batch((episode_record(1),)))
        copy = checkpointed_copy(path)
        size = copy.stat().st_size
        assert path.stat().st_size == 4096  # all but the first page is in the log
        subprocess.run(["truncate", "-s", str(size), path], check=True)
        write_pages(copy, path, range(1))  # a checkpoint makes room, and begins with the first page
        assert store.get("episode", episode_record(1).id) is not None
        assert store.commit(Batch((episode_record(2),))).committed == 1
        write_pages(copy, path, range(1, size // 4096))
        assert store.commit(Batch((episode_record(3),))).committed == 1
        assert sqlite(path, "PRAGMA wal_checkpoint(TRUNCATE)") == "0"
        assert store.commit(Batch((episode_record(4),))).committed == 1
        assert numbers(store) == [1, 2, 3, 4]
    assert sqlite(path, "PRAGMA integrity_check") == "ok"


def test_a_new_store_that_another_store_is_copied_over_refuses(tmp_path: Path) -> None:
    other = filled(tmp_path / "other.db", 500)
    store = NativeStore(tmp_path / "store.db")
    store.commit(Batch((episode_record(1),)))
    copy_over(other, tmp_path / "store.db")
    with pytest.raises(FileChangedError, match="was overwritten"):
        store.commit(Batch((episode_record(2),)))
    store.close()
    with NativeStore(tmp_path / "store.db") as found:
        assert numbers(found) == [500, 501, 502, 503, 504]


def test_a_store_without_its_log_refuses_and_loses_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "store.db", 0)
    store = NativeStore(path)
    store.commit(Batch((episode_record(100),)))
    (tmp_path / "store.db-wal").unlink()
    with pytest.raises(FileChangedError, match=r"store\.db-wal was removed"):
        store.commit(Batch((episode_record(101),)))
    store.close()
    with NativeStore(path) as store:
        assert numbers(store) == [0, 1, 2, 3, 4, 100]


def test_checkpoints_vacuums_and_other_writers_are_no_change_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with NativeStore(path) as store:
        for number in range(8):
            store.commit(Batch((episode_record(number, payload=bytes(1 << 20)),)))
            assert store.sequence() == number + 1
        assert sqlite(path, "PRAGMA wal_checkpoint(TRUNCATE)") == "0"
        assert store.commit(Batch((episode_record(8),))).committed == 1
        script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute('VACUUM')"
        subprocess.run([sys.executable, "-c", script, path], check=True)
        assert store.commit(Batch((episode_record(9),))).committed == 1
        assert sqlite(path, "PRAGMA wal_checkpoint(TRUNCATE)") == "0"
        assert store.commit(Batch((episode_record(10),))).committed == 1
        assert numbers(store) == list(range(11))
    with NativeStore(path) as store:
        assert numbers(store) == list(range(11))


@pytest.mark.parametrize("newer", ["PRAGMA user_version = 99", "UPDATE meta SET min_writer = 99"])
def test_a_store_that_a_newer_version_has_updated_refuses_to_write(tmp_path: Path, newer: str) -> None:
    path = tmp_path / "store.db"
    with NativeStore(path) as store:
        store.commit(Batch((episode_record(1),)))
        script = (
            "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])"
        )
        subprocess.run([sys.executable, "-c", script, path, newer], check=True)
        with pytest.raises(SchemaError, match="schema 99"):
            store.commit(Batch((episode_record(2),)))
    assert sqlite(path, "SELECT count(*) FROM episode") == "1"


def test_a_memory_whose_file_was_replaced_refuses_and_closes(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with Memory(tmp_path / "other.db") as other:
        other.complete(other.start("Refund order 5"), Outcome.success())
    memory = Memory(path)
    memory.complete(memory.start("Cancel order 17"), Outcome.success())
    os.replace(tmp_path / "other.db", path)
    episode_id = memory.start("Cancel order 18")
    with pytest.raises(FileChangedError):
        memory.complete(episode_id, Outcome.success())
    for verb in (lambda: memory.recall("Cancel order 17"), memory.stats, memory.episodes):
        with pytest.raises(FileChangedError):
            verb()
    with pytest.raises(StorageError):
        memory.close()
    with pytest.raises(StorageError, match="closed"):
        memory.recall("Cancel order 17")
    with Memory(path) as other:
        assert [episode.task for episode in other.episodes()] == ["Refund order 5"]


def test_a_closed_memory_refuses_every_verb(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "agent.db")
    episode_id = memory.start("Cancel order 17")
    memory.close()
    for verb in (
        lambda: memory.start("Cancel order 18"),
        lambda: memory.log(episode_id, "cancel_order", output="ok"),
        lambda: memory.complete(episode_id, Outcome.success()),
        memory.flush,
    ):
        with pytest.raises(StorageError):
            verb()
