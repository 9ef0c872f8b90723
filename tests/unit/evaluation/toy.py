"""A small world in which the right answers are known, and a memory simple enough to be checked by hand."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tacit.evaluation.dataset import Dataset, all_episodes
from tacit.evaluation.dataset import _prepared as prepared
from tacit.memory import Memory
from tacit.model.advice import FINISH, Argument, PlanStep, Playbook, Prediction, SuggestedStep, Suggestion
from tacit.model.context import TaskContext
from tacit.model.episode import Episode, Json, Outcome, Step
from tacit.model.learned import Learned

FETCH, CLEAN = ("find", "take", "give"), ("find", "wash", "dry", "store")


def episode(
    task: str,
    tools: Sequence[str] = (),
    *,
    key: str | None = None,
    agent: str | None = None,
    domain: str = "general",
    success: bool = True,
    parameters: Sequence[Json] = (),
) -> Episode:
    steps = itertools.zip_longest(tools, parameters[: len(tools)])
    return Episode(
        task=task,
        task_key=key or task,
        agent=agent,
        context=TaskContext(domain=domain),
        steps=tuple(
            Step(tool, parameters=given, status="ok", output=f"{tool} done") for tool, given in steps
        ),
        outcome=Outcome.success() if success else Outcome.failure("no"),
    )


def world(tasks: int = 24) -> Dataset:
    """Two kinds of tasks that begin alike, which only the text tells apart; a careful agent and a hasty one.

    The hasty one fails at cleaning.
    """
    return Dataset("toy", prepared(list(_attempts(tasks))))


def _attempts(tasks: int) -> Iterator[Episode]:
    for number in range(tasks):
        kind, tools = ("fetch the parcel", FETCH) if number % 2 else ("clean the kitchen", CLEAN)
        for agent in ("careful", "hasty"):
            parameters = [{"place": f"room {number % 3}", "mode": "quiet"}] * len(tools)
            yield episode(
                f"{kind} number{number}",
                tools,
                key=f"task {number}",
                agent=agent,
                success=agent == "careful" or tools is FETCH,
                parameters=parameters,
            )


class CountingMemory(Memory):
    """Answers by counting the next steps of the episodes with the most shared words."""

    def __init__(self) -> None:
        now = time.time_ns()
        super().__init__(clock=lambda: now)
        self._held: list[Episode] | None = None

    def add_many(self, episodes: Iterable[Episode], *, replace: bool = False) -> Iterator[Learned]:
        self._held = None
        return super().add_many(episodes)

    def add(self, episode: Episode, *, replace: bool = False) -> Learned:
        self._held = None
        return super().add(episode)

    def forget(self, episode_id: str, *, namespace: str | None = None) -> None:
        self._held = None
        super().forget(episode_id, namespace=namespace)

    def suggest(
        self, steps: Sequence[Step | str] = (), *, task: str | None = None, limit: int = 5, **_: Any
    ) -> Suggestion:
        taken = [step.tool if isinstance(step, Step) else step for step in steps]
        votes: Counter[str] = Counter()
        for each in self._alike(task or ""):
            tools = [step.tool for step in each.steps] + [FINISH]
            if tools[: len(taken)] == taken:
                votes[tools[len(taken)]] += 1
        total = sum(votes.values())
        listed = [
            SuggestedStep(tool, count / total, count, (), (Argument("mode", "quiet", filled=True),))
            for tool, count in sorted(votes.items(), key=lambda pair: (-pair[1], pair[0]))
        ]
        return Suggestion("", tuple(listed[:limit]))

    def playbook(self, task: str, **asked: Any) -> Playbook:
        alike = self._alike(task)
        plans = Counter(tuple(step.tool for step in each.steps) for each in alike)
        plan = plans.most_common(1)[0][0] if plans else ()
        steps = tuple(PlanStep(tool, 1.0) for tool in plan)
        behind = tuple(each.id for each in alike[:5])
        return Playbook("", task, steps, self.predict(task, **asked), episodes=behind)

    def predict(self, task: str, *, agent: str | None = None, **_: Any) -> Prediction:
        alike = self._alike(task)
        mine = [each for each in alike if each.agent == agent] or alike
        chance = (sum(_went_well(each) for each in mine) + 1) / (len(mine) + 2)
        return Prediction(chance, 0.0, 1.0, 0.5, None, None, None, None, float(len(mine)), ())

    def _alike(self, task: str) -> list[Episode]:
        """The episodes that share most words with the task."""
        if self._held is None:
            self._held = list(all_episodes(self))
        words = {word for word in task.split() if word.isalpha()}
        shared = [(len(words & set(each.task.split())), each) for each in self._held]
        most = max((count for count, _ in shared), default=0)
        return [each for count, each in shared if count == most]


def _went_well(episode: Episode) -> bool:
    return episode.outcome is not None and episode.outcome.kind == "success"
