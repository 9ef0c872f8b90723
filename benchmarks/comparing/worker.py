"""A process of one build: it prepares one case, then times samples of it as often as it is told.

It reads one number a line, of calls, and answers with the CPU seconds that they took in all threads of the process.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tacit

from .cases import CASES

SAMPLE_S = 0.02
MOST_CALLS = 4_096


def sampled(run: Callable[[], object], calls: int) -> float:
    """The CPU seconds that `calls` of `run` take, in all threads of this process."""
    gc.collect()
    started = time.process_time()
    for _ in range(calls):
        run()
    return time.process_time() - started


def enough_calls(run: Callable[[], object]) -> int:
    """How many calls take a fiftieth of a second or more."""
    calls = 1
    while calls < MOST_CALLS and min(sampled(run, calls) for _ in range(2)) < SAMPLE_S:
        calls *= 2
    return calls


def serve(case: str, package: str, scratch: Path) -> None:
    home = Path(tacit.__file__).resolve().parent.parent
    if home != Path(package).resolve():
        raise SystemExit(f"tacit was loaded from {home}, not from {package}")
    try:
        run = CASES[case](scratch)
        run()
    except (AttributeError, ImportError) as problem:
        say({"missing": str(problem)})
        return
    gc.freeze()
    say({"calls": enough_calls(run)})
    for line in sys.stdin:
        say({"seconds": sampled(run, int(line))})


def say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if change := os.environ.get("COMPARING_CHANGE"):
        exec(change, {})
    with tempfile.TemporaryDirectory() as folder:
        serve(sys.argv[1], sys.argv[2], Path(folder))
