"""Question B1: the similar tasks that a task's text finds."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from random import Random

import numpy as np

from ..model.episode import Episode
from . import texts
from .bench import EMPTY, LEARNED, RANDOM, Arm, Bench
from .dataset import Dataset, Gold, task_of
from .experience import SHARES, first_tasks
from .metrics import discounted_gain, hit, reciprocal_rank
from .question import Answer, questions
from .replay import Replay
from .rows import Curve, LeftOut, Measured

FOUND = 100
"""How far down the rankings are read, the memory's and the baselines' alike."""

_WORD = re.compile(r"\w+")

Gain = Callable[[str, str], float]
"""The gain of a stored task for the asked one: 1 if it has all that is needed."""
Judge = Callable[[Sequence[float], Sequence[float]], float]
"""Judges the gains of a ranking beside those that were there to be found."""
METRICS: dict[str, Judge] = {
    "ndcg@10": discounted_gain,
    "hit@1": lambda gains, available: hit(gains, 1),
    "hit@5": lambda gains, available: hit(gains, 5),
    "mrr": lambda gains, available: reciprocal_rank(gains),
}


@dataclass(frozen=True)
class QuerySet:
    """Tasks that are asked about by their text, and the episodes among which others are to be found.

    `wordings` are the corpus as a baseline sees it: pairs of a task and a text. With `itself` the asked task may be
    found too, from its other episodes.
    """

    slice: str
    queries: Sequence[Episode]
    corpus: Sequence[Episode]
    wordings: Sequence[tuple[str, str]]
    gain: Gain
    itself: bool = False

    @cached_property
    def attempts(self) -> Mapping[str, Sequence[Episode]]:
        """The episodes of each stored task."""
        found: dict[str, list[Episode]] = {}
        for episode in self.corpus:
            found.setdefault(task_of(episode), []).append(episode)
        return found


@questions.register("B1")
class TaskRetrieval:
    """A stored task's place is that of its best episode."""

    name = "B1"
    title = "finds similar tasks by their text"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """The figures of each set of queries that the dataset allows."""
        for found in query_sets(bench.dataset):
            if isinstance(found, LeftOut):
                yield found
            elif not found.queries:
                yield LeftOut(self.name, bench.dataset.name, found.slice, "no task has an equal elsewhere")
            else:
                yield from _measured(bench, found)
                yield _curve(bench, found)
        if not texts.is_available():
            yield LeftOut(self.name, bench.dataset.name, "baselines", texts.MISSING)


# --- which tasks are alike ---


def query_sets(dataset: Dataset) -> Iterator[QuerySet | LeftOut]:
    """The query sets of a dataset, by its gold solutions and its wordings."""
    first = {key: several[0] for key, several in dataset.tasks.items()}
    several = [key for key, attempts in dataset.tasks.items() if len({each.task for each in attempts}) > 1]
    worded = 2 * len(several) > len(dataset.tasks)
    gains = gain_of(dataset.gold)
    if gains is None and not worded:
        yield LeftOut(
            "B1", dataset.name, "all", "it is not known which of its tasks are alike: no file of tasks"
        )
        return
    if worded:
        yield from _by_wording(dataset, first, gains)
    elif gains is not None:
        yield _by_task(dataset, first, gains)


def _by_task(dataset: Dataset, first: Mapping[str, Episode], gains: tuple[str, Gain]) -> QuerySet:
    """Each task with a known gain, once: only the first of those with the same text."""
    _, gain = gains
    first_of = {episode.task: key for key, episode in reversed(list(first.items())) if gain(key, key) >= 1}
    kept = {key: first[key] for key in first if key in set(first_of.values())}
    corpus = [episode for episode in dataset.episodes if task_of(episode) in kept]
    wordings = [(key, episode.task) for key, episode in kept.items()]
    return QuerySet("all", _with_equal(kept, kept, gain), corpus, wordings, gain)


def _by_wording(
    dataset: Dataset, first: Mapping[str, Episode], gains: tuple[str, Gain] | None
) -> Iterator[QuerySet | LeftOut]:
    """The first wording of each task is asked about, all others are stored."""
    firsts = {episode.id for episode in first.values()}
    corpus = [episode for episode in dataset.episodes if episode.id not in firsts]
    stored = {task_of(episode) for episode in corpus}
    wordings = list({(task_of(each), each.task): None for each in corpus})
    asked = [episode for key, episode in first.items() if key in stored]
    yield QuerySet("other wording", asked, corpus, wordings, _is_itself, itself=True)
    if gains is None:
        yield LeftOut("B1", dataset.name, "other tasks", "it is not known which of its tasks are alike")
        return
    name, gain = gains
    yield QuerySet(name, _with_equal(first, stored, gain), corpus, wordings, gain)


