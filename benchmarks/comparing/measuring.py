"""Two builds take turns at a case, and the least CPU time of each is compared.

Interference only ever adds to the CPU time of a sample, so the least of many is the best estimate of a build's own
cost, on a busy machine too. A slowdown must show again in fresh processes before it counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from .builds import ROOT, Build

ROUNDS = 15
# How often a slowdown is looked at again, in fresh processes, before it is believed.
CHECKS = 5


class Running(Protocol):
    """A case of one build that is ready to be sampled."""

    calls: int
    missing: str | None

    def sample(self, calls: int) -> float: ...


# How a worker of a build is started for a case.
Start = Callable[[Build, str], AbstractContextManager[Running]]


@dataclass(frozen=True)
class Row:
    """The finding of one case: CPU seconds a call of both builds, or why they could not be compared."""

    case: str
    base_s: float | None = None
    head_s: float | None = None
    missing: str | None = None
    slower: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times as long as the base this build takes."""
        return None if self.base_s is None or self.head_s is None else self.head_s / self.base_s


class Worker:
    """A process of one build (`worker.py`) that has prepared one case."""

    def __init__(self, process: subprocess.Popen[str], build: Build, case: str) -> None:
        self._process, self._of = process, f"{case} of {build.name}"
        ready = self._answer()
        self.missing: str | None = f"not in {build.name}: {ready['missing']}" if "missing" in ready else None
        self.calls = int(ready.get("calls", 0))

    def sample(self, calls: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{calls}\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def _answer(self) -> dict[str, str | float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._of} ended with status {self._process.wait()} instead of an answer")
        answer: dict[str, str | float] = json.loads(line)
        return answer


@contextmanager
def started(build: Build, case: str) -> Iterator[Running]:
    """A worker of `build` that has prepared `case`; it ends with the block."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(build.folder), str(ROOT)]),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "COMPARING_CHANGE": build.change,
    }
    command = [sys.executable, "-P", "-m", "benchmarks.comparing.worker", case, str(build.folder)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Worker(process, build, case)
        except BaseException:
            process.kill()
            raise


def compared(base: Running, head: Running, case: str, rounds: int) -> Row:
    """The least time of each over `rounds`, in which the two take turns at being first."""
    missing = base.missing or head.missing
    if missing:
        return Row(case, missing=missing)
    calls = max(base.calls, head.calls)
    least: dict[int, float] = {}
    for turn in range(rounds):
        for running in (base, head) if turn % 2 else (head, base):
            seconds = running.sample(calls) / calls
            least[id(running)] = min(seconds, least.get(id(running), seconds))
    return Row(case, base_s=least[id(base)], head_s=least[id(head)])


def compare(
    base: Build,
    head: Build,
    cases: Sequence[str],
    *,
    factor: float,
    rounds: int = ROUNDS,
    start: Start | None = None,
) -> Iterator[Row]:
    """Compares the builds case by case; `Row.slower` is set where `head` takes over `factor` times as long.

    Of a case that looks slower the comparison is repeated in fresh processes, and the smallest ratio counts.
    """
    start = start or started
    for case in cases:
        row = once(base, head, case, rounds, start)
        for _ in range(CHECKS - 1):
            if row.ratio is None or row.ratio <= factor:
                break
            row = min(row, once(base, head, case, rounds, start), key=lambda row: row.ratio or 0.0)
        yield Row(row.case, row.base_s, row.head_s, row.missing, (row.ratio or 0.0) > factor)


def once(base: Build, head: Build, case: str, rounds: int, start: Start) -> Row:
    with start(base, case) as one, start(head, case) as other:
        return compared(one, other, case, rounds)
