from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tacit import Outcome
from tacit.errors import UnavailableError, UnknownNameError
from tacit.evaluation import LoopReport, Score, Turn, environments, own_attempts, run_loop
from tacit.evaluation.closed_loop import CEILING, CHOOSE, ClosedLoop, mispaired, outcome_of, record_gold
from tacit.evaluation.policies import Likeness, Play, RandomPolicy, carried_over

from .treasure import Treasure

SEEDS = range(12)


@pytest.fixture(scope="module")
def report() -> LoopReport:
    return run_loop("treasure", Treasure(), split="test", seeds=SEEDS, training=range(20), most_steps=30)


def mean_of(report: LoopReport, arm: str) -> float:
    return next(mean.score for mean in report.means() if (mean.arm, mean.task) == (arm, "all"))


def test_choosing_beats_an_empty_and_a_random_memory_and_every_script(report: LoopReport) -> None:
    for mean in report.means():
        if mean.task == "all" and mean.arm not in (CHOOSE, CEILING, "tacit by suggest"):
            assert mean.behind > 2 * mean.behind_error, (mean.arm, mean.task)
    assert mean_of(report, CHOOSE) > 0.9
    assert mean_of(report, "tacit by suggest") > 0.9


def test_things_and_rooms_that_no_recorded_run_has_seen_are_carried_over(report: LoopReport) -> None:
    assert {score.steps for score in report.scores if score.arm == CHOOSE and score.score == 1.0} <= set(
        range(4, 12)
    )


def test_equal_arguments_give_equal_reports() -> None:
    first, second = (
        run_loop(
            "treasure", Treasure(), split="test", seeds=range(2), training=range(4), arms=(CHOOSE, "empty")
        )
        for _ in range(2)
    )
    assert first == second
    assert first.arms == ("empty", CHOOSE)


def test_own_attempts_teach_without_a_solution() -> None:
    points = list(own_attempts(Treasure(), counts=(5, 60), split="test", seeds=SEEDS))
    assert [point.attempts for point in points] == [5, 60]
    assert points[-1].mean > points[0].mean


def test_the_ceiling_is_left_out_without_a_solution(report: LoopReport) -> None:
    assert CEILING not in report.arms


def test_the_verdict_names_each_arm_on_one_side() -> None:
    scores = tuple(
        Score(arm, "t", seed, score, 1)
        for arm, score in ((CHOOSE, 1.0), ("empty", 0.0), ("script", 1.0), (CEILING, 1.0))
        for seed in range(3)
    )
    verdict = LoopReport("world", "dev", scores).verdict()
    assert "1.00, 100% of the ceiling" in verdict
    assert "better than empty (+1.00)" in verdict
    assert "undecided against script" in verdict


def test_a_score_becomes_an_outcome() -> None:
    assert [outcome_of(score).kind for score in (1.0, -1.0, 0.0, 0.3)] == [
        "success",
        "failure",
        "failure",
        "partial",
    ]
    assert outcome_of(0.3).share == pytest.approx(0.3)


def test_a_recorded_run_has_the_state_before_each_action() -> None:
    episode = record_gold(Treasure(), "fetch", 3)
    assert episode is not None
    assert episode.outcome == Outcome.success()
    assert episode.steps[0].tool == "read note"
    assert "You are in the" in episode.steps[0].state["look"]


def test_a_random_memory_has_the_steps_of_other_tasks() -> None:
    episodes = [episode for seed in range(4) if (episode := record_gold(Treasure(), "fetch", seed))]
    renamed = [replace(episode, task=str(number)) for number, episode in enumerate(episodes)]
    shuffled = mispaired(renamed)
    assert [each.steps for each in shuffled] == [each.steps for each in episodes]
    assert [each.task for each in shuffled] == ["2", "3", "0", "1"]


def test_an_attempt_ends_after_so_many_steps() -> None:
    class Idle:
        def act(self, play: Play) -> str:
            return "wait"

    assert len(ClosedLoop(Treasure(), 7).play(Idle(), "fetch", 1, "test", Random(0)).steps) == 7


def test_names_are_carried_over_inside_an_action() -> None:
    recorded, present = "take the red apple to the pantry", "take the old key to the attic"
    assert carried_over("put red apple in pantry", recorded, present) == "put old key in attic"


def test_the_most_alike_text_has_the_same_rare_words() -> None:
    likeness = Likeness(["the red door", "the blue door", "the garden"])
    assert likeness.nearest("a blue door", 1) == [1]


def test_no_possible_action_is_no_action() -> None:
    assert RandomPolicy().act(Play("t", [], Turn("t"), Random(0))) is None


def test_an_unknown_environment_is_refused_by_its_name() -> None:
    with pytest.raises(UnknownNameError, match="textworld_express"):
        environments.create("textworld")


def test_an_environment_without_its_package_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "textworld_express", None)
    with pytest.raises(UnavailableError, match=r"tacit\[environments\]"):
        environments.create("textworld_express")
