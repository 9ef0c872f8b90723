"""How long questions take while models are fitted: `python -m benchmarks.learning 1000 10000`.

For each size: the first call of each verb, then `suggest` again and again while 100 episodes a second arrive and the
models are fitted, and at last the same questions of a caller that fits. Times are milliseconds of the wall clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import workloads
from tacit import AdviceSettings, Memory, Outcome, Settings, Step

ARRIVALS_A_SECOND = 100
SECONDS = 20.0
ASKED: dict[str, Any] = {"task": "refund order 7 and cancel the flight before friday", "domain": "domain-3"}


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded run, ready to be logged."""

    task: str
    task_key: str
    agent: str
    domain: str
    steps: tuple[Step, ...]


def recorded(n: int) -> Iterator[Run]:
    """`n` runs of some ten steps; every third attempt at a task fails."""
    for run in workloads.runs(n, seed=5):
        steps = tuple(
            Step(
                step["tool"],
                parameters=step["parameters"],
                output=step["output"],
                error=step.get("error"),
                status=step["status"],
            )
            for step in run["steps"]
        )
        yield Run(run["task"], run["task_key"], run["agent"], run["context"]["domain"], steps)


def log(memory: Memory, run: Run, succeeds: bool) -> None:
    """Records the run."""
    episode_id = memory.start(run.task, task_key=run.task_key, agent=run.agent, domain=run.domain)
    for step in run.steps:
        if step.error is None:
            memory.log(episode_id, step.tool, parameters=step.parameters, output=step.output)
        else:
            memory.log(episode_id, step.tool, parameters=step.parameters, error=step.error)
    memory.complete(episode_id, Outcome.success() if succeeds else Outcome.failure("no"))


def filled(n: int, training: Any) -> tuple[Memory, list[Run]]:
    """A memory of `n` episodes, and further runs to arrive."""
    memory = Memory(settings=Settings(advice=AdviceSettings(training=training)), redactor=None)
    runs = list(recorded(n + int(SECONDS * ARRIVALS_A_SECOND)))
    for number, run in enumerate(runs[:n]):
        log(memory, run, number % 3 > 0)
    memory.recall(**ASKED)
    memory._rooms.advisor._pending("default", ())  # the models follow the store: that is no fit
    return memory, runs[n:]


def questions(memory: Memory) -> dict[str, Callable[[], object]]:
    """A question of each verb that gives advice."""
    steps = [Step("tool_01", parameters={"name": "order3"}, status="ok", output='"order7"')]
    failed = Step("tool_02", parameters={"name": "order3"}, status="error", error="locked")
    return {
        "suggest": lambda: memory.suggest(steps, **ASKED),
        "choose": lambda: memory.choose(
            [{"tool": f"tool_{n:02}", "parameters": {"name": "order3"}} for n in range(20)],
            steps=steps,
            **ASKED,
        ),
        "predict": lambda: memory.predict(**ASKED),
        "recover": lambda: memory.recover("locked", tool="tool_02", steps=[*steps, failed]),
    }


def milliseconds(ask: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1_000


def while_learning(memory: Memory, arriving: list[Run]) -> np.ndarray[Any, Any]:
    """The times of `suggest`, one after the other, until nothing is left to fit."""
    ask, taken, began = questions(memory)["suggest"], [], time.perf_counter()
    for number, run in enumerate(arriving):
        taken.append(milliseconds(ask))  # also where runs arrive faster than this machine records them
        while time.perf_counter() - began < number / ARRIVALS_A_SECOND:
            taken.append(milliseconds(ask))
        log(memory, run, number % 3 > 0)
        if not memory.stats()["advice"]["waiting"]:
            break
    return np.array(taken)


def report(n: int) -> None:
    """Prints the times at one size."""
    memory, arriving = filled(n, "background")
    with memory:
        first = {verb: milliseconds(ask) for verb, ask in questions(memory).items()}
        taken = while_learning(memory, arriving)
    memory, _ = filled(n, "caller")
    with memory:
        waited = {verb: milliseconds(ask) for verb, ask in questions(memory).items()}
        then = {verb: min(milliseconds(ask) for _ in range(9)) for verb, ask in questions(memory).items()}
    print(f"{n:,} episodes")
    print("  verb      first call   first call that fits   later")
    for verb in first:
        print(f"  {verb:8} {first[verb]:11.2f} {waited[verb]:22.1f} {then[verb]:7.3f}")
    p50, p99 = np.percentile(taken, [50, 99])
    print(f"  suggest meanwhile ({len(taken):,}): p50 {p50:.2f}, p99 {p99:.2f}, worst {taken.max():.2f}")


if __name__ == "__main__":
    for size in sys.argv[1:] or ["1000", "10000"]:
        report(int(size))
