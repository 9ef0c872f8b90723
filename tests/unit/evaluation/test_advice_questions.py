"""B2, B4 and B6 from end to end, on a small world and a memory whose answers can be worked out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tacit.errors import LeakError, ValidationError
from tacit.evaluation import Curve, Report, Row, evaluate
from tacit.evaluation.bench import Bench
from tacit.evaluation.dataset import Action, Dataset, Gold, fold_of, task_of
from tacit.evaluation.experience import first_tasks
from tacit.evaluation.metrics import paired, shares
from tacit.evaluation.outcomes import QUERIES_IN_BIN, parts_of
from tacit.evaluation.plans import without_rewordings
from tacit.evaluation.retrieval import TaskRetrieval
from tacit.model.advice import Prediction
from tests.unit.evaluation.toy import CLEAN, FETCH, CountingMemory, episode, world


@pytest.fixture(scope="module")
def report() -> Report:
    return evaluate([world()], ask=["B2", "B4", "B6"], make_memory=CountingMemory)


def row_of(report: Report, question: str, metric: str, slice: str = "all") -> Row:
    found = [row for row in report.rows if (row.question, row.metric, row.slice) == (question, metric, slice)]
    assert len(found) == 1
    return found[0]


def test_a_plan_is_taken_from_tasks_of_the_same_kind(report: Report) -> None:
    row = row_of(report, "B2", "plan_similarity")
    assert row.queries == 24
    assert row.memory == 1.0
    assert row.controls["empty"] == 0.0
    # Two plans of 3 and 4 tools that share one: 1 for its own kind, 2/7 for the other.
    assert row.baselines["medoid of all"] == pytest.approx((1 + 2 / 7) / 2, abs=0.01)
    assert row.controls["random"] < 0.9
    assert row_of(report, "B2", "best_of_merged").memory == 1.0
    assert row_of(report, "B2", "best_plan_held").memory == 1.0


def test_the_next_step_is_known_where_the_text_decides(report: Report) -> None:
    first, third = row_of(report, "B4", "top1"), row_of(report, "B4", "top3")
    # Of 24 attempts at fetching and 12 that cleaned, 4 and 5 positions each.
    assert first.queries == third.queries == 24 * 4 + 12 * 5
    assert first.memory == 1.0
    assert first.baselines["Markov-2"] < 0.95
    assert first.controls["empty"] == pytest.approx(1 / 7)
    assert third.controls["empty"] == pytest.approx(3 / 7)
    assert first.controls["global"] < 0.4


def test_a_random_memory_knows_no_more_than_chance_allows(report: Report) -> None:
    # The steps after "find" are undecided without the text, 36 of 156: a chain is right at 24 of them.
    random = row_of(report, "B4", "top1").controls["random"]
    assert random <= row_of(report, "B4", "top1").baselines["Markov-2"] + 0.1
    # With all steps dealt out anew nothing is left but how often each tool comes and how long episodes are.
    row = row_of(report, "B4", "top1")
    assert row.controls["shuffled"] <= row.controls["global"] + 0.25
    assert abs(row_of(report, "B6", "auc", "unseen task").controls["placebo"] - 0.5) < 0.2
    assert row_of(report, "B6", "auc", "unseen task").controls["empty"] == 0.5


def test_arguments_are_counted_one_by_one(report: Report) -> None:
    # Each step has two; the memory fills "mode" alone, and that right.
    right, wrong = (
        row_of(report, "B4", name) for name in ("arguments_filled_right", "filled_arguments_wrong")
    )
    assert right.memory == pytest.approx(0.5)
    assert wrong.memory == pytest.approx(0.0)
    assert right.controls["global"] >= 0.5


def test_outcomes_are_known_of_seen_and_of_unseen_tasks(report: Report) -> None:
    for slice in ("unseen task", "known task"):
        assert row_of(report, "B6", "auc", slice).memory == pytest.approx(1.0)
        assert row_of(report, "B6", "auc_in_folds", slice).memory == pytest.approx(1.0)
        # A constant is calibrated whatever it says.
        assert set(row_of(report, "B6", "calibration_error", slice).controls) <= {"placebo", "random"}
        assert row_of(report, "B6", "brier", slice).memory < 0.05
        assert row_of(report, "B6", "brier", slice).controls["empty"] == pytest.approx(0.25)
        assert row_of(report, "B6", "auc", slice).controls["global"] == 0.5
        assert row_of(report, "B6", "calibration_error", slice).standard_error is None
    assert "known task: control random" in {left.what for left in report.left_out}


def test_curves_say_how_quality_goes_with_experience_and_what_was_told_with_what_came(report: Report) -> None:
    learning = {curve.question: curve for curve in report.curves if curve.kind == "learning"}
    assert learning["B4"].x == (0.05, 0.1, 0.3, 1.0)
    assert learning["B4"].lines["memory"][-1] == 1.0
    assert learning["B6"].lines["memory"][-1] == pytest.approx(1.0)
    assert all(len(line) == 4 for curve in learning.values() for line in curve.lines.values())
    calibrated = [curve for curve in report.curves if curve.kind == "calibration" and "memory" in curve.lines]
    assert {curve.metric for curve in calibrated} == {"unseen task", "known task"}
    assert all(sum(curve.lines[QUERIES_IN_BIN]) == pytest.approx(1.0) for curve in calibrated)


def test_more_is_found_the_more_is_stored() -> None:
    gold = {
        key: Gold(key, several[0].task, "general", (Action(several[0].task.split()[0], "{}"),))
        for key, several in world().tasks.items()
    }
    bench = Bench(replace(world(), gold=gold))
    (curve,) = (answer for answer in TaskRetrieval().ask(bench) if isinstance(answer, Curve))
    assert set(curve.lines) >= {"memory"}
    for line in curve.lines.values():
        assert line[0] < line[-1] <= 1.0


def test_the_memory_itself_learns_the_small_world_and_no_control_does() -> None:
    learned = evaluate([world(16)], ask=["B4"])
    row = row_of(learned, "B4", "top1")
    assert row.memory > row.baselines["Markov-2"]
    for control in ("empty", "random", "shuffled", "global"):
        assert row.memory > row.controls[control]
    assert row.controls["shuffled"] < 0.6


def test_equal_evaluations_report_the_same() -> None:
    first, second = (evaluate([world(8)], ask=["B2", "B4"], make_memory=CountingMemory) for _ in range(2))
    assert str(first.to_json()) == str(second.to_json())


def test_what_a_dataset_cannot_answer_is_left_out_by_name() -> None:
    alike = Dataset("alike", tuple(each for each in world(6).episodes if each.agent == "careful"))
    report = evaluate([alike], ask=["B6"], make_memory=CountingMemory)
    assert [(left.question, left.reason) for left in report.left_out] == [("B6", "all attempts ended alike")]
    failed = Dataset("failed", tuple(each for each in world(6).episodes if "kitchen" in each.task)[1:2])
    report = evaluate([failed], ask=["B2", "B4"], make_memory=CountingMemory)
    assert {left.question for left in report.left_out} == {"B2", "B4"}
    assert report.rows == ()


class Cheat(CountingMemory):
    """Knows a task's attempts, those held out too, and says so."""

    def predict(self, task: str, *, agent: str | None = None, **asked: object) -> Prediction:
        self.add(episode(task, ["find"], agent=agent))
        return super().predict(task, agent=agent)


