"""A process begins with the snapshot of the index that another one left, and answers as if it read the whole log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tacit import Episode, Memory, Outcome, Settings, Step, StorageSettings, TaskContext
from tacit.intake import snapshots
from tacit.storage import NativeStore

BEGAN = 1_764_547_200_000_000
FAST = Settings(storage=StorageSettings(durability="fast", cache="memory"))
OFF = replace(FAST, storage=replace(FAST.storage, snapshot="off"))


def episodes(count: int, first: int = 0) -> Iterator[Episode]:
    for number in range(first, first + count):
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


def fill(path: Path, count: int) -> None:
    with opened(path, OFF) as memory:
        list(memory.add_many(episodes(count)))


def opened(path: Path, settings: Settings) -> Memory:
    """A memory whose clock stands still: recency does not move its answers."""
    return Memory(path, settings=settings, clock=lambda: (BEGAN + 86_400_000_000) * 1_000)


def answers(memory: Memory) -> list[Any]:
    recall = memory.recall("refund order 3", limit=10, domain="retail", steps=["get_order"])
    return [recall.hits, recall.patterns, recall.pitfalls, recall.next_steps, memory.patterns(limit=1_000)]


def snapshot_of(memory: Memory) -> dict[str, Any]:
    found: dict[str, Any] = memory.stats()["snapshot"]
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FEWEST_CHANGES", 1)


def test_closing_leaves_a_snapshot_that_the_next_memory_begins_with(path: Path, always_due: None) -> None:
    fill(path, 30)
    with opened(path, FAST) as memory:
        expected = answers(memory)
        assert snapshot_of(memory)["used"] is None
    with opened(path, FAST) as memory:
        assert answers(memory) == expected
        found = snapshot_of(memory)
        assert found["used"] == found["sequence"] == memory.stats()["sequence"]
        assert (found["problem"], found["bytes"]) == (None, Path(f"{path}.index").stat().st_size)


def test_later_changes_are_read_from_the_log(path: Path, always_due: None) -> None:
    fill(path, 30)
    with opened(path, FAST) as memory:
        answers(memory)
    with opened(path, OFF) as memory:
        list(memory.add_many(episodes(10, first=30)))
        expected = answers(memory)
    with opened(path, FAST) as memory:
        assert answers(memory) == expected
        assert snapshot_of(memory)["used"] == 30


def test_few_changes_leave_the_snapshot_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, 64)
    for fewest, is_written in ((65, False), (64, True), (1, False)):
        monkeypatch.setattr(snapshots, "FEWEST_CHANGES", fewest)
        before = Path(f"{path}.index").stat() if Path(f"{path}.index").exists() else None
        with opened(path, FAST) as memory:
            answers(memory)
        after = Path(f"{path}.index").stat() if Path(f"{path}.index").exists() else None
        assert ((before and before.st_ino) != (after and after.st_ino)) is is_written
    # A sixteenth of the episodes: four.
    for added, is_written in ((3, False), (1, True)):
        before = Path(f"{path}.index").stat()
        with opened(path, FAST) as memory:
            list(memory.add_many(episodes(added, first=64 + added)))
        assert (before.st_ino != Path(f"{path}.index").stat().st_ino) is is_written


def test_a_large_batch_and_maintenance_leave_a_snapshot_while_the_memory_is_open(
    path: Path, always_due: None
) -> None:
    with opened(path, FAST) as memory:
        list(memory.add_many(episodes(20)))
        assert snapshot_of(memory)["sequence"] == 20
        memory.add(next(episodes(1, first=50)))
        assert snapshot_of(memory)["sequence"] == 20
        memory.maintain(dry_run=True)
        assert snapshot_of(memory)["sequence"] == 20
        memory.maintain()
        found, newest = snapshot_of(memory), memory.stats()["sequence"]
        assert found["sequence"] == newest > 21
    with opened(path, FAST) as memory, opened(path, OFF) as other:
        assert answers(memory) == answers(other)
        assert snapshot_of(memory)["used"] == newest


def test_a_forgotten_episode_is_in_no_snapshot(path: Path, always_due: None) -> None:
    fill(path, 20)
    secret = Episode(
        task="an unmistakable task",
        context=TaskContext(domain="unmistakable_domain"),
        agent="unmistakable_agent",
        steps=(Step("unmistakable_tool", status="error", error="unmistakable failure of the wire"),),
        outcome=Outcome.failure("unmistakable"),
    )
    with opened(path, FAST) as memory:
        learned = memory.add(secret)
    file = Path(f"{path}.index")
    assert b"unmistakable" in file.read_bytes()
    with opened(path, FAST) as memory:
        memory.forget(learned.episode_id)
        assert not file.exists()
        expected = answers(memory)
    assert b"unmistakable" not in file.read_bytes()
    with opened(path, FAST) as memory:
        assert answers(memory) == expected
        assert snapshot_of(memory)["used"] is not None


def test_another_process_begins_with_the_snapshot(path: Path, always_due: None) -> None:
    fill(path, 20)
    with opened(path, FAST) as memory:
        expected = [hit.episode_id for hit in memory.recall("refund order 3", limit=5).hits]
    script = """