def _is_itself(ours: str, other: str) -> float:
    return float(ours == other)


def _with_equal(asked: Mapping[str, Episode], stored: Iterable[str], gain: Gain) -> list[Episode]:
    """The tasks for which another stored task has everything that is needed."""
    others = list(stored)
    return [
        episode
        for key, episode in asked.items()
        if any(gain(key, other) >= 1 for other in others if other != key)
    ]


def gain_of(gold: Mapping[str, Gold]) -> tuple[str, Gain] | None:
    """How alike two tasks are, by the first of these that is known of them: tools that write, tables, solutions."""
    known = gold.values()
    if any(each.write_tools for each in known):
        return "same changes", _shared_changes(gold)
    if any(each.tables for each in known):
        return "same tables", _shared_tables(gold)
    if any(each.actions for each in known):
        return "same plan", _shared_plan(gold)
    return None


def _shared_changes(gold: Mapping[str, Gold]) -> Gain:
    """The Jaccard similarity of the tools that write, within a domain."""

    def gain(ours: str, other: str) -> float:
        one, two = gold.get(ours), gold.get(other)
        if one is None or two is None or one.domain != two.domain:
            return 0.0
        return _jaccard(one.write_tools, two.write_tools)

    return gain


def _shared_tables(gold: Mapping[str, Gold]) -> Gain:
    """1 for the same solution, else within the domain half the share of the tables that both need."""

    def gain(ours: str, other: str) -> float:
        one, two = gold.get(ours), gold.get(other)
        if one is None or two is None:
            return 0.0
        if one.actions and solutions[ours] == solutions[other]:
            return 1.0
        return 0.5 * _jaccard(used[ours], used[other]) if one.domain == two.domain else 0.0

    solutions = {
        key: [(each.name, each.arguments.lower()) for each in task.actions] for key, task in gold.items()
    }
    used = {key: _used_tables(task) for key, task in gold.items()}
    return gain


def _used_tables(gold: Gold) -> frozenset[str]:
    """The tables that the solution names."""
    words = {word for action in gold.actions for word in _WORD.findall(action.arguments.lower())}
    return frozenset(table for table in gold.tables if table.lower() in words)


def _shared_plan(gold: Mapping[str, Gold]) -> Gain:
    """1 for the same steps with the same arguments, half for the same tools in the same order."""

    def gain(ours: str, other: str) -> float:
        mine, theirs = plans.get(ours), plans.get(other)
        if not mine or not theirs:
            return 0.0
        if mine == theirs:
            return 1.0
        return 0.5 if [step.name for step in mine] == [step.name for step in theirs] else 0.0

    way = _way_there(gold)
    plans = {key: [step for step in task.actions if step.name not in way] for key, task in gold.items()}
    return gain


def _way_there(gold: Mapping[str, Gold]) -> set[str]:
    """The tools that nine of ten solutions use again and again, such as moving: they separate no tasks."""
    solutions = [Counter(action.name for action in task.actions) for task in gold.values() if task.actions]
    again = Counter(name for solution in solutions for name, count in solution.items() if count > 1)
    return {name for name, count in again.items() if 10 * count >= 9 * len(solutions)}


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


# --- who finds them ---


def _measured(bench: Bench, asked: QuerySet) -> Iterator[Measured]:
    queries = bench.capped(asked.queries, task_of)
    memory = _gains(asked, queries, _remembered(bench, asked, queries, LEARNED))
    controls = {
        arm.name: _gains(asked, queries, _remembered(bench, asked, queries, arm)) for arm in (EMPTY, RANDOM)
    }
    controls["global"] = _gains(asked, queries, _most_frequent(asked, queries))
    baselines = {name: _gains(asked, queries, ranked) for name, ranked in _by_text(asked, queries).items()}
    available = _gains(asked, queries, [_stored(asked, query) for query in queries])
    for metric, judge in METRICS.items():
        judged = partial(_judged, judge, available)
        yield Measured(
            slice=asked.slice,
            metric=metric,
            tasks=[task_of(query) for query in queries],
            memory=judged(memory),
            baselines={name: judged(gains) for name, gains in baselines.items()},
            controls={name: judged(gains) for name, gains in controls.items()},
            queries=[bench.query_id(query) for query in queries],
        )


