"""Real processes that work on one open episode, and some that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tacit import LeaseLostError, Memory, Outcome

WRITER = """
import sys
from tacit import Memory, RecordingSettings, Settings
path, id, name, other, batch = sys.argv[1:]
settings = Settings(recording=RecordingSettings(flush_steps=int(batch), flush_seconds=1.0))
with Memory(path, settings=settings) as memory:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(250):
        memory.log(id, name, output=number)
        memory.begin(id, f"call_of_{name}", parameters=number, call_id=f"{name}{number}")
        memory.end(id, call_id=f"{other}{number}", output=f"by {name}")
"""
BEGINS_AND_DIES = """
import os, signal, sys
from tacit import Memory
memory = Memory(sys.argv[1])
id = memory.start("Cancel order 17", domain="retail")
memory.begin(id, "search", parameters={"n": 17}, call_id="c1")
memory.log(id, "look", output=1)
memory.flush()
memory.log(id, "never stored", output=1)
print(id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
APPENDS = """
import sys
from tacit import Memory
memory = Memory(sys.argv[1])
memory.log(sys.argv[2], "append", output=1)
memory.end(sys.argv[2], call_id="c1", output="found")
"""


def writer(path: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_two_processes_append_five_hundred_steps_each_and_give_each_others_results(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        id = memory.start("Compare many shops")
        memory.flush()
        writers = [writer(path, id, "a", "b", 7), writer(path, id, "b", "a", 40)]
        for each in writers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in writers:
            each.communicate("go\n")
            assert each.returncode == 0
        learned = memory.complete(id, Outcome.success())
        steps = memory.get(id).steps
    assert learned.problems == ()
    assert [step.number for step in steps] == list(range(1, 1_001))
    for name, other in ("ab", "ba"):
        own = [step.output for step in steps if step.tool == name]
        assert own == list(range(250))
        calls = {step.parameters: step.output for step in steps if step.tool == f"call_of_{name}"}
        assert calls == {number: f"by {other}" for number in range(250)}
    assert all(step.ok for step in steps)


def test_after_a_kill_another_process_gives_the_result_of_its_call(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    killed = run(BEGINS_AND_DIES, path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    id = killed.stdout.strip()
    appended = run(APPENDS, path, id)
    assert (appended.returncode, appended.stderr) == (0, "")
    with Memory(path) as memory:
        assert memory.complete(id, Outcome.success()).state == "learned"
        steps = memory.get(id).steps
    assert [(step.tool, step.output) for step in steps] == [("look", 1), ("append", 1), ("search", "found")]
    assert steps[2].parameters == {"n": 17}


def test_an_old_owner_comes_back_after_others_appended_and_one_took_over(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as owner:
        id = owner.start("Cancel order 17")
        owner.log(id, "own", output=1)
        owner.flush()
        assert run(APPENDS, path, id).returncode == 0
        with Memory(path) as other, other.resume(id, force=True) as resumed:
            resumed.log("resumed", output=1)
            owner.log(id, "late", output=1)
            owner.flush()
            with pytest.raises(LeaseLostError, match="dropped: 1"):
                owner.log(id, "later", output=1)
            assert resumed.succeed().problems == ("results: 1 of calls that never began were dropped",)
        assert [step.tool for step in owner.get(id).steps] == ["own", "append", "resumed"]
