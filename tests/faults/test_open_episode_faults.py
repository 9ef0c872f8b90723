"""Open episodes outlive the death of their process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tacit import LeaseHeldError, Memory

KILLED = """
import os, signal, sys
from tacit import Memory
memory = Memory(sys.argv[1])
episode_id = memory.start("Cancel order 17", domain="retail")
for number in range(120):
    memory.log(episode_id, "get", parameters={"n": number}, output={"ok": True})
print(episode_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
EXITED = """
import sys
import threading
from tacit import Memory
memory = Memory(sys.argv[1])
ids = [memory.start(f"task {number}") for number in range(5)]
for episode_id in ids:
    memory.log(episode_id, "get", output=1)
call = memory.begin(ids[0], "search", call_id="c1")
print(*ids)
"""


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )


def test_after_a_kill_at_most_the_last_batch_is_missing(tmp_path: Path) -> None:
    killed = run(KILLED, tmp_path / "m.db")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    episode_id = killed.stdout.strip()
    with Memory(tmp_path / "m.db") as memory:
        assert [each.id for each in memory.open_episodes()] == [episode_id]
        with pytest.raises(LeaseHeldError):
            memory.resume(episode_id)
        with memory.resume(episode_id, force=True) as episode:
            assert episode.log("cancel", output="done") == 101
            assert episode.succeed().state == "learned"
        steps = memory.get(episode_id).steps
        assert [step.number for step in steps] == list(range(1, 102))
        assert [step.parameters for step in steps[:100]] == [{"n": number} for number in range(100)]


def test_a_process_that_exits_without_closing_keeps_every_step(tmp_path: Path) -> None:
    exited = run(EXITED, tmp_path / "m.db")
    assert exited.returncode == 0, exited.stderr
    ids = exited.stdout.split()
    with Memory(tmp_path / "m.db") as memory:
        assert sorted(each.id for each in memory.open_episodes()) == sorted(ids)
        for episode_id in ids:
            memory.resume(episode_id).succeed()
        assert [step.tool for step in memory.get(ids[0]).steps] == ["get", "search"]
        assert len(memory.episodes()) == 5


def test_a_signal_handler_may_start_an_episode_while_the_timer_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory, begin, handled = Memory(), threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        if thread.name == "tacit-recording":
            handled.append(memory.start("in the handler"))
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    outer = threading.Thread(target=memory.start, args=("outside",), daemon=True)
    begin(outer)
    outer.join(30)
    assert not outer.is_alive()
    assert len(handled) == 1
    assert memory.stats()["open"] == 2
    memory.close()
