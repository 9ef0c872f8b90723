"""The heuristics and fixes that a memory draws from a dataset, with their marks weak and undecided."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _native
from ..memory import Memory
from ..model.pattern import Heuristic, Pattern
from .bench import Bench
from .question import Answer, questions
from .rows import LeftOut, Rule

RECOVERIES = 50
MIN_TRIALS = 3
"""Fixes with fewer trials are not listed."""
HEURISTICS = 20
_FIRM_TRIALS = 5
_WIDE = 0.5
_MOST = 1_000


@questions.register("rules")
class Rules:
    """Lists the heuristics and fixes of a memory of all episodes; it asks no query and has no figure."""

    name = "rules"
    title = "names heuristics and fixes, and how sure they are"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """Fixes for errors, most trials first; then heuristics, and those about a first error agent by agent."""
        memory = bench.whole().memory
        found = [*_recoveries(bench.dataset.name, memory), *_heuristics(bench, memory)]
        yield from found
        if not found:
            yield LeftOut(
                self.name, bench.dataset.name, "all", "no error was followed by anything often enough"
            )


def _recoveries(dataset: str, memory: Memory) -> Iterator[Rule]:
    patterns = memory.patterns(kind="error_recovery", order="trials", min_trials=MIN_TRIALS, limit=RECOVERIES)
    for pattern in patterns:
        yield Rule(
            dataset=dataset,
            kind="error_recovery",
            rule=pattern.text,
            agent=None,
            trials=pattern.trials,
            successes=pattern.successes,
            mean=pattern.mean,
            low=pattern.low,
            high=pattern.high,
            odds_ratio=pattern.odds_ratio,
            odds_low=pattern.odds_low,
            odds_high=pattern.odds_high,
            crude_odds_ratio=None,
            undecided=pattern.undecided,
            weak=_is_weak(pattern),
        )


def _is_weak(pattern: Pattern) -> bool:
    return pattern.trials < _FIRM_TRIALS or pattern.high - pattern.low > _WIDE


def _heuristics(bench: Bench, memory: Memory) -> Iterator[Rule]:
    for heuristic in memory.heuristics(limit=HEURISTICS):
        yield _rule(bench.dataset.name, heuristic, None)
    for agent in (None, *sorted({each.agent for each in bench.dataset.episodes if each.agent is not None})):
        for heuristic in memory.heuristics(agent=agent, limit=_MOST):
            if "respond" in heuristic.do:
                yield _rule(bench.dataset.name, heuristic, agent)


def _rule(dataset: str, heuristic: Heuristic, agent: str | None) -> Rule:
    return Rule(
        dataset=dataset,
        kind="first_error" if "respond" in heuristic.do else "heuristic",
        rule=heuristic.text,
        agent=agent,
        trials=heuristic.trials,
        successes=heuristic.successes,
        mean=heuristic.mean,
        low=heuristic.low,
        high=heuristic.high,
        odds_ratio=heuristic.odds_ratio,
        odds_low=heuristic.odds_low,
        odds_high=heuristic.odds_high,
        crude_odds_ratio=_crude(heuristic),
        undecided=heuristic.undecided,
        weak=heuristic.weak,
    )


def _crude(heuristic: Heuristic) -> float | None:
    """The odds ratio of all episodes that followed it against all that did not, without strata."""
    others = sum(each.episodes for each in heuristic.alternatives)
    if not heuristic.episodes or not others:
        return None
    went_well = sum(each.outcomes for each in heuristic.alternatives)
    table = [heuristic.outcomes, heuristic.episodes - heuristic.outcomes, went_well, others - went_well]
    return float(_native.odds_ratio(np.array([table], dtype=np.float64))[0])
