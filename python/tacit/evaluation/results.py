"""Per-query results of an evaluation: written to a file, read back, and compared with those of another run.

A file of results is gzipped JSON lines. The first line names the format, `{"tacit_results": 1, ...}`. A line with
`ids` is a list of queries: their ids, and a number for the task of each. Every other line is one figure: its question,
dataset, slice and metric, the number of its list of queries, and one value a query for the memory, each baseline and
each control. A figure that is no mean over queries has single values and `count` instead. `null` is a value that is
not a number.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ValidationError
from .metrics import paired
from .rows import POOLED, Measured, Result, Total

FORMAT = 1
"""The version of the file format."""
DIGITS = 6
"""Digits after the point of a stored value; smaller differences are not compared."""
_SMALLEST = 10.0**-DIGITS
_MAGIC = b'{"tacit_results":'

Key = tuple[str, str, str, str]
"""Question, dataset, slice and metric: the identity of a row."""


class _Header(msgspec.Struct):
    tacit_results: int
    version: str = ""


class _Queries(msgspec.Struct):
    """A list of queries. `tasks` has a number for the task of each, in order of appearance."""

    number: int
    ids: list[str]
    tasks: list[int]


class _Figure(msgspec.Struct):
    """A figure; a value is a list with one value a query, or a single value if `queries` is `None`."""

    question: str
    dataset: str
    slice: str
    metric: str
    queries: int | None
    count: int
    lower_is_better: bool
    pool: str | None
    memory: Any
    baselines: dict[str, Any]
    controls: dict[str, Any]


# --- files ---


def save_results(results: Iterable[Result], path: str | Path) -> None:
    """Writes results to a gzipped file; equal results give equal bytes.

    Raises `ValidationError` for a path that cannot be written.
    """
    try:
        with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            for line in _lines(results):
                packed.write(msgspec.json.encode(line) + b"\n")
    except OSError as error:
        raise ValidationError("save", "a path that can be written", f"{path}: {error.strerror}") from error


def _lines(results: Iterable[Result]) -> Iterator[Any]:
    from .. import __version__

    yield _Header(FORMAT, __version__)
    numbers: dict[tuple[str, ...], int] = {}
    for result in results:
        figure = result.figure
        queries = None
        if isinstance(figure, Measured):
            ids = tuple(figure.query_ids)
            if ids not in numbers:
                numbers[ids] = len(numbers)
                yield _Queries(numbers[ids], list(ids), _numbered(figure.tasks))
            queries = numbers[ids]
        yield _Figure(
            question=result.question,
            dataset=result.dataset,
            slice=figure.slice,
            metric=figure.metric,
            queries=queries,
            count=len(figure.memory) if isinstance(figure, Measured) else figure.queries,
            lower_is_better=figure.lower_is_better,
            pool=figure.pool if isinstance(figure, Measured) else None,
            memory=_stored(figure.memory),
            baselines={name: _stored(values) for name, values in figure.baselines.items()},
            controls={name: _stored(values) for name, values in figure.controls.items()},
        )


def _numbered(tasks: Sequence[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(task, len(numbers)) for task in tasks]


def _stored(values: Sequence[float] | float) -> Any:
    """Rounded values; a whole number without its point, `None` for a value that is not finite."""
    if not isinstance(values, int | float):
        return [_stored(value) for value in values]
    if not math.isfinite(values):
        return None
    rounded = round(values, DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def is_results(path: str | Path) -> bool:
    """True if the file holds results; False for any other file, or none."""
    try:
        with gzip.open(path) as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except (OSError, EOFError):
        return False


def load_results(path: str | Path) -> tuple[Result, ...]:
    """The results of a file that `save_results` wrote.

    Raises `ValidationError` for a file that cannot be read or holds anything else.
    """
    try:
        with gzip.open(path) as file:
            lines = file.read().splitlines()
        header = msgspec.json.decode(lines[0] if lines else b"{}", type=_Header)
        if header.tacit_results != FORMAT:
            raise ValidationError("file", f"results in format {FORMAT}", f"format {header.tacit_results}")
        return tuple(_results(lines[1:]))
    except (OSError, EOFError) as error:
        raise ValidationError("file", "a readable file of results", f"{path}: {error}") from error
    except (msgspec.DecodeError, KeyError) as error:
        raise ValidationError("file", "a file that `tacit eval --save` wrote", f"{path}: {error}") from error


def _results(lines: Iterable[bytes]) -> Iterator[Result]:
    lists: dict[int, _Queries] = {}
    for line in lines:
        if line.startswith(b'{"number":'):
            queries = msgspec.json.decode(line, type=_Queries)
            lists[queries.number] = queries
        else:
            stored = msgspec.json.decode(line, type=_Figure)
            yield Result(stored.question, stored.dataset, _figure(stored, lists))


def _figure(stored: _Figure, lists: Mapping[int, _Queries]) -> Measured | Total:
    memory = _loaded(stored.memory)
    baselines = {name: _loaded(values) for name, values in stored.baselines.items()}
    controls = {name: _loaded(values) for name, values in stored.controls.items()}
    if stored.queries is None:
        return Total(
            stored.slice, stored.metric, stored.count, memory, baselines, controls, stored.lower_is_better
        )
    queries = lists[stored.queries]
    return Measured(
        slice=stored.slice,
        metric=stored.metric,
        tasks=[str(task) for task in queries.tasks],
        memory=memory,
        baselines=baselines,
        controls=controls,
        lower_is_better=stored.lower_is_better,
        pool=stored.pool,
        queries=queries.ids,
    )


def _loaded(values: Any) -> Any:
    if isinstance(values, list):
        return [_loaded(value) for value in values]
    return math.nan if values is None else float(values)


# --- comparison ---


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row now and before, on the queries that both runs asked.

    `difference` is now minus before, the mean of the differences query by query; `standard_error` is clustered by
    task, `None` for a figure that is no mean over queries. `verdict` is "better" or "worse" beyond two standard
    errors, else "level"; `None` if the row changed and has no standard error. `unpaired` counts the queries of one
    run only. `yardsticks_changed` names the baselines and controls whose own figures changed.
    """

    question: str
    dataset: str
    slice: str
    metric: str
    queries: int
    unpaired: int
    before: float
    now: float
    difference: float
    standard_error: float | None
    verdict: str | None
    yardsticks_changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultsComparison:
    """All rows of two runs of the evaluation; rows of one run only are named `question, dataset, slice, metric`."""

    changes: tuple[RowChange, ...]
    only_before: tuple[str, ...] = ()
    only_now: tuple[str, ...] = ()

    def worse(self) -> tuple[RowChange, ...]:
        """The rows that are worse by more than two standard errors."""
        return tuple(change for change in self.changes if change.verdict == "worse")

    def better(self) -> tuple[RowChange, ...]:
        """The rows that are better by more than two standard errors."""
        return tuple(change for change in self.changes if change.verdict == "better")

    def verdict(self) -> str:
        """One line: no row is worse by more than two standard errors, or how many are."""
        number = len(self.changes)
        if not number:
            return "no row to compare"
        worse = len(self.worse())
        if not worse:
            return f"no row worse by more than two standard errors ({number:,} compared)"
        return f"{worse:,} of {number:,} rows worse by more than two standard errors"

    def to_json(self) -> dict[str, Any]:
        """As plain values, the verdict among them; a figure that is not a number is `None`."""
        changes = [
            {
                name: None if isinstance(value, float) and not math.isfinite(value) else value
                for name, value in asdict(change).items()
            }
            for change in self.changes
        ]
        return {
            "verdict": self.verdict(),
            "changes": changes,
            "only_before": list(self.only_before),
            "only_now": list(self.only_now),
        }


