"""The figures of the evaluation, each a pure function; those over many queries are means of one value a query."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEPTH = 10
"""How far down a ranking the discounted gain looks."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of paired differences and its standard error, queries of one task taken together."""

    mean: float
    standard_error: float

    @property
    def counts(self) -> bool:
        """True for a difference beyond two standard errors."""
        return abs(self.mean) > 2 * self.standard_error


def paired(ours: Sequence[float], theirs: Sequence[float], tasks: Sequence[Hashable]) -> Difference:
    """The mean of `ours - theirs`, with an error that is robust to dependence between queries of one task.

    With m the mean of n differences d, and G tasks: sqrt(G / (G - 1) * sum over tasks of (sum of d - m)^2) / n (Liang
    and Zeger 1986). Not a number for a single task.
    """
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    mean = float(differences.mean())
    sums: dict[Hashable, float] = {}
    for task, difference in zip(tasks, differences.tolist(), strict=True):
        sums[task] = sums.get(task, 0.0) + difference - mean
    if len(sums) < 2:
        return Difference(mean, math.nan)
    squares = math.fsum(value * value for value in sums.values())
    return Difference(mean, math.sqrt(squares * len(sums) / (len(sums) - 1)) / len(differences))


def discounted_gain(gains: Sequence[float], available: Sequence[float], depth: int = DEPTH) -> float:
    """nDCG: the gains in the order they were found, linear, over those of the best order (Järvelin 2002)."""
    ideal = _discounted(sorted(available, reverse=True)[:depth])
    return _discounted(gains[:depth]) / ideal if ideal > 0 else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(place + 2) for place, gain in enumerate(gains))


def hit(gains: Sequence[float], depth: int) -> float:
    """1 if one of the first `depth` has the full gain of 1, else 0."""
    return float(any(gain >= 1 for gain in gains[:depth]))


def reciprocal_rank(gains: Sequence[float]) -> float:
    """1 / the place of the first with the full gain of 1; 0 if none has it."""
    return next((1 / place for place, gain in enumerate(gains, 1) if gain >= 1), 0.0)


def within(ranked: Sequence[str], truth: str, depth: int) -> float:
    """1 if the truth is among the first `depth`, else 0."""
    return float(truth in ranked[:depth])


def separations(happened: Sequence[bool], probabilities: Sequence[float]) -> list[float]:
    """A value for each query, with the area under the ROC curve as their mean, ties counted half.

    The value is the area plus the query's influence on it (DeLong 1988): paired differences of these values have the
    standard error of the difference of two areas. Not a number if only one outcome happened.
    """
    truth = np.asarray(happened, dtype=bool)
    scores = np.asarray(probabilities, dtype=np.float64)
    positives, negatives = np.sort(scores[truth]), np.sort(scores[~truth])
    if not len(positives) or not len(negatives):
        return [math.nan] * len(scores)
    share = np.where(truth, _share_below(negatives, scores), 1 - _share_below(positives, scores))
    area = float(share[truth].mean())
    weight = np.where(truth, len(scores) / len(positives), len(scores) / len(negatives))
    values: list[float] = (area + weight * (share - area)).tolist()
    return values


def separations_within(
    happened: Sequence[bool], probabilities: Sequence[float], groups: Sequence[Hashable]
) -> list[float]:
    """As `separations`, but a query is only ranked among those of its group; the mean weighs groups by their queries.

    A group in which only one outcome happened has no area: its queries have the mean of the others.
    """
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    values = np.full(len(groups), math.nan)
    for mine in rows.values():
        values[mine] = separations([happened[row] for row in mine], [probabilities[row] for row in mine])
    known = ~np.isnan(values)
    if known.any():
        values[~known] = values[known].mean()
    found: list[float] = values.tolist()
    return found


def _share_below(ordered: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    left, right = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    return (left + right) / (2.0 * len(ordered))


def shares(parts: Sequence[float], wholes: Sequence[float]) -> list[float]:
    """A value for each query, with sum(parts) / sum(wholes) as their mean.

    The value is the ratio plus the query's influence on it: paired differences of such values have the standard error
    of the difference of two ratios. Not a number if the wholes are all 0.
    """
    whole = math.fsum(wholes)
    if not whole:
        return [math.nan] * len(wholes)
    ratio, mean = math.fsum(parts) / whole, whole / len(wholes)
    return [ratio + (part - ratio * all_of_it) / mean for part, all_of_it in zip(parts, wholes, strict=True)]


def squared_errors(happened: Sequence[bool], probabilities: Sequence[float]) -> list[float]:
    """A value for each query, with the Brier score as their mean (Brier 1950); lower is better."""
    pairs = zip(happened, probabilities, strict=True)
    return [(probability - truth) ** 2 for truth, probability in pairs]


def calibration_error(happened: Sequence[float], probabilities: Sequence[float], bins: int = 10) -> float:
    """The expected calibration error: abs(predicted - observed) over equal bins, weighted by their queries."""
    buckets = calibration(happened, probabilities, bins)
    errors = math.fsum(count * abs(predicted - observed) for predicted, observed, count in buckets)
    return errors / max(1, len(probabilities))


def calibration(
    happened: Sequence[float], probabilities: Sequence[float], bins: int = 10
) -> list[tuple[float, float, int]]:
    """For each bin of equal width that holds queries: mean probability, share that happened, queries."""
    found: dict[int, list[tuple[float, float]]] = {}
    for truth, probability in zip(happened, probabilities, strict=True):
        found.setdefault(min(int(probability * bins), bins - 1), []).append((probability, float(truth)))
    return [
        (_mean([predicted for predicted, _ in pairs]), _mean([observed for _, observed in pairs]), len(pairs))
        for _, pairs in sorted(found.items())
    ]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def adjusted_rand(one: Sequence[Hashable], other: Sequence[Hashable]) -> float:
    """Agreement of two groupings, 1 at best and 0 by chance (Hubert and Arabie 1985)."""
    together = _pairs(Counter(zip(one, other, strict=True)).values())
    ours, theirs, all_pairs = (
        _pairs(Counter(one).values()),
        _pairs(Counter(other).values()),
        _pairs([len(one)]),
    )
    expected = ours * theirs / all_pairs if all_pairs else 0.0
    most = (ours + theirs) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def _pairs(counts: Iterable[int]) -> float:
    return math.fsum(count * (count - 1) / 2 for count in counts)
