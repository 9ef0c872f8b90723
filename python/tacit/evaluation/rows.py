"""The report: rows of figures, their baselines and controls, and the figures that cannot be had."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from .metrics import Difference, paired

T = TypeVar("T")

POOLED = "pooled"
"""The dataset of a row over all datasets."""
STRONGEST = "strongest of each"
"""In a pooled row: of each dataset the baseline that did best there, chosen afterwards."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure, query by query: `memory` and each baseline and control have a value for the same queries in order.

    `tasks` names the task of each query, and `queries` the query itself: the same id in every run of the evaluation.
    Without `queries` the id is the task with a number. The figure is the mean of the values. Figures of one `pool`
    (and metric) are also reported over all datasets together; `None` keeps a figure out of that. `fixed` names the
    baseline that stands beside the best one.
    """

    slice: str
    metric: str
    tasks: Sequence[str]
    memory: Sequence[float]
    baselines: Mapping[str, Sequence[float]] = field(default_factory=dict)
    controls: Mapping[str, Sequence[float]] = field(default_factory=dict)
    lower_is_better: bool = False
    pool: str | None = "all"
    queries: Sequence[str] = ()
    fixed: str | None = None

    def of(self, slice: str, chosen: Sequence[bool]) -> Measured:
        """The same figure of some of the queries; it is not pooled once more."""

        def part(values: Sequence[T]) -> list[T]:
            return [value for value, is_chosen in zip(values, chosen, strict=True) if is_chosen]

        return replace(
            self,
            slice=slice,
            tasks=part(self.tasks),
            memory=part(self.memory),
            baselines={name: part(values) for name, values in self.baselines.items()},
            controls={name: part(values) for name, values in self.controls.items()},
            pool=None,
            queries=part(self.query_ids),
        )

    @property
    def query_ids(self) -> Sequence[str]:
        """The id of each query: `queries`, or if it is empty the task and a number."""
        if self.queries:
            return self.queries
        met: Counter[str] = Counter()
        found = []
        for task in self.tasks:
            found.append(f"{task}#{met[task]}")
            met[task] += 1
        return found


@dataclass(frozen=True, slots=True)
class Total:
    """One figure that is no mean over queries; it has no standard error."""

    slice: str
    metric: str
    queries: int
    memory: float
    baselines: Mapping[str, float] = field(default_factory=dict)
    controls: Mapping[str, float] = field(default_factory=dict)
    lower_is_better: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A question, or one baseline, control or slice of it, that has no figure, and the reason.

    `failed` says that the question raised an exception, which `reason` names.
    """

    question: str
    dataset: str
    what: str
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of one question on one dataset, query by query if it has queries."""

    question: str
    dataset: str
    figure: Measured | Total


@dataclass(frozen=True, slots=True)
class Rule:
    """A heuristic or a fix that a memory of the whole dataset names, with its evidence; `agent` restricts it to
    one agent.

    `odds_ratio` with its 95% interval compares the success of episodes that followed it with that of episodes that
    took an alternative in the same place, within each agent and difficulty; `crude_odds_ratio` ignores both.
    `undecided`: the interval contains 1, or there is none. `weak`: few episodes followed it.
    """

    dataset: str
    kind: str
    rule: str
    agent: str | None
    trials: int
    successes: float
    mean: float
    low: float
    high: float
    odds_ratio: float | None
    odds_low: float | None
    odds_high: float | None
    crude_odds_ratio: float | None
    undecided: bool
    weak: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of the memory beside those of its baselines and controls, on the same queries.

    `difference` is the memory's figure minus that of `best_baseline`; `standard_error` is that of the paired
    difference, clustered by task, `None` for a figure that is no mean over queries. Of the metrics "brier" and
    "calibration_error" less is better. `fixed_baseline` is the same for every dataset: the best of several is chosen
    with the answers in sight, and so a little too good. Its difference is in `Report.comparisons`.
    """

    question: str
    dataset: str
    slice: str
    metric: str
    queries: int
    memory: float
    baselines: Mapping[str, float]
    controls: Mapping[str, float]
    best_baseline: str | None
    difference: float | None
    standard_error: float | None
    fixed_baseline: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The memory against one baseline or control of a row.

    `verdict` is "better" or "worse" beyond two standard errors, else "level"; `None` without a standard error.
    """

    question: str
    dataset: str
    slice: str
    metric: str
    against: str
    kind: str
    difference: float
    standard_error: float | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that an evaluation found."""

    rows: tuple[Row, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    rules: tuple[Rule, ...] = ()
    curves: tuple[Curve, ...] = ()
    results: tuple[Result, ...] = ()
    """The figures behind the rows, query by query; `to_json` leaves them out, `save_results` writes them."""

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; a figure that is not a number is `None`."""
        parts = ("rows", "left_out", "comparisons", "rules", "curves")
        return {name: [_plain(asdict(each)) for each in getattr(self, name)] for name in parts}

    def verdict(self) -> str:
        """A short paragraph: the figures that are better or worse than their best baseline, and those undecided.

        It rests on the figures of whole datasets that have a standard error; on those over all datasets together if
        there are several. Empty without such a figure.
        """
        found: dict[str, dict[str, list[str]]] = {"better": {}, "worse": {}, "level": {}}
        for row, verdict in self._headlines():
            name = row.metric if row.slice == "all" else f"{row.slice} {row.metric}"
            found[verdict].setdefault(row.question, []).append(name)
        parts = [
            f"{word} in {_listed(found[key])}."
            for key, word in (("better", "Better"), ("worse", "Worse"), ("level", "Undecided"))
            if found[key]
        ]
        return "\n".join(["On your data, against the best baseline of each figure:", *parts]) if parts else ""

    def _headlines(self) -> Iterator[tuple[Row, str]]:
        """The rows of whole datasets with the verdict against their best baseline; a pooled row replaces its parts."""
        verdicts = {
            (each.question, each.dataset, each.slice, each.metric, each.against): each.verdict
            for each in self.comparisons
        }
        whole = {
            (each.question, each.dataset, each.figure.slice, each.figure.metric): each.figure.pool or ""
            for each in self.results
            if isinstance(each.figure, Measured) and each.figure.pool is not None
        }
        pooled = {(row.question, row.slice, row.metric) for row in self.rows if row.dataset == POOLED}
        for row in self.rows:
            key = (row.question, row.dataset, row.slice, row.metric)
            is_part = (row.question, whole.get(key), row.metric) in pooled
            verdict = verdicts.get((*key, row.best_baseline or ""))
            if verdict is not None and (row.dataset == POOLED or (key in whole and not is_part)):
                yield row, verdict


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a plot: `y` over `x`, for the memory and its baselines."""

    question: str
    dataset: str
    kind: str
    """"learning" (x: share of the experience) or "calibration" (x: predicted, y: observed)."""
    metric: str
    x: tuple[float, ...]
    lines: Mapping[str, tuple[float, ...]]


def _listed(figures: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{question} ({', '.join(names)})" for question, names in figures.items())


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def row(question: str, dataset: str, measured: Measured | Total) -> Row:
    """The row of a figure."""
    baselines = {name: _figure(values) for name, values in measured.baselines.items()}
    controls = {name: _figure(values) for name, values in measured.controls.items()}
    best = _best(baselines, lower=measured.lower_is_better)
    memory = _figure(measured.memory)
    return Row(
        question=question,
        dataset=dataset,
        slice=measured.slice,
        metric=measured.metric,
        queries=len(measured.memory) if isinstance(measured, Measured) else measured.queries,
        memory=memory,
        baselines=baselines,
        controls=controls,
        best_baseline=best,
        difference=None if best is None else memory - baselines[best],
        standard_error=None if best is None else _standard_error(measured, measured.baselines[best]),
        fixed_baseline=_fixed(measured),
    )


def _fixed(measured: Measured | Total) -> str | None:
    name = measured.fixed if isinstance(measured, Measured) else None
    return name if name in measured.baselines else None


def _figure(values: Sequence[float] | float) -> float:
    return float(values) if isinstance(values, int | float) else float(np.mean(values))


def _best(figures: Mapping[str, float], *, lower: bool) -> str | None:
    """The first of the best; a figure that is not a number is not a figure."""
    known = {name: figure for name, figure in figures.items() if not math.isnan(figure)}
    if not known:
        return None
    return min(known, key=lambda name: known[name] if lower else -known[name])


def _difference(measured: Measured, values: Sequence[float]) -> Difference:
    return paired(measured.memory, values, measured.tasks)


def _standard_error(measured: Measured | Total, values: Any) -> float | None:
    return _difference(measured, values).standard_error if isinstance(measured, Measured) else None


def comparisons(question: str, dataset: str, measured: Measured | Total) -> list[Comparison]:
    """The memory against each baseline and control."""
    kinds: dict[str, Mapping[str, Any]] = {"baseline": measured.baselines, "control": measured.controls}
    return [
        _comparison(question, dataset, measured, name, kind, values)
        for kind, named in kinds.items()
        for name, values in named.items()
    ]


def _comparison(
    question: str, dataset: str, measured: Measured | Total, name: str, kind: str, values: Any
) -> Comparison:
    found = (
        _difference(measured, values)
        if isinstance(measured, Measured)
        else Difference(measured.memory - values, math.nan)
    )
    error = None if math.isnan(found.standard_error) else found.standard_error
    verdict = None if error is None else _verdict(found, lower=measured.lower_is_better)
    return Comparison(
        question, dataset, measured.slice, measured.metric, name, kind, found.mean, error, verdict
    )


def _verdict(found: Difference, *, lower: bool) -> str:
    if not found.counts:
        return "level"
    return "better" if (found.mean < 0) == lower else "worse"


def pool(parts: Iterable[tuple[str, Measured]]) -> list[Measured]:
    """Each figure over all datasets that have it: queries one after another, tasks kept apart by dataset.

    A baseline or control is kept if all parts have it; the strongest baseline of each part is added as one.
    """
    alike: dict[tuple[str | None, str], list[tuple[str, Measured]]] = {}
    for dataset, measured in parts:
        alike.setdefault((measured.pool, measured.metric), []).append((dataset, measured))
    return [_pooled(several) for several in alike.values() if len(several) > 1]


def _pooled(parts: Sequence[tuple[str, Measured]]) -> Measured:
    first = parts[0][1]
    baselines = _joined([part.baselines for _, part in parts])
    if all(part.baselines for _, part in parts):
        baselines[STRONGEST] = [value for _, part in parts for value in _strongest(part)]
    return Measured(
        slice=first.pool or "all",
        metric=first.metric,
        tasks=[f"{dataset}\n{task}" for dataset, part in parts for task in part.tasks],
        memory=[value for _, part in parts for value in part.memory],
        baselines=baselines,
        controls=_joined([part.controls for _, part in parts]),
        lower_is_better=first.lower_is_better,
        fixed=first.fixed,
        queries=[f"{dataset}\n{query}" for dataset, part in parts for query in part.query_ids],
    )


def _strongest(part: Measured) -> Sequence[float]:
    figures = {name: _figure(values) for name, values in part.baselines.items()}
    best = _best(figures, lower=part.lower_is_better)
    return part.baselines[best] if best is not None else [math.nan] * len(part.memory)


def _joined(parts: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, Sequence[float]]:
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: [value for part in parts for value in part[name]] for name in shared}
