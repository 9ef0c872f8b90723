"""Faults that a store survives: killed writers, neighbours, full and read-only disks, damaged files.

Tests touch a live file from another process only: SQLite's locks belong to the process.
"""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from tacit import Memory
from tacit.errors import CorruptRecordError, ResyncRequiredError, SchemaError, StorageError
from tacit.model.ids import as_bytes
from tacit.model.record import Batch, Filters, SideRecord
from tacit.storage import NativeStore
from tacit.testing import episode_record

PRELUDE = """
import json, os, sys, threading
from pathlib import Path
from tacit.errors import *
from tacit.model.record import Batch, SideRecord
from tacit.storage import NativeStore
from tacit.testing import episode_record
path, *arguments = sys.argv[1:]
"""


def start(script: str, path: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + script, str(path), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run(script: str, path: Path, *arguments: object) -> str:
    process = start(script, path, *arguments)
    output, _ = process.communicate()
    assert process.returncode == 0
    return output


def sql(path: Path, statement: str) -> list[list[object]]:
    """Runs a statement on the file from another process; blobs go out as hexadecimal."""
    script = """
import sqlite3
found = sqlite3.connect(path, isolation_level=None).execute(arguments[0])
print(json.dumps([[v.hex() if isinstance(v, bytes) else v for v in row] for row in found]))
"""
    return json.loads(run(script, path, statement))


def numbers_in(store: NativeStore) -> list[int]:
    found: list[int] = []
    since = 0
    while len(changes := store.changes(since)):
        found.extend(int.from_bytes(change.id[8:]) & 0xFFFF_FFFF for change in changes if change.op == "put")
        since = changes.last
    return found


WRITE_UNTIL_KILLED = """
store = NativeStore(path)
def write(thread):
    for number in range(int(arguments[0]) + thread, 1 << 31, 4):
        record = episode_record(number)
        last = SideRecord("audit", bytes([thread]) * 16, "default", record.id)
        store.commit(Batch((record,), side_records=(SideRecord("receipt", record.id, "default", b"%d" % number), last)))
        os.write(1, b"%d\\n" % number)
for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


def test_nothing_acknowledged_is_lost_or_doubled_by_killing_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(5)
    acknowledged: list[int] = []
    for round in range(20):
        process = start(WRITE_UNTIL_KILLED, path, round * 1_000_000)
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 120)):
            acknowledged.append(int(process.stdout.readline()))
        process.kill()
        acknowledged.extend(int(line) for line in process.stdout.read().splitlines(True) if line[-1] == "\n")
        process.stdout.close()
        process.wait()
    with NativeStore(path) as store:
        stored = numbers_in(store)
        assert len(stored) == len(set(stored))
        assert set(acknowledged) <= set(stored)
        payloads = store.get_many("episode", [episode_record(number).id for number in stored])
        assert payloads == [episode_record(number).payload for number in stored]
        receipts = [(episode_record(number).id, b"%d" % number) for number in sorted(stored)]
        assert store.scan("receipt", limit=1_000_000) == receipts
        last = {bytes([number % 4]) * 16: episode_record(number).id for number in stored}
        assert dict(store.scan("audit")) == last
    assert sql(path, "PRAGMA integrity_check") == [["ok"]]


WRITE_A_HUNDRED = """
store = NativeStore(path)
for number in range(100):
    store.commit(Batch((episode_record(number + int(arguments[0])),)))
    shared = episode_record(9_000 + number, external_id=f"shared-{number}")
    store.commit(Batch((shared,)))
print(store.sequence())
store.close()
"""


def test_processes_that_write_one_store_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    writers = [start(WRITE_A_HUNDRED, path, first) for first in (0, 1_000, 2_000)]
    seen = [int(writer.communicate()[0]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    with NativeStore(path) as store:
        assert max(seen) == store.sequence() == 400
        expected = [*range(100), *range(1_000, 1_100), *range(2_000, 2_100), *range(9_000, 9_100)]
        assert sorted(numbers_in(store)) == expected


def test_an_episode_that_another_process_removed_is_served_no_more(tmp_path: Path) -> None:
    record = episode_record(1)
    with NativeStore(tmp_path / "store.db") as store:
        store.commit(Batch((record,)))
        assert store.get("episode", record.id) == record.payload
        run("NativeStore(path).commit(Batch(removed=(episode_record(1).id,)))", store.path)
        assert store.sequence() == 3  # the put, the removal, and the pattern that nothing names any more
        assert store.get("episode", record.id) is None


FILL = """
import resource
store = NativeStore(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
for number in range(1_000):
    try:
        store.commit(Batch((episode_record(number, payload=bytes(20_000)),)))
    except UnavailableError as error:
        assert error.retryable
        break
print(number)
"""


def test_a_full_disk_refuses_a_commit_and_keeps_every_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    landed = int(run(FILL, path))
    assert 0 < landed < 200
    with NativeStore(path) as store:
        assert numbers_in(store) == list(range(landed))
        assert store.commit(Batch((episode_record(landed),))).committed == 1


READ_ONLY = """
import tacit.storage.native
if os.getuid() == 0:
    os.setuid(65_534)
store = NativeStore(path, cache_path=None)
assert store.get("episode", episode_record(1).id) == episode_record(1).payload
try:
    store.commit(Batch((episode_record(2),)))
    print("landed")
except StorageError as error:
    print(error.retryable)
"""


def test_a_read_only_store_reads_and_refuses_to_write() -> None:
    # Not in pytest's own folders: every session of pytest closes them to other users.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = Path(folder, "store.db")
        with NativeStore(path) as store:
            store.commit(Batch((episode_record(1),)))
        path.chmod(0o444)
        assert run(READ_ONLY, path).strip() == "False"


@pytest.mark.parametrize("newer", ["PRAGMA user_version = 99", "UPDATE meta SET min_reader = 99"])
def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path, newer: str) -> None:
    path = tmp_path / "store.db"
    NativeStore(path).close()
    sql(path, newer)
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="schema 99"):
        NativeStore(path)
    assert path.read_bytes() == before


SCHEMAS = Path(__file__).parents[2] / "rust" / "storage" / "src" / "durable" / "schema"
COPIED_TO_THE_FIRST_SCHEMA = """
import sqlite3
path = Path(path)
old = sqlite3.connect(path.with_name("old.db"))
old.executescript(SCHEMA)
old.execute("ATTACH ? AS new", (str(path),))
old.executescript('''
    INSERT INTO meta SELECT one, uuid, 1, 1, 0 FROM new.meta;
    INSERT INTO migration VALUES (1, '001_experience');
    INSERT INTO namespace SELECT * FROM new.namespace;
    INSERT INTO change SELECT * FROM new.change WHERE op < 3;
    INSERT INTO episode SELECT * FROM new.episode;
    INSERT INTO pattern SELECT min(number), id, kind, record FROM new.pattern GROUP BY id;
    PRAGMA application_id = 0x74616369;
    PRAGMA user_version = 1;
''')
"""


def first_schema(path: Path) -> Path:
    """A copy of a store in the first schema."""
    schema = (SCHEMAS / "001_experience.sql").read_text()
    run(COPIED_TO_THE_FIRST_SCHEMA.replace("SCHEMA)", f"{schema!r})"), path)
    return path.with_name("old.db")


def test_a_store_of_the_first_schema_is_migrated_after_a_backup_and_keeps_its_rows(tmp_path: Path) -> None:
    records = [episode_record(number) for number in range(5)]
    records.append(episode_record(6, namespace="other", contents=with_detail(1, b"\xa6secret")))
    with NativeStore(tmp_path / "store.db") as store:
        store.commit(Batch(tuple(records)))
        store.commit(Batch(removed=(records[0].id,)))
    path = first_schema(tmp_path / "store.db")
    before = path.read_bytes()
    with NativeStore(path) as store:
        assert numbers_in(store) == [1, 2, 3, 4, 6]
        assert (store.sequence(), store.scan("receipt")) == (7, [])
        note = SideRecord("receipt", bytes(16), "default", b"new")
        assert store.commit(Batch(side_records=(note,))).sequence == 8
        (backup,) = store.schema_backups()
        assert backup == tmp_path / "old.db.schema-1.bak"
        assert backup.stat().st_mode & 0o777 == 0o600
        for namespace, count in (("default", 4), ("other", 1), ("absent", 0)):
            assert len(store.scan("pattern", filters=Filters(namespace=namespace))) == count
        store.commit(Batch(removed=(records[1].id,)))
        assert store.schema_backups() == []
    assert sql(path, "SELECT count(*) FROM migration") == [[4]]
    assert before[:16] == path.read_bytes()[:16]


def with_detail(pattern: int, detail: bytes) -> bytes:
    """The packed content of one pattern of `episode_record`, with a detail."""
    record = b"\x82\xa7content\x01\xa6detail" + detail
    return episode_record(pattern).contents[:17] + struct.pack("<I", len(record)) + record


def test_the_detail_of_a_shared_pattern_is_dropped_by_the_migration(tmp_path: Path) -> None:
    shared = episode_record(1, namespace="a", contents=with_detail(1, b"\xa6secret"))
    own = episode_record(2, namespace="a", contents=with_detail(2, b"\xa6secret"))
    with NativeStore(tmp_path / "store.db") as store:
        store.commit(Batch((shared, own, episode_record(6, namespace="b", contents=b""))))
    with NativeStore(first_schema(tmp_path / "store.db")) as store:
        found = {namespace: store.scan("pattern", filters=Filters(namespace=namespace)) for namespace in "ab"}
    assert sorted(b"secret" in value for _, value in found["a"]) == [False, True]
    assert [b"secret" in value for _, value in found["b"]] == [False]


def test_a_store_without_room_for_its_backup_is_not_migrated(tmp_path: Path) -> None:
    with NativeStore(tmp_path / "store.db") as store:
        store.commit(Batch(tuple(episode_record(number, payload=bytes(20_000)) for number in range(50))))
    path = first_schema(tmp_path / "store.db")
    script = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
    try:
        NativeStore(path)
    except UnavailableError as error:
        print(error)
    """
    assert "is backed up before it is updated" in run(textwrap.dedent(script), path)
    assert sql(path, "PRAGMA user_version") == [[1]]
    assert [each.name for each in tmp_path.iterdir() if "schema-1" in each.name] == []


def test_a_file_that_is_not_a_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    database, text = tmp_path / "theirs.db", tmp_path / "letter.txt"
    sql(database, "CREATE TABLE theirs (value)")
    text.write_text("Dear store, " * 500)
    for path in (database, text):
        before = path.read_bytes()
        with pytest.raises(SchemaError, match="not a tacit store"):
            NativeStore(path)
        assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    with NativeStore(path) as store:
        assert store.commit(Batch((episode_record(1),))).sequence == 1


@pytest.mark.parametrize("place", ["folder", "file/below"])
def test_a_place_that_can_hold_no_store_is_an_error_at_once(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises((StorageError, OSError)):
        NativeStore(tmp_path / place)


def test_a_flipped_bit_in_a_row_is_found_and_every_reader_continues(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    records = [episode_record(number, payload=bytes(500)) for number in range(6)]
    with NativeStore(path, cache_path=None) as store:
        store.commit(Batch(tuple(records)))
    for number, record in enumerate(records[:5]):
        flip(path, "episode", record.id, number / 5)
    with NativeStore(path, cache_path=None) as store:
        for record in records[:5]:
            with pytest.raises(CorruptRecordError, match=record.id.hex()):
                store.get("episode", record.id)
        assert [change.id for change in store.changes(0)] == [records[5].id]
        assert store.scan("episode", limit=1) == [(records[5].id, records[5].payload)]
        values = store.get_many("episode", [record.id for record in records])
        assert values == [None] * 5 + [records[5].payload]
        assert store.commit(Batch((episode_record(9),))).committed == 1
        assert store.damaged_count() == store.stats()["damaged"] == 5
        assert store.commit(Batch(removed=(records[0].id,))).committed == 1
        assert {row.id for row in store.damaged()} == {record.id for record in records[1:5]}
        assert {row.kind for row in store.remove_damaged()} == {"episode"}
        assert (store.damaged(), store.damaged_count()) == ([], 0)
        assert store.get("episode", records[1].id) is None


def flip(path: Path, table: str, id: bytes, place: float) -> None:
    """Flips one bit of one record, at a share of its length, in another process."""
    [[framed]] = sql(path, f"SELECT record FROM {table} WHERE id = x'{id.hex()}'")
    damaged = bytearray.fromhex(str(framed))
    damaged[int((len(damaged) - 1) * place)] ^= 4
    sql(path, f"UPDATE {table} SET record = x'{damaged.hex()}' WHERE id = x'{id.hex()}'")


@pytest.mark.parametrize("table", ["episode", "pattern", "note"])
def test_a_memory_with_one_flipped_bit_records_recalls_and_forgets(tmp_path: Path, table: str) -> None:
    path = tmp_path / "store.db"
    with Memory(path) as memory:
        ids = []
        for number in range(6):
            with memory.episode(f"cancel order {number}", domain="retail") as episode:
                episode.recall()
                episode.log("get_order", output="ok")
                episode.log("cancel_order", output="ok")
                episode.succeed()
            ids.append(episode.id)
    first = "(SELECT min(sequence) FROM note)" if table == "note" else "(SELECT min(rowid) FROM pattern)"
    key = as_bytes(ids[0]) if table == "episode" else first_id(path, table, first)
    flip(path, table, key, 1.0)
    with Memory(path) as memory:
        assert len(memory.episodes()) == 6 - (table == "episode")
        recall = memory.recall("cancel order 3")
        assert recall.hits
        assert table == "pattern" or "damaged:1" in recall.degraded
        memory.patterns()
        assert table == "pattern" or "damaged:1" in memory.predict("cancel order 3").degraded
        with memory.episode("cancel order 9", domain="retail") as episode:
            episode.log("get_order", output="ok")
            episode.succeed()
        memory.forget(ids[0])
        memory.maintain()
    with NativeStore(path) as store:
        store.remove_damaged()
        assert store.damaged() == []


def first_id(path: Path, table: str, first: str) -> bytes:
    [[id]] = sql(path, f"SELECT id FROM {table} WHERE rowid = {first}")
    return bytes.fromhex(str(id))


@pytest.mark.parametrize("place", range(4))
def test_a_store_is_usable_after_a_flipped_bit_in_any_copy_of_an_id(tmp_path: Path, place: int) -> None:
    """The id of an episode stands in its row, in the change log and in two indexes."""
    path = tmp_path / "store.db"
    records = [episode_record(number) for number in range(9)]
    with NativeStore(path, cache_path=None) as store:
        store.commit(Batch(tuple(records)))
    content = bytearray(path.read_bytes())
    places = [at.start() for at in re.finditer(re.escape(records[4].id), content)]
    assert len(places) == 4
    content[places[place] + 15] ^= 1
    path.write_bytes(content)
    others = {record.id for record in records} - {records[4].id}
    with NativeStore(path, cache_path=None) as store:
        assert others <= {change.id for change in store.changes(0)}
        store.remove_damaged()
        assert store.damaged() == []
        assert others <= {id for id, _ in store.scan("episode")}
        assert all(store.get("episode", id) is not None for id in others)
        assert store.commit(Batch((episode_record(20),), (records[0].id,))).committed == 2
    assert sql(path, "PRAGMA integrity_check") == [["ok"]]


def test_a_flipped_bit_in_a_side_record_is_found_and_writing_it_again_repairs_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    notes = [SideRecord("audit", episode_record(number).id, "default", bytes(100)) for number in range(2)]
    with NativeStore(path) as store:
        store.commit(Batch(side_records=tuple(notes)))
    sql(path, f"UPDATE note SET record = zeroblob(100) WHERE id = x'{notes[0].id.hex()}'")
    with NativeStore(path) as store:
        with pytest.raises(CorruptRecordError, match=notes[0].id.hex()):
            store.get("audit", notes[0].id)
        assert [change.side_record for change in store.changes(0)] == notes[1:]
        assert store.scan("audit") == [(notes[1].id, notes[1].record)]
        assert store.commit(Batch(side_records=(notes[0],))).committed == 1
        assert store.get("audit", notes[0].id) == notes[0].record
        assert store.damaged_count() == 0


def test_a_reader_behind_the_horizon_is_rebuilt_and_answers_like_a_fresh_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Memory(path) as memory, NativeStore(path) as store:
        for number in range(5):
            with memory.episode(f"cancel order {number}", domain="retail") as episode:
                episode.log("cancel_order", output="ok")
                episode.succeed()
        assert memory.recall("cancel order").hits[0].near_copies == 5
        script = """
        from tacit import Memory
        with Memory(path) as memory:
            for number in range(5, 8):
                with memory.episode(f"cancel order {number}", domain="retail") as episode:
                    episode.log("cancel_order", output="ok")
                    episode.succeed()
            for episode in memory.episodes(limit=8)[-3:]:
                memory.forget(episode.id)
        store = NativeStore(path)
        assert store.compact(keep=1).pruned > 0
        """
        run(textwrap.dedent(script), path)
        with pytest.raises(ResyncRequiredError):
            store.changes(3)
        found = [hit.episode_id for hit in memory.recall("cancel order", limit=10).hits]
        with Memory(path) as fresh:
            assert found == [hit.episode_id for hit in fresh.recall("cancel order", limit=10).hits]
            assert memory.patterns() == fresh.patterns()
        assert len(found) == 2


def test_forgotten_text_is_in_no_file_once_the_store_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Memory(path) as memory:
        ids = []
        for number in range(60):
            with memory.episode(f"Unmistakable task {number}", domain="retail") as episode:
                episode.recall()
                episode.log(f"unmistakable_tool_{number % 7}", parameters={"unmistakable_key": 1}, output="x")
                episode.log("call", error=f"unmistakable error {number % 5}")
                episode.log("call", output="unmistakable output")
                episode.succeed("unmistakable verdict")
            ids.append(episode.id)
        assert memory.recall("Unmistakable task 3").hits
        for id in ids:
            memory.get(id)
    assert holds(tmp_path, b"unmistakable")
    with Memory(path) as memory:
        memory.recall("task")
        for id in ids:
            memory.forget(id)
    assert not holds(tmp_path, b"unmistakable")


def test_a_namespace_does_not_see_the_parameter_names_of_another(tmp_path: Path) -> None:
    names = {"a": "unmistakable_key", "b": "plain_key"}
    with Memory(tmp_path / "store.db") as memory:
        for namespace, name in names.items():
            for number in range(3):
                with memory.episode(f"task {number}", namespace=namespace) as episode:
                    episode.log("look", parameters={name: 1}, output="x")
                    episode.log("take", parameters={name: 2}, output="x")
                    episode.succeed()
        shown = {namespace: repr(memory.patterns(namespace=namespace)) for namespace in names}
    assert {space: [name in shown[space] for name in names.values()] for space in names} == {
        "a": [True, False],
        "b": [False, True],
    }


def test_a_backup_of_a_memory_in_use_holds_every_acknowledged_episode(tmp_path: Path) -> None:
    script = """
    with NativeStore(path) as store:
        for number in range(400):
            store.commit(Batch((episode_record(number),)))
            print(number, flush=True)
    """
    writer = start(textwrap.dedent(script), tmp_path / "store.db")
    assert writer.stdout is not None
    seen = [writer.stdout.readline() for _ in range(20)]
    with NativeStore(tmp_path / "store.db") as store:
        store.backup(tmp_path / "copy.db")
    assert len(seen) == 20
    writer.communicate()
    assert writer.returncode == 0
    with NativeStore(tmp_path / "copy.db") as copy:
        assert numbers_in(copy) == list(range(copy.sequence()))
        assert copy.sequence() >= 20
        assert copy.damaged() == []


def holds(folder: Path, word: bytes) -> bool:
    return any(word in file.read_bytes().lower() for file in folder.iterdir())


def test_a_damaged_file_gives_errors_or_true_values(tmp_path: Path) -> None:
    chance = random.Random(7)
    source = tmp_path / "whole.db"
    records = {record.id: record.payload for record in map(episode_record, range(300))}
    with NativeStore(source, cache_path=None) as store:
        store.commit(Batch(tuple(map(episode_record, range(300)))))
    whole = source.read_bytes()
    refused = 0
    for round in range(40):
        path = tmp_path / f"{round}.db"
        damaged = bytearray(whole)
        for _ in range(20):
            damaged[chance.randrange(100, len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            with NativeStore(path, cache_path=None) as store:
                for id, payload in records.items():
                    refused += not _is_true_or_refused(store, id, payload)
                refused += not all(records[id] == value for id, value in store.scan("episode", limit=999))
        except StorageError:
            refused += 1
    assert refused > 0


def _is_true_or_refused(store: NativeStore, id: bytes, payload: bytes) -> bool:
    """A damaged index may hide a row; nothing may give another value."""
    try:
        found = store.get("episode", id)
    except StorageError:
        return False
    assert found in (payload, None)
    return found is not None


def test_an_empty_cache_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "store.db-cache").touch()
    with NativeStore(tmp_path / "store.db") as store:
        store.commit(Batch((episode_record(1),)))
        assert store.get("episode", episode_record(1).id) == episode_record(1).payload
        assert store.stats()["cache"] == "redb"


@pytest.mark.parametrize("text", [b"my thesis", bytes(70_000)])
@pytest.mark.parametrize("name", ["thesis.txt", "store.db-cache"])
def test_a_file_that_is_not_a_cache_is_left_as_it_is(tmp_path: Path, name: str, text: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    cache_path = "auto" if name.startswith("store") else path
    with NativeStore(tmp_path / "store.db", cache_path=cache_path) as store:
        store.commit(Batch((episode_record(1),)))
        assert store.get("episode", episode_record(1).id) == episode_record(1).payload
        assert store.stats()["cache"] == "memory"
        assert str(path) in str(store.stats()["cache_problem"])
    assert path.read_bytes() == text


def test_a_cache_that_another_process_owns_is_done_without(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with NativeStore(path) as store:
        store.commit(Batch((episode_record(1),)))
        store.get("episode", episode_record(1).id)
        script = """
with NativeStore(path) as store:
    assert store.get("episode", episode_record(1).id) == episode_record(1).payload
    print(store.stats()["cache"])
"""
        assert run(script, path).strip() == "memory"
        assert store.stats()["cache"] == "redb"


HOLD_THE_LOCK = """
import sqlite3
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_commit_that_meets_a_lock_is_refused_after_its_wait_and_lands_later(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with NativeStore(path, busy_timeout_ms=20) as store:
        command = [sys.executable, "-c", PRELUDE + HOLD_THE_LOCK, str(path)]
        with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(StorageError) as refused:
                store.commit(Batch((episode_record(1),)))
            assert refused.value.retryable
            assert store.scan("episode") == []
            holder.kill()
        assert store.commit(Batch((episode_record(1),))).committed == 1


def test_opening_and_closing_leaves_no_files_or_threads_behind(tmp_path: Path) -> None:
    def held() -> tuple[int, int]:
        threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0
        files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        return threads, files

    with NativeStore(tmp_path / "store.db") as store:
        store.commit(Batch((episode_record(0),)))
    before = held()
    for number in range(60):
        with NativeStore(tmp_path / "store.db") as store:
            store.commit(Batch((episode_record(number),)))
            store.get("episode", episode_record(number).id)
    assert held() == before


def test_an_interrupt_ends_the_waiting_for_a_lock(tmp_path: Path) -> None:
    script = """
import signal, sqlite3
store = NativeStore(path, busy_timeout_ms=60_000)
other = start_holding()
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    store.commit(Batch((episode_record(1),)))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(0)
"""
    hold = f"""
import subprocess
def start_holding():
    script = {PRELUDE + HOLD_THE_LOCK!r}
    holder = subprocess.Popen([sys.executable, "-c", script, path], stdin=-1, stdout=-1, text=True)
    assert holder.stdout.readline() == "held\\n"
    return holder
"""
    assert run(hold + script, tmp_path / "store.db").strip() == "interrupted"


def test_threads_read_while_others_write(tmp_path: Path) -> None:
    wrong: list[int] = []
    with NativeStore(tmp_path / "store.db", cache_entries=8) as store:

        def write(first: int) -> None:
            for number in range(first, first + 60):
                record = episode_record(number)
                store.commit(Batch((record,)))
                if store.get("episode", record.id) != record.payload:
                    wrong.append(number)

        threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200, 300)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert store.sequence() == 240


def test_a_store_beside_other_databases_of_the_process_is_safe(tmp_path: Path) -> None:
    with NativeStore(tmp_path / "store.db") as store:
        other = sqlite3.connect(tmp_path / "other.db")
        other.execute("CREATE TABLE theirs (value)")
        store.commit(Batch((episode_record(1),)))
        other.close()
        assert store.get("episode", episode_record(1).id) == episode_record(1).payload
