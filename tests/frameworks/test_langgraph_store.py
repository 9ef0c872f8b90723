"""The store of LangGraph: experience beside the items of another store, with the real framework."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tacit import Memory, ValidationError

pytest.importorskip("langgraph", reason="needs langgraph 1.x: make test-frameworks")

from langgraph.store.memory import InMemoryStore

from tacit.integrations.langgraph import ExperienceStore


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory() as memory:
        for number in range(6):
            with memory.episode(f"Cancel order {number}", domain=("retail", "travel")[number % 2]) as episode:
                episode.log("cancel_order", parameters={"order_id": number}, output="cancelled")
                if number < 4:
                    episode.succeed()
                else:
                    episode.fail("no card")
        yield memory


def test_a_search_with_a_query_is_a_recall(memory: Memory) -> None:
    store = ExperienceStore(memory)
    found = store.search(("experience", "retail"), query="Cancel order 9", limit=2)
    assert [item.namespace for item in found] == [("experience", "retail")] * 2
    assert [item.score for item in found] == sorted((item.score or 0 for item in found), reverse=True)
    assert found[0].value["tools"] == ["cancel_order"]
    everywhere = store.search(("experience",), query="Cancel order 9", limit=10)
    assert {item.namespace for item in everywhere} == {("experience", "retail"), ("experience", "travel")}
    rest = store.search(("experience",), query="Cancel order 9", limit=10, offset=1)
    assert [item.key for item in rest] == [item.key for item in everywhere[1:]]


def test_without_a_query_the_newest_come_and_an_item_has_its_calls(memory: Memory) -> None:
    store = ExperienceStore(memory)
    newest = store.search(("experience",), limit=1)[0]
    assert newest.value["task"] == "Cancel order 5"
    failed = store.search(("experience",), filter={"outcome": "failure"})
    assert [(item.value["task"], item.value["why"]) for item in failed] == [
        ("Cancel order 5", "no card"),
        ("Cancel order 4", "no card"),
    ]
    item = store.get(newest.namespace, newest.key)
    assert item is not None
    assert item.value["calls"][0]["parameters"] == {"order_id": 5}
    assert store.get(("experience", "retail"), newest.key) is None
    assert store.get(("experience", "travel"), "no id") is None
    assert store.search(("experience", "travel", "deeper")) == []


def test_other_items_are_those_of_the_store_behind_it(memory: Memory) -> None:
    behind = InMemoryStore()
    store = ExperienceStore(memory, behind)
    store.put(("users", "1"), "name", {"first": "Ada"})
    assert behind.get(("users", "1"), "name").value == {"first": "Ada"}
    assert [item.key for item in store.search(("users",))] == ["name"]
    assert store.list_namespaces() == [("experience", "retail"), ("experience", "travel"), ("users", "1")]
    assert store.list_namespaces(prefix=("users",)) == [("users", "1")]
    assert store.list_namespaces(max_depth=1) == [("experience",), ("users",)]
    assert store.list_namespaces(limit=1, offset=1) == [("experience", "travel")]
    store.delete(("users", "1"), "name")
    assert store.get(("users", "1"), "name") is None


def test_experience_cannot_be_written(memory: Memory) -> None:
    store = ExperienceStore(memory)
    with pytest.raises(ValidationError, match="episodes come from runs"):
        store.put(("experience", "retail"), "1", {"task": "x"})
    with pytest.raises(ValidationError, match="episodes come from runs"):
        store.delete(("experience", "retail"), memory.episodes()[0].id)
    assert len(memory.episodes()) == 6


def test_it_works_awaited_and_without_a_memory_that_is_closed(memory: Memory) -> None:
    store = ExperienceStore(memory)

    async def both() -> int:
        await store.aput(("users",), "name", {"first": "Ada"})
        assert await store.aget(("users",), "name") is not None
        return len(await store.asearch(("experience",), query="Cancel order 9"))

    assert asyncio.run(both()) > 1
    closed = Memory()
    closed.close()
    empty = ExperienceStore(closed)
    assert empty.search(("experience",), query="Cancel order 9") == []
    assert empty.list_namespaces() == []