def compare_results(now: Iterable[Result], before: Iterable[Result]) -> ResultsComparison:
    """Compares two runs of the evaluation row by row, paired by query and clustered by task.

    A row is compared if both runs have it; the rows of a pool also over all datasets together.

    Example:
        >>> from tacit.evaluation import compare_results, load_results
        >>> comparison = compare_results(load_results("new.json.gz"), load_results("old.json.gz"))  # doctest: +SKIP
        >>> print(comparison.verdict())  # doctest: +SKIP
        no row worse by more than two standard errors (214 compared)
    """
    ours, theirs = _by_key(now), _by_key(before)
    shared = [key for key in ours if key in theirs]
    pairs: list[tuple[Result, _Pairs]] = []
    changes = []
    for key in shared:
        result, other = ours[key], theirs[key].figure
        if isinstance(result.figure, Measured) and isinstance(other, Measured):
            pairs.append((result, _paired(result.figure, other)))
            changes.append(_change(result, pairs[-1][1], _changed(result.figure, other)))
        elif isinstance(result.figure, Total) and isinstance(other, Total):
            changes.append(_total_change(result, result.figure, other))
    changes += [_change(result, together, ()) for result, together in _pooled(pairs)]
    return ResultsComparison(
        changes=tuple(sorted((each for each in changes if each.queries), key=lambda each: each.question)),
        only_before=tuple(", ".join(key) for key in theirs if key not in ours),
        only_now=tuple(", ".join(key) for key in ours if key not in theirs),
    )


