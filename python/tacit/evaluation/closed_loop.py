"""The closed loop: agents that act in an environment, with the memory's advice and without it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from statistics import fmean, stdev
from typing import Any
from uuid import UUID

from ..memory import Memory
from ..model.episode import Episode, Outcome, Step
from .bench import Progress, memory_at_rest
from .environments import Environment, Turn
from .policies import (
    ChoosePolicy,
    NearestStatePolicy,
    Play,
    Policy,
    RandomPolicy,
    RecordedRun,
    ReplayPolicy,
    SuggestPolicy,
)
from .replay import MakeMemory

MOST_STEPS = 50
TRAINING_SEEDS = range(1, 31)
CHOOSE = "tacit by choose"
CEILING = "gold"
_FIRST_MS = 1_700_000_000_000
_PARTS = 20
"""Into how many parts a score between 0 and 1 is told to the memory."""


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one attempt: max(0, the environment's last score)."""

    arm: str
    task: str
    seed: int
    score: float
    steps: int


@dataclass(frozen=True, slots=True)
class ArmScore:
    """An arm's mean score of one kind of task, or of all; `error` is its standard error.

    `behind` is by how much `tacit by choose` is above it, attempt by attempt, with the standard error of that.
    """

    arm: str
    task: str
    score: float
    error: float
    behind: float
    behind_error: float


