"""Question B3: agreement of the clusters that a memory finds among successes with the kinds of their tasks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..credit.plans import plan_similarity
from ..model.episode import Episode
from .bench import Bench
from .dataset import is_success, task_of, tools_of
from .metrics import adjusted_rand
from .question import Answer, questions
from .rows import LeftOut, Total

_MOST = 10_000
_STARTS = 10


@questions.register("B3")
class Grouping:
    """Agreement with the domain, and with the kind of task if the file of tasks has one. It has no target."""

    name = "B3"
    title = "clusters successes as they are labelled"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """The adjusted Rand index of the memory's clusters over all successes; a success left alone is a cluster."""
        episodes = [episode for episode in bench.dataset.episodes if is_success(episode)]
        labels = _labels(bench, episodes)
        if not labels:
            yield LeftOut(self.name, bench.dataset.name, "all", "all its successes have one label")
            return
        groups = _found(bench, episodes)
        reason = "equals the memory: clusters are made of the steps of successes, texts do not enter"
        yield LeftOut(self.name, bench.dataset.name, "control random", reason)
        for slice, label in labels.items():
            yield Total(
                slice=slice,
                metric="ari",
                queries=len(episodes),
                memory=adjusted_rand(groups, label),
                baselines=_by_kmeans(episodes, label, bench.seed),
                controls={"empty": adjusted_rand(range(len(episodes)), label)},
            )


def _labels(bench: Bench, episodes: Sequence[Episode]) -> dict[str, list[Hashable]]:
    """The labellings that separate episodes, equal ones once."""
    gold = bench.dataset.gold
    kinds: list[Hashable] = [gold[key].label if (key := task_of(each)) in gold else None for each in episodes]
    domains: list[Hashable] = [each.context.domain for each in episodes]
    found = {"domain": domains, "kind of task": kinds}
    if kinds == domains:
        del found["kind of task"]
    return {name: label for name, label in found.items() if len(set(label)) > 1 and None not in label}


def _found(bench: Bench, episodes: Sequence[Episode]) -> list[Hashable]:
    """The cluster of each success: the one with the most similar plan. Without clusters each success stands alone."""
    plans = [cluster.plan for cluster in bench.whole().memory.clusters(limit=_MOST)]
    if not plans:
        return list(range(len(episodes)))
    group_of = {plan: _nearest(plan, plans) for plan in {tools_of(episode) for episode in episodes}}
    return [group_of[tools_of(episode)] for episode in episodes]


def _nearest(plan: tuple[str, ...], plans: Sequence[tuple[str, ...]]) -> int:
    return max(range(len(plans)), key=lambda number: (plan_similarity(plan, plans[number]), -number))


# --- baselines ---


def _by_kmeans(episodes: Sequence[Episode], label: Sequence[Hashable], seed: int) -> dict[str, float]:
    """k-means by the tools in use, and by pairs of neighbouring tools; as many groups as there are labels."""
    groups = len(set(label))
    return {
        name: adjusted_rand(_kmeans(_bags(episodes, parts), groups, seed), label)
        for name, parts in (("k-means of tools", tools_of), ("k-means of pairs", _pairs))
    }


def _pairs(episode: Episode) -> tuple[Hashable, ...]:
    tools = ("", *tools_of(episode), "")
    return tuple(pairwise(tools))


def _bags(episodes: Sequence[Episode], parts: Callable[[Episode], Sequence[Hashable]]) -> NDArray[np.float32]:
    """The parts that stand in each episode, scaled to length 1."""
    columns: dict[Hashable, int] = {}
    for episode in episodes:
        for part in parts(episode):
            columns.setdefault(part, len(columns))
    bags = np.zeros((len(episodes), max(1, len(columns))), dtype=np.float32)
    for row, episode in enumerate(episodes):
        for part in parts(episode):
            bags[row, columns[part]] = 1
    bags /= np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-9)
    return bags


def _kmeans(bags: NDArray[np.float32], groups: int, seed: int) -> list[int]:
    """The tightest of several starts."""
    found = [_native.kmeans(bags, groups, seed=seed + start)[0].tolist() for start in range(_STARTS)]
    return min(found, key=lambda labels: _spread(bags, labels))


def _spread(bags: NDArray[np.float32], labels: Sequence[int]) -> float:
    """The sum of squared distances from the centres."""
    numbers = np.asarray(labels)
    parts = (bags[numbers == number] for number in set(labels))
    return float(sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts))
