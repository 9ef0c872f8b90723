from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tacit.errors import UnknownNameError
from tacit.evaluation import (
    Bench,
    Curve,
    LeftOut,
    Measured,
    Report,
    Result,
    Total,
    evaluate,
    questions,
)
from tacit.evaluation.question import Answer
from tacit.evaluation.rows import POOLED, STRONGEST, comparisons, pool, row
from tests.unit.evaluation.toy import CountingMemory, world

ONE = Measured(
    slice="all",
    metric="top1",
    tasks=["a", "a", "b"],
    memory=[1.0, 1.0, 0.0],
    baselines={"weak": [0.0, 0.0, 0.0], "strong": [1.0, 0.0, 0.0]},
    controls={"empty": [0.0, 0.0, 0.0]},
)


def test_a_row_is_held_against_its_best_baseline() -> None:
    found = row("B4", "toy", ONE)
    assert (found.memory, found.queries) == pytest.approx((2 / 3, 3))
    assert found.best_baseline == "strong"
    assert found.difference == pytest.approx(1 / 3)
    # Differences 0, 1, 0; residual sums 1/3 and -1/3.
    assert found.standard_error == pytest.approx(math.sqrt(2 * 2 / 9) / 3)


def test_a_fixed_baseline_stands_beside_the_best_one() -> None:
    assert row("B4", "toy", ONE).fixed_baseline is None
    assert row("B4", "toy", replace(ONE, fixed="weak")).fixed_baseline == "weak"
    assert row("B4", "toy", replace(ONE, fixed="needs a package")).fixed_baseline is None
    (pooled,) = pool([("one", replace(ONE, fixed="weak")), ("two", replace(ONE, fixed="weak"))])
    assert row("B4", POOLED, pooled).fixed_baseline == "weak"


def test_of_a_score_where_less_is_better_the_smallest_is_best() -> None:
    brier = Measured("all", "brier", ["a", "b"], [0.1, 0.2], {"x": [0.3, 0.3], "y": [0.2, 0.2]}, {}, True)
    found = row("B6", "toy", brier)
    assert found.best_baseline == "y"
    assert found.difference == pytest.approx(-0.05)
    assert [each.verdict for each in comparisons("B6", "toy", brier)] == ["better", "level"]


def test_without_a_baseline_there_is_no_difference() -> None:
    found = row("B1", "toy", Measured("all", "mrr", ["a"], [1.0]))
    assert (found.best_baseline, found.difference, found.standard_error) == (None, None, None)


def test_a_figure_that_is_no_mean_has_no_standard_error() -> None:
    found = row("B3", "toy", Total("domain", "ari", 10, 0.5, {"k-means": 0.7}))
    assert found.difference == pytest.approx(-0.2)
    assert found.standard_error is None


def test_datasets_are_pooled_by_their_queries_and_held_against_the_strongest_of_each() -> None:
    other = Measured("all", "top1", ["a", "c"], [1.0, 1.0], {"weak": [1.0, 1.0], "strong": [0.0, 0.0]})
    (found,) = pool([("one", ONE), ("other", other)])
    assert list(found.memory) == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert len(set(found.tasks)) == 4
    assert found.baselines[STRONGEST] == [1.0, 0.0, 0.0, 1.0, 1.0]
    assert found.controls == {}
    assert pool([("one", ONE)]) == []


def test_figures_of_another_pool_stay_apart() -> None:
    known = Measured("known task", "auc", ["a"], [1.0], pool="known task")
    unseen = Measured("unseen task", "auc", ["a"], [0.0], pool="unseen task")
    pooled = pool([("one", known), ("one", unseen), ("two", known), ("two", unseen)])
    assert [(each.slice, list(each.memory)) for each in pooled] == [
        ("known task", [1.0, 1.0]),
        ("unseen task", [0.0, 0.0]),
    ]


def test_a_part_of_a_figure_is_that_of_the_chosen_queries() -> None:
    part = ONE.of("air", [True, False, True])
    assert (part.slice, list(part.tasks), list(part.memory), part.pool) == (
        "air",
        ["a", "b"],
        [1.0, 0.0],
        None,
    )
    assert part.baselines["strong"] == [1.0, 0.0]


def test_json_has_no_figure_that_is_no_number() -> None:
    curve = Curve("B4", "toy", "learning", "top1", (0.1,), {"memory": (math.nan,)})
    report = Report(
        rows=(row("B4", "toy", ONE),), curves=(curve,), left_out=(LeftOut("B1", "toy", "all", "why"),)
    )
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["curves"][0]["lines"]["memory"] == [None]
    assert set(data["rows"][0]) == {
        *("question", "dataset", "slice", "metric", "queries", "memory", "baselines", "controls"),
        *("best_baseline", "difference", "standard_error", "fixed_baseline"),
    }
    assert data["left_out"] == [
        {"question": "B1", "dataset": "toy", "what": "all", "reason": "why", "failed": False}
    ]


def test_a_question_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="B9"):
        evaluate([world()], ask=["B9"])


def test_a_question_of_ones_own_is_asked_by_its_name() -> None:
    @questions.register("episodes known")
    class Known:
        """How many episodes a memory of all of them holds."""

        name = "episodes known"
        title = "holds what it was given"

        def ask(self, bench: Bench) -> Iterator[Answer]:
            held = bench.whole().memory.stats()["episodes"]
            yield Total("all", "count", 1, float(held))

    try:
        (found,) = evaluate([world(4)], ask=["episodes known"], make_memory=CountingMemory).rows
        assert found.memory == 8.0
    finally:
        del questions._factories["episodes known"]


def test_the_verdict_names_the_figures_that_are_better_worse_and_undecided() -> None:
    def figure(metric: str, ours: list[float], pool: str | None = "all") -> Measured:
        return Measured("all", metric, ["a", "b", "c", "d"], ours, {"base": [0.5] * 4}, pool=pool)

    figures = [
        figure("top1", [0.9, 0.8, 0.9, 0.8]),
        figure("top3", [0.1, 0.2, 0.1, 0.2]),
        figure("mrr", [0.1, 0.9, 0.1, 0.9]),
        figure("of a part", [0.1, 0.2, 0.1, 0.2], pool=None),
    ]
    one = Report(
        rows=tuple(row("B4", "toy", each) for each in figures),
        comparisons=tuple(found for each in figures for found in comparisons("B4", "toy", each)),
        results=tuple(Result("B4", "toy", each) for each in figures),
    )
    assert one.verdict().splitlines()[1:] == [
        "Better in B4 (top1).",
        "Worse in B4 (top3).",
        "Undecided in B4 (mrr).",
    ]
    assert Report().verdict() == ""


def test_the_verdict_of_several_datasets_rests_on_all_of_them_together() -> None:
    report = evaluate([world(12), replace(world(16), name="other")], ask=["B6"], make_memory=CountingMemory)
    pooled = {(each.slice, each.metric) for each in report.rows if each.dataset == POOLED}
    assert pooled
    assert {(each.slice, each.metric) for each, _ in report._headlines()} == pooled
    assert {each.dataset for each, _ in report._headlines()} == {POOLED}