@dataclass(frozen=True, slots=True)
class LoopReport:
    """A closed loop: every score, and the means."""

    environment: str
    split: str
    scores: tuple[Score, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms in the order that they were run in."""
        return tuple(dict.fromkeys(score.arm for score in self.scores))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The kinds of tasks."""
        return tuple(dict.fromkeys(score.task for score in self.scores))

    def means(self) -> tuple[ArmScore, ...]:
        """Means over the seeds of each kind of task, and over all; the kinds weigh the same."""
        return tuple(
            self._mean(arm, tasks, name)
            for name, tasks in [*((task, (task,)) for task in self.tasks), ("all", self.tasks)]
            for arm in self.arms
        )

    def _mean(self, arm: str, tasks: Sequence[str], name: str) -> ArmScore:
        own, chosen = self._of(arm), self._of(CHOOSE)
        by_task = [[own[key] for key in own if key[0] == task] for task in tasks]
        score, error = _mean_of_means(by_task)
        ahead = [
            [chosen[key] - own[key] for key in own if key[0] == task and key in chosen] for task in tasks
        ]
        behind, behind_error = _mean_of_means(ahead)
        return ArmScore(arm, name, score, error, behind, behind_error)

    def _of(self, arm: str) -> Mapping[tuple[str, int], float]:
        return {(each.task, each.seed): each.score for each in self.scores if each.arm == arm}

    def verdict(self) -> str:
        """One paragraph: how far `choose` comes, and what it is better, worse or undecided against."""
        whole = {mean.arm: mean for mean in self.means() if mean.task == "all"}
        if CHOOSE not in whole:
            return "The arm `choose` did not run."
        share = ""
        if CEILING in whole and whole[CEILING].score > 0:
            share = f", {whole[CHOOSE].score / whole[CEILING].score:.0%} of the ceiling"
        sides: dict[str, list[str]] = {"better than": [], "worse than": [], "undecided against": []}
        for arm, mean in whole.items():
            if arm in (CHOOSE, CEILING):
                continue
            beyond = abs(mean.behind) > 2 * mean.behind_error
            side = "undecided against" if not beyond else "better than" if mean.behind > 0 else "worse than"
            sides[side].append(f"{arm} ({mean.behind:+.2f})")
        told = "; ".join(f"{side} {', '.join(arms)}" for side, arms in sides.items() if arms)
        return f"On {self.environment}, `choose` scores {whole[CHOOSE].score:.2f}{share}. It is {told}."

    def to_json(self) -> dict[str, Any]:
        """The means and the scores as plain values."""
        from dataclasses import asdict

        return {
            "environment": self.environment,
            "split": self.split,
            "means": [asdict(mean) for mean in self.means()],
            "scores": [asdict(score) for score in self.scores],
            "verdict": self.verdict(),
        }


def _mean_of_means(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The mean of the groups' means, and its standard error."""
    filled = [group for group in groups if group]
    if not filled:
        return math.nan, math.nan
    errors = [stdev(group) ** 2 / len(group) if len(group) > 1 else 0.0 for group in filled]
    return fmean(map(fmean, filled)), math.sqrt(sum(errors)) / len(filled)


def run_loop(
    name: str,
    environment: Environment,
    *,
    split: str = "dev",
    seeds: Sequence[int] = range(10_000, 10_020),
    training: Sequence[int] = TRAINING_SEEDS,
    arms: Sequence[str] = (),
    most_steps: int = MOST_STEPS,
    make_memory: MakeMemory = memory_at_rest,
    progress: Progress | None = None,
) -> LoopReport:
    """Lets each arm act on the seeds of every kind of task; the memory holds the gold runs of the training seeds.

    `arms` names them; empty means all. Equal arguments give equal reports.
    """
    recorded = [record_gold(environment, task, seed) for task in environment.tasks for seed in training]
    solved = [episode for episode in recorded if episode is not None]
    episodes = [replace(episode, id=_id_of(number)) for number, episode in enumerate(solved)]
    loop = ClosedLoop(environment, most_steps)
    scores: list[Score] = []
    with make_memory() as memory, make_memory() as shuffled:
        list(memory.add_many(episodes))
        list(shuffled.add_many(mispaired(episodes)))
        policies = _policies(memory, shuffled, [run_of(episode) for episode in episodes])
        chosen = [each for each in (*policies, CEILING) if each in arms or not arms]
        whole = len(chosen) * len(environment.tasks) * len(seeds)
        for arm in chosen:
            for task in environment.tasks:
                for seed in seeds:
                    if progress is not None:
                        progress(f"{arm}: {task}", len(scores), whole)
                    score = (
                        loop.ceiling(task, seed, split)
                        if arm == CEILING
                        else loop.score(policies[arm], arm, task, seed, split)
                    )
                    scores += [score] if score is not None else []
    return LoopReport(name, split, tuple(scores))


def _id_of(number: int) -> str:
    """An id of version 7 that is the same in every run: the order of ids decides between equals."""
    return UUID(int=(_FIRST_MS + number) << 80 | 7 << 76 | 1 << 63).hex


def _policies(memory: Memory, shuffled: Memory, runs: Sequence[RecordedRun]) -> dict[str, Policy]:
    return {
        "empty": RandomPolicy(),
        "random memory": ChoosePolicy(shuffled),
        "nearest run replayed": ReplayPolicy(runs, carry_over=False),
        "nearest run, names carried over": ReplayPolicy(runs, carry_over=True),
        "nearest-state script": NearestStatePolicy(runs),
        "tacit by suggest": SuggestPolicy(memory),
        CHOOSE: ChoosePolicy(memory),
    }


class ClosedLoop:
    """Plays attempts in one environment, at most `most_steps` long."""

    def __init__(self, environment: Environment, most_steps: int = MOST_STEPS) -> None:
        self.environment = environment
        self.most_steps = most_steps

    def play(self, policy: Policy, task: str, seed: int, split: str, random: Random) -> Episode:
        """One attempt, as an episode whose outcome is the environment's score."""
        turn = self.environment.reset(task, seed, split)
        text, steps = turn.text, list[Step]()
        while len(steps) < self.most_steps and not turn.done:
            action = policy.act(Play(text, steps, turn, random))
            if action is None:
                break
            step, turn = self._step(turn, action)
            steps.append(step)
        return Episode(
            text, steps=tuple(steps), outcome=outcome_of(turn.score), metadata={"score": turn.score}
        )

    def _step(self, before: Turn, action: str) -> tuple[Step, Turn]:
        turn = self.environment.step(action)
        offered = {} if before.actions is None else {"actions": list(before.actions)}
        step = Step(action, status="ok", output=turn.text, state=dict(before.state), metadata=offered or None)
        return step, turn

    def score(self, policy: Policy, arm: str, task: str, seed: int, split: str) -> Score:
        """The score of one attempt of an arm."""
        played = self.play(policy, task, seed, split, Random(f"{task}:{seed}"))
        return Score(arm, task, seed, max(0.0, played.metadata["score"]), len(played.steps))

    def ceiling(self, task: str, seed: int, split: str) -> Score | None:
        """The score of the environment's own solution; `None` if it has none."""
        solution = getattr(self.environment, "solution", None)
        if solution is None:
            return None
        return self.score(_Scripted(solution(task, seed, split)), CEILING, task, seed, split)


@dataclass(frozen=True, slots=True)
class _Scripted:
    actions: Sequence[str]

    def act(self, play: Play) -> str | None:
        at = len(play.steps)
        return self.actions[at] if at < len(self.actions) else None


def outcome_of(score: float) -> Outcome:
    """A success for a whole score, a failure for none, the share between."""
    if score >= 1.0:
        return Outcome.success()
    if score <= 0.0:
        return Outcome.failure("no score")
    done = max(1, round(score * _PARTS))
    return Outcome.partial(completed=["part"] * done, failed=["part"] * max(1, _PARTS - done))


def record_gold(environment: Environment, task: str, seed: int) -> Episode | None:
    """The run of the environment's solution of a training seed."""
    solution = environment.gold(task, seed)
    if solution is None:
        return None
    return ClosedLoop(environment, len(solution)).play(_Scripted(solution), task, seed, "train", Random(0))


def run_of(episode: Episode) -> RecordedRun:
    """An episode as the scripted arms read it."""
    steps = []
    for at, step in enumerate(episode.steps):
        said = [str(episode.steps[at - 1].output)] if at else []
        steps.append(("\n".join([*said, *(step.state or {}).values()]), step.tool))
    return RecordedRun(episode.task, tuple(steps))


def mispaired(episodes: Sequence[Episode]) -> list[Episode]:
    """Task texts with the steps of another kind of task: a memory that knows nothing."""
    half = len(episodes) // 2
    others = [*episodes[half:], *episodes[:half]]
    return [replace(episode, task=other.task) for episode, other in zip(episodes, others, strict=True)]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The test scores after so many own attempts a kind of task, in one run."""

    run: int
    attempts: int
    scores: tuple[Score, ...]

    @property
    def mean(self) -> float:
        """The mean over the kinds of tasks."""
        tasks = dict.fromkeys(score.task for score in self.scores)
        return fmean(fmean(each.score for each in self.scores if each.task == task) for task in tasks)


def own_attempts(
    environment: Environment,
    *,
    run: int = 0,
    counts: Sequence[int] = (25, 50, 100, 200),
    split: str = "dev",
    seeds: Sequence[int] = range(10_000, 10_020),
    exploring: float = 0.1,
    make_memory: MakeMemory = memory_at_rest,
    progress: Progress | None = None,
) -> Iterator[CurvePoint]:
    """The memory learns from its own attempts alone: with a share `exploring` of random actions, else the first choice.

    After each number of attempts a kind of task the memory is held fixed and tested.
    """
    loop = ClosedLoop(environment)
    with make_memory() as memory:
        policy, ids = ChoosePolicy(memory), map(_id_of, count())
        for attempt in range(max(counts)):
            for task in environment.tasks:
                if progress is not None:
                    progress(f"attempts: {task}", attempt, max(counts))
                random = Random(f"{run}:{task}:{attempt}")
                trying = _Exploring(policy, exploring)
                seed = 1_000 * run + attempt % 900
                played = loop.play(trying, task, seed, "train", random)
                memory.add(replace(played, id=next(ids)))
            if attempt + 1 in counts:
                scores = [
                    loop.score(policy, f"{attempt + 1} attempts", task, seed, split)
                    for task in environment.tasks
                    for seed in seeds
                ]
                yield CurvePoint(run, attempt + 1, tuple(scores))


@dataclass(frozen=True, slots=True)
class _Exploring:
    policy: Policy
    share: float

    def act(self, play: Play) -> str | None:
        if play.random.random() < self.share:
            return RandomPolicy().act(play)
        return self.policy.act(play)
