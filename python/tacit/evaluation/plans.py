"""B2: whether a plan merged from the successes of other tasks is like what succeeds at a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..model.episode import Episode
from . import texts
from .baselines import Known, Plans
from .bench import EMPTY, LEARNED, RANDOM, Arm, Bench
from .dataset import in_slice, is_success, task_of, tools_of
from .metrics import plan_similarity
from .question import Answer, questions
from .replay import Replay
from .rows import LeftOut, Measured, Total

MOST = 320
"""Tasks of a dataset that are asked about."""
_NEAREST = 5


@questions.register("B2")
class PlanTransfer:
    """Leaves one task out at a time; its plan is compared with the best-matching of its own successes."""

    name = "B2"
    title = "knows a plan for a new task"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """The similarity of the memory's plan, and of the best of what it was merged from."""
        successes = told_once([each for each in bench.dataset.episodes if is_success(each)])
        first = {task_of(episode): episode for episode in reversed(successes)}
        if len(first) < 2:
            yield LeftOut(self.name, bench.dataset.name, "all", "fewer than two tasks have a success")
            return
        asked = [first[key] for key in bench.capped(sorted(first), lambda key: key, MOST)]
        baselines = Plans(_known(successes))
        yield from bench.sliced(_similarity(bench, successes, asked, baselines), asked)
        if texts.is_available():
            yield from _afterwards(bench, asked, baselines)
        else:
            yield LeftOut(self.name, bench.dataset.name, "baselines", texts.MISSING)


def told_once(episodes: Sequence[Episode]) -> list[Episode]:
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


def _similarity(
    bench: Bench, successes: Sequence[Episode], asked: Sequence[Episode], baselines: Plans
) -> Measured:
    scores = [baselines.scores(task_of(episode)) for episode in asked]
    return Measured(
        slice="all",
        metric="plan_similarity",
        tasks=[task_of(episode) for episode in asked],
        memory=_planned(bench, successes, asked, LEARNED),
        baselines={name: [score[name] for score in scores] for name in scores[0]},
        controls={
            "empty": _planned(bench, successes, asked, EMPTY),
            "random": _planned(bench, successes, asked, RANDOM),
            "global": [baselines.most_frequent(task_of(episode)) for episode in asked],
        },
    )


def _planned(bench: Bench, successes: Sequence[Episode], asked: Sequence[Episode], arm: Arm) -> list[float]:
    """How like a success of its task the plan is that a memory of all other tasks has for it."""
    by_task: dict[str, list[Episode]] = {}
    for episode in successes:
        by_task.setdefault(task_of(episode), []).append(episode)
    with bench.of(successes, arm) as replay:
        return [
            _likeness(replay, episode, by_task[task_of(episode)])
            for episode in bench.each(f"B2, {arm.name}", asked)
        ]


def _likeness(replay: Replay, asked: Episode, mine: Sequence[Episode]) -> float:
    with replay.without(mine):
        playbook = replay.playbook(asked)
    plan = [step.tool for step in playbook.steps]
    return max(plan_similarity(plan, tools_of(episode)) for episode in mine)


def _afterwards(bench: Bench, asked: Sequence[Episode], baselines: Plans) -> Iterator[Total]:
    """What could have been chosen: the best of the nearest five, and the best that there is."""
    best: dict[str, Callable[[str], float]] = {
        "best_of_nearest_5": lambda task: baselines.best_of_nearest(task, _NEAREST),
        "best_there_is": baselines.best_of_all,
    }
    for name in bench.dataset.slices():
        tasks = [task_of(episode) for episode in asked if in_slice(episode, name)]
        for metric, figure in best.items():
            if tasks:
                yield Total(name, metric, len(tasks), sum(map(figure, tasks)) / len(tasks))
