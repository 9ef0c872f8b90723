"""Stores in places that take no writes, and the permissions of files in those that do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tacit import AsyncMemory, Episode, Memory, Outcome, Settings, StorageSettings
from tacit.errors import ReadOnlyError, SchemaError, StorageError, ValidationError
from tacit.model.record import Batch
from tacit.storage import NativeStore
from tacit.testing import episode_record


def filled(path: Path) -> Path:
    with Memory(path) as memory, memory.episode("Cancel order 17", domain="retail") as episode:
        episode.log("cancel_order", output="ok")
        episode.succeed()
    return path


def everything_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if "-shm" not in file.name}


def test_a_memory_that_is_only_read_answers_and_refuses_every_writing_verb(tmp_path: Path) -> None:
    path = filled(tmp_path / "agent.db")
    with Memory(path) as memory:
        open_id = memory.start("Cancel order 18")
    before = path.read_bytes()
    with Memory(path, read_only=True) as memory:
        assert memory.recall("Cancel order 17", domain="retail").hits
        (ended,) = memory.episodes()
        assert [episode.id for episode in memory.open_episodes()] == [open_id]
        assert memory.get(open_id).task == "Cancel order 18"
        assert memory.stats()["episodes"] == 1
        assert memory.patterns()
        assert not memory.maintain(dry_run=True).learned
        done = Outcome.success()
        for verb in (
            lambda: memory.start("Cancel order 19"),
            lambda: memory.episode("Cancel order 19", strict=True).__enter__(),
            lambda: memory.log(open_id, "cancel_order", output="ok"),
            lambda: memory.begin(open_id, "cancel_order"),
            lambda: memory.end(open_id, call_id="1", output="ok"),
            lambda: memory.complete(open_id, done),
            lambda: memory.resume(open_id),
            lambda: memory.recall("Cancel order 17", episode_id=open_id),
            lambda: memory.judge(ended.id, Outcome.failure("no")),
            lambda: memory.add(Episode(task="Cancel order 20", outcome=done)),
            lambda: list(memory.add_many([Episode(task="Cancel order 20", outcome=done)])),
            lambda: memory.forget(ended.id),
            lambda: memory.feedback(ended.id, helped={}),
            lambda: memory.undo(ended.id),
            memory.flush,
            memory.maintain,
            memory.relearn,
        ):
            with pytest.raises(ReadOnlyError, match="read_only"):
                verb()
    assert path.read_bytes() == before


async def _asks(path: Path) -> None:
    async with AsyncMemory(path, read_only=True) as memory:
        assert (await memory.recall("Cancel order 17", domain="retail")).hits
        with pytest.raises(ReadOnlyError):
            await memory.start("Cancel order 18")


def test_settings_and_the_async_memory_open_a_memory_to_be_read(tmp_path: Path) -> None:
    import asyncio

    path = filled(tmp_path / "agent.db")
    asyncio.run(_asks(path))
    settings = Settings(storage=StorageSettings(read_only=True))
    with Memory(path, settings=settings) as memory, pytest.raises(ReadOnlyError):
        memory.start("Cancel order 18")


@pytest.mark.parametrize(("text", "read_only"), [("true", True), ("1", True), ("False", False), ("0", False)])
def test_a_variable_of_the_environment_opens_a_memory_to_be_read(
    monkeypatch: pytest.MonkeyPatch, text: str, read_only: bool
) -> None:
    monkeypatch.setenv("TACIT_STORAGE_READ_ONLY", text)
    assert Settings.load().storage.read_only is read_only
    monkeypatch.setenv("TACIT_STORAGE_READ_ONLY", "perhaps")
    with pytest.raises(ValidationError, match="true or false"):
        Settings.load()


def test_a_store_that_is_only_read_sees_commits_of_other_processes(tmp_path: Path) -> None:
    with NativeStore(tmp_path / "store.db") as writer:
        writer.commit(Batch((episode_record(1),)))
        with NativeStore(writer.path, read_only=True) as reader:
            assert reader.sequence() == 1
            writer.commit(Batch((episode_record(2),)))
            assert reader.sequence() == 2
            assert reader.get("episode", episode_record(2).id) is not None
            for verb in (
                lambda: reader.commit(Batch((episode_record(3),))),
                reader.compact,
                reader.remove_damaged,
            ):
                with pytest.raises(ReadOnlyError, match="read_only"):
                    verb()
            reader.backup(tmp_path / "copy.db")
    with NativeStore(tmp_path / "copy.db", read_only=True) as copy:
        assert copy.sequence() == 2


def test_reading_an_absent_an_empty_or_an_old_store_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        NativeStore(tmp_path / "new" / "store.db", read_only=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    with pytest.raises(SchemaError, match="no schema yet"):
        NativeStore(tmp_path / "empty.db", read_only=True)
    assert (tmp_path / "empty.db").read_bytes() == b""


MOUNTED = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"
"""
ASK = """
import sys
from pathlib import Path
from tacit import Memory, ReadOnlyError
path = Path(sys.argv[1])
try:
    Memory(path)
    print("opened to write")
except ReadOnlyError as error:
    print("read_only" in str(error))
with Memory(path, read_only=True) as memory:
    print(len(memory.recall("Cancel order 17", domain="retail").hits), memory.stats()["episodes"])
"""


def on_a_read_only_mount(folder: Path, *command: str | Path) -> str:
    """Runs a command in a namespace of its own, in which the folder is mounted without writing."""
    whole = ["unshare", "-rm", "sh", "-c", MOUNTED, "sh", folder, *command]
    if subprocess.run(["unshare", "-rm", "sh", "-c", MOUNTED, "sh", folder, "true"], stderr=-1).returncode:
        pytest.skip("this machine lets no process mount a folder")
    return subprocess.run(whole, stdout=-1, check=True, text=True).stdout


