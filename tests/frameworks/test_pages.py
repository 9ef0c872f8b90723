"""The example of each framework in the documentation runs, with the framework's fake model."""

from __future__ import annotations

import asyncio
import re
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from pathlib import Path
from typing import Any

import pytest

from tacit import Memory
from tests.frameworks import shop

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "frameworks.md").read_text()
TOOLS = [shop.get_order.__wrapped__]  # type: ignore[attr-defined]


def example_of(section: str, number: int = 1) -> str:
    """An example of a section of the page: the fence of this number; the first one is what to install."""
    text = re.split(r"^## ", PAGE.split(f"\n## {section}\n")[1], flags=re.MULTILINE)[0]
    fences = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "pip install" in fences[0]
    example: str = fences[number]
    own = [line for line in example.splitlines() if line and not line.startswith(("from ", "import "))]
    assert len(own) <= 5
    return example


def check(memory: Memory) -> None:
    (episode,) = memory.episodes()
    assert [step.tool for step in episode.steps] == ["get_order"]
    assert episode.task == "Cancel order 17"
    assert episode.outcome is not None
    assert episode.outcome.kind == "success"


def test_the_example_of_langchain_runs() -> None:
    pytest.importorskip("langchain", reason="needs langchain 1.x: make test-frameworks")
    from tests.frameworks.test_langchain_experience import model

    with Memory() as memory:
        given: dict[str, Any] = {"memory": memory, "model": model(17, "get_order"), "tools": TOOLS}
        exec(example_of("LangChain and LangGraph"), given)
        check(memory)


def test_the_example_of_a_store_of_langgraph_runs() -> None:
    pytest.importorskip("langgraph", reason="needs langgraph 1.x: make test-frameworks")
    from langgraph.graph import END, START, StateGraph

    builder = StateGraph(dict)
    builder.add_node("rest", lambda state: state)
    builder.add_edge(START, "rest")
    builder.add_edge("rest", END)
    with Memory() as memory:
        memory.episode("Cancel order 16").succeed()
        given: dict[str, Any] = {"memory": memory, "builder": builder}
        exec(example_of("LangChain and LangGraph", 2), given)
        assert [item.value["task"] for item in given["found"]] == ["Cancel order 16"]


def test_the_example_of_pydantic_ai_runs() -> None:
    pytest.importorskip("pydantic_ai", reason="needs pydantic-ai-slim 2.x: make test-frameworks")
    from tests.frameworks.test_pydantic_ai_experience import model

    with Memory() as memory:
        given: dict[str, Any] = {"memory": memory, "model": model(17, "get_order"), "tools": TOOLS}
        exec(example_of("Pydantic AI"), given)
        check(memory)


def test_the_example_of_the_openai_agents_sdk_runs() -> None:
    pytest.importorskip("agents", reason="needs openai-agents: make test-frameworks")
    from tests.frameworks.test_openai_agents_experience import agent

    with Memory() as memory:
        code = compile(example_of("OpenAI Agents SDK"), "page", "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)
        asyncio.run(eval(code, {"memory": memory, "agent": agent(17, "get_order")}))
        check(memory)
