"""The parts of the store for LangGraph that need no LangGraph."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tacit import Episode, Outcome, Step, TaskContext, ValidationError
from tacit.integrations.langgraph import calls_of, fits, matches, value_of

EPISODE = Episode(
    "Cancel order 17",
    context=TaskContext(domain="retail"),
    outcome=Outcome.failure("no card"),
    steps=(
        Step("get_order", parameters={"order_id": 17}, status="ok", output="open"),
        Step("cancel_order", status="error", error="no card"),
    ),
)


def test_an_item_holds_the_episode_and_its_calls() -> None:
    value = value_of(EPISODE)
    assert (value["task"], value["outcome"], value["why"]) == ("Cancel order 17", "failure", "no card")
    assert (value["domain"], value["tools"]) == ("retail", ["get_order", "cancel_order"])
    assert calls_of(EPISODE) == [
        {"tool": "get_order", "parameters": {"order_id": 17}, "output": "open"},
        {"tool": "cancel_order", "parameters": None, "error": "no card"},
    ]


def test_a_filter_compares_for_equality_alone() -> None:
    value = value_of(EPISODE)
    assert matches(value, None)
    assert matches(value, {"outcome": "failure", "domain": "retail"})
    assert not matches(value, {"outcome": "success"})
    with pytest.raises(ValidationError, match=r"filter\.tools must be a value that is equal"):
        matches(value, {"tools": {"$gt": 1}})


@pytest.mark.parametrize(
    ("kind", "path", "found"),
    [
        ("prefix", ("experience",), True),
        ("prefix", ("*", "retail"), True),
        ("prefix", ("users",), False),
        ("suffix", ("retail",), True),
        ("suffix", ("travel",), False),
        ("suffix", ("a", "b", "c"), False),
        ("prefix", (), True),
    ],
)
def test_a_namespace_fits_its_conditions(kind: str, path: tuple[str, ...], found: bool) -> None:
    assert fits(("experience", "retail"), SimpleNamespace(match_type=kind, path=path)) is found
