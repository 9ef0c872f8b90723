"""Forks with an open store: pools of workers, prefork servers, parents with threads that commit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tacit import Memory
from tacit.storage import NativeStore
from tacit.testing import episode_record

PRELUDE = """
import os, signal, sys, threading
from tacit import Memory, Outcome
from tacit.errors import StorageError
from tacit.model.record import Batch
from tacit.storage import NativeStore
from tacit.testing import episode_record
path = sys.argv[1]

def child_of(work):
    child = os.fork()
    if child:
        return child
    signal.alarm(60)
    try:
        work()
        os._exit(0)
    except BaseException as error:
        import traceback
        traceback.print_exc()
        os._exit(1)

def wait_for(children):
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
"""


def run(script: str, path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + script, str(path)]
    assert subprocess.run(command, timeout=120).returncode == 0


def integrity(path: Path) -> str:
    script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])"
    return subprocess.run([sys.executable, "-c", script, path], stdout=-1, text=True).stdout.strip()


COMMITTING_PARENT = """
store = NativeStore(path)
stop = threading.Event()
done = []
has_written = threading.Event()
def write(first):
    number = first
    while not stop.is_set():
        store.commit(Batch((episode_record(number),)))
        done.append(number)
        has_written.set()
        number += 1
threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100_000)]
for thread in threads:
    thread.start()

def work(round):
    first = 1_000_000 + round * 10
    inherited = first % 20 == 0
    own = store if inherited else NativeStore(path)
    for number in range(first, first + 5):
        own.commit(Batch((episode_record(number),)))
        assert own.get("episode", episode_record(number).id) is not None
    if round % 3:
        own.close()

children = []
for round in range(20):
    has_written.clear()
    children.append(child_of(lambda: work(round)))
    has_written.wait(60)
stop.set()
for thread in threads:
    thread.join()
wait_for(children)
acknowledged = set(done)
for round in range(20):
    acknowledged |= set(range(1_000_000 + round * 10, 1_000_000 + round * 10 + 5))
found = {int.from_bytes(id[8:]) & 0xFFFF_FFFF for id, _ in store.scan("episode", limit=10_000_000)}
assert acknowledged == found, (len(acknowledged), len(found))
store.close()
"""


def test_twenty_forks_of_a_committing_parent_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    run(COMMITTING_PARENT, path)
    assert integrity(path) == "ok"


INHERITED_MEMORY = """
memory = Memory(path)
with memory.episode("Cancel order 1", domain="retail") as episode:
    episode.log("cancel_order", output="ok")
    episode.succeed()
assert memory.recall("Cancel order 1", domain="retail").hits
parents = memory.start("Cancel order 2")
memory.log(parents, "get_order", output="ok")

def work():
    assert memory.recall("Cancel order 1", domain="retail").hits
    for number in range(5):
        with memory.within("children").episode(f"Refund order {number}", strict=True) as episode:
            episode.log("refund_order", output="ok")
            episode.succeed()
    memory.close()

children = [child_of(work) for _ in range(4)]
memory.log(parents, "cancel_order", output="ok")
memory.complete(parents, Outcome.success())
wait_for(children)
assert len(memory.episodes(namespace="children")) == 20
assert [step.tool for step in memory.get(parents).steps] == ["get_order", "cancel_order"]
memory.close()
"""


def test_an_inherited_memory_works_in_the_parent_and_in_its_children(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    run(INHERITED_MEMORY, path)
    with Memory(path) as memory:
        assert {episode.task for episode in memory.episodes()} == {"Cancel order 1", "Cancel order 2"}
    assert integrity(path) == "ok"


POOL = """
import multiprocessing
store = NativeStore(path)
store.commit(Batch((episode_record(0),)))

def work(number):
    store.commit(Batch((episode_record(number),)))
    return store.get("episode", episode_record(0).id) is not None

with multiprocessing.get_context("fork").Pool(4) as pool:
    assert all(pool.map(work, range(1, 41)))
assert len(store.scan("episode", limit=100)) == 41
"""


def test_a_pool_of_forked_workers_shares_the_store(tmp_path: Path) -> None:
    run(POOL, tmp_path / "store.db")
    assert integrity(tmp_path / "store.db") == "ok"


PARENT_CLOSES = """
store = NativeStore(path)
store.commit(Batch((episode_record(0),)))
read, write = os.pipe()

def work():
    os.read(read, 1)
    for number in range(1, 11):
        store.commit(Batch((episode_record(number),)))
    store.close()

child = child_of(work)
store.close()
os.write(write, b"x")
wait_for([child])
with NativeStore(path) as again:
    assert len(again.scan("episode", limit=100)) == 11
"""


def test_a_child_works_on_after_its_parent_has_closed_the_store(tmp_path: Path) -> None:
    run(PARENT_CLOSES, tmp_path / "store.db")
    assert integrity(tmp_path / "store.db") == "ok"


UNANNOUNCED = """
import ctypes
libc = ctypes.PyDLL(None)
store = NativeStore(path)
store.commit(Batch((episode_record(0),)))
child = libc.fork()
if child == 0:
    for verb in (lambda: store.get("episode", episode_record(0).id), lambda: NativeStore(path)):
        try:
            verb()
            os._exit(1)
        except StorageError as error:
            if "spawn" not in str(error):
                os._exit(2)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store.commit(Batch((episode_record(1),))).committed == 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_fork_past_the_hooks_of_python_is_told_what_to_do(tmp_path: Path) -> None:
    run(UNANNOUNCED, tmp_path / "store.db")
    with NativeStore(tmp_path / "store.db") as store:
        assert store.get("episode", episode_record(1).id) is not None