import json, sys
from tacit import Memory
with Memory(sys.argv[1]) as memory:
    hits = [hit.episode_id for hit in memory.recall("refund order 3", limit=5).hits]
    print(json.dumps([hits, memory.stats()["snapshot"]["used"]]))
"""
    command = [sys.executable, "-c", script, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert json.loads(found.stdout) == [expected, 20]


def test_a_memory_that_wants_none_keeps_none(path: Path, always_due: None) -> None:
    fill(path, 20)
    with opened(path, OFF) as memory:
        answers(memory)
        memory.maintain()
        assert snapshot_of(memory)["problem"] == "none is wanted"
    assert not Path(f"{path}.index").exists()
    with Memory() as memory:
        assert memory.stats()["snapshot"] is None


def test_an_index_that_lacks_a_damaged_row_is_not_saved(path: Path, always_due: None) -> None:
    fill(path, 10)
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); " + (
        "c.execute('UPDATE episode SET record = zeroblob(90) WHERE sequence = 3')"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    for _ in range(2):
        with opened(path, FAST) as memory:
            assert memory.recall("refund order 3").degraded == ("damaged:1",)
        assert not Path(f"{path}.index").exists()
    with NativeStore(path) as store:
        store.remove_damaged()
    with opened(path, FAST) as memory:
        assert memory.recall("refund order 3").degraded == ()
    assert Path(f"{path}.index").exists()


def test_merges_of_another_time_do_not_outlive_the_state_of_the_store(path: Path, always_due: None) -> None:
    """The index of a snapshot counts merged patterns as one; the store may say otherwise by now."""
    fill(path, 30)
    with opened(path, FAST) as memory:
        patterns = [bytes.fromhex(each.id) for each in memory.patterns(limit=2)]
        memory._rooms.index.merge("default", [(patterns[0], patterns[1])])
    with opened(path, FAST) as memory, opened(path, OFF) as other:
        assert answers(memory) == answers(other)
        assert snapshot_of(memory)["used"] == 30


class Turned:
    """Embeds a task by its length."""

    name, dimension = "turned", 2

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_a_memory_with_another_embedder_reads_the_log_and_leaves_its_own_snapshot(
    path: Path, always_due: None
) -> None:
    fill(path, 20)
    with opened(path, FAST) as memory:
        answers(memory)
    turned = replace(FAST, embedder=Turned())
    with opened(path, turned) as memory, opened(path, replace(OFF, embedder=Turned())) as other:
        assert answers(memory) == answers(other)
        found = snapshot_of(memory)
        assert (found["sequence"], found["problem"]) == (None, "it is for another embedder")
    with opened(path, turned) as memory:
        answers(memory)
        assert snapshot_of(memory)["used"] == 20
