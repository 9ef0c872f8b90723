"""Question B4: the next step that the memory suggests, against the step that came, with its arguments."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random

import numpy as np

from ..model.advice import FINISH, SuggestedStep
from ..model.episode import Episode, Json
from . import texts
from .baselines import CHAIN, NextTools, Rows
from .bench import EMPTY, LEARNED, RANDOM, Arm, Bench
from .dataset import in_slice, is_success, task_of
from .experience import SHARES, first_tasks
from .metrics import shares
from .positions import Position, Scores, positions_of, tools_after
from .question import Answer, questions
from .replay import Replay
from .rows import Curve, LeftOut, Measured


def shuffled(episodes: Sequence[Episode], draw: Random) -> Sequence[Episode]:
    """The same episodes with the steps of all of them shuffled among them, as many to each as it had."""
    steps = [step for episode in episodes for step in episode.steps]
    draw.shuffle(steps)
    dealt = iter(steps)
    return [replace(episode, steps=tuple(islice(dealt, len(episode.steps)))) for episode in episodes]


DEPTHS = (1, 3)
SHUFFLED = Arm("shuffled", shuffled)
"""The control of B4: under the texts of other tasks the steps so far still predict the next one, here nothing
does.
"""
_FIXED = "logistic, results, domain, agent"
"""The baseline that every dataset is compared with, whichever is the best there."""
_CURVE_QUERIES = 2_000
_LISTED = 10


@questions.register("B4")
class NextStep:
    """Asks about every position of the successes of a fold; the memory knows the successes of the other folds."""

    name = "B4"
    title = "knows the next step"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """How often it is the first suggestion or among the first three, its arguments, and the learning curve."""
        positions = positions_of(each for each in bench.dataset.episodes if is_success(each))
        asked = _Asked.of(bench, positions)
        if not asked.rows:
            yield LeftOut(self.name, bench.dataset.name, "all", "no success outside a fold with successes")
            return
        found = _answered(bench, asked)
        episodes = [positions[row].episode for row in asked.rows]
        for depth in DEPTHS:
            yield from bench.sliced(found.measured(depth), episodes)
        yield from _arguments(bench, found.cases)
        yield _curve(bench, positions)
        if not texts.is_available():
            yield LeftOut(self.name, bench.dataset.name, "trained baselines", texts.MISSING)


@dataclass(frozen=True)
class _Asked:
    """The positions that are asked about, fold by fold, and those that are known meanwhile."""

    positions: Sequence[Position]
    folds: tuple[tuple[int, Rows, Rows], ...]

    @classmethod
    def of(cls, bench: Bench, positions: Sequence[Position], limit: int | None = None) -> _Asked:
        def task(row: int) -> str:
            return task_of(positions[row].episode)

        fold = np.array([bench.dataset.fold(position.episode) for position in positions], dtype=np.int64)
        chosen = np.zeros(len(positions), dtype=bool)
        chosen[bench.capped(range(len(positions)), task, limit)] = True
        parts = (
            (number, np.flatnonzero(fold != number), np.flatnonzero((fold == number) & chosen))
            for number in bench.dataset.folds
        )
        return cls(positions, tuple(part for part in parts if len(part[1]) and len(part[2])))

    @property
    def rows(self) -> list[int]:
        return [row for _, _, asked in self.folds for row in asked.tolist()]

    def at(self, rows: Rows) -> list[Position]:
        return [self.positions[row] for row in rows.tolist()]


@dataclass
class _Found:
    """The hits at each depth, by who suggested, in the order of the positions that are asked about."""

    tasks: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    hits: dict[tuple[str, str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    cases: list[_Case] = field(default_factory=list)

    def take(self, kind: str, name: str, scores: Scores, truths: Sequence[str]) -> None:
        for depth in DEPTHS:
            self.hits[kind, name, depth] += scores.hits(truths, depth)

    def measured(self, depth: int) -> Measured:
        def of(kind: str) -> dict[str, list[float]]:
            return {
                name: hits for (other, name, at), hits in self.hits.items() if (other, at) == (kind, depth)
            }

        return Measured(
            slice="all",
            metric=f"top{depth}",
            tasks=self.tasks,
            memory=of("memory")[LEARNED.name],
            baselines=of("baseline"),
            controls=of("control"),
            queries=self.queries,
            fixed=_FIXED,
        )


def _answered(bench: Bench, asked: _Asked) -> _Found:
    baselines = NextTools(asked.positions).train()
    found = _Found()
    for fold, known, rows in asked.folds:
        here = asked.at(rows)
        truths = [position.tool for position in here]
        tools = tools_after(asked.at(known))
        found.tasks += [task_of(position.episode) for position in here]
        found.queries += [bench.query_id(position.episode, position.taken) for position in here]
        for name, scores in baselines.scores(known, rows).items():
            found.take("baseline", name, scores, truths)
        for arm in (LEARNED, EMPTY, RANDOM, SHUFFLED):
            replay = bench.but_fold(fold, arm, successes=True)
            scores, first = _suggested(bench, replay, here, tools, arm)
            found.take("memory" if arm is LEARNED else "control", arm.name, scores, truths)
            if arm is LEARNED:
                found.cases += _cases(here, first, bench.training(fold, successes=True))
        found.take("control", "global", baselines.most_frequent(known, rows), truths)
    return found


def _suggested(
    bench: Bench, replay: Replay, positions: Sequence[Position], tools: tuple[str, ...], arm: Arm
) -> tuple[Scores, list[SuggestedStep | None]]:
    """The probability that a memory gives each tool, 0 for a tool that it does not list; and its first
    suggestions.
    """
    column = {tool: number for number, tool in enumerate(tools)}
    values = np.zeros((len(positions), len(tools)))
    first: list[SuggestedStep | None] = []
    for row, position in enumerate(bench.each(f"B4, {arm.name}", positions)):
        steps = replay.suggest(position.episode, position.taken, limit=_LISTED).steps
        for step in steps:
            if step.tool in column:
                values[row, column[step.tool]] = step.probability
        first.append(steps[0] if steps else None)
    return Scores(tools, values), first


# --- arguments ---


@dataclass(frozen=True)
class _Case:
    """A step that was suggested first: its true arguments, and those that each of several methods gives."""

    position: Position
    true: Mapping[str, Json]
    given: Mapping[str, Mapping[str, Json]]

    def right(self, name: str) -> int:
        """How many of the arguments are given as they were."""
        given = self.given[name]
        return sum(each in given and given[each] == value for each, value in self.true.items())


def _cases(
    positions: Sequence[Position], first: Sequence[SuggestedStep | None], known: Sequence[Episode]
) -> Iterator[_Case]:
    """The steps that were suggested first, if they have named arguments."""
    right = [
        (position, step)
        for position, step in zip(positions, first, strict=True)
        if step is not None and step.tool == position.tool != FINISH and _arguments_of(position)
    ]
    near = _Nearest(known, [position.episode for position, _ in right]) if texts.is_available() else None
    often = _most_frequent(known)
    for position, step in right:
        given: dict[str, Mapping[str, Json]] = {
            "memory": {each.name: each.value for each in step.arguments if each.filled},
            "most frequent value": often.get(step.tool, {}),
        }
        if near is not None:
            given["nearest episode"] = near.arguments(position)
        yield _Case(position, _arguments_of(position), given)


def _arguments_of(position: Position) -> Mapping[str, Json]:
    return named_arguments(position.episode.steps[position.taken].parameters)


def named_arguments(parameters: Json) -> Mapping[str, Json]:
    """The arguments of a step by name; empty if they have no names."""
    named: Mapping[str, Json] = parameters if isinstance(parameters, dict) else {}
    return named


class _Nearest:
    """Copies the arguments of a tool from the episode of the most similar task that used it."""

    def __init__(self, known: Sequence[Episode], asked: Sequence[Episode]) -> None:
        self._known = known
        self._rows = {text: row for row, text in enumerate(dict.fromkeys(each.task for each in asked))}
        cosines = (
            texts.all_words_tf_idf(list(self._rows), [each.task for each in known]) if self._rows else ()
        )
        self._order: list[list[int]] = [np.argsort(-row, kind="stable").tolist() for row in cosines]
        self._uses = [_uses(episode) for episode in known]

    def arguments(self, position: Position) -> Mapping[str, Json]:
        """The arguments of the same use of the tool (the first for the first), or of its last use if it was used
        less often.
        """
        before = [step.tool for step in position.episode.steps[: position.taken]].count(position.tool)
        for number in self._order[self._rows[position.episode.task]]:
            uses = self._uses[number].get(position.tool)
            if uses:
                return uses[min(before, len(uses) - 1)]
        return {}


def _uses(episode: Episode) -> dict[str, list[Mapping[str, Json]]]:
    uses: dict[str, list[Mapping[str, Json]]] = defaultdict(list)
    for step in episode.steps:
        uses[step.tool].append(named_arguments(step.parameters))
    return uses


def _most_frequent(known: Sequence[Episode]) -> dict[str, dict[str, Json]]:
    """Of each tool's arguments the value that they had most often."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    values: dict[str, Json] = {}
    for episode in known:
        for step in episode.steps:
            for name, value in named_arguments(step.parameters).items():
                counts[step.tool, name][repr(value)] += 1
                values[repr(value)] = value
    found: dict[str, dict[str, Json]] = defaultdict(dict)
    for (tool, name), counted in counts.items():
        found[tool][name] = values[counted.most_common(1)[0][0]]
    return found


