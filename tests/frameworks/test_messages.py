"""An agent made of plain messages records its calls by hand."""

from __future__ import annotations

import json
from typing import Any

from tacit import Memory
from tests.frameworks import shop

TOOLS: dict[str, Any] = {tool.__name__: tool.__wrapped__ for tool in (*shop.GOOD, shop.refund)}  # type: ignore[attr-defined]


def called(order_id: int, *names: str) -> list[dict[str, Any]]:
    """The message of a model that calls tools, as the chat API gives it."""
    return [
        {
            "id": f"call_{order_id}_{name}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps({"order_id": order_id})},
        }
        for name in names
    ]


def run(memory: Memory, order_id: int, *names: str) -> str:
    with memory.episode(shop.TASK) as episode:
        calls = called(order_id, *names)
        steps = [
            episode.begin(
                call["function"]["name"],
                parameters=json.loads(call["function"]["arguments"]),
                call_id=call["id"],
            )
            for call in calls
        ]
        for call, step in zip(calls, steps, strict=True):
            try:
                step.end(output=TOOLS[step.tool](**json.loads(call["function"]["arguments"])))
            except PermissionError as error:
                step.fail(error)
    return episode.id


def test_a_run_is_recorded_as_it_was() -> None:
    with Memory() as memory:
        episode = memory.get(run(memory, 17, *shop.NAMES))
        shop.check_whole(episode, 17)
        assert {step.batch for step in episode.steps} == {1}
        assert [step.call_id for step in episode.steps] == [f"call_17_{name}" for name in shop.NAMES]


def test_a_failing_tool_is_a_failed_step() -> None:
    with Memory() as memory:
        shop.check_failed(memory.get(run(memory, 17, "refund")), "order 17 cannot be refunded")