def _by_key(results: Iterable[Result]) -> dict[Key, Result]:
    return {
        (result.question, result.dataset, result.figure.slice, result.figure.metric): result
        for result in results
    }


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The values of the queries that both runs asked, in one order."""

    tasks: Sequence[str]
    now: Sequence[float]
    before: Sequence[float]
    unpaired: int


def _paired(ours: Measured, theirs: Measured) -> _Pairs:
    place = {query: number for number, query in enumerate(theirs.query_ids)}
    rows = [
        (row, place[query]) for row, query in enumerate(ours.query_ids) if query in place
    ]  # (row now, row before)
    return _Pairs(
        tasks=[ours.tasks[row] for row, _ in rows],
        now=_loaded(_stored([ours.memory[row] for row, _ in rows])),
        before=_loaded(_stored([theirs.memory[row] for _, row in rows])),
        unpaired=len(ours.memory) + len(theirs.memory) - 2 * len(rows),
    )


def _changed(ours: Measured, theirs: Measured) -> tuple[str, ...]:
    """The baselines and controls whose values differ between two runs that asked the same queries."""
    if list(ours.query_ids) != list(theirs.query_ids):
        return ()
    one, other = {**ours.baselines, **ours.controls}, {**theirs.baselines, **theirs.controls}
    return tuple(
        name for name, values in one.items() if name in other and _stored(values) != _stored(other[name])
    )


def _change(result: Result, pairs: _Pairs, yardsticks: tuple[str, ...]) -> RowChange:
    figure = result.figure
    now, before = _mean(pairs.now), _mean(pairs.before)
    found = paired(pairs.now, pairs.before, pairs.tasks) if pairs.tasks else None
    difference = found.mean if found else math.nan
    error = None if found is None or math.isnan(found.standard_error) else found.standard_error
    return RowChange(
        question=result.question,
        dataset=result.dataset,
        slice=figure.slice,
        metric=figure.metric,
        queries=len(pairs.tasks),
        unpaired=pairs.unpaired,
        before=before,
        now=now,
        difference=difference,
        standard_error=error,
        verdict=_verdict(difference, error, lower=figure.lower_is_better),
        yardsticks_changed=yardsticks,
    )


def _total_change(result: Result, ours: Total, theirs: Total) -> RowChange:
    now, before = _loaded(_stored(ours.memory)), _loaded(_stored(theirs.memory))
    difference = now - before
    return RowChange(
        question=result.question,
        dataset=result.dataset,
        slice=ours.slice,
        metric=ours.metric,
        queries=ours.queries,
        unpaired=0,
        before=before,
        now=now,
        difference=difference,
        standard_error=None,
        verdict=_verdict(difference, None, lower=ours.lower_is_better),
    )


def _verdict(difference: float, error: float | None, *, lower: bool) -> str | None:
    """Two standard errors decide; a difference below the stored digits is none."""
    if abs(difference) < _SMALLEST:
        return "level"
    if error is None or math.isnan(difference):
        return None
    if abs(difference) <= 2 * error:
        return "level"
    return "better" if (difference < 0) == lower else "worse"


def _pooled(pairs: Iterable[tuple[Result, _Pairs]]) -> Iterator[tuple[Result, _Pairs]]:
    """The rows of each pool over all datasets that have them; tasks of two datasets are never the same."""
    alike: dict[tuple[str, str, str], list[tuple[Result, _Pairs]]] = {}
    for result, one in pairs:
        if isinstance(result.figure, Measured) and result.figure.pool is not None:
            key = (result.question, result.figure.pool, result.figure.metric)
            alike.setdefault(key, []).append((result, one))
    for (question, pool, _), several in alike.items():
        if len(several) > 1:
            figure = replace(several[0][0].figure, slice=pool)
            yield Result(question, POOLED, figure), _together(several)


def _together(several: Sequence[tuple[Result, _Pairs]]) -> _Pairs:
    return _Pairs(
        tasks=[f"{result.dataset}\n{task}" for result, one in several for task in one.tasks],
        now=[value for _, one in several for value in one.now],
        before=[value for _, one in several for value in one.before],
        unpaired=sum(one.unpaired for _, one in several),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
