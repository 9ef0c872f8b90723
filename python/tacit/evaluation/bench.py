"""One dataset on the bench: memories that know all of it but a fold, and the same with something wrong in them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from ..config import Settings, with_caller_training
from ..memory import Memory
from ..model.episode import Episode
from .dataset import Dataset, in_slice, is_success, task_of
from .replay import MakeMemory, Replay
from .rows import Measured

T = TypeVar("T")
Change = Callable[[Sequence[Episode], Random], Sequence[Episode]]
Progress = Callable[[str, int, int], None]
"""Is called with the name of the work, the items done and all items."""


@dataclass(frozen=True, slots=True)
class Arm:
    """The content of a memory: the episodes themselves, or a control made of them."""

    name: str
    change: Change


def _as_they_are(episodes: Sequence[Episode], draw: Random) -> Sequence[Episode]:
    return episodes


def _nothing(episodes: Sequence[Episode], draw: Random) -> Sequence[Episode]:
    return ()


def _wrong_tasks(episodes: Sequence[Episode], draw: Random) -> Sequence[Episode]:
    """Each task's text and circumstances above the episodes of another task."""
    by_task: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_task.setdefault(task_of(episode), []).append(episode)
    keys = list(by_task)
    draw.shuffle(keys)
    heads = {key: by_task[keys[place - 1]] for place, key in enumerate(keys)}
    met: dict[str, int] = {}
    changed = []
    for episode in episodes:
        key = task_of(episode)
        head = heads[key][met.setdefault(key, 0) % len(heads[key])]
        met[key] += 1
        changed.append(replace(episode, task=head.task, context=head.context))
    return changed


def _wrong_outcomes(episodes: Sequence[Episode], draw: Random) -> Sequence[Episode]:
    """The same episodes, each with an outcome that was drawn from all of them."""
    outcomes = [episode.outcome for episode in episodes]
    draw.shuffle(outcomes)
    pairs = zip(episodes, outcomes, strict=True)
    return [replace(episode, outcome=outcome) for episode, outcome in pairs]


LEARNED = Arm("learned", _as_they_are)
EMPTY = Arm("empty", _nothing)
RANDOM = Arm("random", _wrong_tasks)
PLACEBO = Arm("placebo", _wrong_outcomes)


class Bench:
    """A dataset, and the memories that know a part of it; each is filled once and kept until `close`.

    `limit` caps the queries of a question; the choice depends on their tasks alone. `seed` is the seed of the
    controls' draws.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        make_memory: MakeMemory | None = None,
        seed: int = 0,
        limit: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.dataset = dataset
        self.seed = seed
        self.limit = limit
        self._make_memory = make_memory or memory_at_rest
        self._progress = progress
        self._replays: dict[tuple[str, int | None, int, bool], Replay] = {}

    def but_fold(self, fold: int, arm: Arm = LEARNED, *, successes: bool = False, draw: int = 0) -> Replay:
        """A memory of all episodes outside a fold, or of the successes among them."""
        return self._kept(arm, fold, draw, successes)

    def whole(self, arm: Arm = LEARNED, *, successes: bool = False, draw: int = 0) -> Replay:
        """A memory of all episodes; held-out ones are removed with `Replay.without` before a question."""
        return self._kept(arm, None, draw, successes)

    @contextmanager
    def of(self, episodes: Sequence[Episode], arm: Arm = LEARNED, *, draw: int = 0) -> Iterator[Replay]:
        """A memory of these episodes, for as long as it is needed."""
        replay = self._filled(episodes, arm, draw)
        try:
            yield replay
            replay.check()
        finally:
            replay.close()

    def training(self, fold: int, *, successes: bool = False) -> tuple[Episode, ...]:
        """The episodes outside a fold: the memory is given these, and baselines are fitted on them."""
        return tuple(
            episode
            for episode in self.dataset.episodes
            if self.dataset.fold(episode) != fold and (is_success(episode) or not successes)
        )

    def held_out(self, fold: int, *, successes: bool = False) -> tuple[Episode, ...]:
        """The episodes of a fold."""
        return tuple(
            episode
            for episode in self.dataset.episodes
            if self.dataset.fold(episode) == fold and (is_success(episode) or not successes)
        )

    def capped(self, queries: Sequence[T], task: Callable[[T], str], limit: int | None = None) -> list[T]:
        """At most `limit` queries, or the bench's limit: those of the tasks of smallest hash, in their order."""
        most = min((each for each in (limit, self.limit) if each is not None), default=None)
        if most is None or len(queries) <= most:
            return list(queries)
        first = sorted(range(len(queries)), key=lambda place: (_hash(task(queries[place])), place))
        return [queries[place] for place in sorted(first[:most])]

    def query_id(self, episode: Episode, place: int | None = None) -> str:
        """The id of a query about an episode, or about one place in it: the same in every run of the evaluation."""
        run = self.dataset.run_ids.get(episode.id, episode.id)
        return run if place is None else f"{run}:{place}"

    def sliced(self, measured: Measured, asked: Sequence[Episode]) -> Iterator[Measured]:
        """A figure over all queries, then of each slice that has some; `asked` is the episode of each query."""
        yield measured
        for name in self.dataset.slices():
            chosen = [in_slice(episode, name) for episode in asked]
            if name != "all" and any(chosen):
                yield measured.of(name, chosen)

    def each(self, what: str, items: Sequence[T]) -> Iterator[T]:
        """The items, reporting the progress through them."""
        for number, item in enumerate(items):
            if self._progress is not None and number % 16 == 0:
                self._progress(f"{self.dataset.name}: {what}", number, len(items))
            yield item

    def close(self) -> None:
        """Checks that no memory holds more than it was given, and closes them."""
        try:
            for replay in self._replays.values():
                replay.check()
        finally:
            for replay in self._replays.values():
                replay.close()
            self._replays.clear()

    def _kept(self, arm: Arm, fold: int | None, draw: int, successes: bool) -> Replay:
        key = (arm.name, fold, draw, successes)
        if key not in self._replays:
            outside = self.training(-1 if fold is None else fold, successes=successes)
            self._replays[key] = self._filled(outside, arm, draw)
        return self._replays[key]

    def _filled(self, episodes: Sequence[Episode], arm: Arm, draw: int) -> Replay:
        random = Random(f"{arm.name} {self.seed} {draw}")
        return Replay(self._make_memory, arm.change(episodes, random))


def memory_at_rest(settings: Settings | None = None) -> Memory:
    """An empty memory in RAM with a clock that stands still: equal episodes give equal answers at any time.

    It redacts nothing, so that every episode can be compared with the one it was given.
    """
    now = time.time_ns()
    settings = with_caller_training(Settings.load() if settings is None else settings)
    return Memory(settings=settings, redactor=None, clock=lambda: now)


def _hash(task: str) -> str:
    return hashlib.sha1(task.encode(), usedforsecurity=False).hexdigest()
