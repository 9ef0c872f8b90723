from __future__ import annotations

import pytest

from tacit import Recorder
from tacit.errors import ValidationError
from tacit.evaluation import Task, live
from tacit.evaluation.loop import Attempt, spread, summed_up

DOORS = {"cellar": "left", "attic": "right", "garden": "left", "stable": "right"}
TASKS = [Task(f"open the {room}", "house", door) for room, door in DOORS.items() for _ in range(4)]


def act(task: Task, episode: Recorder) -> str:
    """Repeats a success at the same task, else tries an action that has not failed yet."""
    tried = {
        hit.tools[-1]: hit.outcome
        for hit in episode.recall(limit=20).hits
        if hit.task == task.text and hit.tools
    }
    worked = [door for door, outcome in tried.items() if outcome == "success"]
    door = worked[0] if worked else next((each for each in ("left", "right") if each not in tried), "left")
    episode.log(door, output="it moves")
    return door


def judge(task: Task, answer: str) -> bool:
    return answer == task.data


def test_an_agent_that_remembers_does_better_than_one_that_does_not() -> None:
    report = live(act, judge, TASKS, seeds=range(3))
    arms = {arm.name: arm for arm in report.arms}
    assert list(arms) == ["learned", "empty", "random", "placebo"]
    assert (report.seeds, report.tasks) == (3, 16)
    # Left is right half of the time; who remembers errs once at each of two doors.
    assert arms["empty"].success.mean == 0.5
    assert arms["learned"].success.mean == pytest.approx(14 / 16)
    assert arms["learned"].beyond is None
    assert arms["empty"].beyond is not None
    assert arms["empty"].beyond.low > 0
    assert arms["learned"].steps.mean == 1.0


def test_equal_seeds_give_equal_reports() -> None:
    one, other = (live(act, judge, TASKS, seeds=range(2), arms=["learned", "random"]) for _ in range(2))
    assert one == other


def test_the_mean_over_seeds_has_students_interval() -> None:
    # Mean 2, standard deviation 1, two degrees of freedom.
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.high - found.mean) == pytest.approx((2.0, 4.303 / 3**0.5))


def test_one_seed_says_nothing() -> None:
    with pytest.raises(ValidationError, match="at least two"):
        summed_up({"learned": [[Attempt(True, 1)]]})


def test_an_unknown_arm_is_refused() -> None:
    with pytest.raises(ValidationError, match="arms"):
        live(act, judge, TASKS, arms=["learned", "perfect"])
