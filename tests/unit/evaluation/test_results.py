"""Results of two runs: stored without loss, paired by query whatever their order, judged by two standard errors."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tacit.errors import LeakError, ValidationError
from tacit.evaluation import (
    Bench,
    LeftOut,
    Measured,
    Result,
    Total,
    compare_results,
    evaluate,
    load_results,
    questions,
    save_results,
)
from tacit.evaluation.question import Answer
from tacit.evaluation.results import is_results
from tacit.evaluation.rows import POOLED
from tests.unit.evaluation.toy import CountingMemory, world

BEFORE = Measured(
    slice="all",
    metric="top1",
    tasks=["a", "a", "b", "c", "d"],
    memory=[1.0, 0.0, 0.25, math.nan, 1 / 3],
    baselines={"chain": [0.0, 0.0, 1.0, 1.0, 1.0]},
    controls={"empty": [0.0, 0.0, 0.0, 0.0, 0.0]},
    queries=["r1:0", "r1:1", "r2:0", "r3:0", "r4:0"],
)
BRIER = Measured("known task", "brier", ["a", "b"], [0.1, 0.2], lower_is_better=True, pool=None)
ARI = Total("domain", "ari", 10, 0.5, {"k-means": 0.7})


def measured(values: list[float], *, lower: bool = False, pool: str | None = "all") -> Measured:
    tasks = [f"t{number}" for number in range(len(values))]
    return Measured("all", "metric", tasks, values, lower_is_better=lower, pool=pool)


def test_stored_results_come_back_with_their_queries_and_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "results.json.gz"
    given = [Result("B4", "toy", BEFORE), Result("B6", "toy", BRIER), Result("B3", "toy", ARI)]
    save_results(given, path)
    found = load_results(path)
    assert [(each.question, each.dataset) for each in found] == [("B4", "toy"), ("B6", "toy"), ("B3", "toy")]
    first = found[0].figure
    assert isinstance(first, Measured)
    assert list(first.query_ids) == list(BEFORE.queries)
    assert first.memory[:3] == [1.0, 0.0, 0.25]
    assert math.isnan(first.memory[3])
    assert first.memory[4] == 0.333333
    assert (first.baselines, first.controls) == (BEFORE.baselines, BEFORE.controls)
    assert first.tasks == ["0", "0", "1", "2", "3"]
    brier = found[1].figure
    assert isinstance(brier, Measured)
    assert (brier.lower_is_better, brier.pool, list(brier.query_ids)) == (True, None, ["a#0", "b#0"])
    assert found[2].figure == ARI
    assert is_results(path)


def test_equal_results_make_equal_files_and_a_list_of_queries_is_stored_once(tmp_path: Path) -> None:
    same = [Result("B4", "toy", BEFORE), Result("B4", "toy", replace(BEFORE, metric="top3"))]
    for name in ("one", "two"):
        save_results(same, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert gzip.decompress((tmp_path / "one").read_bytes()).count(b'"ids"') == 1


def test_a_file_of_anything_else_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain.json"
    plain.write_text("{}")
    later = tmp_path / "later.json.gz"
    later.write_bytes(gzip.compress(b'{"tacit_results":2,"version":"9"}\n'))
    for path, said in ((plain, "plain"), (later, "format 2"), (tmp_path / "absent", "absent")):
        with pytest.raises(ValidationError, match=said):
            load_results(path)
    assert not is_results(plain)
    with pytest.raises(ValidationError, match="nowhere"):
        save_results([], tmp_path / "nowhere" / "results.json.gz")


def test_a_run_compared_with_its_own_file_has_no_change(tmp_path: Path) -> None:
    report = evaluate([world(12)], ask=["B4", "B6"], make_memory=CountingMemory)
    assert report.results
    save_results(report.results, tmp_path / "results")
    comparison = compare_results(report.results, load_results(tmp_path / "results"))
    assert len(comparison.changes) == len(report.rows)
    assert {change.difference for change in comparison.changes} == {0.0}
    assert {change.verdict for change in comparison.changes} == {"level"}
    assert all(change.yardsticks_changed == () for change in comparison.changes)
    assert comparison.verdict() == (
        f"no row worse by more than two standard errors ({len(report.rows)} compared)"
    )


def test_a_query_of_a_run_has_the_same_id_whatever_else_is_asked() -> None:
    whole = evaluate([world(12)], ask=["B4"], make_memory=CountingMemory).results
    part = evaluate([world(12)], ask=["B4"], make_memory=CountingMemory, limit=20).results
    for few in part:
        (all_of_them,) = [
            each
            for each in whole
            if (each.figure.slice, each.figure.metric) == (few.figure.slice, few.figure.metric)
        ]
        assert isinstance(few.figure, Measured)
        assert isinstance(all_of_them.figure, Measured)
        values = dict(zip(all_of_them.figure.query_ids, all_of_them.figure.tasks, strict=True))
        assert len(values) == len(all_of_them.figure.tasks)
        for query, task in zip(few.figure.query_ids, few.figure.tasks, strict=True):
            assert values[query] == task


def test_queries_are_paired_by_their_ids_and_those_of_one_run_are_counted() -> None:
    now = replace(
        BEFORE,
        tasks=["c", "b", "a", "e"],
        memory=[0.5, 1.0, 1.0, 1.0],
        baselines={},
        controls={},
        queries=["r3:0", "r2:0", "r1:0", "r9:0"],
    )
    before = replace(BEFORE, memory=[1.0, 0.0, 0.25, 0.5, 1.0])
    (change,) = compare_results([Result("B4", "toy", now)], [Result("B4", "toy", before)]).changes
    assert (change.queries, change.unpaired) == (3, 3)
    assert (change.now, change.before) == pytest.approx((2.5 / 3, 1.75 / 3))
    assert change.difference == pytest.approx(0.25)


def test_two_standard_errors_clustered_by_task_decide() -> None:
    before = Result("B4", "toy", measured([0.5] * 8))
    for values, lower, verdict in (
        ([0.5] * 8, False, "level"),
        ([0.4, 0.42] * 4, False, "worse"),
        ([0.4, 0.42] * 4, True, "better"),
        ([0.0, 0.9] * 4, False, "level"),
    ):
        now = Result("B4", "toy", measured(values, lower=lower))
        (change,) = compare_results([now], [before]).changes
        assert change.verdict == verdict
    # Eight equal differences of one task are one observation: no error can be told.
    alike = replace(measured([0.4] * 8), tasks=["t"] * 8)
    (change,) = compare_results(
        [Result("B4", "toy", replace(alike, queries=[f"t{n}#0" for n in range(8)]))], [before]
    ).changes
    assert (change.standard_error, change.verdict) == (None, None)


def test_a_difference_below_the_stored_digits_is_none() -> None:
    before, now = measured([1 / 3] * 4), measured([0.333333] * 4)
    (change,) = compare_results([Result("B4", "toy", now)], [Result("B4", "toy", before)]).changes
    assert (change.difference, change.verdict) == (0.0, "level")


def test_the_verdict_counts_the_rows_that_are_worse() -> None:
    good, bad = measured([1.0, 0.9] * 4, pool=None), measured([0.1, 0.0] * 4, pool=None)
    before = [Result("B4", "one", good), Result("B4", "two", bad)]
    comparison = compare_results([Result("B4", "one", bad), Result("B4", "two", good)], before)
    assert comparison.verdict() == "1 of 2 rows worse by more than two standard errors"
    assert [change.dataset for change in comparison.worse()] == ["one"]
    assert [change.dataset for change in comparison.better()] == ["two"]
    assert comparison.to_json()["verdict"] == comparison.verdict()
    assert compare_results([], before).verdict() == "no row to compare"


def test_rows_of_a_pool_are_compared_over_all_datasets_too() -> None:
    before = [Result("B4", name, measured([0.5] * 4)) for name in ("one", "two")]
    now = [Result("B4", "one", measured([0.4, 0.3] * 2)), Result("B4", "two", measured([0.4, 0.3] * 2))]
    pooled = [each for each in compare_results(now, before).changes if each.dataset == POOLED]
    assert [(each.queries, each.slice, each.verdict) for each in pooled] == [(8, "all", "worse")]
    assert pooled[0].difference == pytest.approx(-0.15)


def test_rows_of_one_run_are_named_and_changed_yardsticks_too() -> None:
    now = Result("B4", "toy", replace(BEFORE, baselines={"chain": [0.0, 0.0, 0.0, 1.0, 1.0]}))
    comparison = compare_results(
        [now, Result("B3", "toy", replace(ARI, memory=0.6))],
        [Result("B4", "toy", BEFORE), Result("B3", "toy", ARI), Result("B6", "toy", BRIER)],
    )
    assert comparison.only_before == ("B6, toy, known task, brier",)
    assert comparison.only_now == ()
    by_question = {change.question: change for change in comparison.changes}
    assert by_question["B4"].yardsticks_changed == ("chain",)
    assert by_question["B3"].difference == pytest.approx(0.1)
    assert by_question["B3"].verdict is None


def test_a_question_that_fails_is_named_and_the_others_are_reported() -> None:
    @questions.register("broken")
    class Broken:
        """Raises after its first figure."""

        name = "broken"
        title = "raises"

        def ask(self, bench: Bench) -> Iterator[Answer]:
            yield Total("all", "count", 1, 1.0)
            raise ValueError("0 feature(s)")

    @questions.register("leaky")
    class Leaky:
        """Meets a memory that knew."""

        name = "leaky"
        title = "leaks"

        def ask(self, bench: Bench) -> Iterator[Answer]:
            yield Total("all", "count", 1, 1.0)
            raise LeakError("knew it")

    try:
        report = evaluate([world(4)], ask=["broken", "B3"], make_memory=CountingMemory)
        reason = "failed with ValueError: 0 feature(s)"
        assert LeftOut("broken", "toy", "the rest", reason, failed=True) in report.left_out
        assert [row.question for row in report.rows if row.question == "broken"] == ["broken"]
        named = {row.question for row in report.rows} | {each.question for each in report.left_out}
        assert named == {"broken", "B3"}
        with pytest.raises(LeakError):
            evaluate([world(4)], ask=["leaky"], make_memory=CountingMemory)
    finally:
        del questions._factories["broken"], questions._factories["leaky"]
