"""Background learning under kill -9: each acknowledged episode is learned from once, by whichever process is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit import LearningSettings, Memory, Pattern, Settings, Usage

LEARNING = LearningSettings(mode="background", lease_seconds=0.05, max_attempts=1_000)
RUNS = """
from tacit import Outcome

def run(memory, number):
    id = memory.start(f"Buy fern {number % 5}", domain="shop", agent="solo", task_key=str(number % 5))
    memory.log(id, "look", output=number)
    if number % 2:
        memory.log(id, "buy", error=f"card {number} refused")
        memory.log(id, "pay", output="ok")
    memory.log(id, f"buy{number % 3}", output="ok")
    outcome = Outcome.success() if number % 4 else Outcome.failure("sold out")
    return memory.complete(id, outcome)
"""
AGENT = (
    RUNS
    + """
import sys
from tacit import LearningSettings, Memory, Settings
path, first, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
learning = LearningSettings(mode="background", workers=workers, lease_seconds=0.05, max_attempts=1_000)
memory = Memory(path, settings=Settings(learning=learning))
print("ready", flush=True)
for number in range(first, first + 100_000):
    run(memory, number)
    print(number, flush=True)
"""
)
ROUNDS = int(os.environ.get("TACIT_TEST_KILLS", "4"))


def agent(path: Path, first: int, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", AGENT, str(path), str(first), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_after(process: subprocess.Popen[str], lines: int) -> list[int]:
    """Kills a process once it wrote so many lines; gives the episodes that it acknowledged."""
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        acknowledged = [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        rest = process.stdout.read().split("\n")
    return acknowledged + [int(line) for line in rest[:-1]]


def evidence(memory: Memory) -> list[Pattern]:
    """The patterns with their sums; times differ from run to run."""
    found = (replace(each, usage=Usage(), last_seen=0) for each in memory.patterns(limit=1_000))
    return sorted(found, key=lambda each: each.id)


def test_every_acknowledged_episode_is_learned_from_once_however_its_processes_are_killed(
    tmp_path: Path,
) -> None:
    """`TACIT_TEST_KILLS` sets the rounds; the seed is printed."""
    seed = random.randrange(10**6)
    print("seed", seed)
    random.seed(seed)
    path, acknowledged = tmp_path / "m.db", set[int]()
    for number in range(ROUNDS):
        process = agent(path, number * 100_000, workers=number % 3)
        acknowledged.update(killed_after(process, random.randrange(1, 40)))
    with Memory(path, settings=Settings(learning=LEARNING)) as memory:
        assert memory.drain(60.0) == 0
        numbers = {each.steps[0].output: each for each in memory.episodes(limit=1_000_000)}
        assert acknowledged <= numbers.keys()
        assert len(numbers) <= len(acknowledged) + ROUNDS  # one may have been in flight at each kill
        assert all(each.pending is None and each.reward is not None for each in numbers.values())
        assert (memory.dead_letters(), memory.stats()["pending"], memory._store.scan("claim")) == ((), 0, [])
        learned = evidence(memory)
    scope: dict[str, Any] = {}
    exec(RUNS, scope)
    with Memory() as at_once:
        for number in sorted(numbers):
            scope["run"](at_once, number)
        assert learned == evidence(at_once)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_process_learns_from_the_episodes_of_others_and_ends_at_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = tmp_path / "m.db"
    nobody = Settings(learning=LearningSettings(mode="background", workers=0))
    command = [sys.executable, "-m", "tacit", "worker", "--db", str(path), "--interval", "0.05", "--json"]
    scope: dict[str, Any] = {}
    exec(RUNS, scope)
    with Memory(path, settings=nobody) as memory:
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for run in range(3):
            assert scope["run"](memory, run).state == "pending"
        assert memory.drain(60.0) == 0
        assert memory.stats()["learning"]["learned"] == 0
        worker.send_signal(number)
        output, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert '"learned":3' in output
