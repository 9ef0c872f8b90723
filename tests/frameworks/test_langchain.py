"""A LangChain agent records its tools without a line of conversion."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tacit
from tacit import Memory
from tests.frameworks import shop

pytest.importorskip("langchain", reason="needs langchain 1.x: make test-frameworks")

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage


class Scripted(GenericFakeChatModel):
    """The fake model, with tools bound to it."""

    def bind_tools(self, tools: Any, **_: Any) -> Scripted:
        return self


def agent(order_id: int, *names: str) -> Any:
    calls = [
        {"name": name, "args": {"order_id": order_id}, "id": f"{order_id}-{name}", "type": "tool_call"}
        for name in names
    ]
    messages = [AIMessage("", tool_calls=[call]) for call in calls] + [AIMessage("done")]
    tools = [*shop.GOOD, shop.refund, shop.wait_for]
    return create_agent(Scripted(messages=iter(messages)), tools=tools)


def parallel_agent(order_id: int) -> Any:
    calls = [
        {"name": name, "args": {"order_id": order_id}, "id": f"{order_id}-{name}", "type": "tool_call"}
        for name in shop.NAMES
    ]
    messages = [AIMessage("", tool_calls=calls), AIMessage("done")]
    return create_agent(Scripted(messages=iter(messages)), tools=list(shop.GOOD))


def ask() -> Any:
    return {"messages": [("user", shop.TASK)]}


def test_a_run_is_recorded_as_it_was() -> None:
    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            answer = agent(17, *shop.NAMES).invoke(ask())
            assert answer["messages"][-1].content == "done"
            episode.succeed()
        shop.check_whole(memory.get(episode.id), 17)


def test_calls_that_a_model_makes_at_once_are_steps_of_one_episode() -> None:
    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            parallel_agent(17).invoke(ask())
            episode.succeed()
        shop.check_whole(memory.get(episode.id), 17)


def test_two_runs_at_once_keep_their_steps_apart_in_tasks_and_in_threads() -> None:
    with Memory() as memory:

        async def run(order_id: int) -> str:
            with memory.episode(shop.TASK) as episode:
                await agent(order_id, *shop.NAMES).ainvoke(ask())
                episode.succeed()
            return episode.id

        def run_in_thread(order_id: int) -> str:
            with memory.episode(shop.TASK) as episode:
                agent(order_id, *shop.NAMES).invoke(ask())
                episode.succeed()
            return episode.id

        async def both() -> list[str]:
            return await asyncio.gather(run(1), run(2))

        with ThreadPoolExecutor(2) as pool:
            ids = [*asyncio.run(both()), *pool.map(run_in_thread, (3, 4))]
        for order_id, id in enumerate(ids, 1):
            shop.check_whole(memory.get(id), order_id)


def test_a_failing_tool_fails_the_run_as_it_would_without_a_memory() -> None:
    with Memory() as memory:
        with pytest.raises(PermissionError), memory.episode(shop.TASK) as episode:
            agent(17, "refund").invoke(ask())
        stored = memory.get(episode.id)
        shop.check_failed(stored, "order 17 cannot be refunded")
        assert stored.outcome is not None
        assert stored.outcome.kind == "failure"


def test_a_cancelled_run_is_abandoned() -> None:
    with Memory() as memory:
        ids: list[str] = []

        async def run() -> None:
            with memory.episode(shop.TASK) as episode:
                ids.append(episode.id)
                await agent(17, "wait_for").ainvoke(ask())

        shop.WAITING.clear()
        asyncio.run(shop.cancelled(run()))
        shop.check_cancelled(memory.get(ids[0]))


def test_recall_stands_in_the_prompt_of_the_next_run() -> None:
    with Memory() as memory:
        for order_id in range(3):
            with memory.episode(shop.TASK) as episode:
                agent(order_id, *shop.NAMES).invoke(ask())
                episode.succeed()
        with memory.episode(shop.TASK) as episode:
            prompt = episode.recall().to_prompt(max_tokens=400)
            assert "fetch_page" in prompt
            model = Scripted(messages=iter([AIMessage("done")]))
            create_agent(model, tools=list(shop.GOOD), system_prompt=prompt).invoke(ask())


def test_a_graph_of_ones_own_records_its_nodes() -> None:
    pytest.importorskip("langgraph", reason="needs langgraph 1.x: make test-frameworks")
    from langgraph.graph import END, START, StateGraph

    def look(state: dict[str, Any]) -> dict[str, Any]:
        shop.get_order(state["order_id"])
        recorder = tacit.current()
        assert recorder is not None
        recorder.log("decide", output=shop.PLACED, state=state)
        return {"order_id": state["order_id"] + 1}

    graph = StateGraph(dict)
    graph.add_node("look", look)
    graph.add_edge(START, "look")
    graph.add_edge("look", END)
    with Memory() as memory:
        with memory.episode(shop.TASK) as episode:
            graph.compile().invoke({"order_id": 17})
            episode.succeed()
        look_up, decide = memory.get(episode.id).steps
        assert (look_up.tool, decide.tool, decide.state) == ("get_order", "decide", {"order_id": 17})
