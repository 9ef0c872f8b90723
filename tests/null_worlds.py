"""Worlds whose truth is known: in the null worlds no step has an effect on the outcome, in the others one has.

    python -m tests.null_worlds --worlds 200

prints, for each kind of null world, the share of worlds in which anything was promoted, proven or called a pitfall, and
the share of worlds with an effect in which it was found. Every tool call can fail, and habits differ, so that there are
thousands of patterns to be fooled by.

- `independent`: every episode is a task of its own.
- `tasks`: 12 tasks, 20 attempts each; the task alone decides how often they succeed, and habits differ by task.
- `own tools`: the same, each group of three tasks with tools of its own.
- `agents`: tasks of their own by a strong and a weak agent, each with habits of its own.
- `repeated`: as `tasks`, with `maintain` after every ten episodes.
- `effect`: 12 tasks, 20 attempts each; every run opens something, half of them check it then, and the check lifts
  success from .3 to .7 within every task.
- `effect anywhere`: the same, the check standing at a random place of the run.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tacit import Episode, Memory, Outcome, Step, TaskContext

EPISODES = 240
TASKS = 12
MAINTAINED_EVERY = 10
TOOLS = tuple(f"tool_{letter}" for letter in "abcdefgh")
ERRORS = ("no such record", "permission denied", "timed out")
WORDS = ("invoice", "parcel", "account", "ticket", "report", "calendar", "garden", "engine", "recipe", "contract",
         "museum", "harbour")  # fmt: skip
EFFECT = "check"
EFFECTS = {"effect": False, "effect anywhere": True}
"""Kinds of worlds with an effect, and if the step that helps stands anywhere."""
PARTS = ("promoted", "proven", "pitfalls")


@dataclass(frozen=True)
class Habit:
    """How often each tool is chosen, and how often it fails."""

    weights: tuple[float, ...]
    failing: float
    tools: tuple[str, ...] = TOOLS

    @classmethod
    def of(cls, chance: random.Random, tools: tuple[str, ...] = TOOLS) -> Habit:
        """Return a habit that prefers some of the tools."""
        return cls(tuple(chance.gammavariate(0.5, 1.0) for _ in tools), chance.uniform(0.1, 0.4), tools)

    def run(self, chance: random.Random) -> list[Step]:
        """Return the steps of one run."""
        return [
            self._step(tool, chance)
            for tool in chance.choices(self.tools, self.weights, k=chance.randint(3, 7))
        ]

    def _step(self, tool: str, chance: random.Random) -> Step:
        if chance.random() < self.failing:
            return Step(tool, status="error", error=chance.choice(ERRORS))
        return Step(tool, status="ok", output="done")


def _judged(task: str, steps: list[Step], probability: float, chance: random.Random, agent: str) -> Episode:
    outcome = Outcome.success() if chance.random() < probability else Outcome.failure("no")
    context = TaskContext(domain="office")
    return Episode(task, context=context, steps=tuple(steps), outcome=outcome, agent=agent)


def independent(chance: random.Random) -> list[Episode]:
    """Return episodes of tasks that were tried once, with one habit."""
    habit = Habit.of(chance)
    return [
        _judged(f"Handle the {chance.choice(WORDS)} number {number}", habit.run(chance), 0.5, chance, "agent")
        for number in range(EPISODES)
    ]


def agents(chance: random.Random) -> list[Episode]:
    """Return episodes of tasks that were tried once, by a strong and a weak agent."""
    habits = {"strong": (Habit.of(chance), 0.8), "weak": (Habit.of(chance), 0.2)}
    episodes = []
    for number in range(EPISODES):
        agent = chance.choice(sorted(habits))
        habit, probability = habits[agent]
        task = f"Handle the {chance.choice(WORDS)} number {number}"
        episodes.append(_judged(task, habit.run(chance), probability, chance, agent))
    return episodes


def tasks(chance: random.Random, tools: Callable[[int], tuple[str, ...]] = lambda _: TOOLS) -> list[Episode]:
    """Return attempts at a few tasks, each with its rate of success and its habit."""
    habits = [Habit.of(chance, tools(task)) for task in range(TASKS)]
    rates = [chance.random() for _ in range(TASKS)]
    attempts = [task for task in range(TASKS) for _ in range(EPISODES // TASKS)]
    chance.shuffle(attempts)
    return [
        _judged(f"Handle the {WORDS[task]}", habits[task].run(chance), rates[task], chance, "agent")
        for task in attempts
    ]


def own_tools(chance: random.Random) -> list[Episode]:
    """Return attempts at a few tasks, groups of which have tools of their own."""
    return tasks(chance, lambda task: tuple(f"{tool}_{task // 3}" for tool in TOOLS))


def effect(chance: random.Random, *, anywhere: bool = False) -> list[Episode]:
    """Return attempts at a few tasks in which one step lifts success."""
    episodes = []
    for episode in tasks(chance):
        has_effect = chance.random() < 0.5
        steps = [Step("open", status="ok", output="done"), *episode.steps]
        if has_effect:
            place = chance.randint(0, len(steps)) if anywhere else 1
            steps.insert(place, Step(EFFECT, status="ok", output="done"))
        episodes.append(_judged(episode.task, steps, 0.7 if has_effect else 0.3, chance, "agent"))
    return episodes


NULL_WORLDS: dict[str, Callable[[random.Random], list[Episode]]] = {
    "independent": independent,
    "tasks": tasks,
    "own tools": own_tools,
    "agents": agents,
    "repeated": tasks,
}


@dataclass(frozen=True)
class Shown:
    """Texts of the patterns and rules that a memory shows as better or worse."""

    promoted: frozenset[str]
    proven: frozenset[str]
    pitfalls: frozenset[str]
    """Those that maintenance found, and those that an answer warns of."""

    def __bool__(self) -> bool:
        return bool(self.promoted or self.proven or self.pitfalls)


def shown(episodes: Sequence[Episode], *, every: int = EPISODES) -> Shown:
    """Record the episodes, maintain after every so many, and collect all that was shown at any time."""
    promoted: set[str] = set()
    proven: set[str] = set()
    pitfalls: set[str] = set()
    with Memory() as memory:
        for start in range(0, len(episodes), every):
            list(memory.add_many(episodes[start : start + every]))
            done = memory.maintain()
            promoted |= {each.text for each in done.changed if each.after == "proven"}
            pitfalls |= {each.text for each in done.changed if each.after == "pitfall"}
            proven |= {
                f"{each.condition}: {each.action}" for each in done.heuristics if each.state == "proven"
            }
        for task in sorted({episode.task for episode in episodes})[:TASKS]:
            answer = memory.recall(task, domain="office", agent=episodes[0].agent)
            pitfalls |= {each.text for each in answer.pitfalls}
    return Shown(frozenset(promoted), frozenset(proven), frozenset(pitfalls))


def null_world(kind: str, seed: int) -> Shown:
    """Return what is shown in one null world, all of it false."""
    episodes = NULL_WORLDS[kind](random.Random(f"{kind} {seed}"))
    return shown(episodes, every=MAINTAINED_EVERY if kind == "repeated" else EPISODES)


def is_effect_found(seed: int, *, anywhere: bool = False) -> bool:
    """Return True if a pattern or rule with the step that helps is shown as better."""
    found = shown(effect(random.Random(f"effect {seed}"), anywhere=anywhere))
    return any(EFFECT in text for text in found.promoted | found.proven)


def main() -> None:
    """Measure the worlds of each kind, and print a line a kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=200, help="the worlds of each kind")
    parser.add_argument("--kind", choices=[*NULL_WORLDS, *EFFECTS], help="one kind alone")
    chosen = parser.parse_args()
    for kind in (each for each in NULL_WORLDS if chosen.kind in (None, each)):
        counts: Counter[str] = Counter()
        for seed in range(chosen.worlds):
            found = null_world(kind, seed)
            counts["any"] += bool(found)
            counts.update(name for name in PARTS if getattr(found, name))
        shares = ", ".join(f"{name} {counts[name] / chosen.worlds:.1%}" for name in ("any", *PARTS))
        print(f"{kind:>15}: {shares}", flush=True)
    for kind, anywhere in EFFECTS.items():
        if chosen.kind in (None, kind):
            share = (
                sum(is_effect_found(seed, anywhere=anywhere) for seed in range(chosen.worlds)) / chosen.worlds
            )
            print(f"{kind:>15}: found {share:.1%}", flush=True)


if __name__ == "__main__":
    main()
