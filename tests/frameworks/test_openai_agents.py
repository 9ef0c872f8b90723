"""An agent of the OpenAI Agents SDK records its tools without a line of conversion."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tacit import Memory
from tests.frameworks import shop

pytest.importorskip("agents", reason="needs openai-agents: make test-frameworks")

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, function_tool
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText


class Scripted(Model):
    """A stub model: one message a request, in order."""

    def __init__(self, *messages: Any) -> None:
        self._messages = iter(messages)

    async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
        return ModelResponse(output=next(self._messages), usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


def call(order_id: int, name: str) -> ResponseFunctionToolCall:
    arguments = json.dumps({"order_id": order_id})
    return ResponseFunctionToolCall(
        type="function_call", name=name, arguments=arguments, call_id=f"{order_id}-{name}"
    )


def done() -> ResponseOutputMessage:
    text = ResponseOutputText(type="output_text", text="done", annotations=[])
    return ResponseOutputMessage(id="1", type="message", role="assistant", status="completed", content=[text])


def agent(order_id: int, *names: str, at_once: bool = False, **options: Any) -> Agent[Any]:
    calls = [call(order_id, name) for name in names]
    messages = [calls] if at_once else [[each] for each in calls]
    tools = [function_tool(tool, **options) for tool in (*shop.GOOD, shop.refund, shop.wait_for)]
    return Agent(name="shopper", model=Scripted(*messages, [done()]), tools=tools)


UNTRACED = RunConfig(tracing_disabled=True)


async def run(agent: Agent[Any]) -> Any:
    return await Runner.run(agent, shop.TASK, run_config=UNTRACED)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_run_is_recorded_as_it_was(at_once: bool) -> None:
    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            answer = asyncio.run(run(agent(17, *shop.NAMES, at_once=at_once)))
            assert answer.final_output == "done"
            episode.succeed()
        shop.check_whole(memory.get(episode.id), 17)


def test_two_runs_at_once_keep_their_steps_apart() -> None:
    with Memory() as memory:

        async def recorded(order_id: int) -> str:
            with memory.episode(shop.TASK) as episode:
                await run(agent(order_id, *shop.NAMES))
                episode.succeed()
            return episode.id

        async def both() -> list[str]:
            return await asyncio.gather(recorded(1), recorded(2))

        for order_id, id in enumerate(asyncio.run(both()), 1):
            shop.check_whole(memory.get(id), order_id)


def test_a_failing_tool_that_the_sdk_turns_into_text_is_a_failed_step() -> None:
    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            answer = asyncio.run(run(agent(17, "refund")))
            assert answer.final_output == "done"
        stored = memory.get(episode.id)
        shop.check_failed(stored, "order 17 cannot be refunded")
        assert stored.outcome is not None
        assert stored.outcome.kind == "unknown"


def test_a_failing_tool_fails_the_run_as_it_would_without_a_memory() -> None:
    with Memory() as memory:
        with pytest.raises(Exception, match="cannot be refunded"), memory.episode(shop.TASK) as episode:
            asyncio.run(run(agent(17, "refund", failure_error_function=None)))
        shop.check_failed(memory.get(episode.id), "order 17 cannot be refunded")


def test_a_cancelled_run_is_abandoned() -> None:
    with Memory() as memory:
        ids: list[str] = []

        async def recorded() -> None:
            with memory.episode(shop.TASK) as episode:
                ids.append(episode.id)
                await run(agent(17, "wait_for"))

        shop.WAITING.clear()
        asyncio.run(shop.cancelled(recorded()))
        shop.check_cancelled(memory.get(ids[0]))
