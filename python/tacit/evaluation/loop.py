"""The closed loop: an agent works with a memory, and with a control in its place, on equal tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from ..errors import ValidationError
from ..memory import Memory
from ..model.episode import Episode
from ..recorder import Recorder

LEARNED = "learned"
_T = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
)
"""The 97.5% quantile of Student's t for 1 to 15 degrees of freedom."""
_T_BEYOND = 2.131


@dataclass(frozen=True, slots=True)
class Task:
    """A task for an agent; `data` is for `act` and `judge`, the memory does not see it."""

    text: str
    domain: str = "general"
    data: Any = field(default=None, compare=False)


Act = Callable[[Task, Recorder], Any]
"""Works at a task, logs its steps in the episode, may ask it for advice, and returns an answer."""
Judge = Callable[[Task, Any], bool]
"""Judges an answer. Nothing but the verdict reaches the memory."""
Change = Callable[[Episode, Sequence[Episode], Random], Episode | None]
"""Makes the episode that is kept, given those before it; `None` keeps nothing."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one task went."""

    success: bool
    steps: int


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds with its 95% interval (Student's t)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmResult:
    """How an arm did; `beyond` is by how much the success of the learned memory is above its own, seed by seed."""

    name: str
    success: Spread
    steps: Spread
    beyond: Spread | None = None


@dataclass(frozen=True, slots=True)
class LiveReport:
    """The learned memory first, then each control, over `seeds` with `tasks` each."""

    seeds: int
    tasks: int
    arms: tuple[ArmResult, ...]


def _kept(episode: Episode, past: Sequence[Episode], draw: Random) -> Episode:
    return episode


def _nothing(episode: Episode, past: Sequence[Episode], draw: Random) -> None:
    return None


def _under_another_task(episode: Episode, past: Sequence[Episode], draw: Random) -> Episode | None:
    others = [each for each in past if each.task != episode.task]
    return replace(episode, task=draw.choice(others).task) if others else None


def _with_another_outcome(episode: Episode, past: Sequence[Episode], draw: Random) -> Episode:
    return replace(episode, outcome=draw.choice([*past, episode]).outcome)


ARMS: Mapping[str, Change] = {
    LEARNED: _kept,
    "empty": _nothing,
    "random": _under_another_task,
    "placebo": _with_another_outcome,
}
"""The episode that the memory keeps of each attempt: the learned memory, and the controls in its place."""


def live(
    act: Act,
    judge: Judge,
    tasks: Sequence[Task] | Callable[[int], Sequence[Task]],
    *,
    seeds: Sequence[int] = range(5),
    arms: Sequence[str] = tuple(ARMS),
    make_memory: Callable[[], Memory] = Memory,
    progress: Callable[[str, int, int], None] | None = None,
) -> LiveReport:
    """Lets an agent do the tasks of each seed under each arm, one after another, and sums up the attempts.

    `tasks` are those of every seed, in an order that the seed draws, or a function of the seed. The agent gets the
    open episode: steps that it logs there are remembered, and answers come from the arm's memory. An exception in
    `act` or `judge` ends the evaluation. Raises `ValidationError` for fewer than two seeds or an unknown arm.
    """
    for arm in arms:
        if arm not in ARMS:
            raise ValidationError("arms", f"among {', '.join(ARMS)}", repr(arm))
    found: dict[str, list[list[Attempt]]] = {arm: [] for arm in arms}
    for arm in arms:
        for seed in seeds:
            given = _drawn(tasks, seed)
            with make_memory() as memory:
                loop = _Loop(memory, ARMS[arm], Random(f"{arm} {seed}"))
                attempts = []
                for number, task in enumerate(given):
                    attempts.append(loop.attempt(task, act, judge))
                    if progress is not None:
                        progress(f"{arm}, seed {seed}", number + 1, len(given))
            found[arm].append(attempts)
    return summed_up(found)


def _drawn(tasks: Sequence[Task] | Callable[[int], Sequence[Task]], seed: int) -> list[Task]:
    if callable(tasks):
        return list(tasks(seed))
    several = list(tasks)
    Random(seed).shuffle(several)
    return several


class _Loop:
    """One memory while an agent works its way through the tasks."""

    def __init__(self, memory: Memory, change: Change, draw: Random) -> None:
        self._memory = memory
        self._change = change
        self._draw = draw
        self._past: list[Episode] = []

    def attempt(self, task: Task, act: Act, judge: Judge) -> Attempt:
        with self._memory.episode(task.text, domain=task.domain) as recorder:
            success = judge(task, act(task, recorder))
            if success:
                recorder.succeed()
            else:
                recorder.fail("judged wrong")
        episode = self._memory.get(recorder.id)
        self._keep(episode)
        return Attempt(success, len(episode.steps))

    def _keep(self, episode: Episode) -> None:
        """Replaces the episode by the one that the arm makes of it."""
        kept = self._change(episode, self._past, self._draw)
        self._past.append(episode)
        if kept is episode:
            return
        self._memory.forget(episode.id)
        if kept is not None:
            self._memory.add(replace(kept, reward=None, reflection=None))


def summed_up(found: Mapping[str, Sequence[Sequence[Attempt]]]) -> LiveReport:
    """The report of attempts by arm and seed, equal tasks in each; the first arm is held against each of the others.

    Raises `ValidationError` for fewer than two seeds, or a seed without tasks.
    """
    first = next(iter(found.values()), [])
    if len(first) < 2 or not all(attempts for several in found.values() for attempts in several):
        raise ValidationError("seeds", "at least two, each with a task", f"{len(first)} of them")
    ours = [_success(attempts) for attempts in first]
    arms = []
    for name, several in found.items():
        success = [_success(attempts) for attempts in several]
        steps = [sum(attempt.steps for attempt in attempts) / len(attempts) for attempts in several]
        differences = [mine - theirs for mine, theirs in zip(ours, success, strict=True)]
        beyond = spread(differences) if several is not first else None
        arms.append(ArmResult(name, spread(success), spread(steps), beyond))
    return LiveReport(seeds=len(first), tasks=len(first[0]), arms=tuple(arms))


def _success(attempts: Sequence[Attempt]) -> float:
    return sum(attempt.success for attempt in attempts) / len(attempts)


def spread(values: Sequence[float]) -> Spread:
    """The mean of a value a seed, with its 95% interval."""
    mean = math.fsum(values) / len(values)
    free = len(values) - 1
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / free)
    half = (_T[free - 1] if free <= len(_T) else _T_BEYOND) * deviation / math.sqrt(len(values))
    return Spread(mean, mean - half, mean + half)
