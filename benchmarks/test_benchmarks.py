"""The asv classes as pytest cases: each is timed, and no ratio to a yardstick may fall below its floor.

A class whose last parameter is `implementation` measures one operation in several ways: `native` is
tacit's, every other name is a yardstick. Both are timed in turns within one test, because a shared
machine drifts; the ratio is the yardstick's median time over the native one.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from typing import Any

import pytest

import benchmarks

# Which share of the yardstick's speed must be reached, by the name of the comparison.
FLOORS = {
    "advice_tasks.Plan.*": 2.0,
    "advice_tasks.Predict.time_predict[[]1000] vs numpy": 0.3,
    "advice_tasks.Predict.time_predict[[]10000] vs numpy": 0.6,
    "advice_tasks.Predict.time_predict[[]100000] vs numpy": 2.5,
    "advice_arguments.Fill.time_arguments[[]100]*": 0.4,
    "advice_arguments.Fill.time_arguments[[]1000]*": 2.0,
    "store.Commit.time_commit[[]1] vs sqlite3": 0.25,
    "store.Commit.time_commit[[]100] vs sqlite3": 0.25,
    "store.Get.time_get[[]memory] vs sqlite3": 3.0,
    "store.Get.time_get[[]redb] vs sqlite3": 1.5,
    "store.Get.time_get[[]libsql] vs sqlite3": 0.5,
    "store.CatchUp.* vs sqlite3": 0.4,
    "advice.Suggest.* vs dicts": 2.0,
    "advice.Recover.* vs table": 0.3,
    "breaker.Admit.time_100_calls[] vs by hand": 3.0,
    "breaker.Closed.time_100_calls[] vs by hand": 2.5,
    "breaker.Closed.time_100_calls[] vs pybreaker": 5.0,
    "breaker.Open.time_100_rejections[] vs pybreaker": 4.0,
    "evidence.*": 2.0,
    "import.Import.time_import[] vs bare python": 0.2,
    "import.Shell.time_start[[]version] vs typer and rich": 0.8,
    "import.Shell.time_start[[]help] vs typer and rich": 0.6,
    "import.Shell.time_start[[]recall] vs typer and rich": 0.3,
    "embed.*": 2.0,
    "index.Recall.time_recall[[]1000] vs numpy": 0.2,
    "index.Recall.time_recall[[]10000] vs numpy": 0.8,
    "index.Recall.time_recall[[]100000] vs numpy": 8.0,
    "index.Apply.*": 0.08,
    "journeys.Log.time_log[] vs json": 1.0,
    "journeys.Recall.time_recall[[]10000] vs sqlite and numpy": 0.15,
    "journeys.Record.time_record[] vs bare sqlite3": 0.2,
    "open.OpenToFirstRecall.time_open[[]1000] vs log": 1.5,
    "open.OpenToFirstRecall.time_open[[]10000] vs log": 8.0,
    "recording.LogSmallStep.time_log[] vs json": 1.2,
    # At most 5% are lost; the two are measured in turns, and differ by as much with the machine's load.
    "recording.RecordByMany.time_record[] vs without batches": 0.8,
    "similarity.TopTen.*exact* vs numpy": 0.6,
    "similarity.TopTen.*quantised* vs numpy": 1.5,
    "similarity.TopTen.*sign bits* vs numpy": 4.0,
    "similarity.OneAgainstMany.*levenshtein* vs rapidfuzz": 1.5,
    "similarity.OneAgainstMany.*lcs* vs rapidfuzz": 1.0,
    "cluster.KMeansOfVectors.* vs scikit-learn": 1.0,
    "cluster.DbscanOfVectors.* vs scikit-learn": 1.5,
    "sequence.Ngrams.* vs numpy": 0.7,
    "sequence.Ngrams.* vs counter": 5.0,
    "lru.Cached.time_hits[] vs cachetools": 6.0,
    "lru.Cached.time_hits[] vs moka": 1.2,
    "rank.*": 1.0,
}
TURNS = 9
SAMPLE_S = 0.02


@dataclass(frozen=True)
class Case:
    """One timed method of an asv class with its parameters."""

    benchmark: type
    method: str
    params: tuple[Any, ...]

    @property
    def operation(self) -> str:
        module = self.benchmark.__module__.rpartition("bench_")[2]
        return f"{module}.{self.benchmark.__name__}.{self.method}"

    @property
    def measured(self) -> str:
        """The parameters that a case shares with its yardsticks: all but the implementation."""
        return f"{self.operation}[{', '.join(map(str, self.params[:-1]))}]"

    def __str__(self) -> str:
        return f"{self.operation}[{', '.join(map(str, self.params))}]"

    @contextmanager
    def prepared(self) -> Iterator[Callable[[], object]]:
        """The operation, ready to be called: its data is made, its answer checked."""
        instance = self.benchmark()
        if hasattr(instance, "setup"):
            instance.setup(*self.params)
        try:
            yield partial(getattr(instance, self.method), *self.params)
        finally:
            if hasattr(instance, "teardown"):
                instance.teardown(*self.params)


def classes() -> Iterator[type]:
    for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks."):
        if module.name.startswith("benchmarks.bench_"):
            members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
            yield from (member for _, member in members if member.__module__ == module.name)


def grid(benchmark: type) -> list[tuple[Any, ...]]:
    params = getattr(benchmark, "params", [])
    nested = params and all(isinstance(choices, (list, tuple)) for choices in params)
    return list(itertools.product(*(params if nested else [params] if params else [])))


def cases() -> list[Case]:
    return [
        Case(benchmark, method, params)
        for benchmark in classes()
        for method, _ in inspect.getmembers(benchmark, inspect.isfunction)
        if method.startswith("time_")
        for params in grid(benchmark)
    ]


def comparisons() -> dict[str, tuple[Case, Case]]:
    """Every native case beside every yardstick of the same operation and parameters."""
    compared = [
        case for case in CASES if getattr(case.benchmark, "param_names", [])[-1:] == ["implementation"]
    ]
    pairs = [
        (native, yardstick)
        for native, yardstick in itertools.product(compared, repeat=2)
        if native.params[-1] == "native" != yardstick.params[-1] and native.measured == yardstick.measured
    ]
    return {
        f"{native.measured} vs {yardstick.params[-1]}": (native, yardstick) for native, yardstick in pairs
    }


CASES = cases()
COMPARISONS = comparisons()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_time(benchmark: Any, case: Case) -> None:
    benchmark.group = str(case.operation)
    with case.prepared() as operation:
        benchmark(operation)


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_ratio_to_a_yardstick_stays_above_its_floor(name: str, record_property: Any) -> None:
    native, yardstick = COMPARISONS[name]
    with native.prepared() as operation, yardstick.prepared() as yardstick_operation:
        ratio = ratio_in_turns(operation, yardstick_operation)
    floor = max((floor for pattern, floor in FLOORS.items() if fnmatch(name, pattern)), default=0.0)
    record_property("comparison", f"{ratio:10.2f} ({floor:.2f})  {name}")
    assert ratio >= floor


@pytest.mark.parametrize("pattern", FLOORS)
def test_a_floor_names_something_that_is_measured(pattern: str) -> None:
    assert any(fnmatch(name, pattern) for name in COMPARISONS)


def ratio_in_turns(native: Callable[[], object], yardstick: Callable[[], object]) -> float:
    """How many times faster `native` is: medians of samples that were taken in turns."""
    calls = {operation: calls_a_sample(operation) for operation in (native, yardstick)}
    samples = [{operation: seconds(operation, n) / n for operation, n in calls.items()} for _ in range(TURNS)]
    native_s = statistics.median(sample[native] for sample in samples)
    return statistics.median(sample[yardstick] for sample in samples) / native_s


def calls_a_sample(operation: Callable[[], object]) -> int:
    n = 1
    while (taken := seconds(operation, n)) < SAMPLE_S:
        n = max(2 * n, int(n * SAMPLE_S / max(taken, 1e-9)))
    return n


def seconds(operation: Callable[[], object], n: int) -> float:
    start = time.perf_counter()
    for _ in range(n):
        operation()
    return time.perf_counter() - start