def test_a_closed_store_on_a_read_only_mount_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path / "mount" / "agent.db")
    before = everything_in(path.parent)
    assert on_a_read_only_mount(path.parent, sys.executable, "-c", ASK, path) == "True\n1 1\n"
    assert everything_in(path.parent) == before


def test_a_store_that_was_not_closed_is_read_on_a_read_only_mount_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    with Memory(tmp_path / "agent.db") as memory:
        memory.add(Episode(task="Cancel order 17", outcome=Outcome.success()))
        for suffix in ("", "-wal"):
            shutil.copy(f"{tmp_path}/agent.db{suffix}", f"{tmp_path}/mount/agent.db{suffix}")
    before = everything_in(tmp_path / "mount")
    asked = on_a_read_only_mount(
        tmp_path / "mount", sys.executable, "-c", ASK, tmp_path / "mount" / "agent.db"
    )
    assert asked == "True\n1 1\n"
    assert everything_in(tmp_path / "mount") == before


def test_reading_commands_read_on_a_read_only_mount_and_writing_ones_refuse(tmp_path: Path) -> None:
    path = filled(tmp_path / "mount" / "agent.db")
    script = """
    for command in "recall Cancel order 17" episodes patterns stats doctor; do
        "$0" -m tacit $command --db "$1" --json > /dev/null || echo "$command failed"
    done
    "$0" -m tacit start "Cancel order 18" --db "$1" 2>&1 && echo started
    true
    """
    found = on_a_read_only_mount(path.parent, "sh", "-c", textwrap.dedent(script), sys.executable, str(path))
    assert "failed" not in found
    assert "started" not in found
    assert "read_only" in found


def modes_in(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def test_files_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        path = tmp_path / "new" / "folder" / "store.db"
        with NativeStore(path) as store:
            store.commit(Batch((episode_record(1),)))
            store.get("episode", episode_record(1).id)
            store.backup(path.with_name("copy.db"))
            modes = modes_in(path.parent)
        assert set(modes) == {"store.db", "store.db-wal", "store.db-shm", "store.db-cache", "copy.db"}
        assert set(modes.values()) == {0o600}
        assert modes_in(tmp_path) == {"new": 0o700}
        assert modes_in(tmp_path / "new") == {"folder": 0o700}
    finally:
        os.umask(old)


def test_a_file_keeps_its_owners_mode_and_its_cache_is_no_wider(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    path.chmod(0o640)
    tmp_path.chmod(0o755)
    with NativeStore(path) as store:
        store.commit(Batch((episode_record(1),)))
        store.get("episode", episode_record(1).id)
        modes = modes_in(tmp_path)
    assert modes == {
        "store.db": 0o640,
        "store.db-wal": 0o640,
        "store.db-shm": 0o640,
        "store.db-cache": 0o600,
    }
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_copy_without_its_log_is_refused_and_named(tmp_path: Path) -> None:
    with NativeStore(tmp_path / "store.db") as store:
        for number in range(50):
            store.commit(Batch((episode_record(number),)))
        subprocess.run(["cp", tmp_path / "store.db", tmp_path / "copy.db"], check=True)
    before = (tmp_path / "copy.db").read_bytes()
    for read_only in (False, True):
        with pytest.raises(SchemaError, match=r"incomplete copy.*tacit backup"):
            NativeStore(tmp_path / "copy.db", read_only=read_only)
    assert (tmp_path / "copy.db").read_bytes() == before


def test_a_restore_replaces_a_closed_store_and_refuses_an_open_one(tmp_path: Path) -> None:
    path, backup = tmp_path / "store.db", tmp_path / "backup.db"
    with NativeStore(path) as store:
        store.commit(Batch((episode_record(1),)))
        store.backup(backup)
        store.commit(Batch((episode_record(2),)))
        with pytest.raises(ValidationError, match="target must be a file that does not exist"):
            NativeStore.restore(backup, path)
        with pytest.raises(StorageError, match="is open: close every memory") as refused:
            NativeStore.restore(backup, path, replace=True)
        assert refused.value.retryable
        script = (
            "import sys; from tacit.storage import NativeStore as S; S.restore(*sys.argv[1:], replace=True)"
        )
        elsewhere = subprocess.run([sys.executable, "-c", script, backup, path], stderr=-1, text=True)
        assert "is open: close every memory" in elsewhere.stderr
        assert store.commit(Batch((episode_record(3),))).committed == 1
    NativeStore.restore(backup, path, replace=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with NativeStore(path) as store:
        assert [id for id, _ in store.scan("episode")] == [episode_record(1).id]
        assert store.get("episode", episode_record(2).id) is None
        assert store.commit(Batch((episode_record(4),))).committed == 1
    assert not list(tmp_path.glob("*.tmp*"))


def test_a_damaged_file_is_replaced_by_a_restore_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    with NativeStore(tmp_path / "store.db") as store:
        store.commit(Batch((episode_record(1),)))
        store.backup(backup)
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(backup.read_bytes()[:6_000])
    NativeStore.restore(backup, damaged, replace=True)
    with NativeStore(damaged) as store:
        assert store.sequence() == 1
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("my thesis " * 1_000)
    with pytest.raises(SchemaError):
        NativeStore.restore(backup, thesis, replace=True)
    assert thesis.read_text() == "my thesis " * 1_000
