"""The errors that question B5 asks about."""

from __future__ import annotations

import pytest

from tacit import Episode, Outcome, Step
from tacit.evaluation.recovery import events_of

BAD, FIX = Step("query", error="no such table", status="error"), Step("show", output="t", status="ok")


def tools(*steps: Step, outcome: Outcome | None) -> list[str]:
    return [event.tool for event in events_of([Episode("Count the rows", steps=steps, outcome=outcome)])]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.success(), ["show"]),
        (Outcome.partial(completed=("a",), failed=("b",)), []),
        (Outcome.failure("wrong answer"), []),
        (Outcome.unknown(), []),
        (None, []),
    ],
)
def test_the_last_step_is_a_fix_only_of_a_run_that_succeeded(
    outcome: Outcome | None, expected: list[str]
) -> None:
    assert tools(FIX, BAD, FIX, outcome=outcome) == expected


def test_an_earlier_step_that_worked_is_a_fix_whatever_came_of_the_run() -> None:
    assert tools(BAD, FIX, FIX, outcome=Outcome.failure("wrong answer")) == ["show"]


def test_a_step_that_failed_or_has_no_result_is_no_fix() -> None:
    assert tools(BAD, BAD, Step("show"), FIX, outcome=Outcome.success()) == []