def _curve(bench: Bench, asked: QuerySet) -> Curve:
    """The discounted gain by the share of tasks that is stored, the same tasks first for all methods."""
    queries = bench.capped(asked.queries, task_of)
    available = _gains(asked, queries, [_stored(asked, query) for query in queries])
    lines: dict[str, list[float]] = defaultdict(list)
    for share in SHARES:
        kept = first_tasks([key for key, _ in asked.wordings], share)
        part = replace(
            asked,
            corpus=[episode for episode in asked.corpus if task_of(episode) in kept],
            wordings=[(key, text) for key, text in asked.wordings if key in kept],
        )
        ranked = {"memory": _remembered(bench, part, queries, LEARNED), **_by_text(part, queries)}
        for name, found in ranked.items():
            judged = _judged(discounted_gain, available, _gains(asked, queries, found))
            lines[name].append(math.fsum(judged) / len(judged))
    shown = {name: tuple(line) for name, line in lines.items()}
    return Curve("B1", bench.dataset.name, "learning", f"ndcg@10, {asked.slice}", SHARES, shown)


def _gains(asked: QuerySet, queries: Sequence[Episode], ranked: Sequence[Sequence[str]]) -> list[list[float]]:
    pairs = zip(queries, ranked, strict=True)
    return [[asked.gain(task_of(query), key) for key in keys] for query, keys in pairs]


def _judged(
    judge: Judge, available: Sequence[Sequence[float]], found: Sequence[Sequence[float]]
) -> list[float]:
    return [judge(gains, there) for gains, there in zip(found, available, strict=True)]


def _stored(asked: QuerySet, query: Episode) -> list[str]:
    """The tasks that may be found."""
    return [key for key in asked.attempts if asked.itself or key != task_of(query)]


def _remembered(bench: Bench, asked: QuerySet, queries: Sequence[Episode], arm: Arm) -> list[list[str]]:
    """The tasks that a memory of the corpus finds. An empty one knows of no task: any order is as good."""
    if arm is EMPTY:
        return [_shuffled(bench, asked, query) for query in queries]
    with bench.of(asked.corpus, arm) as replay:
        watched = bench.each(f"B1 {asked.slice}, {arm.name}", queries)
        return [_found(replay, asked, query) for query in watched]


def _found(replay: Replay, asked: QuerySet, query: Episode) -> list[str]:
    mine = () if asked.itself else asked.attempts.get(task_of(query), ())
    with replay.without(mine):
        hits = replay.recall(query, limit=FOUND, text_alone=True).hits
        return list(dict.fromkeys(task_of(replay.episode(hit.episode_id)) for hit in hits))


def _shuffled(bench: Bench, asked: QuerySet, query: Episode) -> list[str]:
    keys = _stored(asked, query)
    Random(f"{bench.seed} {task_of(query)}").shuffle(keys)
    return keys[:FOUND]


def _most_frequent(asked: QuerySet, queries: Sequence[Episode]) -> list[list[str]]:
    """The tasks that were attempted most often, whatever is asked."""
    counts = Counter(task_of(episode) for episode in asked.corpus)
    ranked = [key for key, _ in counts.most_common()]
    return [[key for key in ranked if asked.itself or key != task_of(query)][:FOUND] for query in queries]


def _by_text(asked: QuerySet, queries: Sequence[Episode]) -> dict[str, list[list[str]]]:
    """The tasks in the order of the best of their wordings."""
    if not texts.is_available():
        return {}
    found = {}
    for name, baseline in texts.BASELINES.items():
        scores = baseline([query.task for query in queries], [text for _, text in asked.wordings])
        found[name] = [
            _ranked([key for key, _ in asked.wordings], row, asked, query)
            for row, query in zip(scores, queries, strict=True)
        ]
    return found


def _ranked(keys: Sequence[str], scores: texts.Similarities, asked: QuerySet, query: Episode) -> list[str]:
    order: Iterator[str] = (keys[int(place)] for place in np.argsort(-scores, kind="stable"))
    return list(dict.fromkeys(key for key in order if asked.itself or key != task_of(query)))[:FOUND]
