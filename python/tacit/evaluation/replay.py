"""A memory of a dataset without its held-out part, filled and asked through its public verbs alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import LeakError
from ..memory import Memory
from ..model.episode import Episode
from ..model.recall import Recall
from .dataset import all_episodes, task_of

if TYPE_CHECKING:
    from ..model.advice import Fixes, Playbook, Prediction, Suggestion

MakeMemory = Callable[[], Memory]
"""Makes the empty memory that is evaluated; called once for each held-out part."""


class Replay:
    """A fresh memory that was given some episodes, and is asked about others.

    This class alone decides the content of a question: the task, domain and agent of the asked episode, and its steps
    before the asked one. Never its outcome, its later steps, or anything of its file of tasks.

    Raises `LeakError` if the memory holds anything that it was not given here, is asked about an episode that it was
    given, or names an episode that it cannot know.
    """

    def __init__(self, make_memory: MakeMemory, given: Iterable[Episode]) -> None:
        self.memory: Memory = make_memory()
        self._given: dict[str, Episode] = {}
        self._known_as: dict[str, Episode] = {}
        self._name_of: dict[str, str] = {}
        self._tasks: Counter[str] = Counter()
        self._take(given)
        self.check()

    def _take(self, episodes: Iterable[Episode]) -> None:
        episodes = list(episodes)
        for episode, learned in zip(episodes, self.memory.add_many(episodes), strict=True):
            self._given[episode.id] = episode
            self._known_as[learned.episode_id] = episode
            self._name_of[episode.id] = learned.episode_id
            self._tasks[task_of(episode)] += 1

    def close(self) -> None:
        """Closes the memory."""
        self.memory.close()

    # --- what is asked ---

    def recall(self, asked: Episode, *, limit: int = 100, text_alone: bool = False) -> Recall:
        """Recalls for an episode's task; `text_alone` says nothing of its domain."""
        self._refuse_known(asked)
        domain = None if text_alone else asked.context.domain
        recall = self.memory.recall(asked.task, domain=domain, limit=limit)
        self._refuse_unknown(hit.episode_id for hit in recall.hits)
        return recall

    def suggest(self, asked: Episode, taken: int, *, limit: int = 10) -> Suggestion:
        """Asks for the step after the first `taken` of an episode."""
        self._refuse_known(asked)
        suggestion = self.memory.suggest(
            asked.steps[:taken], task=asked.task, domain=asked.context.domain, agent=asked.agent, limit=limit
        )
        self._refuse_unknown(id for step in suggestion.steps for id in step.episodes)
        return suggestion

    def recover(self, asked: Episode, failed: int, *, with_steps: bool = False, limit: int = 10) -> Fixes:
        """Asks for fixes for the error of an episode's step `failed`, counted from 0.

        The question has the tool and the error alone, or the agent, the domain and the steps before it too.
        """
        self._refuse_known(asked)
        step = asked.steps[failed]
        more: dict[str, Any] = (
            {"steps": asked.steps[:failed], "agent": asked.agent, "domain": asked.context.domain}
            if with_steps
            else {}
        )
        return self.memory.recover(step.error or "", tool=step.tool, limit=limit, **more)

    def predict(self, asked: Episode, *, known_task: bool = False) -> Prediction:
        """Asks for the outcome of an episode, from its task, domain and agent, and its task key with `known_task`."""
        self._refuse_known(asked)
        return self.memory.predict(
            asked.task,
            domain=asked.context.domain,
            agent=asked.agent,
            task_key=asked.task_key if known_task else None,
        )

    def playbook(self, asked: Episode) -> Playbook:
        """Asks for the tools of one plan for an episode's task, from its text and domain."""
        self._refuse_known(asked)
        playbook = self.memory.playbook(asked.task, domain=asked.context.domain, arguments=False)
        self._refuse_unknown(playbook.episodes)
        return playbook

    def episode(self, episode_id: str) -> Episode:
        """The episode that an answer names, as it was given."""
        self._refuse_unknown([episode_id])
        return self._known_as[episode_id]

    # --- what is held out ---

    @contextmanager
    def without(self, episodes: Sequence[Episode]) -> Iterator[Replay]:
        """Forgets episodes for the length of the block: questions in it meet a memory without them.

        It suits answers that rest on counts; a memory that must be fitted again for each question takes its time.
        """
        mine = [self._given[episode.id] for episode in episodes if episode.id in self._given]
        for episode in mine:
            self._forget(episode)
        try:
            self._refuse_remnants(mine)
            yield self
        finally:
            self._take(mine)

    def _forget(self, episode: Episode) -> None:
        known_as = self._name_of.pop(episode.id)
        self.memory.forget(known_as)
        del self._given[episode.id], self._known_as[known_as]
        self._tasks[task_of(episode)] -= 1

    def _refuse_remnants(self, forgotten: Sequence[Episode]) -> None:
        """The memory says itself that it holds no more attempts at those tasks than it should."""
        for key in {task_of(episode) for episode in forgotten}:
            held = self.memory.episodes(task_key=key, limit=self._tasks[key] + 1)
            if len(held) > self._tasks[key]:
                raise LeakError(f"the memory holds an attempt at {key!r} that was to be held out")

    def check(self) -> None:
        """Reads everything that the memory holds and compares it with the given episodes."""
        held = Counter(_content(episode) for episode in all_episodes(self.memory))
        given = Counter(_content(episode) for episode in self._given.values())
        for content in held - given:
            task = msgspec.msgpack.decode(content)["task"]
            raise LeakError(f"the memory holds an episode that it was not given: {task[:80]!r}")
        if given - held:
            raise LeakError("the memory has lost or changed an episode that it was given")

    def _refuse_known(self, asked: Episode) -> None:
        if asked.id in self._given:
            raise LeakError(f"asked about an attempt at {asked.task_key!r} which the memory was given")

    def _refuse_unknown(self, named: Iterable[str]) -> None:
        for episode_id in named:
            if episode_id not in self._known_as:
                raise LeakError(f"an answer rests on episode {episode_id} which the memory was not given")


def _content(episode: Episode) -> bytes:
    """The content of an episode, without the fields that a memory adds."""
    steps = tuple(replace(step, number=0, at=0) for step in episode.steps)
    bare = replace(
        episode, id="", started_at=0, ended_at=0, timed=True, steps=steps, reward=None, reflection=None
    )
    return msgspec.msgpack.encode(bare, order="deterministic")