def test_a_memory_that_learns_what_it_is_asked_about_is_caught() -> None:
    with pytest.raises(LeakError):
        evaluate([world(6)], ask=["B6"], make_memory=Cheat)


# --- parts ---


def test_a_share_is_the_mean_of_its_values_and_its_error_is_that_of_a_ratio() -> None:
    values = shares([1, 0, 3], [2, 1, 3])
    assert np.mean(values) == pytest.approx(4 / 6)
    assert math.isnan(shares([0], [0])[0])
    whole = shares([2, 2], [2, 2])
    assert paired(whole, shares([1, 1], [2, 2]), ["x", "y"]).standard_error == pytest.approx(0.0)


def test_less_experience_is_part_of_more() -> None:
    keys = [f"task {number}" for number in range(40)]
    several: Sequence[frozenset[str]] = [first_tasks(keys, share) for share in (0.05, 0.1, 0.3, 1.0)]
    assert [len(each) for each in several] == [2, 4, 12, 40]
    assert all(less < more for less, more in itertools.pairwise(several))
    assert len(first_tasks(keys[:3], 0.05)) == 1


def test_no_part_holds_two_attempts_at_one_task() -> None:
    episodes = world().episodes
    parts = parts_of(episodes, 10)
    together = [(task_of(each), parts[each.id]) for each in episodes]
    assert len(set(together)) == len(together)
    assert len(set(parts.values())) == 10
    assert len(set(parts_of(episodes, 1).values())) == 2


def test_the_same_run_in_other_words_is_no_second_run() -> None:
    one = episode("open it", FETCH, key="k", agent="a")
    again = episode("please open it", FETCH, key="k", agent="a")
    by_another = episode("please open it", FETCH, key="k", agent="b")
    otherwise = episode("please open it", CLEAN, key="k", agent="a")
    assert without_rewordings([one, again, by_another, otherwise, one]) == [one, by_another, otherwise, one]


def test_fields_can_be_withheld_from_memory_and_baselines_alike() -> None:
    bare = world().without(["domain", "agent"])
    assert bare.name == "toy without domain, agent"
    assert {each.agent for each in bare.episodes} == {None}
    assert {each.context.domain for each in bare.episodes} == {"general"}
    assert [each.steps for each in bare.episodes] == [each.steps for each in world().episodes]
    with pytest.raises(ValidationError, match="without"):
        world().without(["outcome"])


def test_queries_are_capped_by_task_alike_for_all_questions() -> None:
    bench = Bench(world(), limit=6)
    asked = bench.capped(bench.dataset.episodes, task_of)
    assert len(asked) == 6
    assert len({task_of(each) for each in asked}) == 3
    assert fold_of(task_of(asked[0])) in bench.dataset.folds