def _arguments(bench: Bench, cases: Sequence[_Case]) -> Iterator[Answer]:
    if not cases:
        yield LeftOut(
            "B4", bench.dataset.name, "arguments", "no step that was suggested first has any by name"
        )
        return
    for name in bench.dataset.slices():
        chosen = [case for case in cases if in_slice(case.position.episode, name)]
        if chosen:
            yield from _argument_figures(bench, name, chosen)


def _argument_figures(bench: Bench, slice: str, cases: Sequence[_Case]) -> Iterator[Measured]:
    """Of all arguments the share that was filled right, and of those filled the share that was wrong."""
    right = {name: [case.right(name) for case in cases] for name in cases[0].given}
    filled = {name: [len(case.given[name]) for case in cases] for name in right}
    wrong = {
        name: [all_filled - good for all_filled, good in zip(filled[name], right[name], strict=True)]
        for name in right
    }
    true = [len(case.true) for case in cases]
    tasks = [task_of(case.position.episode) for case in cases]
    queries = [bench.query_id(case.position.episode, case.position.taken) for case in cases]
    figures = {
        "arguments_filled_right": ({name: shares(right[name], true) for name in right}, False),
        "filled_arguments_wrong": ({name: shares(wrong[name], filled[name]) for name in right}, True),
    }
    for metric, (values, lower) in figures.items():
        yield Measured(
            slice=slice,
            metric=metric,
            tasks=tasks,
            memory=values.pop("memory"),
            controls={"global": values.pop("most frequent value")},
            baselines=values,
            lower_is_better=lower,
            pool="all" if slice == "all" else None,
            queries=queries,
        )


