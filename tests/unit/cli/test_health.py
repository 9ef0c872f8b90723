"""`tacit stats` and `tacit doctor`: when a memory last learned, its namespaces, and whether its hooks run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tacit import Memory
from tacit.hooks.journal import journal_of
from tacit.hooks.learning import seen_path
from tacit.hooks.sessions import SeenFiles
from tests.unit.cli.conftest import Tacit


def test_stats_say_when_the_memory_last_learned_and_list_its_namespaces(
    filled: Tacit, database: Path
) -> None:
    with Memory(database, namespace="shop") as memory:
        memory.episode("Cancel order 17").succeed()
        newest = memory.stats()["last_learned"]
    shown = filled("stats").out
    assert "41 episodes" in shown
    assert "(just now)" in shown
    rows = [line.split() for line in shown.splitlines() if line.startswith(("shop", "default"))]
    assert [row[:2] for row in rows] == [["shop", "1"], ["default", "40"]]
    assert "writes breaker" not in shown
    assert "writes breaker" in filled("stats", "--all").out
    data = filled("stats", "--json").data
    assert (data["last_learned"], data["namespaces"][0]["namespace"]) == (newest, "shop")
    assert "last at" in filled("doctor").out


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session of Claude Code that was written two days ago."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / ".claude"))
    file = tmp_path / ".claude" / "projects" / "p" / "s.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    long_ago = file.stat().st_mtime - 2 * 86_400
    os.utime(file, (long_ago, long_ago))
    return file


def checked(tacit: Tacit) -> tuple[bool, str]:
    (check,) = (each for each in tacit("doctor", "--json").data["checks"] if each["name"] == "hooks")
    return check["ok"], check["detail"]


def test_doctor_says_that_hooks_do_not_run_if_a_session_waits_for_more_than_a_day(
    filled: Tacit, database: Path, session: Path
) -> None:
    assert checked(filled) == (True, "not used; `tacit setup` enters them")
    other = session.with_name("t.jsonl")
    other.write_text("{}")
    seen = SeenFiles(seen_path(str(database)))
    seen.note(other)
    seen.save()
    ok, detail = checked(filled)
    assert (ok, "1 session older than a day not learned from" in detail) == (False, True)
    assert filled("doctor").status == 1
    seen.note(session)
    seen.save()
    assert checked(filled) == (True, "not asked yet; every session was learned from")


def test_doctor_tells_the_failure_of_the_last_hook(filled: Tacit, database: Path, session: Path) -> None:
    journal = journal_of(str(database))
    session.unlink()
    journal.add({"at": 1, "event": "error", "said": "StorageError: the disk is full"})
    assert checked(filled) == (False, "the last one failed: StorageError: the disk is full")
    journal.add({"at": 2, "event": "UserPromptSubmit", "kind": "prompt"})
    ok, detail = checked(filled)
    assert (ok, detail.startswith("last asked at 1970-01-01")) == (True, True)
