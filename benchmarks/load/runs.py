"""Episodes without end, made from a seed after the statistics of recorded runs.

The figures below are those of six public sets of runs (customer service, SQL, shell, household, capture the flag;
5,848 episodes): medians of 4 to 8 steps with a tail beyond 20, three or four attempts a task, a third of the steps
failed in shell and SQL and 3 to 6% in customer service, half of the steps with the tool of the step before, texts of 7
to 150 words, results of 10 to 1,200 characters, errors that name what they met, success between .3 and 1 by domain,
which depends on the task and on the agent.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tacit import Episode, Outcome, Step, TaskContext
from tacit.model.context import Complexity

DOMAINS, AGENTS, TOOLS_OF_A_DOMAIN, WORDS = 30, 6, 40, 4_000
COMPLEXITIES: tuple[Complexity, ...] = ("simple", "moderate", "complex")
SYLLABLES = ("an", "be", "cor", "di", "el", "fa", "gu", "hi", "jo", "ka", "lo", "mi", "nu", "or", "pe", "sa")
KINDS_OF_ERROR = (
    "{thing} not found",
    "permission denied: {thing}",
    "invalid value '{thing}' for parameter {number}",
    'HTTP 409: {{"detail": "{thing} is locked by {number}"}}',
    "timeout after {number} ms while waiting for {thing}",
    "unknown column '{thing}' in 'field list'",
)
START_US, APART_US = 1_600_000_000_000_000, 45_000_000
ATTEMPTS = (1, 1, 2, 3, 3, 4, 4, 4, 5, 8)


@dataclass(frozen=True, slots=True)
class Domain:
    """The common traits of the tasks of one domain."""

    name: str
    words: tuple[str, ...]
    tools: tuple[str, ...]
    plans: tuple[tuple[str, ...], ...]
    failed_steps: float
    words_of_a_task: float
    characters_of_a_result: float


@dataclass(frozen=True, slots=True)
class Task:
    domain: Domain
    text: str
    key: str
    complexity: Complexity
    plan: tuple[str, ...]
    ease: float


def words() -> list[str]:
    """Different pronounceable words, the shortest first."""
    lengths = (itertools.product(SYLLABLES, repeat=length) for length in (1, 2, 3, 4))
    return ["".join(parts) for parts in itertools.islice(itertools.chain.from_iterable(lengths), WORDS)]


def domains(chance: random.Random) -> list[Domain]:
    known = words()
    made = []
    for number in range(DOMAINS):
        own = chance.sample(known[200:], 500) + known[:100]
        tools = tuple(f"{chance.choice(own)}_{chance.choice(own)}_{at}" for at in range(TOOLS_OF_A_DOMAIN))
        plans = tuple(tuple(chance.choices(tools, k=chance.randint(2, 9))) for _ in range(25))
        made.append(
            Domain(
                name=f"domain-{number}",
                words=tuple(own),
                tools=tools,
                plans=plans,
                failed_steps=chance.choice((0.03, 0.06, 0.15, 0.27, 0.36)),
                words_of_a_task=chance.choice((2.1, 2.5, 2.6, 4.0, 4.5)),
                characters_of_a_result=chance.choice((3.9, 4.2, 4.6, 6.4)),
            )
        )
    return made


def episodes(n: int, seed: int) -> Iterator[Episode]:
    """`n` finished episodes, oldest first; the same for the same seed. A prefix does not depend on `n`."""
    chance = random.Random(seed)
    known = domains(chance)
    ability = [chance.uniform(-0.8, 0.8) for _ in range(AGENTS)]
    waiting: list[tuple[Task, int]] = []
    for number in range(n):
        if len(waiting) < 500:
            task = new_task(known, number, chance)
            waiting += [(task, attempt) for attempt in range(chance.choice(ATTEMPTS))]
        task, attempt = waiting.pop(chance.randrange(len(waiting)))
        yield run_of(task, attempt, number, ability, chance)


def new_task(known: list[Domain], number: int, chance: random.Random) -> Task:
    domain = known[min(int(chance.expovariate(0.12)), DOMAINS - 1)]
    length = max(4, min(int(chance.lognormvariate(domain.words_of_a_task, 0.4)), 200))
    common = [domain.words[min(int(chance.paretovariate(0.6)), 599)] for _ in range(length)]
    level = chance.choices((0, 1, 2), (5, 3, 2))[0]
    return Task(
        domain=domain,
        text=" ".join(common) + f" {number}",
        key=f"{domain.name}-{number}",
        complexity=COMPLEXITIES[level],
        plan=chance.choice(domain.plans),
        ease=chance.gauss(0.8 - 0.7 * level, 1.0),
    )


def run_of(task: Task, attempt: int, number: int, ability: list[float], chance: random.Random) -> Episode:
    agent = chance.randrange(AGENTS)
    succeeds = chance.gauss(task.ease + ability[agent], 0.8) > 0
    started_at = START_US + number * APART_US
    steps = tuple(steps_of(task, succeeds, chance))
    return Episode(
        task=task.text,
        context=TaskContext(domain=task.domain.name, complexity=task.complexity),
        agent=f"agent-{agent}",
        task_key=task.key,
        external_id=f"{number}-{attempt}",
        started_at=started_at,
        ended_at=started_at + 1_000_000 * len(steps),
        steps=steps,
        outcome=Outcome.success("done") if succeeds else Outcome.failure("the check did not pass"),
    )


def steps_of(task: Task, succeeds: bool, chance: random.Random) -> Iterator[Step]:
    """The task's plan with repeated, failed and mended steps; a failing run wanders off it and ends early or late."""
    domain = task.domain
    for tool in task.plan:
        if not succeeds and chance.random() < 0.3:
            tool = chance.choice(domain.tools)
        if chance.random() < domain.failed_steps:
            yield step(domain, tool, chance, failed=True)
            if chance.random() < 0.3:
                yield step(domain, chance.choice(domain.tools[:6]), chance)
        yield step(domain, tool, chance, failed=not succeeds and chance.random() < domain.failed_steps)
        while chance.random() < 0.35:
            yield step(domain, tool, chance)


def step(domain: Domain, tool: str, chance: random.Random, *, failed: bool = False) -> Step:
    thing = chance.choice(domain.words)
    parameters = {"id": chance.randrange(10_000), chance.choice(("name", "query", "path")): thing}
    latency_ms = chance.lognormvariate(5.0, 1.0)
    if failed:
        error = chance.choice(KINDS_OF_ERROR).format(thing=thing, number=chance.randrange(5_000))
        return Step(tool=tool, parameters=parameters, error=error, status="error", latency_ms=latency_ms)
    length = min(int(chance.lognormvariate(domain.characters_of_a_result, 0.8)), 2_000)
    text = " ".join(chance.choices(domain.words, k=1 + length // 6))
    return Step(tool=tool, parameters=parameters, output={"text": text}, latency_ms=latency_ms)
