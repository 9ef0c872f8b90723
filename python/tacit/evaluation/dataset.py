"""The data of an evaluation: recorded episodes, and the gold solutions of their tasks."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ValidationError
from ..importers import Entry, Refusal, Source, importers, tasks_beside
from ..memory import Memory
from ..model.context import TaskContext
from ..model.episode import Episode
from ..model.ids import as_text

FOLDS = 5
MOST_SLICES = 5
"""The most domains that are reported one by one; with more each would rest on too little."""
_PAGE = 1_000


def fold_of(task_key: str) -> int:
    """The fold of a task and so of all attempts at it: a hash, the same wherever it is asked."""
    return int(hashlib.sha1(task_key.encode(), usedforsecurity=False).hexdigest(), 16) % FOLDS


@dataclass(frozen=True, slots=True)
class Action:
    """A step of a known solution."""

    name: str
    arguments: str
    """As one text of JSON with sorted keys, so that equal arguments are equal texts."""


@dataclass(frozen=True, slots=True)
class Gold:
    """The known solution of a task. It is never shown to a memory."""

    task_key: str
    task: str
    domain: str
    actions: tuple[Action, ...] = ()
    write_tools: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    label: str | None = None
    """The kind of the task, if the file says so."""


@dataclass(frozen=True)
class Dataset:
    """Ended episodes with an outcome, each with a task key, in a fixed order; `gold` by task key, if it is known.

    The order is that of the file, or of their start in a store; ids and order are the same each time.
    """

    name: str
    episodes: tuple[Episode, ...]
    gold: Mapping[str, Gold] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()
    run_ids: Mapping[str, str] = field(default_factory=dict)
    """By episode id the id that the run has outside the evaluation: its external id, or its id in the store."""
    left_out: str = "task"
    """The group that is held out whole: "task", "domain" or "agent"."""

    @cached_property
    def tasks(self) -> Mapping[str, tuple[Episode, ...]]:
        """The attempts at each task, in the order in which the tasks are met."""
        found: dict[str, list[Episode]] = defaultdict(list)
        for episode in self.episodes:
            found[task_of(episode)].append(episode)
        return {key: tuple(several) for key, several in found.items()}

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The folds that hold anything."""
        return tuple(sorted({self.fold(episode) for episode in self.episodes}))

    def fold(self, episode: Episode) -> int:
        """The fold of an episode: all episodes of one task are in one fold, or all of one domain or agent."""
        if self.left_out == "task":
            return fold_of(task_of(episode))
        return self._fold_of_group[_GROUPS[self.left_out](episode)]

    @cached_property
    def _fold_of_group(self) -> Mapping[str, int]:
        """The groups of smallest hash in turn, so that no fold is empty while another holds two groups more."""
        names = {_GROUPS[self.left_out](episode) for episode in self.episodes}
        ordered = sorted(names, key=lambda name: hashlib.sha1(name.encode(), usedforsecurity=False).digest())
        return {name: place % FOLDS for place, name in enumerate(ordered)}

    def leaving_out(self, what: str) -> Dataset:
        """The same dataset, but questions that hold out folds hold out whole domains or agents, not tasks.

        Raises `ValidationError` for anything but "domain" or "agent".
        """
        if what not in _GROUPS:
            raise ValidationError("leave_out", f"one of {', '.join(sorted(_GROUPS))}", repr(what))
        return replace(self, name=f"{self.name}, unseen {what}s", left_out=what)

    def slices(self) -> tuple[str, ...]:
        """The slices of the report: "all", and each domain if there are a few."""
        domains = Counter(episode.context.domain for episode in self.episodes)
        return ("all", *sorted(domains)) if 2 <= len(domains) <= MOST_SLICES else ("all",)

    def without(self, fields: Iterable[str]) -> Dataset:
        """The same dataset without some fields of its episodes: "domain" or "agent".

        Raises `ValidationError` for another field.
        """
        fields = tuple(fields)
        for name in fields:
            if name not in _WITHHELD:
                raise ValidationError("without", f"one of {', '.join(sorted(_WITHHELD))}", repr(name))
        episodes: Iterable[Episode] = self.episodes
        for name in fields:
            episodes = map(_WITHHELD[name], episodes)
        name = f"{self.name} without {', '.join(fields)}"
        return replace(self, name=name, episodes=tuple(episodes))

    def with_episodes(self, episodes: Iterable[Episode]) -> Dataset:
        """The same with other episodes."""
        return replace(self, episodes=tuple(episodes))


_GROUPS: dict[str, Callable[[Episode], str]] = {
    "domain": lambda episode: episode.context.domain,
    "agent": lambda episode: episode.agent or "",
}
_WITHHELD: dict[str, Callable[[Episode], Episode]] = {
    "domain": lambda episode: replace(episode, context=replace(episode.context, domain=TaskContext().domain)),
    "agent": lambda episode: replace(episode, agent=None),
}


def task_of(episode: Episode) -> str:
    """The key of the task that the episode was an attempt at."""
    assert episode.task_key is not None
    return episode.task_key


def is_success(episode: Episode) -> bool:
    """True for an episode that did the whole task."""
    return episode.outcome is not None and episode.outcome.kind == "success"


