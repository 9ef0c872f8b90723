"""The capability of Pydantic AI: a memory in one line, with the real framework and its function model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tacit import AsyncMemory, Memory, Outcome, judging
from tests.frameworks import shop

pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim 2.x: make test-frameworks")

from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from tacit.integrations.pydantic_ai import Experience

# The framework itself refuses a tool that returns an exception.
TOOLS = [
    tool.__wrapped__ for tool in (*shop.GOOD, shop.refund, shop.wait_for) if tool is not shop.last_problem
]  # type: ignore[attr-defined]
NAMES = ("get_order", "delivery_date", "fetch_page")


def model(order_id: int, *names: str, seen: list[str] | None = None) -> FunctionModel:
    """Calls one tool a request, then is done; `seen` gets the instructions of each request."""
    turn = 0

    def next_message(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal turn
        if seen is not None:
            seen.append(info.instructions or "")
        turn += 1
        if turn > len(names):
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart(names[turn - 1], {"order_id": order_id})])

    return FunctionModel(next_message)


def agent(memory: Any, order_id: int, *names: str, **experience: Any) -> tuple[Agent[None, str], Experience]:
    capability = Experience(memory, domain="retail", **experience)
    return Agent(model(order_id, *names), tools=TOOLS, capabilities=[capability]), capability


def only_outcome(memory: Memory) -> Outcome:
    (episode,) = memory.episodes()
    assert episode.outcome is not None
    return episode.outcome


def test_a_run_is_an_episode_that_its_result_leads_to() -> None:
    with Memory() as memory:
        shopper, experience = agent(memory, 17, *NAMES)
        result = shopper.run_sync(shop.TASK)
        assert result.output == "done"
        episode = memory.get(experience.episode_of(result) or "")
        shop.check_whole(episode, 17, NAMES)
        assert (episode.task, episode.context.domain) == (shop.TASK, "retail")
        assert all(step.call_id for step in episode.steps)
        assert only_outcome(memory).kind == "unknown"


def test_calls_that_a_model_makes_at_once_are_recorded() -> None:
    with Memory() as memory:
        good = TOOLS[:3]
        Agent(TestModel(), tools=good, capabilities=[Experience(memory)]).run_sync(shop.TASK)
        (episode,) = memory.episodes()
        shop.check_whole(episode, 0, NAMES)


def test_two_runs_of_one_agent_at_once_keep_their_steps_apart() -> None:
    with Memory() as memory:
        experience = Experience(memory)

        async def run(order_id: int) -> str:
            shopper = Agent(model(order_id, *NAMES), tools=TOOLS, capabilities=[experience])
            return experience.episode_of(await shopper.run(shop.TASK)) or ""

        async def both() -> list[str]:
            return await asyncio.gather(run(1), run(2))

        for order_id, id in enumerate(asyncio.run(both()), 1):
            shop.check_whole(memory.get(id), order_id, NAMES)


def test_a_tool_that_fails_fails_the_run_and_the_episode() -> None:
    with Memory() as memory:
        with pytest.raises(PermissionError):
            agent(memory, 17, "refund")[0].run_sync(shop.TASK)
        shop.check_failed(memory.episodes()[0], "order 17 cannot be refunded")
        assert only_outcome(memory).kind == "failure"


def test_a_tool_that_asks_to_try_again_is_a_failed_step_and_the_run_continues() -> None:
    def pay(order_id: int) -> str:
        """Pays an order."""
        raise ModelRetry("name a card")

    with Memory() as memory:
        payer = Agent(model(17, "pay"), tools=[pay], capabilities=[Experience(memory)])
        assert payer.run_sync(shop.TASK).output == "done"
        (step,) = memory.episodes()[0].steps
        assert (step.status, step.error) == ("error", "name a card")
        assert only_outcome(memory).kind == "unknown"


def test_a_cancelled_run_is_abandoned() -> None:
    with Memory() as memory:
        shop.WAITING.clear()

        async def run() -> None:
            await agent(memory, 17, "wait_for")[0].run(shop.TASK)

        asyncio.run(shop.cancelled(run()))
        shop.check_cancelled(memory.episodes()[0])


def test_a_judge_decides_and_the_next_run_is_given_what_worked() -> None:
    with Memory() as memory:
        for order_id in range(3):
            agent(memory, order_id, *NAMES, judge=judging.last_step_ok)[0].run_sync(shop.TASK)
        seen: list[str] = []
        experience = Experience(memory, domain="retail")
        advised = Agent(
            model(9, "get_order", seen=seen), tools=TOOLS, capabilities=[experience], instructions="Be brief."
        )
        advised.run_sync(shop.TASK)
        assert len(seen) == 2
        for instructions in seen:
            assert "Be brief." in instructions
            assert "<tacit-memory" in instructions
            assert "fetch_page" in instructions


def test_advice_that_was_followed_is_credited() -> None:
    async def run() -> tuple[int, int]:
        async with AsyncMemory() as memory:
            first, experience = agent(memory, 1, *NAMES, judge=judging.last_step_ok)
            id = experience.episode_of(await first.run(shop.TASK))
            await agent(memory, 2, *NAMES, judge=judging.last_step_ok)[0].run(shop.TASK)
            usage = await memory.usage(id or "")
            return usage.retrieved, usage.applied

    assert asyncio.run(run()) == (1, 1)


def test_an_agent_works_on_without_a_memory_that_is_closed() -> None:
    memory = Memory()
    recorded, _ = agent(memory, 17, *NAMES)
    memory.close()
    assert recorded.run_sync(shop.TASK).output == "done"
