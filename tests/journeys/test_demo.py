"""The demo keeps its promise: with its memory the agent learns, and nothing but the memory makes the difference."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tacit import Memory, ValidationError
from tacit.demo import DemoResult, print_report, run
from tacit.demo.agent import act
from tacit.demo.arms import Remembering, Unadvised
from tacit.demo.database import Database
from tacit.demo.tools import ToolBox

EPISODES = 120
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def result(request: pytest.FixtureRequest) -> DemoResult:
    return run(episodes=EPISODES, seed=request.param)


@pytest.fixture(scope="module")
def one() -> DemoResult:
    return run(episodes=EPISODES, seed=1)


def late(result: DemoResult, arm: str) -> tuple[float, float]:
    """The success and the steps of the last third."""
    trials = result.curve(arm).trials[-EPISODES // 3 :]
    return sum(trial.accepted for trial in trials) / len(trials), sum(trial.steps for trial in trials) / len(
        trials
    )


def test_with_memory_it_ends_with_more_right_answers_in_fewer_steps(result) -> None:
    (alone, many), (told, few) = late(result, "without"), late(result, "with")
    assert told > alone + 0.25
    assert few < many - 2


def test_an_agent_that_only_reads_the_prompt_learns_too(one) -> None:
    reading = run(episodes=EPISODES, seed=1, arms=["reading"])
    assert late(reading, "reading")[0] > late(one, "without")[0] + 0.2
    paper = StringIO()
    print_report(run(episodes=6, seed=1, arms=["without", "reading"]), Console(file=paper, width=80))
    assert "prompt only" in paper.getvalue()


def test_what_was_learned_carries_its_evidence(result) -> None:
    assert {pattern.kind for pattern in result.recoveries} == {"error_recovery"}
    assert {pattern.kind for pattern in (*result.sequences, *result.pitfalls)} == {"tool_sequence"}
    for pattern in (*result.recoveries, *result.sequences, *result.pitfalls):
        assert 0 <= pattern.low <= pattern.mean <= pattern.high <= 1
        assert pattern.trials > 0


def test_equal_seeds_give_equal_curves(one) -> None:
    assert run(episodes=EPISODES, seed=1).curves == one.curves


def test_remembering_the_wrong_outcomes_is_worse_than_remembering_what_happened(one) -> None:
    shuffled = run(episodes=EPISODES, seed=1, arms=["shuffled"])
    assert late(shuffled, "shuffled")[0] < late(one, "with")[0] - 0.2


def test_an_empty_memory_changes_nothing() -> None:
    """A memory that is asked and has nothing to say leads to the very steps of an agent on its own."""
    database = Database(4)
    for question in database.questions(40):
        with Memory() as empty:
            assert steps_of(database, question, Unadvised()) == steps_of(
                database, question, Remembering(empty)
            )


def steps_of(database: Database, question: Any, arm: Any) -> list[Any]:
    attempt = arm.attempt(question)
    steps: list[Any] = []

    def log(tool: str, **step: Any) -> None:
        attempt.log(tool, **step)
        steps.append((tool, {name: value for name, value in step.items() if name != "latency_ms"}))

    tools = ToolBox(database, question, log, budget=10)
    act(question.text, tools, attempt, 7)
    attempt.end(tools.accepted)
    return steps


def test_the_memory_is_kept_where_it_is_asked_for(tmp_path) -> None:
    path = tmp_path / "demo.db"
    first = run(episodes=20, seed=1, database=path)
    assert (first.known_before, first.path) == (0, str(path))
    with Memory(path) as memory:
        assert memory.stats()["episodes"] == 20
        assert memory.recall(first.questions[0], domain="sql").hits[0].task in first.questions
    assert run(episodes=20, seed=1, database=path).known_before == 20


def test_the_report_keeps_to_eighty_columns_and_names_what_to_try(one) -> None:
    paper = StringIO()
    print_report(one, Console(file=paper, width=80))
    lines = paper.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for expected in (
        "Learning curve",
        "Learned fixes for errors",
        "both ways",
        "tacit demo --seed 1 --db demo.db",
    ):
        assert any(expected in line for line in lines), expected


def test_a_short_run_is_reported_too() -> None:
    for episodes in (1, 3):
        print_report(run(episodes=episodes, seed=1), Console(file=StringIO(), width=80))


@pytest.mark.parametrize("wrong", [{"episodes": 0}, {"episodes": 9_999}, {"budget": 1}, {"arms": ["nobody"]}])
def test_what_makes_no_sense_is_refused_by_its_name(wrong) -> None:
    with pytest.raises(ValidationError) as refused:
        run(**wrong)
    assert refused.value.field in wrong


def test_the_command_prints_one_object() -> None:
    command = [
        sys.executable,
        "-c",
        "from tacit.cli import main; main()",
        "demo",
        "--episodes",
        "10",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    printed = json.loads(done.stdout)
    assert [curve["arm"] for curve in printed["curves"]] == ["without", "with", "reading"]
    assert (printed["episodes"], printed["seed"], printed["path"]) == (10, 1, None)
