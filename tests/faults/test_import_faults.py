"""An import that was killed: the committed part is whole, and importing again completes it without a duplicate."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tacit import Memory
from tacit.importers import import_file
from tacit.storage.native import NativeStore
from tests.unit.importers.runs import run, step, write

RUNS = 400
# Imports a file and stops in the middle: at the commit named on the command line, before it or behind it.
DYING = """
import os, signal, sys
from tacit import Memory
from tacit.importers import import_file
from tacit.storage import NativeStore

path, database, when, number = sys.argv[1:]

class Dying(NativeStore):
    left = int(number)

    def commit(self, batch):
        self.left -= 1
        if self.left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        receipt = super().commit(batch)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return receipt

import_file(Memory(store=Dying(database)), path)
"""
# Imports a file and says after each chunk that it went on, so that a parent can kill it in the middle of the next.
TELLING = """
import sys
from tacit import Memory
from tacit.importers import import_file

path, database = sys.argv[1:]
import_file(Memory(database), path, progress=lambda position, size: print(position, flush=True))
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    lines = [
        run(number, steps=[step("look"), step("take", ok=number % 3 > 0, error="gone")])
        for number in range(RUNS)
    ]
    return write(tmp_path / "runs.jsonl", *lines)


def assert_it_can_be_completed(runs: Path, database: Path, *, at_least: int) -> None:
    with Memory(database) as memory:
        stored = memory.stats()["episodes"]
        assert at_least <= stored <= RUNS
        summary = import_file(memory, runs)
        assert (summary.imported, summary.unchanged, summary.refused) == (RUNS - stored, stored, ())
        assert_each_run_is_there_once(memory)
        assert memory.patterns(kind="error_recovery")[0].trials <= RUNS
        assert sum(pattern.trials for pattern in memory.patterns(kind="context_pattern")) == RUNS
    store = NativeStore(database)
    assert store.damaged() == []
    store.close()


def assert_each_run_is_there_once(memory: Memory) -> None:
    keys = [episode.task_key for episode in memory.episodes(limit=2 * RUNS)]
    assert sorted(map(str, keys)) == sorted(f"task/{number}" for number in range(RUNS))


@pytest.mark.parametrize("when", ["before", "behind"])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_an_import_killed_at_a_commit_is_completed_by_importing_again(
    runs: Path, tmp_path: Path, when: str, number: int
) -> None:
    database = tmp_path / "memory.db"
    done = subprocess.run([sys.executable, "-c", DYING, runs, database, when, str(number)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert_it_can_be_completed(runs, database, at_least=64 * (number - (when == "before")))


def test_an_import_killed_at_any_moment_is_completed_by_importing_again(runs: Path, tmp_path: Path) -> None:
    database = tmp_path / "memory.db"
    child = subprocess.Popen([sys.executable, "-c", TELLING, runs, database], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline()
    child.kill()
    child.stdout.close()
    child.wait()
    assert_it_can_be_completed(runs, database, at_least=64)


def test_what_was_refused_before_the_kill_is_refused_again(runs: Path, tmp_path: Path) -> None:
    database = tmp_path / "memory.db"
    lines = runs.read_bytes().splitlines()
    lines[10] = b"{"
    lines[200] = json.dumps(run(200, task_description="")).encode()
    broken = write(tmp_path / "broken.jsonl", *lines)
    subprocess.run([sys.executable, "-c", DYING, broken, database, "behind", "2"], check=False)
    with Memory(database) as memory:
        summary = import_file(memory, broken)
        assert [refusal.line for refusal in summary.refused] == [11, 201]
        assert summary.imported + summary.unchanged == RUNS - 2
