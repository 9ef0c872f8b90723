"""The parts of the LangChain middleware that need no LangChain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tacit import Memory
from tacit.integrations.langchain import _end_call, task_of, with_advice
from tacit.integrations.runs import AgentRuns


@pytest.mark.parametrize(
    ("messages", "task"),
    [
        (
            [SimpleNamespace(type="human", content=" Find it "), SimpleNamespace(type="ai", content="x")],
            "Find it",
        ),
        ([{"role": "user", "content": "first"}, {"role": "user", "content": "second"}], "second"),
        (
            [SimpleNamespace(type="human", content=[{"type": "text", "text": "Look"}, {"type": "image"}])],
            "Look\n[image]",
        ),
        ([SimpleNamespace(type="system", content="Be brief.")], ""),
    ],
)
def test_the_task_is_the_newest_text_of_the_user(messages: list[Any], task: str) -> None:
    assert task_of(messages) == task


def test_the_advice_comes_behind_the_system_message() -> None:
    assert with_advice(None, "advice") == with_advice("", "advice") == "advice"
    assert with_advice("Be brief.", "advice") == "Be brief.\n\nadvice"
    block = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    assert with_advice([block], "advice") == [block, {"type": "text", "text": "advice"}]


def message(content: Any, status: str = "success") -> SimpleNamespace:
    return SimpleNamespace(content=content, status=status, tool_call_id="1")


@pytest.mark.parametrize(
    ("result", "output", "error"),
    [
        (message('{"status": "open"}'), {"status": "open"}, None),
        (message("open"), "open", None),
        (message([{"type": "text", "text": "open"}]), "open", None),
        (message("no such order", "error"), None, "no such order"),
        (SimpleNamespace(update={"messages": [SimpleNamespace(), message("moved")]}), "moved", None),
        (SimpleNamespace(update={"count": 1}), "", None),
    ],
)
def test_a_step_has_the_content_of_the_tool_message(result: Any, output: Any, error: str | None) -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {})
        id = runs.start("Look up order 17")
        _end_call(runs.begin(id, "get_order"), result)
        runs.finish(id)
        (step,) = memory.get(id or "").steps
        assert (step.output, step.error) == (output, error)
