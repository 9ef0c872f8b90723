"""Question B2: the likeness of a plan merged from the successes of other tasks to the task's own successes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..credit.plans import plan_similarity
from ..model.episode import Episode
from . import texts
from .baselines import Known, Plan, Plans
from .bench import EMPTY, LEARNED, RANDOM, Arm, Bench
from .dataset import in_slice, is_success, task_of, tools_of
from .question import Answer, questions
from .replay import Replay
from .rows import LeftOut, Measured, Total

MOST = 320
"""Tasks of a dataset that are asked about."""


@questions.register("B2")
class PlanTransfer:
    """Leaves one task out at a time; its plan is compared with the best-matching of its own successes."""

    name = "B2"
    title = "knows a plan for a new task"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """The similarity of the memory's plan, and of the best of the plans behind it."""
        successes = without_rewordings([each for each in bench.dataset.episodes if is_success(each)])
        first = {task_of(episode): episode for episode in reversed(successes)}
        if len(first) < 2:
            yield LeftOut(self.name, bench.dataset.name, "all", "fewer than two tasks have a success")
            return
        asked = [first[key] for key in bench.capped(sorted(first), lambda key: key, MOST)]
        baselines = Plans(_known(successes))
        arms = {arm: _planned(bench, successes, asked, arm) for arm in (LEARNED, EMPTY, RANDOM)}
        queries = [bench.query_id(episode) for episode in asked]
        for measured in (_merged(arms, asked, baselines), _best_of_merged(arms, asked, baselines)):
            yield from bench.sliced(replace(measured, queries=queries), asked)
        yield from _best_held(bench, asked, baselines)
        if not texts.is_available():
            yield LeftOut(self.name, bench.dataset.name, "baselines by text", texts.MISSING)


@dataclass(frozen=True, slots=True)
class _Planned:
    """How like the best-matching success the merged plan is, and the best of those that it was merged from."""

    merged: float
    best: float


def without_rewordings(episodes: Sequence[Episode]) -> list[Episode]:
    """Without the runs that are an earlier one once more: the same agent's same steps, the task in other words."""
    wordings: dict[tuple[object, ...], str] = {}
    kept = []
    for episode in episodes:
        steps = tuple((step.tool, repr(step.parameters)) for step in episode.steps)
        text = wordings.setdefault((task_of(episode), episode.agent, steps), episode.task)
        if text == episode.task:
            kept.append(episode)
    return kept


def _known(successes: Sequence[Episode]) -> Known:
    return Known(
        tasks=tuple(task_of(episode) for episode in successes),
        domains=tuple(episode.context.domain for episode in successes),
        texts=tuple(episode.task for episode in successes),
        plans=tuple(tools_of(episode) for episode in successes),
    )


def _planned(
    bench: Bench, successes: Sequence[Episode], asked: Sequence[Episode], arm: Arm
) -> list[_Planned]:
    """The plans that a memory of all other tasks has for each task."""
    by_task: dict[str, list[Episode]] = {}
    for episode in successes:
        by_task.setdefault(task_of(episode), []).append(episode)
    with bench.of(successes, arm) as replay:
        return [
            _plan(replay, episode, by_task[task_of(episode)])
            for episode in bench.each(f"B2, {arm.name}", asked)
        ]


def _plan(replay: Replay, asked: Episode, mine: Sequence[Episode]) -> _Planned:
    with replay.without(mine):
        playbook = replay.playbook(asked)
        plans = [tools_of(replay.episode(each)) for each in playbook.episodes]

    def likeness(plan: Plan) -> float:
        return max(plan_similarity(plan, tools_of(episode)) for episode in mine)

    merged = likeness(tuple(step.tool for step in playbook.steps))
    return _Planned(merged, max(map(likeness, plans), default=0.0))


def _merged(arms: Mapping[Arm, Sequence[_Planned]], asked: Sequence[Episode], baselines: Plans) -> Measured:
    scores = [baselines.scores(task_of(episode)) for episode in asked]
    by_arm = {arm.name: [planned.merged for planned in several] for arm, several in arms.items()}
    return Measured(
        slice="all",
        metric="plan_similarity",
        tasks=[task_of(episode) for episode in asked],
        memory=by_arm.pop(LEARNED.name),
        baselines={name: [score[name] for score in scores] for name in scores[0]},
        controls=by_arm | {"global": [baselines.most_frequent(task_of(episode)) for episode in asked]},
    )


def _best_of_merged(
    arms: Mapping[Arm, Sequence[_Planned]], asked: Sequence[Episode], baselines: Plans
) -> Measured:
    """The best of the merged plans, chosen afterwards: it separates the search from the merging."""
    tasks = [task_of(episode) for episode in asked]
    by_arm = {arm.name: [planned.best for planned in several] for arm, several in arms.items()}
    return Measured(
        slice="all",
        metric="best_of_merged",
        tasks=tasks,
        memory=by_arm.pop(LEARNED.name),
        baselines={"nearest 5 by words": [baselines.best_of_nearest(task) for task in tasks]}
        if texts.is_available()
        else {},
        controls=by_arm,
        pool=None,
    )


def _best_held(bench: Bench, asked: Sequence[Episode], baselines: Plans) -> Iterator[Total]:
    """The likeness of the best of all stored plans: no single plan is better."""
    for name in bench.dataset.slices():
        tasks = [task_of(episode) for episode in asked if in_slice(episode, name)]
        if tasks:
            yield Total(
                name, "best_plan_held", len(tasks), sum(map(baselines.best_of_all, tasks)) / len(tasks)
            )
