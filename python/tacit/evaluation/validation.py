"""Pattern validation: the promises of patterns about held-out episodes, against the outcomes of those."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .. import _native
from ..extractors import Hybrid
from ..memory import Memory
from ..model.episode import Episode
from ..model.pattern import Pattern
from .bench import LEARNED, PLACEBO, Arm, Bench
from .dataset import task_of
from .metrics import calibration_error, shares
from .question import Answer, questions
from .rows import LeftOut, Measured, Total

MIN_TRIALS = 5
"""The least number of trials of a pattern that claims anything."""
DRAWS = 3
_MOST = 10_000
_NOT_FROM_OUTCOMES = ("error_recovery",)
"""Kinds with the result of the next step as evidence, in place of the episode's outcome."""


@dataclass(frozen=True, slots=True)
class Share:
    """How often a pattern did its job: of `trials` so many went well; mean and lower bound of the Beta posterior."""

    trials: float
    went_well: float
    mean: float
    low: float

    @classmethod
    def of(cls, pattern: Pattern) -> Share:
        """The share of a pattern: one trial an episode, by its outcome; of an error recovery each occurrence, by
        the next step.
        """
        trials, went_well = pattern.episodes, pattern.outcomes
        if pattern.kind in _NOT_FROM_OUTCOMES:
            trials, went_well = pattern.trials, pattern.successes
        mean, low, _ = _native.beta_interval(went_well, trials)
        return cls(trials, went_well, mean, low)


@dataclass
class _Claims:
    """The claims of patterns about the occurrences in each episode, and the results: sums by episode, and every
    pair.
    """

    right: list[float] = field(default_factory=list)
    claimed: list[float] = field(default_factory=list)
    went_well: list[float] = field(default_factory=list)
    occurrences: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    usual_errors: list[float] = field(default_factory=list)
    predicted: list[float] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)
    observed: list[float] = field(default_factory=list)

    def take(self, pairs: Sequence[tuple[Share, float]], usual: float) -> None:
        """Adds the occurrences in an episode: the share of each pattern so far, and its result this time."""
        claimed = [(share.low > usual, ok) for share, ok in pairs]
        self.right.append(sum(ok for is_claimed, ok in claimed if is_claimed))
        self.claimed.append(sum(is_claimed for is_claimed, _ in claimed))
        self.went_well.append(sum(ok for _, ok in pairs))
        self.occurrences.append(len(pairs))
        self.errors.append(sum((share.mean - ok) ** 2 for share, ok in pairs))
        self.usual_errors.append(sum((usual - ok) ** 2 for _, ok in pairs))
        self.predicted += [share.mean for share, _ in pairs]
        self.usual += [usual] * len(pairs)
        self.observed += [ok for _, ok in pairs]

    def usually(self) -> _Claims:
        """The same occurrences for a method that claims every pattern and predicts the usual share."""
        return replace(self, right=self.went_well, claimed=self.occurrences, errors=self.usual_errors)


@questions.register("patterns")
class Patterns:
    """Counts a pattern as a claim if its lower bound is above the usual share of its kind."""

    name = "patterns"
    title = "patterns keep what they promise"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """Precision, recall and F1 of the claims, the Brier score and the calibration of the means, by kind."""
        claims = _claims_of(bench, LEARNED, 0)
        placebo = [_claims_of(bench, PLACEBO, draw) for draw in range(DRAWS)] if claims else []
        reason = "equals the memory: patterns are made of steps, texts do not enter"
        yield LeftOut(self.name, bench.dataset.name, "control random", reason)
        for kind in Hybrid().names:
            reason_for_none = _reason_for_none(claims.get(kind, _Claims()))
            if reason_for_none is not None:
                yield LeftOut(self.name, bench.dataset.name, kind, reason_for_none)
                continue
            draws = [] if kind in _NOT_FROM_OUTCOMES else [draw[kind] for draw in placebo]
            yield from _figures(bench, kind, claims[kind], draws)
            if kind in _NOT_FROM_OUTCOMES:
                reason = "equals the memory: its evidence is what the next step came to, not the outcome"
                yield LeftOut(self.name, bench.dataset.name, f"{kind}: control placebo", reason)


