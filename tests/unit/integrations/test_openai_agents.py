"""The parts of the hooks for the OpenAI Agents SDK that need no SDK."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tacit import Memory
from tacit.integrations.openai_agents import _see_exceptions
from tacit.integrations.runs import AgentRuns


@dataclass
class RunConfig:
    """The settings of a run, as far as they matter here."""

    tool_error_formatter: Callable[[Any], Any] | None = None


def test_the_exception_of_a_call_is_noted_and_the_settings_of_the_run_stay() -> None:
    for given, message in ((None, None), (lambda _: "formatted", "formatted")):
        with Memory() as memory:
            runs = AgentRuns(memory, {})
            id = runs.start("Refund order 17")
            settings = RunConfig(given)
            context = SimpleNamespace(run_config=settings)
            _see_exceptions(context, runs.begin(id, "refund"))
            error = PermissionError("not yours")
            assert context.run_config.tool_error_formatter(SimpleNamespace(error=error)) == message
            runs.finish(id)
            assert settings.tool_error_formatter is given
            assert memory.get(id or "").steps[0].error == "PermissionError: not yours"


def test_a_call_without_settings_is_left_alone() -> None:
    with Memory() as memory:
        call = AgentRuns(memory, {}).begin(None, "refund")
        for context in (
            SimpleNamespace(),
            SimpleNamespace(run_config=None),
            SimpleNamespace(run_config=object()),
        ):
            before = dict(vars(context))
            _see_exceptions(context, call)
            assert vars(context) == before
