"""The compared journeys through the public API, and the compared kernels.

A case uses names that both builds have. A name that one of them lacks raises `AttributeError` or `ImportError` in the
preparation, and is reported as missing.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[[], object]

VERBS = ["cancel", "change", "refund", "book", "find", "upgrade", "explain", "compare"]
THINGS = ["order", "flight", "invoice", "account", "seat", "delivery", "ticket", "address"]
DETAILS = ["before friday", "without a fee", "for two people", "with a voucher", "in the morning"]
TOOLS = [f"{verb}_{thing}" for verb in ("get", "list", "update") for thing in THINGS]


def tasks(n: int, seed: int) -> list[str]:
    """`n` requests of about ten words; every tenth is one of the earlier ones."""
    chance = random.Random(seed)
    made: list[str] = []
    for number in range(n):
        if number % 10 == 9:
            made.append(chance.choice(made))
        else:
            verb, other = chance.sample(VERBS, 2)
            thing, detail = chance.choice(THINGS), chance.choice(DETAILS)
            made.append(f"{verb} {thing} {number % 997} {detail} and {other} the {chance.choice(THINGS)}")
    return made


def steps(length: int, chance: random.Random) -> list[dict[str, Any]]:
    """`length` tool calls; one in eight fails, and each tool is likely to follow one certain other."""
    at = chance.randrange(len(TOOLS))
    made = []
    for number in range(length):
        at = (at * 7 + 3) % len(TOOLS) if chance.random() < 0.7 else chance.randrange(len(TOOLS))
        step = {"tool": TOOLS[at], "parameters": {"id": number, "reason": chance.choice(DETAILS)}}
        failed = chance.random() < 0.125
        result = (
            {"error": f"{TOOLS[at]} is locked by {number}"} if failed else {"output": {"text": "x" * 200}}
        )
        made.append(step | result | {"latency_ms": 10.0 + number})
    return made


def episodes(n: int, seed: int = 5) -> list[Any]:
    """`n` finished episodes of about ten steps, of four domains and three agents; three in four are successes."""
    from tacit import Episode, Outcome, Step, TaskContext

    chance = random.Random(seed)
    start = 1_700_000_000_000_000
    return [
        Episode(
            task=task,
            context=TaskContext(domain=("airline", "retail", "telecom", "school")[number % 4]),
            agent=f"agent-{number % 3}",
            started_at=start + number * 60_000_000,
            ended_at=start + number * 60_000_000 + 30_000_000,
            steps=tuple(
                Step(**step, status="error" if "error" in step else "ok")
                for step in steps(4 + number % 13, chance)
            ),
            outcome=Outcome.failure("no") if number % 4 == 3 else Outcome.success(),
        )
        for number, task in enumerate(tasks(n, seed))
    ]


def filled(n: int) -> Any:
    """A memory in RAM that holds `n` episodes."""
    from tacit import Memory

    memory = Memory()
    for _ in memory.add_many(episodes(n)):
        pass
    return memory


def asked(ask: Callable[[Any, str], object], n: int = 1_000) -> Run:
    """Asks a memory of `n` episodes about one task after another."""
    memory = filled(n)
    questions = itertools.cycle(tasks(64, seed=11))
    return lambda: ask(memory, next(questions))


def recall(folder: Path) -> Run:
    return asked(lambda memory, task: memory.recall(task, limit=5))


def recall_of_a_few(folder: Path) -> Run:
    return asked(lambda memory, task: memory.recall(task, limit=5), n=50)


def recall_as_prompt(folder: Path) -> Run:
    return asked(lambda memory, task: memory.recall(task, limit=5).to_prompt(max_tokens=800))


def predict(folder: Path) -> Run:
    return asked(lambda memory, task: memory.predict(task))


def playbook(folder: Path) -> Run:
    return asked(lambda memory, task: memory.playbook(task))


def suggest(folder: Path) -> Run:
    return asked(lambda memory, task: memory.suggest(task=task))


def recover(folder: Path) -> Run:
    memory = filled(1_000)
    tools = itertools.cycle(TOOLS)

    def run() -> object:
        tool = next(tools)
        return memory.recover(f"{tool} is locked by 3", tool=tool)

    return run


def log(folder: Path) -> Run:
    from tacit import Memory

    memory = Memory()
    made = steps(200, random.Random(7))

    def run() -> None:
        episode_id = memory.start("a long task")
        for step in made:
            memory.log(episode_id, **step)

    return run


def complete(folder: Path) -> Run:
    from tacit import Memory, Outcome

    memory = Memory(folder / "memory.db")
    made = steps(20, random.Random(7))
    task = tasks(1, seed=7)[0]

    def run() -> object:
        episode_id = memory.start(task, domain="retail", agent="one")
        for step in made:
            memory.log(episode_id, **step)
        return memory.complete(episode_id, Outcome.success("done"))

    return run


def add_many(folder: Path) -> Run:
    from tacit import Memory

    made = episodes(100)

    def run() -> None:
        with Memory() as memory:
            for _ in memory.add_many(made):
                pass

    return run


def maintain(folder: Path) -> Run:
    from tacit import Memory

    made = episodes(100)

    def run() -> None:
        with Memory() as memory:
            for _ in memory.add_many(made):
                pass
            memory.maintain()

    return run


def open_and_recall(folder: Path) -> Run:
    from tacit import Memory

    path = folder / "memory.db"
    with Memory(path) as memory:
        for _ in memory.add_many(episodes(500)):
            pass
    question = tasks(1, seed=11)[0]

    def run() -> object:
        with Memory(path) as memory:
            return memory.recall(question)

    return run


def levenshtein_many(folder: Path) -> Run:
    from tacit import kernels

    one, *many = tool_names(1_001)
    return lambda: kernels.levenshtein_many(one, many)


def lcs_length_many(folder: Path) -> Run:
    from tacit import kernels

    one, *many = tool_names(1_001)
    return lambda: kernels.lcs_length_many(one, many)


def ngrams(folder: Path) -> Run:
    from tacit import kernels

    sequences = tool_names(300)
    return lambda: kernels.ngrams(sequences)


def top_k(folder: Path) -> Run:
    import numpy as np

    from tacit import kernels

    rows = np.random.default_rng(3).standard_normal((2_000, 384), dtype=np.float32)
    return lambda: kernels.top_k(rows[0], rows, k=10)


def kmeans(folder: Path) -> Run:
    import numpy as np

    from tacit import kernels

    rows = np.random.default_rng(3).standard_normal((1_000, 32), dtype=np.float32)
    return lambda: kernels.kmeans(rows, 20, seed=1)


def error_class(folder: Path) -> Run:
    from tacit import kernels

    texts = [f'{{"detail": "{tool} is locked by {number}"}}' for number, tool in enumerate(TOOLS)]
    return lambda: [kernels.error_class(text) for text in texts]


def breaker(folder: Path) -> Run:
    from tacit import CircuitBreaker

    guarded = CircuitBreaker()

    def run() -> None:
        for _ in range(200):
            with guarded:
                pass

    return run


def tool_names(n: int) -> list[list[str]]:
    chance = random.Random(3)
    return [[step["tool"] for step in steps(10 + number % 37, chance)] for number in range(n)]


CASES: dict[str, Callable[[Path], Run]] = {
    "Memory.recall": recall,
    "Memory.recall, 50 episodes": recall_of_a_few,
    "Recall.to_prompt": recall_as_prompt,
    "Memory.predict": predict,
    "Memory.playbook": playbook,
    "Memory.suggest": suggest,
    "Memory.recover": recover,
    "Memory.log": log,
    "Memory.complete": complete,
    "Memory.add_many": add_many,
    "Memory.maintain": maintain,
    "Memory, opened": open_and_recall,
    "kernels.levenshtein_many": levenshtein_many,
    "kernels.lcs_length_many": lcs_length_many,
    "kernels.ngrams": ngrams,
    "kernels.top_k": top_k,
    "kernels.kmeans": kmeans,
    "kernels.error_class": error_class,
    "CircuitBreaker": breaker,
}
