"""The runs of an agent as episodes: what every integration shares, without a framework."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tacit import AsyncMemory, Memory, Outcome, ValidationError, judging
from tacit.integrations import frameworks
from tacit.integrations.runs import AgentRuns

TASK = "Cancel order 17"


def kind_of(memory: Memory, id: str | None) -> str:
    outcome = memory.get(id or "").outcome
    return "open" if outcome is None else outcome.kind


def test_a_run_is_an_episode_with_steps_and_the_verdict_of_its_judge() -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {"domain": "retail"}, judge=judging.last_step_ok)
        id = runs.start(TASK)
        with runs.tool_call(id, "get_order", parameters={"order_id": 17}, call_id="c1") as call:
            call.end({"status": "open"})
        runs.finish(id)
        episode = memory.get(id or "")
        (step,) = episode.steps
        assert (step.tool, step.call_id, step.output) == ("get_order", "c1", {"status": "open"})
        assert (episode.outcome, episode.context.domain) == (Outcome.success(), "retail")


def test_the_advice_is_a_receipt_whose_memories_are_credited() -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {}, judge=judging.last_step_ok)
        ids, advice = [], ""
        for _ in range(2):
            ids.append(runs.start(TASK))
            advice = runs.advice(ids[-1])
            runs.begin(ids[-1], "cancel_order", parameters={"order_id": 17}).end("cancelled")
            runs.finish(ids[-1])
        assert "cancel_order" in advice
        assert memory.usage(ids[0] or "").applied == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, "unknown"),
        (ValueError("no card"), "failure"),
        (asyncio.CancelledError(), "abandoned"),
        (KeyboardInterrupt(), "abandoned"),
    ],
)
def test_a_run_ends_as_its_exception_says(error: BaseException | None, kind: str) -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {})
        id = runs.start(TASK)
        runs.finish(id, error)
        assert kind_of(memory, id) == kind


def test_calls_in_flight_fail_with_the_run_that_is_cancelled() -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {})
        id = runs.start(TASK)
        runs.begin(id, "get_order").end("open")
        runs.begin(id, "wait")
        runs.finish(id, asyncio.CancelledError())
        assert [step.status for step in memory.get(id or "").steps] == ["ok", "error"]


def test_an_exception_fails_the_call_and_a_pause_leaves_it_in_flight() -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {})
        id = runs.start(TASK)
        with pytest.raises(ValueError, match="no card"), runs.tool_call(id, "pay", pauses=(KeyError,)):
            raise ValueError("no card")
        with pytest.raises(KeyError), runs.tool_call(id, "ship", call_id="c2", pauses=(KeyError,)):
            raise KeyError
        going_on = AgentRuns(memory, {})
        with going_on.tool_call(id, "ship", call_id="c2") as call:
            call.end("shipped")
        going_on.finish(id)
        steps = {step.tool: step for step in memory.get(id or "").steps}
        assert (steps["pay"].status, steps["pay"].error) == ("error", "ValueError: no card")
        assert (len(steps), steps["ship"].status) == (2, "ok")


def test_a_run_that_went_on_after_its_failure_loses_that_verdict() -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {})
        id = runs.start(TASK)
        runs.finish(id, ValueError("the model is away"))
        runs.begin(id, "get_order").end("open")
        runs.finish(id)
        assert kind_of(memory, id) == "unknown"


def test_a_run_that_was_cancelled_is_opened_again_by_its_next_step() -> None:
    with Memory() as memory:
        runs = AgentRuns(memory, {})
        id = runs.start(TASK)
        runs.finish(id, asyncio.CancelledError())
        runs.begin(id, "get_order").end("open")
        runs.finish(id)
        assert kind_of(memory, id) == "unknown"
        assert len(memory.get(id or "").steps) == 1


def test_a_failing_memory_is_logged_and_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    runs = AgentRuns(memory, {})
    open_id = runs.start(TASK)
    memory.close()
    with caplog.at_level(logging.WARNING, "tacit"):
        for id in (open_id, runs.start(TASK), "no id", None):
            assert runs.advice(id) == ""
            with runs.tool_call(id, "get_order") as call:
                call.end("open")
            runs.finish(id)
    assert "the agent works without its memory" in caplog.text


def test_an_async_memory_will_do() -> None:
    async def run() -> str:
        async with AsyncMemory() as memory:
            await memory.flush()
            runs = AgentRuns(memory, {})
            id = runs.start(TASK)
            await asyncio.to_thread(runs.finish, id)
            return kind_of(memory.memory, id)

    assert asyncio.run(run()) == "unknown"


def test_a_misspelt_keyword_is_refused_when_the_integration_is_made() -> None:
    with Memory() as memory, pytest.raises(TypeError, match="did you mean 'domain'"):
        AgentRuns(memory, {"domian": "retail"})  # type: ignore[typeddict-unknown-key]


def test_a_missing_framework_is_refused_by_the_name_of_its_extra() -> None:
    base = frameworks.framework_class("no_such_framework.agents", "Hooks", "langchain")
    too_old = frameworks.framework_class("logging", "Hooks", "langchain")
    for missing in (base, too_old):
        with pytest.raises(ValidationError, match=r"pip install 'tacit\[langchain\]'"):
            type("Experience", (missing,), {})("a memory", domain="retail")
    with pytest.raises(ValidationError, match=r"pip install 'tacit\[otel\]'"):
        frameworks.framework_module("no_such_framework", "otel")
