"""A process opens a memory, appends one step to an open episode, and exits: a hook, or a command of the shell."""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from benchmarks.bench_journeys import episodes
from tacit import Memory

APPEND = """
import time
began = time.perf_counter(), time.process_time()
import sys
from tacit import Memory
with Memory(sys.argv[1]) as memory:
    memory.log(sys.argv[2], "look", parameters={"n": 1}, output="done")
print(time.perf_counter() - began[0], time.process_time() - began[1])
"""
ROW = """
import json, sqlite3, sys
with sqlite3.connect(sys.argv[1]) as rows:
    rows.execute("PRAGMA journal_mode=WAL")
    rows.execute("PRAGMA synchronous=FULL")
    rows.execute("CREATE TABLE IF NOT EXISTS step (episode TEXT, step TEXT)")
    rows.execute("INSERT INTO step VALUES (?, ?)", (sys.argv[2], json.dumps({"tool": "look", "output": "done"})))
"""
RUNS = 21


class Append:
    """One step is appended durably to an open episode of a memory of n episodes, by a process of its own."""

    params: ClassVar = [[100, 10_000], ["native", "bare python", "bare sqlite3"]]
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        folder, path, id = memory_of(n)
        rows = Path(folder.name, "rows.db")
        arguments = {
            "native": (APPEND, path, id),
            "bare python": ("pass",),
            "bare sqlite3": (ROW, rows, id),
        }[implementation]
        self.command = [sys.executable, "-c", *map(str, arguments)]
        self.run()  # compiles what is imported

    def run(self) -> str:
        return subprocess.run(self.command, check=True, capture_output=True, text=True).stdout

    def time_append(self, n: int, implementation: str) -> None:
        self.run()

    def track_ms_after_the_start(self, n: int, implementation: str) -> float:
        """The median from the first import of tacit to the closed memory, by the child's own clock."""
        if implementation != "native":
            return 0.0
        return 1e3 * statistics.median(float(self.run().split()[0]) for _ in range(RUNS))


@functools.lru_cache(maxsize=2)
def memory_of(n: int) -> tuple[tempfile.TemporaryDirectory[str], Path, str]:
    """The folder and the file of a memory of `n` episodes, and the id of an open one."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "memory.db")
    with Memory(path) as memory:
        for _ in memory.add_many(episodes(n)):
            pass
        id = memory.start("Cancel order 17")
    return folder, path, id
