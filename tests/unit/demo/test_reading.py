"""An agent that reads nothing but a prompt: the calls that it finds there are those that were made."""

from __future__ import annotations

from tacit import Memory
from tacit.demo import run
from tacit.demo.reading import read

TASK = "How many orders have the status 'open' & cost < 3?"


def test_the_steps_of_a_success_are_read_back_from_the_text() -> None:
    sql = "SELECT COUNT(*) FROM p1 WHERE state = 'open' AND cost < 3"
    with Memory() as memory:
        with memory.episode(TASK) as episode:
            episode.log("describe", parameters={"table": "p1"}, output={"state": "TEXT", "cost": "REAL"})
            episode.log("query", parameters={"sql": sql}, output=[[3]])
            episode.log("submit", parameters={"answer": [[3]]}, output="accepted")
            episode.succeed("accepted")
        prompt = memory.recall(TASK).to_prompt(max_tokens=400)
    (found,) = read(prompt, TASK).episodes
    assert found.task == TASK
    assert [step.tool for step in found.steps] == ["describe", "query", "submit"]
    assert found.steps[0].output == {"state": "TEXT", "cost": "REAL"}
    assert found.steps[1].parameters == {"sql": sql}


def test_a_failed_attempt_is_read_as_a_failure_and_a_cut_list_not_at_all() -> None:
    with Memory() as memory:
        with memory.episode("How many lamps?") as episode:
            episode.log("list_tables", parameters={}, output=[f"table_of_{number}" for number in range(90)])
            episode.log("query", parameters={"sql": "SELECT 1"}, output=[[1]])
            episode.log("submit", parameters={"answer": [[1]]}, output="wrong")
            episode.fail("wrong answer")
        prompt = memory.recall("How many lamps are there?").to_prompt(max_tokens=400)
    (found,) = read(prompt, "How many lamps are there?").episodes
    assert found.task == "How many lamps?"
    assert found.outcome is not None
    assert found.outcome.kind == "failure"
    assert [step.tool for step in found.steps] == ["query", "submit"]


def test_an_empty_text_says_nothing() -> None:
    assert read("", TASK).episodes == ()


def test_an_agent_that_reads_the_text_learns_from_it() -> None:
    result = run(episodes=120, seed=2, arms=("without", "reading"))
    late = {curve.arm: [trial.accepted for trial in curve.trials[-40:]] for curve in result.curves}
    assert sum(late["reading"]) > sum(late["without"]) + 10
