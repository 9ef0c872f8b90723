"""Episodes leave a memory: exported to a file that gives them back, and forgotten by limits."""

from __future__ import annotations

import gzip
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tacit import (
    Episode,
    LearningSettings,
    Memory,
    Outcome,
    Settings,
    Step,
    StorageError,
    ValidationError,
)
from tacit.importers import import_file
from tacit.storage import InMemoryStore
from tacit.testing import Clock
from tests.unit.importers.test_lines import episodes

from .conftest import MakeMemory

DAY = 86_400
PLAIN = ("runs.jsonl", "runs.jsonl.gz")


def read(memory: Memory) -> list[Episode]:
    """The stored episodes, without what was learned from them."""
    found = memory.episodes(limit=1_000)
    return [replace(each, reward=None, reflection=None) for each in found]


def imported(path: Path) -> list[Episode]:
    memory = Memory(redactor=None)
    summary = import_file(memory, path)
    assert (summary.refused, summary.left_out) == ((), ())
    return read(memory)


def shop(memory: Memory, number: int, **head: Any) -> str:
    id = memory.start(f"Buy fern {number}", domain="shop", **head)
    memory.log(id, "look", output={"price": 1.1, "n": number}, state={"place": "shop"}, latency_ms=0.1)
    memory.log(id, "buy", error="card refused", metadata={"try": 1})
    return memory.complete(id, Outcome.success("bought", artifacts=["fern"])).episode_id


# --- export ---


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(runs=st.lists(episodes(), max_size=3, unique_by=lambda run: run.external_id or id(run)))
def test_importing_an_export_into_an_empty_memory_gives_the_same_episodes(
    tmp_path: Path, runs: list[Episode]
) -> None:
    memory, path = Memory(redactor=None), tmp_path / "runs.jsonl"
    path.unlink(missing_ok=True)
    list(memory.add_many(runs))
    assert memory.export(path).exported == len(runs)
    assert imported(path) == read(memory)


@pytest.mark.parametrize("name", PLAIN)
def test_an_export_keeps_outcomes_verdicts_times_and_states_to_the_last_bit(
    make_memory: MakeMemory, tmp_path: Path, name: str
) -> None:
    memory = make_memory()
    ids = [
        shop(memory, number, tags=["first"], agent="solo", external_id=f"é{number}") for number in range(5)
    ]
    memory.judge(ids[1], Outcome.failure("reverted", "by hand"), by="review")
    memory.complete(memory.start("Buy a palm"), Outcome.abandoned())
    memory.complete(memory.start("Look around"))
    memory.start("still open")
    report = memory.export(tmp_path / name)
    assert (report.exported, report.path) == (7, str(tmp_path / name))
    assert imported(tmp_path / name) == read(memory)
    assert read(memory)[-2].judged_by == "review"


def test_a_pending_episode_is_exported_and_learned_from_after_its_import(tmp_path: Path) -> None:
    memory = Memory(settings=Settings(learning=LearningSettings(mode="background", workers=0)))
    shop(memory, 1)
    memory.export(tmp_path / "runs.jsonl")
    (episode,) = imported(tmp_path / "runs.jsonl")
    assert (episode.pending, replace(read(memory)[0], pending=None)) == (None, episode)


def test_an_export_is_of_one_namespace_and_of_the_episodes_that_ended_since(tmp_path: Path) -> None:
    clock = Clock()
    memory = Memory(clock=clock)
    shop(memory.within("other"), 0)
    shop(memory, 1)
    clock.advance(10)
    ended = clock() // 1_000
    shop(memory, 2)
    given_times: tuple[int | datetime, ...] = (ended, datetime.fromtimestamp(ended / 1e6, UTC))
    for number, since in enumerate(given_times):
        path = tmp_path / f"{number}.jsonl"
        assert memory.export(path, since=since).exported == 1
        assert [each.task for each in imported(path)] == ["Buy fern 2"]
    assert memory.export(tmp_path / "later.jsonl", since=ended + 1).exported == 0
    assert memory.export(tmp_path / "other.jsonl", namespace="other").exported == 1
    with pytest.raises(ValidationError, match="since"):
        memory.export(tmp_path / "x.jsonl", since=1_700_000_000)


def test_an_export_replaces_no_file_and_leaves_none_that_is_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    for number in range(40):
        shop(memory, number)
    there = tmp_path / "there.jsonl"
    there.write_text("mine")
    with pytest.raises(ValidationError, match="a file that does not exist"):
        memory.export(there)
    assert there.read_text() == "mine"
    with pytest.raises(StorageError, match="no export at"):
        memory.export(tmp_path / "no folder" / "runs.jsonl")

    def fail(*_: Any, **__: Any) -> None:
        raise StorageError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(memory._store, "scan", fail)
        with pytest.raises(StorageError, match="the disk is gone"):
            memory.export(tmp_path / "runs.jsonl.gz")
    assert [each.name for each in tmp_path.iterdir()] == ["there.jsonl"]


