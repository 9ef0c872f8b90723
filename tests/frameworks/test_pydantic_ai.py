"""A Pydantic AI agent records its tools without a line of conversion."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import tacit
from tacit import Memory
from tests.frameworks import shop

pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim 2.x: make test-frameworks")

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

# The framework itself refuses a tool that returns an exception.
TOOLS = [tool for tool in shop.GOOD if tool is not shop.last_problem]
NAMES = tuple(tool.__name__ for tool in TOOLS)


def agent(order_id: int, *names: str) -> Agent[None, str]:
    """Calls one tool a request, then is done."""

    def next_message(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        parts = [part for message in messages for part in message.parts]
        done = sum(isinstance(part, ToolReturnPart) for part in parts)
        if done == len(names):
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart(names[done], {"order_id": order_id})])

    return Agent(FunctionModel(next_message), tools=[*TOOLS, shop.refund, shop.wait_for])


def test_a_run_is_recorded_as_it_was() -> None:
    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            assert agent(17, *NAMES).run_sync(shop.TASK).output == "done"
            episode.succeed()
        shop.check_whole(memory.get(episode.id), 17, NAMES)


def test_the_test_model_that_calls_every_tool_at_once_is_recorded() -> None:
    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            Agent(TestModel(), tools=TOOLS).run_sync(shop.TASK)
            episode.succeed()
        shop.check_whole(memory.get(episode.id), 0, NAMES)


def test_two_runs_at_once_keep_their_steps_apart() -> None:
    with Memory() as memory:

        async def run(order_id: int) -> str:
            with memory.episode(shop.TASK) as episode:
                await agent(order_id, *NAMES).run(shop.TASK)
                episode.succeed()
            return episode.id

        async def both() -> list[str]:
            return await asyncio.gather(run(1), run(2))

        for order_id, id in enumerate(asyncio.run(both()), 1):
            shop.check_whole(memory.get(id), order_id, NAMES)


def test_a_failing_tool_fails_the_run_as_it_would_without_a_memory() -> None:
    with Memory() as memory:
        with pytest.raises(PermissionError), memory.episode(shop.TASK) as episode:
            agent(17, "refund").run_sync(shop.TASK)
        shop.check_failed(memory.get(episode.id), "order 17 cannot be refunded")


def test_a_cancelled_run_is_abandoned() -> None:
    with Memory() as memory:
        ids: list[str] = []

        async def run() -> None:
            with memory.episode(shop.TASK) as episode:
                ids.append(episode.id)
                await agent(17, "wait_for").run(shop.TASK)

        shop.WAITING.clear()
        asyncio.run(shop.cancelled(run()))
        shop.check_cancelled(memory.get(ids[0]))


def test_a_tool_may_return_a_model_object() -> None:
    from pydantic import BaseModel

    class Fern(BaseModel):
        name: str
        height_cm: float

    def find_fern(name: str) -> Any:
        """Finds a fern."""
        return Fern(name=name, height_cm=30)

    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            Agent(TestModel(), tools=[tacit.tool(find_fern)]).run_sync(shop.TASK)
            episode.succeed()
        (step,) = memory.get(episode.id).steps
        assert step.output == {"name": "a", "height_cm": 30.0}
