"""Faults of the snapshot beside a store: whatever lies there, a memory opens and answers as from the whole log."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tacit import Episode, Memory, Outcome, Settings, Step, StorageSettings, TaskContext
from tacit._native import Index
from tacit.storage import NativeStore, catch_up
from tacit.storage.log_follower import FollowLock

BEGAN = 1_764_547_200_000_000
FAST = Settings(storage=StorageSettings(durability="fast", cache="memory"))
OFF = Settings(storage=StorageSettings(durability="fast", cache="memory", snapshot="off"))

PRELUDE = """
import json, os, sys
from tacit._native import Index
from tacit.storage import NativeStore, catch_up
from tacit.storage.log_follower import FollowLock
path = sys.argv[1]
store, index = NativeStore(path), Index("any", 384)
catch_up(store, index, FollowLock())
"""


def episodes(count: int) -> Iterator[Episode]:
    for number in range(count):
        yield Episode(
            task=f"refund order {number % 7} of the customer",
            context=TaskContext(domain=("retail", "airline")[number % 2]),
            steps=(
                Step("get_order", status="ok"),
                Step(f"refund_{number % 3}", status="error", error="locked"),
            ),
            outcome=Outcome.success() if number % 3 else Outcome.failure("no"),
            started_at=BEGAN + number * 60_000_000,
            ended_at=BEGAN + number * 60_000_000 + 1_000_000,
        )


def opened(path: Path, settings: Settings) -> Memory:
    """A memory whose clock stands still: recency does not move its answers."""
    return Memory(path, settings=settings, clock=lambda: (BEGAN + 86_400_000_000) * 1_000)


def answers(memory: Memory) -> list[Any]:
    recall = memory.recall("refund order 3", limit=10, domain="retail", steps=["get_order"])
    return [recall.hits, recall.patterns, recall.next_steps, memory.patterns(limit=1_000)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[Any]]:
    """A store with a snapshot, the bytes of the snapshot, and the answers from the log."""
    path = tmp_path_factory.mktemp("made") / "memory.db"
    with opened(path, FAST) as memory:
        list(memory.add_many(episodes(40)))
        memory.maintain()
    with opened(path, OFF) as memory:
        return path, Path(f"{path}.index").read_bytes(), answers(memory)


def used(path: Path, expected: list[Any]) -> int | None:
    """Opens a memory, compares its answers, and tells how far it read the snapshot."""
    with opened(path, FAST) as memory:
        assert answers(memory) == expected
        number: int | None = memory.stats()["snapshot"]["used"]
    return number


def damaged(whole: bytes, seed: int) -> bytes:
    """The bytes of a snapshot after one fault."""
    chance = random.Random(seed)
    at = chance.randrange(len(whole))
    match seed % 6:
        case 0:
            return whole[:at]
        case 1:
            flipped = bytearray(whole)
            flipped[at] ^= 1 << chance.randrange(8)
            return bytes(flipped)
        case 2:
            length = chance.randrange(1, len(whole) - at + 1)
            return whole[:at] + bytes(length) + whole[at + length :] + bytes([1])
        case 3:
            return bytes(len(whole))
        case 4:
            return chance.randbytes(chance.randrange(2_000))
        case _:
            return whole[:at] + whole[at + 1 :]


def test_a_damaged_snapshot_changes_no_answer(made: tuple[Path, bytes, list[Any]]) -> None:
    path, whole, expected = made
    file = Path(f"{path}.index")
    for seed in range(36):
        file.write_bytes(damaged(whole, seed))
        assert used(path, expected) is None, f"seed {seed}"
    file.write_bytes(whole)
    assert used(path, expected) is not None


def test_a_snapshot_that_is_truncated_or_replaced_after_it_was_read_harms_nobody(
    made: tuple[Path, bytes, list[Any]],
) -> None:
    path, whole, expected = made
    file = Path(f"{path}.index")
    file.write_bytes(whole)
    with opened(path, FAST) as memory:
        assert answers(memory) == expected
        os.truncate(file, 0)
        assert answers(memory) == expected
        file.write_bytes(b"\xff" * len(whole))
        assert answers(memory) == expected
    file.unlink()


def start(path: Path, script: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + script, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


WRITE_FOR_EVER = """
while True:
    assert store.write_snapshot(index)
    os.write(1, b".")
"""


def is_whole(path: Path) -> bool:
    """True if a follower reads the snapshot, and then holds every episode."""
    with NativeStore(path) as store:
        index = Index("any", 384)
        was_read = store.read_snapshot(index)
        before = len(index)
        catch_up(store, index, FollowLock())
        return was_read and before == len(index) == store.stats()["episodes"]


def test_a_process_that_is_killed_while_it_writes_leaves_the_snapshot_whole(
    made: tuple[Path, bytes, list[Any]],
) -> None:
    path, _, _ = made
    for seed in range(4):
        process = start(path, WRITE_FOR_EVER)
        assert process.stdout is not None
        process.stdout.read(random.Random(seed).randrange(1, 12))
        process.kill()
        process.communicate()
        assert is_whole(path), f"seed {seed}"
    with NativeStore(path) as store:
        index = Index("any", 384)
        catch_up(store, index, FollowLock())
        assert store.write_snapshot(index)
    assert not list(path.parent.glob("*.tmp"))


WRITE_AT_ONCE = """
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    assert store.write_snapshot(index)
"""


def test_two_processes_that_write_at_once_leave_one_whole_snapshot(
    made: tuple[Path, bytes, list[Any]],
) -> None:
    path, _, _ = made
    processes = [start(path, WRITE_AT_ONCE) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n")
        assert process.returncode == 0
    assert is_whole(path)
    assert not list(path.parent.glob("*.tmp"))


WITHOUT_ROOM = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
print(json.dumps([store.write_snapshot(index), store.snapshot().problem]))
"""


def test_a_disk_without_room_leaves_the_last_snapshot_and_says_so(
    made: tuple[Path, bytes, list[Any]],
) -> None:
    path, _, _ = made
    with NativeStore(path) as store:
        index = Index("any", 384)
        catch_up(store, index, FollowLock())
        assert store.write_snapshot(index)
    output, _ = start(path, WITHOUT_ROOM).communicate()
    assert output.startswith('[false, "it cannot be written: ')
    assert is_whole(path)
    assert not list(path.parent.glob("*.tmp"))