def test_an_export_is_private_and_equal_each_time(tmp_path: Path) -> None:
    memory = Memory()
    shop(memory, 1)
    first, second = tmp_path / "first.jsonl.gz", tmp_path / "second.jsonl.gz"
    report = memory.export(first)
    memory.export(second)
    assert first.read_bytes() == second.read_bytes()
    assert len(gzip.decompress(first.read_bytes())) == report.bytes
    if os.name == "posix":
        assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_an_export_holds_a_page_of_episodes_at_a_time(tmp_path: Path) -> None:
    pages: list[int] = []

    class Counting(InMemoryStore):
        def scan(self, *given: Any, **named: Any) -> list[tuple[bytes, bytes]]:
            page = super().scan(*given, **named)
            pages.append(len(page))
            return page

    memory = Memory(store=Counting())
    list(memory.add_many(Episode(task=f"fern {n}", outcome=Outcome.success()) for n in range(100)))
    pages.clear()
    assert memory.export(tmp_path / "runs.jsonl").exported == 100
    assert max(pages) == 16


# --- retention ---


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aged(make_memory: MakeMemory, clock: Clock) -> Memory:
    """Ten episodes, a day apart, the newest now; every other one carries a tag."""
    memory = make_memory(clock=clock)
    for number in range(10):
        clock.advance(DAY if number else 0)
        run = Episode(
            task=f"Buy fern {number}",
            started_at=clock() // 1_000 - 1,
            ended_at=clock() // 1_000,
            steps=(Step("look", status="ok"), Step(f"buy{number}", status="ok")),
            outcome=Outcome.success(),
            tags=("odd",) if number % 2 else ("even",),
        )
        memory.add(run)
    return memory


def tasks(memory: Memory) -> list[int]:
    return sorted(int(each.task.split()[-1]) for each in memory.episodes(limit=100))


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"older_than": timedelta(days=3)}, [6, 7, 8, 9]),
        ({"older_than": timedelta(0)}, [9]),
        ({"max_episodes": 2}, [8, 9]),
        ({"max_episodes": 0}, []),
        ({"max_bytes": 0}, []),
        ({"max_bytes": 10**9}, list(range(10))),
        ({"tag": "odd"}, [0, 2, 4, 6, 8]),
        ({"tag": "odd", "max_episodes": 1}, [0, 2, 4, 6, 8, 9]),
        ({"tag": "even", "older_than": timedelta(days=4)}, [1, 3, 5, 6, 7, 8, 9]),
        ({"older_than": timedelta(days=3), "max_episodes": 2}, [8, 9]),
    ],
)
def test_retention_keeps_the_newest_episodes_within_every_limit(
    aged: Memory, limits: dict[str, Any], kept: list[int]
) -> None:
    before = aged.stats()["sequence"]
    planned = aged.retain(**limits, dry_run=True)
    assert (tasks(aged), aged.stats()["sequence"]) == (list(range(10)), before)
    done = aged.retain(**limits)
    assert replace(done, dry_run=True, freed_bytes=0) == planned
    assert (tasks(aged), done.kept, len(done.removed)) == (kept, len(kept), 10 - len(kept))
    tools = {tool for pattern in aged.patterns(limit=100) for tool in pattern.content.get("tools", ())}
    assert tools == ({"look"} if kept else set()) | {f"buy{number}" for number in kept}
    assert aged.retain(**limits).removed == ()


def test_retention_by_size_keeps_the_newest_episodes_that_fit(aged: Memory) -> None:
    whole = aged.retain(max_bytes=10**9, dry_run=True)
    half = aged.retain(max_bytes=whole.kept_bytes // 2)
    assert tasks(aged) in ([5, 6, 7, 8, 9], [6, 7, 8, 9])
    assert half.kept_bytes <= whole.kept_bytes // 2
    assert half.kept_bytes + half.removed_bytes == whole.kept_bytes


def test_retention_leaves_other_namespaces_alone(aged: Memory) -> None:
    shop(aged.within("other"), 1)
    aged.retain(max_episodes=0)
    assert (tasks(aged), tasks(aged.within("other"))) == ([], [1])


def test_retention_takes_receipts_credit_and_claims_along() -> None:
    memory = Memory(settings=Settings(learning=LearningSettings(mode="background", workers=0)))
    shop(memory, 1)
    memory._rooms.queue.work()
    id = memory.start("Buy fern 1", domain="shop")
    memory.recall("Buy fern 1", domain="shop", episode_id=id)
    memory.log(id, "look", output=1)
    memory.complete(id, Outcome.success())
    memory._rooms.queue._claims.take(9, memory._now())
    assert memory._store.scan("claim")
    memory.retain(max_episodes=0)
    assert all(memory._store.scan(kind) == [] for kind in ("receipt", "credit", "claim", "episode"))
    assert memory.patterns() == ()


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({}, "retain"),
        ({"max_episodes": -1}, "max_episodes"),
        ({"max_bytes": 1.5}, "max_bytes"),
        ({"older_than": timedelta(days=-1)}, "older_than"),
        ({"older_than": 30}, "older_than"),
        ({"tag": "x"}, "tag"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limits: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Memory().retain(**limits)
    assert refused.value.field == field


def test_retention_gives_the_space_back_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        runs = (
            Episode(
                task=f"Buy fern {number}",
                steps=(Step("look", status="ok", output=os.urandom(3_000).hex()),),
                outcome=Outcome.success(),
            )
            for number in range(200)
        )
        list(memory.add_many(runs))
        before = memory.stats()["file_bytes"]
        report = memory.retain(max_episodes=20)
        after = memory.stats()["file_bytes"]
        assert report.freed_bytes == before - after > before // 2
        assert len(memory.episodes(limit=100)) == 20
    assert path.stat().st_size == after
    with Memory(path) as memory:
        assert memory.recall("Buy fern 199").hits
        assert memory.retain(max_episodes=20).freed_bytes == 0
