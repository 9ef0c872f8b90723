"""Question B5: the step that worked after an error, against the first fix of the memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from .. import _native
from ..model.episode import Episode
from .bench import EMPTY, LEARNED, Arm, Bench
from .dataset import task_of
from .metrics import within
from .next_steps import SHUFFLED
from .question import Answer, questions
from .rows import LeftOut, Measured

DEPTHS = (1, 3)
ALONE = "tool and error"
WITH_STEPS = "with the steps so far"
_FEW = 100
"""Fewer events than this say little, whoever is asked."""


@dataclass(frozen=True, slots=True)
class Event:
    """A failed step, counted from 0, and the tool of the next step, which worked."""

    episode: Episode
    failed: int
    tool: str

    @property
    def error_class(self) -> str:
        """Errors that differ in names and numbers alone are of one class."""
        return _native.error_class(self.episode.steps[self.failed].error or "")


def events_of(episodes: Sequence[Episode]) -> list[Event]:
    """Every error that was followed by a step that worked.

    The last step of a run that did not succeed worked for nothing: it ended the run.
    """
    return [
        Event(episode, place, following.tool)
        for episode in episodes
        for place, (step, following) in enumerate(zip(episode.steps, episode.steps[1:], strict=False))
        if step.ok is False and following.ok is True and not _ends_in_vain(episode, place + 1)
    ]


def _ends_in_vain(episode: Episode, place: int) -> bool:
    is_success = episode.outcome is not None and episode.outcome.kind == "success"
    return place == len(episode.steps) - 1 and not is_success


@questions.register("B5")
class Recovery:
    """Asked by tool and error alone, then with the steps so far."""

    name = "B5"
    title = "knows the fix for an error"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """The share of events with the tool that worked as the first fix, or among the first three."""
        events = bench.capped(_answerable(bench), _task)
        left_out = partial(LeftOut, self.name, bench.dataset.name)
        if not events:
            yield left_out("all", "no error outside a fold was followed by a step that worked")
            return
        if len(events) < _FEW:
            yield left_out("certainty", f"only {len(events)} errors were followed by a step that worked")
        yield from _answers(bench, events, with_steps=False).measured(ALONE)
        yield left_out("control random", "equals the memory: neither text nor domain decides on a fix")
        yield from _answers(bench, events, with_steps=True).measured(WITH_STEPS)
        yield left_out(
            "control placebo", "outcomes of episodes do not enter, only whether the next step worked"
        )


def _task(event: Event) -> str:
    return task_of(event.episode)


def _answerable(bench: Bench) -> list[Event]:
    """Those that the other folds have seen anything like."""
    folds = [fold for fold in bench.dataset.folds if events_of(bench.training(fold))]
    return [
        event for event in events_of(bench.dataset.episodes) if bench.dataset.fold(event.episode) in folds
    ]


@dataclass
class _Answers:
    """The ranking of each method for each event, best first."""

    tasks: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)
    memory: list[Sequence[str]] = field(default_factory=list)
    baselines: dict[str, list[Sequence[str]]] = field(default_factory=lambda: defaultdict(list))
    controls: dict[str, list[Sequence[str]]] = field(default_factory=lambda: defaultdict(list))

    def measured(self, slice: str) -> Iterator[Measured]:
        for depth in DEPTHS:
            yield Measured(
                slice=slice,
                metric=f"top{depth}",
                tasks=self.tasks,
                memory=self._hits(self.memory, depth),
                baselines={name: self._hits(ranked, depth) for name, ranked in self.baselines.items()},
                controls={name: self._hits(ranked, depth) for name, ranked in self.controls.items()},
                pool=slice,
                queries=self.queries,
                fixed="tool and class",
            )

    def _hits(self, ranked: Sequence[Sequence[str]], depth: int) -> list[float]:
        pairs = zip(ranked, self.truths, strict=True)
        return [within(tools, truth, depth) for tools, truth in pairs]


def _answers(bench: Bench, events: Sequence[Event], *, with_steps: bool) -> _Answers:
    found = _Answers()
    for fold in bench.dataset.folds:
        here = [event for event in events if bench.dataset.fold(event.episode) == fold]
        if not here:
            continue
        known = events_of(bench.training(fold))
        found.tasks += [_task(event) for event in here]
        found.queries += [bench.query_id(event.episode, event.failed) for event in here]
        found.truths += [event.tool for event in here]
        found.memory += _remembered(bench, fold, here, LEARNED, with_steps)
        for arm in (EMPTY, SHUFFLED):
            found.controls[arm.name] += _remembered(bench, fold, here, arm, with_steps)
        usual = Counter(step.tool for episode in bench.training(fold) for step in episode.steps)
        found.controls["global"] += [[tool for tool, _ in _ordered(usual)]] * len(here)
        for name, keys in BASELINES.items():
            table = Table(known, keys)
            found.baselines[name] += [table.ranked(event) for event in here]
    return found


def _remembered(
    bench: Bench, fold: int, events: Sequence[Event], arm: Arm, with_steps: bool
) -> list[Sequence[str]]:
    """The fixes that a memory names. An empty memory names none."""
    replay = bench.but_fold(fold, arm)
    watched = bench.each(f"B5, {arm.name}", events)
    return [
        [way.tool for way in replay.recover(event.episode, event.failed, with_steps=with_steps).ways]
        for event in watched
    ]


# --- tables ---

Key = Callable[[Event], Hashable]


def _nothing(event: Event) -> Hashable:
    return ()


def _tool(event: Event) -> Hashable:
    return event.episode.steps[event.failed].tool


def _tool_and_class(event: Event) -> Hashable:
    return _tool(event), event.error_class


BASELINES: Mapping[str, Sequence[Key]] = {
    "prior": (_nothing,),
    "tool": (_tool, _nothing),
    "tool and class": (_tool_and_class, _tool, _nothing),
}
"""How each table looks an event up: by the first of its keys that was seen."""


class Table:
    """The tools that worked after errors of one key, most frequent first; then those of the next key."""

    def __init__(self, events: Sequence[Event], keys: Sequence[Key]) -> None:
        self._keys = keys
        self._counts: list[dict[Hashable, Counter[str]]] = [defaultdict(Counter) for _ in keys]
        for event in events:
            for key, counts in zip(keys, self._counts, strict=True):
                counts[key(event)][event.tool] += 1

    def ranked(self, event: Event) -> list[str]:
        """Each tool once; equals in the order of how often they worked after any of the wider keys."""
        seen = [
            counts.get(key(event), Counter()) for key, counts in zip(self._keys, self._counts, strict=True)
        ]
        tools = {tool for counter in seen for tool in counter}
        return sorted(tools, key=lambda tool: ([-counter[tool] for counter in seen], tool))


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
