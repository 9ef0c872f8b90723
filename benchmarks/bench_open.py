"""Opening a memory up to its first recall, from the snapshot of its index and from the whole log.

`python -m benchmarks.bench_open N...` prints a table for stores of so many episodes, whose processes are new ones.
"""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from benchmarks.bench_journeys import episodes
from tacit import Memory, Settings, StorageSettings

TURNS = 7
QUESTION = "cancel order 17 and refund the booking"
ONE_PROCESS = """
import json, sys, time
import tacit.answers.retriever, tacit.embedding, tacit.intake.committer
from tacit import Memory, Settings, StorageSettings
settings = Settings(storage=StorageSettings(snapshot=sys.argv[2]))
wall, cpu = time.perf_counter(), time.process_time()
memory = Memory(sys.argv[1], settings=settings)
memory.recall(sys.argv[3], limit=5)
times = [time.perf_counter() - wall, time.process_time() - cpu]
print(json.dumps([*times, memory.stats()["snapshot"]["used"]]))
"""


class OpenToFirstRecall:
    """A memory is opened, answers one recall and is closed: from the snapshot, or from the log."""

    params: ClassVar = [[1_000, 10_000], ["native", "log"]]
    param_names: ClassVar = ["n", "implementation"]

    def setup(self, n: int, implementation: str) -> None:
        self.path = stored(n)
        snapshot: Literal["auto", "off"] = "auto" if implementation == "native" else "off"
        self.settings = Settings(storage=StorageSettings(snapshot=snapshot))
        with Memory(self.path, settings=self.settings) as memory:
            is_read = memory.stats()["snapshot"]["used"] is not None
        assert is_read is (implementation == "native")

    def time_open(self, n: int, implementation: str) -> None:
        with Memory(self.path, settings=self.settings) as memory:
            assert len(memory.recall(QUESTION, limit=5).hits) == 5


@functools.lru_cache(maxsize=2)
def stored(n: int) -> Path:
    """The path of a store of `n` episodes with its snapshot."""
    folder = tempfile.TemporaryDirectory()
    _KEPT.append(folder)
    path = Path(folder.name, "memory.db")
    with Memory(path) as memory:
        for _ in memory.add_many(episodes(n)):
            pass
        memory._rooms.snapshots.save()
    return path


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def main(sizes: list[int]) -> None:
    """Times new processes in turns, and prints the medians."""
    print(f"{'episodes':>9} {'from':>9} {'wall ms':>9} {'CPU ms':>9} {'snapshot MB':>12} {'database MB':>12}")
    for n in sizes:
        path = stored(n)
        found: dict[str, list[tuple[float, float]]] = {"auto": [], "off": []}
        for _ in range(TURNS):
            for snapshot, rows in found.items():
                command = [sys.executable, "-c", ONE_PROCESS, str(path), snapshot, QUESTION]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                wall, cpu, used = json.loads(output)
                assert (used is not None) is (snapshot == "auto")
                rows.append((wall, cpu))
        sizes_mb = [Path(name).stat().st_size / 1e6 for name in (f"{path}.index", path)]
        for snapshot, rows in found.items():
            wall, cpu = (1e3 * statistics.median(column) for column in zip(*rows, strict=True))
            name = "snapshot" if snapshot == "auto" else "log"
            print(f"{n:>9,} {name:>9} {wall:>9.1f} {cpu:>9.1f} {sizes_mb[0]:>12.1f} {sizes_mb[1]:>12.1f}")


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]] or [1_000, 10_000])
