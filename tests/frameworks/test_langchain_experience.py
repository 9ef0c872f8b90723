"""The middleware of LangChain: a memory in one line, with the real framework and its fake model."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tacit import AsyncMemory, Memory, Outcome, judging
from tests.frameworks import shop

pytest.importorskip("langchain", reason="needs langchain 1.x: make test-frameworks")

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, ModelRetryMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from tacit.integrations.langchain import EPISODE, Experience

TOOLS = [tool.__wrapped__ for tool in (*shop.GOOD, shop.refund, shop.wait_for)]  # type: ignore[attr-defined]


class Scripted(GenericFakeChatModel):
    """The fake model: it keeps what it was given, and may fail first."""

    seen: list[Any]
    failures: int = 0

    def bind_tools(self, tools: Any, **_: Any) -> Scripted:
        return self

    def _generate(self, messages: Any, *rest: Any, **named: Any) -> Any:
        self.seen.append(messages)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the model is away")
        return super()._generate(messages, *rest, **named)


def call(order_id: int, name: str) -> dict[str, Any]:
    return {"name": name, "args": {"order_id": order_id}, "id": f"{order_id}-{name}", "type": "tool_call"}


def model(order_id: int, *names: str, at_once: bool = False, failures: int = 0) -> Scripted:
    calls = [call(order_id, name) for name in names]
    turns = [calls] if at_once else [[each] for each in calls]
    messages = [*(AIMessage("", tool_calls=turn) for turn in turns), AIMessage("done")]
    return Scripted(messages=iter(messages), seen=[], failures=failures)


def agent(memory: Any, order_id: int, *names: str, at_once: bool = False, **experience: Any) -> Any:
    middleware = [Experience(memory, domain="retail", **experience)]
    return create_agent(model(order_id, *names, at_once=at_once), tools=TOOLS, middleware=middleware)


def ask(task: str = shop.TASK) -> Any:
    return {"messages": [("user", task)]}


NAMES = ("get_order", "delivery_date", "fetch_page")


def check(memory: Memory, id: str, order_id: int, names: tuple[str, ...] = NAMES) -> None:
    episode = memory.get(id)
    assert episode.task == shop.TASK
    assert episode.context.domain == "retail"
    assert sorted(step.tool for step in episode.steps) == sorted(names)
    assert all(step.parameters == {"order_id": order_id} for step in episode.steps)
    assert sorted(step.call_id or "" for step in episode.steps) == sorted(f"{order_id}-{n}" for n in names)
    assert all(step.status == "ok" and step.latency_ms is not None for step in episode.steps)


def test_a_run_is_an_episode_and_its_answer_names_it() -> None:
    with Memory() as memory:
        answer = agent(memory, 17, *NAMES).invoke(ask())
        assert answer["messages"][-1].content == "done"
        assert set(answer) == {"messages", EPISODE}
        check(memory, answer[EPISODE], 17)
        steps = {step.tool: step for step in memory.get(answer[EPISODE]).steps}
        assert steps["fetch_page"].altered == ("output: cut from 200,007 to 10,000 characters",)
        assert "12.50" in json.dumps(steps["get_order"].output)
        outcome = memory.get(answer[EPISODE]).outcome
        assert outcome is not None
        assert outcome.kind == "unknown"


def test_calls_that_a_model_makes_at_once_are_one_batch_without_order() -> None:
    with Memory() as memory:
        for names in (NAMES, NAMES):
            answer = agent(memory, 17, *names, at_once=True).invoke(ask())
            check(memory, answer[EPISODE], 17)


def test_runs_at_once_keep_their_steps_apart_in_tasks_and_in_threads() -> None:
    with Memory() as memory:
        middleware = [Experience(memory, domain="retail")]

        def one(order_id: int) -> Any:
            return create_agent(model(order_id, *NAMES), tools=TOOLS, middleware=middleware)

        async def both() -> list[Any]:
            return await asyncio.gather(one(1).ainvoke(ask()), one(2).ainvoke(ask()))

        with ThreadPoolExecutor(2) as pool:
            answers = [*asyncio.run(both()), *pool.map(lambda order_id: one(order_id).invoke(ask()), (3, 4))]
        for order_id, answer in enumerate(answers, 1):
            check(memory, answer[EPISODE], order_id)


def test_a_tool_that_fails_fails_the_run_and_the_episode() -> None:
    with Memory() as memory:
        with pytest.raises(PermissionError):
            agent(memory, 17, "refund").invoke(ask())
        (episode,) = memory.episodes()
        shop.check_failed(episode, "order 17 cannot be refunded")
        assert episode.outcome is not None
        assert episode.outcome.kind == "failure"


def test_a_call_with_wrong_arguments_is_a_failed_step_and_the_run_goes_on() -> None:
    with Memory() as memory:
        wrong = {"name": "get_order", "args": {"order_id": "no number"}, "id": "1", "type": "tool_call"}
        messages = iter([AIMessage("", tool_calls=[wrong]), AIMessage("done")])
        middleware = [Experience(memory)]
        answer = create_agent(
            Scripted(messages=messages, seen=[]), tools=TOOLS, middleware=middleware
        ).invoke(ask())
        (step,) = memory.get(answer[EPISODE]).steps
        assert (step.status, step.parameters) == ("error", {"order_id": "no number"})
        assert "valid integer" in (step.error or "")


def test_a_cancelled_run_is_abandoned() -> None:
    with Memory() as memory:
        shop.WAITING.clear()

        async def run() -> None:
            await agent(memory, 17, "wait_for").ainvoke(ask())

        asyncio.run(shop.cancelled(run()))
        (episode,) = memory.episodes()
        shop.check_cancelled(episode)


def test_a_judge_decides_and_the_next_run_is_told_what_worked() -> None:
    with Memory() as memory:
        for order_id in range(3):
            agent(memory, order_id, *NAMES, judge=judging.last_step_ok).invoke(ask())
        scripted = model(9, "get_order")
        middleware = [Experience(memory, domain="retail", judge=judging.last_step_ok)]
        prompted = create_agent(scripted, tools=TOOLS, middleware=middleware, system_prompt="Be brief.")
        answer = prompted.invoke(ask())
        for messages in scripted.seen:
            assert messages[0].content.startswith("Be brief.\n\n<tacit-memory")
            assert "fetch_page" in messages[0].content
        assert memory.get(answer[EPISODE]).outcome == Outcome.success()


def test_advice_that_was_followed_is_credited() -> None:
    async def run() -> tuple[int, int]:
        async with AsyncMemory() as memory:
            first = await agent(memory, 1, *NAMES, judge=judging.last_step_ok).ainvoke(ask())
            await agent(memory, 2, *NAMES, judge=judging.last_step_ok).ainvoke(ask())
            usage = await memory.usage(first[EPISODE])
            return usage.retrieved, usage.applied

    assert asyncio.run(run()) == (1, 1)


def test_a_run_that_a_human_approves_later_is_one_episode_whoever_goes_on() -> None:
    saver = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "1"}}

    def approved(memory: Memory, scripted: Scripted) -> Any:
        middleware = [Experience(memory), HumanInTheLoopMiddleware(interrupt_on={"get_order": True})]
        return create_agent(scripted, tools=TOOLS, middleware=middleware, checkpointer=saver)

    with Memory() as memory:
        assert "__interrupt__" in approved(memory, model(17, "get_order")).invoke(ask(), config)
        (waiting,) = memory.open_episodes()
        going_on = approved(memory, model(17))  # as another process makes it
        answer = going_on.invoke(Command(resume={"decisions": [{"type": "approve"}]}), config)
        assert answer[EPISODE] == waiting.id
        assert [step.tool for step in memory.get(waiting.id).steps] == ["get_order"]
        assert memory.open_episodes() == ()


def test_a_model_that_another_middleware_asks_again_fails_nothing() -> None:
    for order in (0, 1):
        with Memory() as memory:
            middleware: list[Any] = [ModelRetryMiddleware(max_retries=1, initial_delay=0)]
            middleware.insert(order, Experience(memory))
            retried = create_agent(model(17, "get_order", failures=1), tools=TOOLS, middleware=middleware)
            answer = retried.invoke(ask())
            outcome = memory.get(answer[EPISODE]).outcome
            assert outcome is not None
            assert outcome.kind == "unknown"


def test_a_model_that_fails_fails_the_episode() -> None:
    with Memory() as memory:
        failing = create_agent(model(17, failures=1), tools=TOOLS, middleware=[Experience(memory)])
        with pytest.raises(ConnectionError):
            failing.invoke(ask())
        (episode,) = memory.episodes()
        assert episode.outcome is not None
        assert episode.outcome.reason == "ConnectionError: the model is away"


def test_an_agent_works_on_without_a_memory_that_is_closed() -> None:
    memory = Memory()
    recorded = agent(memory, 17, *NAMES)
    memory.close()
    assert recorded.invoke(ask())["messages"][-1].content == "done"
