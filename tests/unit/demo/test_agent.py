from __future__ import annotations

from typing import Any

import pytest

from tacit import Episode, NextStep, Outcome, Pattern, Step
from tacit.demo.advice import Advice, Beliefs
from tacit.demo.agent import act
from tacit.demo.database import Database, Question
from tacit.demo.guessing import likeness
from tacit.demo.tools import OutOfStepsError, Result, ToolBox

BUDGET = 10


class Nobody:
    """An adviser without an answer, who is asked all the same."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def advise(self, about: str) -> Advice:
        self.asked.append(about)
        return Advice()


class Steps(list[tuple[str, Any, Any]]):
    """The logged calls."""

    def __call__(self, tool: str, *, parameters: Any, latency_ms: float, **result: Any) -> None:
        assert latency_ms >= 0
        self.append((tool, parameters, result))


def attempt(database: Database, question: Question, adviser: Any, salt: int = 7) -> tuple[ToolBox, Steps]:
    steps = Steps()
    tools = ToolBox(database, question, steps, budget=BUDGET)
    act(question.text, tools, adviser, salt)
    return tools, steps


class OnlyTools:
    """Four tools and a count, nothing else: the agent's calls are written down."""

    def __init__(self, tools: ToolBox) -> None:
        object.__setattr__(self, "_tools", tools)
        object.__setattr__(self, "touched", set())

    def __getattr__(self, name: str) -> Any:
        self.touched.add(name)
        return getattr(self._tools, name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AssertionError(f"the agent sets {name} of its tools")


@pytest.fixture(scope="module")
def database() -> Database:
    return Database(2)


def test_the_agent_touches_the_database_through_the_four_tools_only(database) -> None:
    touched: set[str] = set()
    for question in database.questions(60):
        only = OnlyTools(ToolBox(database, question, Steps(), budget=BUDGET))
        act(question.text, only, Nobody(), 7)  # type: ignore[arg-type]
        touched |= only.touched
    assert touched == {"list_tables", "describe", "query", "submit", "left"}


def test_equal_salts_and_equal_advice_lead_to_equal_steps(database) -> None:
    for question in database.questions(40):
        assert attempt(database, question, Nobody())[1] == attempt(database, question, Nobody())[1]


def test_an_attempt_keeps_within_its_budget_and_ends_with_its_submission(database) -> None:
    for question in database.questions(100):
        tools, steps = attempt(database, question, Nobody())
        assert tools.used == len(steps) <= BUDGET
        assert (tools.accepted is not None) == (steps[-1][0] == "submit")
        assert sum(tool == "submit" for tool, _, _ in steps) <= 1


def test_without_advice_it_is_sometimes_right_and_often_not(database) -> None:
    right = sum(
        bool(attempt(database, question, Nobody())[0].accepted) for question in database.questions(100)
    )
    assert 10 < right < 60


def test_after_the_last_step_there_is_no_other(database) -> None:
    tools = ToolBox(database, next(database.questions(1)), Steps(), budget=2)
    assert tools.query("SELECT 1") == Result(output=[[1]])
    assert tools.submit([["nonsense"]]).error == "wrong answer"
    with pytest.raises(OutOfStepsError):
        tools.list_tables()


def test_a_question_it_cannot_read_is_left_alone(database) -> None:
    tools = ToolBox(database, next(database.questions(1)), Steps(), budget=BUDGET)
    act("Why is the sky blue?", tools, Nobody(), 7)
    assert (tools.used, tools.accepted) == (0, None)


def feedback_of(task: str, sql: str, *, accepted: bool) -> Advice:
    steps = (
        Step("query", parameters={"sql": sql}, status="ok", output=[[3]]),
        Step("submit", parameters={"answer": [[3]]}, status="ok" if accepted else "error"),
    )
    outcome = Outcome.success() if accepted else Outcome.failure("wrong answer")
    return Advice((Episode(task, id=f"{task} {sql}", steps=steps, outcome=outcome),))


def test_names_are_learned_from_what_was_accepted() -> None:
    beliefs = Beliefs()
    sql = "SELECT COUNT(*) FROM x9 WHERE c4 = 'open'"
    beliefs.hear(feedback_of("How many orders have the status 'open'?", sql, accepted=True))
    assert beliefs.proven(("order",)) == "x9"
    assert beliefs.proven(("order", "status", "x9")) == "c4"
    assert beliefs.proven(("invoice",)) is None
    assert beliefs.is_taken(("invoice",), "x9")
    assert beliefs.means_elsewhere("status", "c4")


def test_what_was_rejected_is_worth_less_than_what_nobody_tried() -> None:
    beliefs = Beliefs()
    sql = "SELECT COUNT(*) FROM x9 WHERE c4 = 'open'"
    beliefs.hear(feedback_of("How many orders have the status 'open'?", sql, accepted=False))
    assert beliefs.proven(("order",)) is None
    assert beliefs.worth(("order",), "x9") < beliefs.worth(("order",), "x8") == 1.0


def test_a_name_that_was_right_once_by_chance_is_not_kept() -> None:
    beliefs = Beliefs()
    task, sql = "How many orders have tax over {}?", "SELECT COUNT(*) FROM x9 WHERE lfd > {}"
    for limit, accepted in enumerate([True, False, False]):
        beliefs.hear(feedback_of(task.format(limit), sql.format(limit), accepted=accepted))
    assert beliefs.proven(("order", "tax", "x9")) is None


def test_an_episode_that_is_recalled_twice_counts_once() -> None:
    beliefs = Beliefs()
    sql = "SELECT COUNT(*) FROM x9 WHERE c4 = 'open'"
    wrong = feedback_of("How many orders have the status 'open'?", sql, accepted=False)
    beliefs.hear(wrong)
    once = beliefs.worth(("order",), "x9")
    beliefs.hear(wrong)
    assert beliefs.worth(("order",), "x9") == once


def recovery(tool: str, error: str, next: str, mean: float) -> Pattern:
    content = {"tool": tool, "error": error, "next": next}
    return Pattern(f"{tool} {next}", "error_recovery", content, 9, 9 * mean, mean, 0.0, 1.0, 9, 9 * mean)


def test_a_way_out_of_an_error_is_looked_up_by_tool_and_class() -> None:
    beliefs = Beliefs()
    patterns = (
        recovery("query", "no such table", "list_tables", 0.9),
        recovery("query", "no such table", "query", 0.2),
    )
    beliefs.hear(Advice(patterns=patterns, next_steps=(NextStep("describe", 0.4, 3),)))
    error = "no such table: customers"
    assert beliefs.success_of("list_tables", after="query", error=error) == 0.9
    assert beliefs.success_of("query", after="query", error=error) == 0.2
    assert beliefs.success_of("list_tables", after="query", error="no such column: city") is None
    assert beliefs.success_of("describe", after=None, error=None) == 0.4


@pytest.mark.parametrize(
    ("word", "name", "like"),
    [
        ("customer", "t_cust_mst", True),
        ("customer", "cstmr_no", True),
        ("customer", "customers", True),
        ("customer", "t_qz99_all", False),
        ("customer", "dbt_hd", False),
    ],
)
def test_a_shortened_word_is_recognised_and_another_is_not(word, name, like) -> None:
    assert (likeness(word, name) > 0.5) is like