# --- learning curve ---


def _curve(bench: Bench, positions: Sequence[Position]) -> Curve:
    """How often the first suggestion is right by how much is known, the same tasks first for all."""
    asked = _Asked.of(bench, positions, _CURVE_QUERIES)
    baselines = NextTools(positions)
    lines: dict[str, list[float]] = defaultdict(list)
    for share in SHARES:
        hits: dict[str, list[float]] = defaultdict(list)
        for _, known, rows in asked.folds:
            kept = first_tasks([task_of(position.episode) for position in asked.at(known)], share)
            known = known[[task_of(position.episode) in kept for position in asked.at(known)]]
            here = asked.at(rows)
            truths = [position.tool for position in here]
            hits["memory"] += _learned(bench, asked.at(known), here).hits(truths, 1)
            for name, scores in baselines.counted(known, rows).items():
                hits[name] += scores.hits(truths, 1)
        for name, values in hits.items():
            lines[name].append(math.fsum(values) / len(values))
    shown = {name: tuple(lines[name]) for name in ("memory", "chain by domain", CHAIN)}
    return Curve("B4", bench.dataset.name, "learning", "top1", SHARES, shown)


def _learned(bench: Bench, known: Sequence[Position], asked: Sequence[Position]) -> Scores:
    episodes = list({position.episode.id: position.episode for position in known}.values())
    with bench.of(episodes) as replay:
        return _suggested(bench, replay, asked, tools_after(known), LEARNED)[0]