def _reason_for_none(claims: _Claims) -> str | None:
    """The reason for a kind without figures; `None` if it has figures."""
    if not claims.predicted:
        return f"no pattern of this kind was seen {MIN_TRIALS} times and again in another fold"
    if len(set(claims.observed)) < 2:
        return "all that stood in other folds went alike: there is nothing to tell apart"
    return None


def _asked(bench: Bench) -> list[Episode]:
    return [each for fold in bench.dataset.folds for each in bench.held_out(fold)]


def _claims_of(bench: Bench, arm: Arm, draw: int) -> dict[str, _Claims]:
    """The claims by kind, over the episodes of all folds, each judged by patterns from the other folds."""
    found: dict[str, _Claims] = defaultdict(_Claims)
    finder = Hybrid()
    for fold in bench.dataset.folds:
        memory = bench.but_fold(fold, arm, draw=draw).memory
        known = {kind: _known(memory, kind) for kind in finder.names}
        usual = {kind: _usual(shares_of) for kind, shares_of in known.items()}
        for episode in bench.each(f"patterns, {arm.name}", bench.held_out(fold)):
            seen = _seen(finder, episode, known)
            for kind in known:
                found[kind].take(seen.get(kind, ()), usual[kind])
    return dict(found)


def _known(memory: Memory, kind: str) -> dict[str, Share]:
    patterns = memory.patterns(kind=kind, order="trials", min_trials=MIN_TRIALS, limit=_MOST)
    shares_of = {pattern.id: Share.of(pattern) for pattern in patterns}
    return {id: share for id, share in shares_of.items() if share.trials >= MIN_TRIALS}


def _usual(known: Mapping[str, Share]) -> float:
    trials = sum(share.trials for share in known.values())
    return sum(share.went_well for share in known.values()) / trials if trials else 0.5


def _seen(
    finder: Hybrid, episode: Episode, known: Mapping[str, Mapping[str, Share]]
) -> dict[str, list[tuple[Share, float]]]:
    """Of the patterns that are known those that stand in the episode, as often as they count there."""
    found: dict[str, list[tuple[Share, float]]] = defaultdict(list)
    counted = set()
    for finding in finder.extract(episode):
        share = known.get(finding.kind, {}).get(finding.pattern_id)
        if share is None or finding.pattern_id in counted:
            continue
        found[finding.kind].append((share, finding.ok))
        if finding.kind not in _NOT_FROM_OUTCOMES:
            counted.add(finding.pattern_id)
    return found


def _figures(
    bench: Bench, kind: str, claims: _Claims, placebo: Sequence[_Claims]
) -> Iterator[Measured | Total]:
    """Beside a memory that claims every pattern, and one that says the usual share of each.

    The first finds everything and the second is calibrated, both without knowing anything: they are no baselines of
    recall and calibration.
    """
    for metric, of in _FIGURES.items():
        draws = [of(draw) for draw in placebo]
        yield Measured(
            slice=kind,
            metric=metric,
            tasks=[task_of(each) for each in _asked(bench)],
            memory=of(claims),
            baselines={} if metric == "recall" else {"the usual": of(claims.usually())},
            controls={"placebo": _means(draws)} if draws else {},
            lower_is_better=metric == "brier",
            pool=kind,
            queries=[bench.query_id(each) for each in _asked(bench)],
        )
    yield Total(
        slice=kind,
        metric="calibration_error",
        queries=len(claims.observed),
        memory=calibration_error(claims.observed, claims.predicted),
        controls={"placebo": _mean([calibration_error(draw.observed, draw.predicted) for draw in placebo])}
        if placebo
        else {},
        lower_is_better=True,
    )


def _precision(claims: _Claims) -> list[float]:
    return shares(claims.right, claims.claimed)


def _recall(claims: _Claims) -> list[float]:
    return shares(claims.right, claims.went_well)


def _f1(claims: _Claims) -> list[float]:
    pairs = zip(claims.claimed, claims.went_well, strict=True)
    return shares([2 * right for right in claims.right], [claimed + good for claimed, good in pairs])


def _brier(claims: _Claims) -> list[float]:
    return shares(claims.errors, claims.occurrences)


_FIGURES: Mapping[str, Callable[[_Claims], list[float]]] = {
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "brier": _brier,
}


def _means(draws: Sequence[Sequence[float]]) -> list[float]:
    """The mean over the draws that have a figure."""
    kept = [draw for draw in draws if not any(map(math.isnan, draw))] or draws
    return [_mean(values) for values in zip(*kept, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
