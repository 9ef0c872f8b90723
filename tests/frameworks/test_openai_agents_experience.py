"""The hooks of the OpenAI Agents SDK: a memory in two lines, with the real SDK and a stub model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tacit import AsyncMemory, Memory, Outcome, judging
from tests.frameworks import shop

pytest.importorskip("agents", reason="needs openai-agents: make test-frameworks")

from agents import Agent, RunConfig, Runner, function_tool
from agents.tracing import set_trace_processors

from tacit.integrations.openai_agents import Experience
from tests.frameworks.test_openai_agents import Scripted, call, done

set_trace_processors([])  # nothing is sent anywhere
PLAIN = [tool.__wrapped__ for tool in (*shop.GOOD, shop.refund, shop.wait_for)]  # type: ignore[attr-defined]
UNTRACED = RunConfig(tracing_disabled=True)


class Seeing(Scripted):
    """The stub model; it keeps the instructions of each request."""

    def __init__(self, *messages: Any) -> None:
        super().__init__(*messages)
        self.seen: list[str] = []

    async def get_response(self, system_instructions: Any, *rest: Any, **named: Any) -> Any:
        self.seen.append(system_instructions or "")
        return await super().get_response(system_instructions, *rest, **named)


def agent(order_id: int, *names: str, at_once: bool = False, **options: Any) -> Agent[Any]:
    calls = [call(order_id, name) for name in names]
    messages = [calls] if at_once else [[each] for each in calls]
    tools = [function_tool(tool, **options) for tool in PLAIN]
    return Agent(name="shopper", instructions="Be brief.", model=Seeing(*messages, [done()]), tools=tools)


async def run(memory: Any, shopper: Agent[Any], config: RunConfig = UNTRACED, **experience: Any) -> str:
    async with Experience(memory, shop.TASK, domain="retail", **experience) as hooks:
        result = await Runner.run(hooks.advised(shopper), hooks.task, hooks=hooks, run_config=config)
        assert result.final_output == "done"
    return hooks.episode_id or ""


def outcome_of(memory: Memory, id: str) -> Outcome:
    outcome = memory.get(id).outcome
    assert outcome is not None
    return outcome


@pytest.mark.parametrize("at_once", [False, True])
def test_a_run_is_an_episode_with_the_objects_that_tools_returned(at_once: bool) -> None:
    with Memory() as memory:
        id = asyncio.run(run(memory, agent(17, *shop.NAMES, at_once=at_once)))
        episode = memory.get(id)
        shop.check_whole(episode, 17)
        assert {step.call_id for step in episode.steps} == {f"17-{name}" for name in shop.NAMES}
        assert (episode.task, episode.context.domain) == (shop.TASK, "retail")
        assert outcome_of(memory, id).kind == "unknown"


def test_two_runs_at_once_keep_their_steps_apart() -> None:
    with Memory() as memory:

        async def both() -> list[str]:
            return await asyncio.gather(*(run(memory, agent(n, *shop.NAMES)) for n in (1, 2)))

        for order_id, id in enumerate(asyncio.run(both()), 1):
            shop.check_whole(memory.get(id), order_id)


def apology(_: Any, error: Exception) -> str:
    return f"Sorry: {error}"


@pytest.mark.parametrize(
    ("options", "config", "error"),
    [
        ({}, UNTRACED, "PermissionError: order 17 cannot be refunded"),
        (
            {},
            RunConfig(tool_error_formatter=lambda _: "formatted"),
            "PermissionError: order 17 cannot be refunded",
        ),
        ({"failure_error_function": apology}, RunConfig(), "Sorry: order 17 cannot be refunded"),
    ],
    ids=["by default", "with a formatter", "with a function of its own"],
)
def test_the_exception_that_the_sdk_hides_from_the_model_is_the_error_of_the_step(
    options: dict[str, Callable[..., str]], config: RunConfig, error: str
) -> None:
    with Memory() as memory:
        id = asyncio.run(run(memory, agent(17, "refund", **options), config))
        (step,) = memory.get(id).steps
        assert (step.tool, step.status, step.error) == ("refund", "error", error)
        assert outcome_of(memory, id).kind == "unknown"


def test_the_formatter_of_the_run_still_speaks_to_the_model() -> None:
    given: list[Any] = []

    class Listening(Seeing):
        async def get_response(self, system_instructions: Any, input: Any, *rest: Any, **named: Any) -> Any:
            given.append(input)
            return await super().get_response(system_instructions, input, *rest, **named)

    shopper = agent(17, "refund").clone(model=Listening([call(17, "refund")], [done()]))
    config = RunConfig(tracing_disabled=True, tool_error_formatter=lambda _: "formatted")
    with Memory() as memory:
        asyncio.run(run(memory, shopper, config))
    assert given[-1][-1]["output"] == "formatted"


def test_a_tool_that_fails_the_run_fails_the_episode() -> None:
    with Memory() as memory:
        with pytest.raises(Exception, match="cannot be refunded"):
            asyncio.run(run(memory, agent(17, "refund", failure_error_function=None)))
        (episode,) = memory.episodes()
        shop.check_failed(episode, "order 17 cannot be refunded")
        assert outcome_of(memory, episode.id).kind == "failure"


def test_a_cancelled_run_is_abandoned() -> None:
    with Memory() as memory:
        shop.WAITING.clear()

        async def cancelled() -> None:
            await run(memory, agent(17, "wait_for"))

        asyncio.run(shop.cancelled(cancelled()))
        shop.check_cancelled(memory.episodes()[0])


def test_a_judge_decides_and_the_next_run_is_given_what_worked() -> None:
    with Memory() as memory:
        for order_id in range(3):
            asyncio.run(run(memory, agent(order_id, *shop.NAMES), judge=judging.last_step_ok))
        shopper = agent(9, "get_order")
        id = asyncio.run(run(memory, shopper, judge=judging.last_step_ok))
        assert outcome_of(memory, id) == Outcome.success()
        assert isinstance(shopper.model, Seeing)
        assert len(shopper.model.seen) == 2
        for instructions in shopper.model.seen:
            assert instructions.startswith("Be brief.\n\n<tacit-memory")
            assert "fetch_page" in instructions


def test_instructions_of_ones_own_that_are_a_function_stay() -> None:
    async def instructions(context: Any, agent: Any) -> str:
        return f"You are the {agent.name}."

    with Memory() as memory:
        shopper = agent(17).clone(instructions=instructions)
        asyncio.run(run(memory, shopper))
        assert isinstance(shopper.model, Seeing)
        assert shopper.model.seen == ["You are the shopper."]


def test_advice_that_was_followed_is_credited() -> None:
    async def both() -> tuple[int, int]:
        async with AsyncMemory() as memory:
            first = await run(memory, agent(1, *shop.NAMES), judge=judging.last_step_ok)
            await run(memory, agent(2, *shop.NAMES), judge=judging.last_step_ok)
            usage = await memory.usage(first)
            return usage.retrieved, usage.applied

    assert asyncio.run(both()) == (1, 1)


def test_hooks_without_a_block_end_the_episode_with_the_run() -> None:
    with Memory() as memory:
        hooks = Experience(memory, shop.TASK)
        asyncio.run(Runner.run(agent(17, "get_order"), shop.TASK, hooks=hooks, run_config=UNTRACED))
        assert outcome_of(memory, hooks.episode_id or "").kind == "unknown"


def test_an_agent_works_on_without_a_memory_that_is_closed() -> None:
    memory = Memory()
    memory.close()
    asyncio.run(run(memory, agent(17, *shop.NAMES)))
