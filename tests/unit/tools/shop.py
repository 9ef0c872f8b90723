"""A shop in which looking at the policy before a cancellation helps, told as episodes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tacit import Episode, Memory, Outcome, Step, TaskContext

PLAN = ("get_order", "check_policy", "cancel_order")
REASONS = ("no longer needed", "ordered by mistake")
SECRET = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
TASKS = 12
ATTEMPTS = 20
HOUR = 3_600_000_000
START = 1_760_000_000_000_000
AFTER = START + 600 * HOUR


def attempt(number: int, task: int, *, checks: bool, works: bool, said: str = "ok") -> Episode:
    order, user = 1_000 + number, f"user_{task}_{number}"
    steps = [
        Step("get_order", parameters={"order_id": order}, status="ok", output={"owner": {"id": user}}),
        Step(
            "check_policy",
            parameters={"country": "DE", "note": f"{said} {number}"},
            status="ok",
            output="fine",
        ),
        Step(
            "cancel_order",
            parameters={
                "order_id": order,
                "user": user,
                "reason": REASONS[number % 2],
                "key": SECRET,
                **({"coupon": f"c{number}"} if number % 3 else {}),
            },
            status="ok",
            output="cancelled",
        ),
    ]
    if not checks:
        steps[1] = Step("list_orders", parameters={"user": user}, status="ok", output="one")
    return Episode(
        task=f"Cancel order {order} for customer {task}",
        context=TaskContext(domain="retail"),
        task_key=f"task {task}",
        agent="clerk",
        steps=tuple(steps),
        outcome=Outcome.success() if works else Outcome.failure("refused"),
        started_at=START + number * HOUR,
        ended_at=START + number * HOUR + 60_000_000,
    )


def attempts(seed: int = 1, said: str = "ok") -> Iterator[Episode]:
    """Each task twenty times; the policy is looked at in half of them, and lifts success from .2 to .9."""
    chance = random.Random(seed)
    for number in range(TASKS * ATTEMPTS):
        checks = chance.random() < 0.5
        works = chance.random() < (0.9 if checks else 0.2)
        yield attempt(number, number % TASKS, checks=checks, works=works, said=said)


def shuffled(seed: int) -> list[Episode]:
    """The same runs with their outcomes dealt out at random within each task."""
    chance = random.Random(seed)
    runs = list(attempts(seed))
    for task in range(TASKS):
        own = [place for place, run in enumerate(runs) if run.task_key == f"task {task}"]
        outcomes = [runs[place].outcome for place in own]
        chance.shuffle(outcomes)
        for place, outcome in zip(own, outcomes, strict=True):
            runs[place] = replace(runs[place], outcome=outcome)
    return runs


def remembered(runs: list[Episode], path: Path | None = None) -> Memory:
    memory = Memory(path, clock=lambda: AFTER * 1_000)
    for _ in memory.add_many(runs):
        pass
    memory.maintain()
    return memory
