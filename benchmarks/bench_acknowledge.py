"""How long an agent waits for `complete`: with the learning on its own thread, and in the background.

`python -m benchmarks.bench_acknowledge` prints the median and the 99th percentile, both modes in turns.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmarks import workloads
from tacit import Memory, Outcome

EPISODES = 480
STEPS = 20
TURNS = 3
CALLERS = (1, 4, 16)
Mode = Literal["caller", "background"]
MODES: tuple[Mode, Mode] = ("caller", "background")


class Acknowledge:
    """Many callers each record episodes durably; the last parameter is `Memory(learning=)`."""

    params: ClassVar = [list(CALLERS), list(MODES)]
    param_names: ClassVar = ["callers", "learning"]

    def setup(self, callers: int, learning: Mode) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.memory = Memory(Path(self.folder.name, "memory.db"), learning=learning)
        self.steps = workloads.steps(STEPS, seed=7)
        self.tasks = workloads.tasks(EPISODES, seed=7)
        assert len(self.waits(callers)) == EPISODES
        assert self.memory.drain() == 0

    def teardown(self, callers: int, learning: Mode) -> None:
        self.memory.close()
        self.folder.cleanup()

    def time_complete(self, callers: int, learning: Mode) -> None:
        self.waits(callers)

    def track_p50_ms(self, callers: int, learning: Mode) -> float:
        """The median wait for `complete`."""
        return 1e3 * statistics.median(self.waits(callers))

    def track_p99_ms(self, callers: int, learning: Mode) -> float:
        """The wait that one call in a hundred exceeds."""
        return 1e3 * statistics.quantiles(self.waits(callers), n=100)[98]

    def waits(self, callers: int) -> list[float]:
        """The seconds that each `complete` took, of callers that work at once."""
        waits: list[float] = []
        parts = [self.tasks[caller::callers] for caller in range(callers)]
        threads = [
            threading.Thread(target=record, args=(self.memory, part, self.steps, waits)) for part in parts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return waits


def record(memory: Memory, tasks: list[str], steps: list[dict[str, Any]], waits: list[float]) -> None:
    for task in tasks:
        episode_id = memory.start(task, domain="retail")
        for step in steps:
            memory.log(episode_id, **step)
        began = time.perf_counter()
        memory.complete(episode_id, Outcome.success("done"))
        waits.append(time.perf_counter() - began)


def main() -> None:
    """Prints a row for each number of callers."""
    print("callers  learning       p50 ms   p99 ms")
    for callers in CALLERS:
        waits: dict[Mode, list[float]] = {mode: [] for mode in MODES}
        for _ in range(TURNS):
            for mode in MODES:
                benchmark = Acknowledge()
                benchmark.setup(callers, mode)
                waits[mode] += benchmark.waits(callers)
                benchmark.teardown(callers, mode)
        for mode in MODES:
            p50, p99 = statistics.median(waits[mode]), statistics.quantiles(waits[mode], n=100)[98]
            print(f"{callers:>7}  {mode:<11} {1e3 * p50:9.2f} {1e3 * p99:8.2f}")


if __name__ == "__main__":
    main()
