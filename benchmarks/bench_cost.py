"""CPU time of the two journeys as the memory grows, on data with repeated tasks, many strata and errors.

`python -m benchmarks.bench_cost N...` prints the CPU time of the calling thread for one call of each verb, in
microseconds, of a memory in RAM with so many episodes; for `add_many`, that of one episode. The least of several
rounds is shown.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from tacit import Episode, Memory, Outcome, Step, TaskContext

DOMAINS, AGENTS, TOOLS, WORDS = 30, 6, 40, 4_000
DIFFICULTIES: tuple[Literal["simple", "moderate", "complex"], ...] = ("simple", "moderate", "complex")
ATTEMPTS_PER_TASK = 8
ROUNDS = 5
START = 1_700_000_000_000_000
MINUTE = 60_000_000


def varied(n: int, seed: int = 3) -> Iterator[Episode]:
    """`n` finished episodes of 12 steps on average, 15% of them failed, over 14 months at 10,000 episodes."""
    chance = random.Random(seed)
    known = [_task(chance) for _ in range(max(1, n // ATTEMPTS_PER_TASK))]
    for number in range(n):
        task, domain = chance.choice(known)
        yield Episode(
            task=task,
            context=TaskContext(domain=f"domain-{domain}", complexity=chance.choice(DIFFICULTIES)),
            agent=f"agent-{chance.randrange(AGENTS)}",
            task_key=task,
            started_at=START + number * 60 * MINUTE,
            ended_at=START + number * 60 * MINUTE + MINUTE // 2,
            steps=tuple(
                Step(**each, status="error" if "error" in each else "ok")
                for each in calls(chance.randrange(4, 21), domain, chance)
            ),
            outcome=Outcome.failure("refused") if chance.random() < 0.3 else Outcome.success(),
        )


def calls(length: int, domain: int, chance: random.Random) -> list[dict[str, Any]]:
    """The arguments of `length` steps in the manner of a domain."""
    made = []
    at = chance.randrange(TOOLS)
    for number in range(length):
        at = (at * 7 + domain) % TOOLS if chance.random() < 0.7 else chance.randrange(TOOLS)
        step: dict[str, Any] = {
            "tool": f"tool_{at}",
            "parameters": {"id": chance.randrange(9_000), "part": number},
        }
        if chance.random() < 0.15:
            step["error"] = f"{chance.choice(('timeout', 'not found', 'permission denied'))}: item {number}"
        else:
            step["output"] = {"text": " ".join(f"w{chance.randrange(WORDS)}" for _ in range(12))}
        made.append(step | {"latency_ms": 10.0 + number})
    return made


def cost(run: Callable[[], object], calls: int, rounds: int = ROUNDS) -> float:
    """The least CPU time of this thread for one call, in microseconds."""
    run()
    least = float("inf")
    for _ in range(rounds):
        began = time.thread_time_ns()
        for _ in range(calls):
            run()
        least = min(least, (time.thread_time_ns() - began) / calls)
    return least / 1e3


def costs(n: int) -> dict[str, float]:
    """Microseconds for a call of each verb, with `n` episodes in the memory."""
    with Memory() as memory:
        for _ in memory.add_many(varied(n)):
            pass
        questions = itertools.cycle([_task(random.Random(seed)) for seed in range(64)])
        known = itertools.cycle(
            [(each.task, int(each.context.domain[7:])) for each in itertools.islice(varied(n), 64)]
        )
        measured = {
            "recall, new task": cost(lambda: ask(memory, next(questions)), 64),
            "recall, known task": cost(lambda: ask(memory, next(known)), 64),
            "complete": completing(memory),
        }
        measured["add_many"] = adding(memory)
        return measured


def ask(memory: Memory, asked: tuple[str, int]) -> object:
    """One recall with everything that it answers."""
    task, domain = asked
    return memory.recall(task, domain=f"domain-{domain}", limit=5)


def completing(memory: Memory, calls_a_round: int = 50) -> float:
    """Microseconds for `complete` of an episode of 20 steps, without its `start` and `log`."""
    chance, times = random.Random(1), []
    for _ in range(ROUNDS * calls_a_round):
        domain = chance.randrange(DOMAINS)
        episode_id = memory.start(_task(chance)[0], domain=f"domain-{domain}", agent="agent-1")
        for step in calls(20, domain, chance):
            memory.log(episode_id, **step)
        began = time.thread_time_ns()
        memory.complete(episode_id, Outcome.success("done"))
        times.append((time.thread_time_ns() - began) / 1e3)
    return min(sum(times[at::ROUNDS]) / calls_a_round for at in range(ROUNDS))


def adding(memory: Memory, episodes_a_round: int = 128) -> float:
    """Microseconds for an episode of `add_many`."""
    more = list(varied(episodes_a_round * ROUNDS, seed=9))
    times = []
    for at in range(0, len(more), episodes_a_round):
        began = time.thread_time_ns()
        for _ in memory.add_many(more[at : at + episodes_a_round]):
            pass
        times.append((time.thread_time_ns() - began) / 1e3 / episodes_a_round)
    return min(times)


def _task(chance: random.Random) -> tuple[str, int]:
    return " ".join(f"w{chance.randrange(WORDS)}" for _ in range(10)), chance.randrange(DOMAINS)


def main(sizes: list[int]) -> None:
    """Prints a row for each size."""
    for n in sizes:
        print(f"{n:>8}", *(f"{verb} {us:,.0f}" for verb, us in costs(n).items()), sep="   ", flush=True)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [1_000, 10_000])
