"""bench_remote.py: round trips of a memory on a server, and 16 callers that learn over a round trip of 20 ms."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tacit import Memory, Outcome
from tests.hrana_server import HranaServer

DELAY_S = 0.02
CALLERS, EPISODES = 16, 25


def run(memory: Memory, number: int) -> None:
    """Records one episode of three steps."""
    episode_id = memory.start(f"Cancel order {number} and refund it", domain="retail")
    for tool in ("get_order", "get_user", "cancel_order"):
        memory.log(episode_id, tool, parameters={"order_id": number}, output={"status": "done"})
    memory.complete(episode_id, Outcome.success())


def judge(memory: Memory) -> None:
    memory.judge(memory.episodes(limit=1)[0].id, Outcome.failure("not refunded"))


VERBS: dict[str, Callable[[Memory], object]] = {
    "complete": lambda memory: run(memory, 99),
    "recall": lambda memory: memory.recall("Cancel order 18", domain="retail"),
    "get": lambda memory: memory.get(memory.episodes(limit=1)[0].id),
    "judge": judge,
}


class OnServer:
    """A server on this machine that holds back each answer."""

    def setup(self, *params: object) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.server = HranaServer(Path(self.folder.name) / "server.db")
        self.memory = Memory(self.server.url)
        for number in range(5):
            run(self.memory, number)
        self.memory.recall("Cancel order 17", domain="retail")

    def teardown(self, *params: object) -> None:
        self.memory.close()
        self.server.close()
        self.folder.cleanup()


class RoundTrips(OnServer):
    """The requests of one verb."""

    params: ClassVar = [list(VERBS)]
    param_names: ClassVar = ["verb"]

    def track_round_trips(self, verb: str) -> int:
        before = self.server.requests["pipeline"]
        VERBS[verb](self.memory)
        return self.server.requests["pipeline"] - before


class Learning:
    """16 threads that record episodes on a server in another process, over a round trip of 20 ms."""

    def setup(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "tests.hrana_server", f"{self.folder.name}/server.db", str(DELAY_S)]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.server.stdout is not None
        self.memory = Memory(self.server.stdout.readline().strip())
        run(self.memory, 0)

    def teardown(self) -> None:
        self.memory.close()
        self.server.communicate()
        self.folder.cleanup()

    def track_episodes_per_second(self) -> float:
        began = time.perf_counter()
        threads = [threading.Thread(target=self._record, args=(caller,)) for caller in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        assert self.memory.stats()["episodes"] == 1 + CALLERS * EPISODES
        return CALLERS * EPISODES / took

    def _record(self, caller: int) -> None:
        for number in range(EPISODES):
            run(self.memory, 1_000 * caller + number)
