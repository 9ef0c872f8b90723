"""The parts of the Pydantic AI capability that need no Pydantic AI."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tacit.integrations.pydantic_ai import signal_text, task_of


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        (" Find it ", "Find it"),
        (
            ["Find", SimpleNamespace(url="https://example.com/a.png"), SimpleNamespace(content="it")],
            "Find\nit",
        ),
        (None, ""),
    ],
)
def test_the_task_is_the_text_of_the_prompt(prompt: Any, task: str) -> None:
    assert task_of(prompt) == task


def signal(**parts: object) -> Exception:
    error = Exception("a signal")
    for name, part in parts.items():
        setattr(error, name, part)
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (signal(tool_retry=SimpleNamespace(content="name a card")), "name a card"),
        (signal(tool_failed=SimpleNamespace(content={"code": 3})), "{'code': 3}"),
        (ValueError("no card"), None),
    ],
)
def test_a_signal_to_the_model_is_an_error_with_its_text(error: Exception, text: str | None) -> None:
    assert signal_text(error) == text