def tools_of(episode: Episode) -> tuple[str, ...]:
    """The tools of its steps, in order."""
    return tuple(step.tool for step in episode.steps)


def in_slice(episode: Episode, slice: str) -> bool:
    """True for an episode that counts in a slice."""
    return slice in ("all", episode.context.domain)


# --- from files ---


class _Extra(msgspec.Struct):
    tables: list[str] | None = None
    task_type: str | None = None


class _Action(msgspec.Struct):
    name: str
    arguments: Any = None


class _Task(msgspec.Struct):
    task_id: str
    domain: str
    task_description: str
    gold_actions: list[_Action] = []
    gold_write_tools: list[str] = []
    extra: _Extra | None = None


_TASKS = msgspec.json.Decoder(_Task)


def load_file(path: str | Path, *, format: str = "jsonl") -> Dataset:
    """The runs of a file as `tacit import` reads them, with the gold solutions of the file of tasks beside it.

    Raises `ValidationError` for a file that cannot be opened or holds no run, `UnknownNameError` for an unknown
    format.
    """
    episodes: list[Episode] = []
    refused: list[Refusal] = []
    with Source(path) as source:
        for entry in importers.create(format).read(source):
            if isinstance(entry, Entry):
                episodes.append(entry.episode)
            else:
                refused.append(entry)
    if not episodes:
        raise ValidationError("file", "a file with at least one run", str(path))
    return _dataset(_name(path), episodes, _gold(path), tuple(refused))


def _name(path: str | Path) -> str:
    name = Path(path).name
    for ending in (".gz", ".jsonl", ".episodes"):
        name = name.removesuffix(ending)
    return name


def _gold(path: str | Path) -> dict[str, Gold]:
    """By task key; a line that cannot be read is one task less that is known."""
    neighbour = tasks_beside(path)
    if neighbour is None:
        return {}
    with Source(neighbour) as source:
        return {gold.task_key: gold for gold in _read_gold(source)}


def _read_gold(source: Source) -> Iterator[Gold]:
    for line in source.lines():
        if isinstance(line, Refusal):
            continue
        try:
            task = _TASKS.decode(line.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        extra = task.extra or _Extra()
        yield Gold(
            task_key=task.task_id,
            task=task.task_description,
            domain=task.domain,
            actions=tuple(Action(each.name, _canonical(each.arguments)) for each in task.gold_actions),
            write_tools=frozenset(task.gold_write_tools),
            tables=frozenset(extra.tables or ()),
            label=extra.task_type,
        )


def _canonical(arguments: Any) -> str:
    return msgspec.json.encode(arguments, order="deterministic").decode()


# --- from a store ---


def load_memory(memory: Memory, *, name: str = "memory") -> tuple[Dataset, ...]:
    """The episodes of a memory, one dataset for each source.

    Raises `ValidationError` for a memory without an ended episode with an outcome.
    """
    by_source: dict[str, list[Episode]] = defaultdict(list)
    for episode in reversed(list(all_episodes(memory))):
        by_source[episode.source or name].append(episode)
    datasets = [_dataset(source, episodes) for source, episodes in sorted(by_source.items())]
    datasets = [dataset for dataset in datasets if dataset.episodes]
    if not datasets:
        raise ValidationError("memory", "one with an ended episode that has an outcome", "none")
    return tuple(datasets)


def all_episodes(memory: Memory) -> Iterator[Episode]:
    """Every ended episode of a memory, newest first."""
    after = None
    while page := memory.episodes(limit=_PAGE, after=after):
        yield from page
        after = page[-1].id


def _dataset(
    name: str,
    episodes: Sequence[Episode],
    gold: Mapping[str, Gold] | None = None,
    refused: tuple[Refusal, ...] = (),
) -> Dataset:
    """The episodes with an outcome, and the ids of their runs."""
    ended = _with_outcome(episodes)
    prepared = _prepared(ended)
    run_ids = {ours.id: theirs.external_id or theirs.id for ours, theirs in zip(prepared, ended, strict=True)}
    return Dataset(name, prepared, gold or {}, refused, run_ids)


def _with_outcome(episodes: Sequence[Episode]) -> list[Episode]:
    """The episodes with an outcome, in the order of their start."""
    ended = [each for each in episodes if each.outcome is not None and each.outcome.share is not None]
    return sorted(ended, key=lambda episode: episode.started_at)


def _prepared(episodes: Sequence[Episode]) -> tuple[Episode, ...]:
    """The episodes with an outcome, each with a task key and an id that depends on nothing but its place."""
    return tuple(_placed(episode, number) for number, episode in enumerate(_with_outcome(episodes), 1))


def _placed(episode: Episode, number: int) -> Episode:
    return replace(
        episode,
        id=_id_at(number),
        namespace="default",
        external_id=None,
        task_key=episode.task_key or f"text:{episode.task}"[:200],
        reward=None,
        reflection=None,
    )


def _id_at(number: int) -> str:
    """A UUID of version 7 with the place as its time: ids order as the episodes do."""
    return as_text(number.to_bytes(6, "big") + b"\x70\x00\x80\x00" + number.to_bytes(6, "big"))
