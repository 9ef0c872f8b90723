"""A rule counts as followed only if its action was taken under its condition."""

from __future__ import annotations

from typing import Any

import pytest

from tacit import Episode, Heuristic, Outcome, Step
from tacit.credit.adherence import matches_action
from tacit.extractors.columns import trajectory_of

RUN = Episode(
    task="t",
    steps=(
        Step("look", status="ok"),
        Step("query", error="no such table: x", status="error"),
        Step("schema"),
        Step("query", error="no such column: y", status="error"),
        Step("query", status="ok"),
    ),
    outcome=Outcome.success(),
)
TAKEN = trajectory_of(RUN)
NO_TABLE = TAKEN.error_classes[1]
FIRST = {"first_error": True}


def rule(when: dict[str, Any], do: dict[str, Any]) -> Heuristic:
    return Heuristic("0" * 32, "c", "a", 1, 1.0, 0.5, 0.9, when=when, do=do)


@pytest.mark.parametrize(
    ("when", "do", "since", "followed"),
    [
        ({"after": "query", "result": NO_TABLE}, {"tools": ["schema"]}, 0, True),
        ({"after": "query", "result": NO_TABLE}, {"tools": ["schema", "query"]}, 2, True),
        ({"after": "query", "result": NO_TABLE}, {"tools": ["schema"]}, 3, False),
        ({"after": "query", "result": "ok"}, {"tools": ["schema"]}, 0, False),
        ({"after": "query", "result": NO_TABLE}, {"tools": ["query"]}, 0, False),
        ({"after": "schema", "result": "none"}, {"tools": ["query"]}, 0, True),
        ({"after": "query", "result": "ok"}, {"tools": []}, 0, True),
        ({"after": "look", "result": "ok"}, {"tools": []}, 0, False),
        ({"after": None, "result": None}, {"tools": ["look"]}, 0, True),
        ({"after": None, "result": None}, {"tools": ["look"]}, 1, False),
        (FIRST, {"respond": "switch"}, 0, True),
        (FIRST, {"respond": "retry"}, 0, False),
        ({**FIRST, "tool": "look"}, {"respond": "switch"}, 0, False),
        ({"task_type": "other"}, {"approach": ["look", "query", "schema"]}, 0, True),
        ({"task_type": "other"}, {"approach": ["look", "query"]}, 0, False),
        ({"after": None, "result": None, "agent": "another"}, {"tools": ["look"]}, 0, False),
        ({}, {}, 0, False),
    ],
)
def test_a_rule_is_followed_where_its_action_meets_its_condition(
    when: dict[str, Any], do: dict[str, Any], since: int, followed: bool
) -> None:
    assert matches_action(rule(when, do), TAKEN, "solo", since) is followed


def test_the_last_step_stands_before_no_choice_at_the_start() -> None:
    run = trajectory_of(
        Episode("t", steps=(Step("a", status="ok"), Step("b", status="ok")), outcome=Outcome.success())
    )
    assert not matches_action(rule({"after": "b", "result": "ok"}, {"tools": ["a"]}), run, None, 0)
    assert matches_action(rule({"after": None, "result": None}, {"tools": ["a"]}), run, None, 0)
    assert not matches_action(rule({"after": None, "result": None}, {"tools": ["b"]}), run, None, 0)
