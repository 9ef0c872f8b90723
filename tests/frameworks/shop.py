"""Tools whose results are no JSON values, and what an episode holds of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import tacit
from tacit import Episode

PLACED = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PAGE = "<p>" + "fern " * 40_000 + "</p>"
TASK = "Buy a fern"


@dataclass
class Order:
    """An order."""

    id: int
    placed: datetime
    total: Decimal


@tacit.tool
def get_order(order_id: int) -> Order:
    """Looks up an order."""
    return Order(order_id, PLACED, Decimal("12.50"))


@tacit.tool
def delivery_date(order_id: int) -> datetime:
    """Says when an order arrives."""
    return PLACED


@tacit.tool
def last_problem(order_id: int) -> Exception:
    """Returns the last problem with an order."""
    return LookupError(f"no card for order {order_id}")


@tacit.tool
def fetch_page(order_id: int) -> str:
    """Reads the page of an order: 200 KB."""
    return PAGE


@tacit.tool
def refund(order_id: int) -> str:
    """Refunds an order, and fails."""
    raise PermissionError(f"order {order_id} cannot be refunded")


@tacit.tool
async def wait_for(order_id: int) -> str:
    """Waits for an order that never comes."""
    WAITING.set()
    await asyncio.Event().wait()
    return "never"


WAITING = threading.Event()
GOOD = (get_order, delivery_date, last_problem, fetch_page)
NAMES = tuple(tool.__name__ for tool in GOOD)


async def cancelled(run: Coroutine[Any, Any, None]) -> None:
    """Runs until the tool waits, and cancels."""
    task = asyncio.create_task(run)
    while not WAITING.is_set() and not task.done():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def check_whole(episode: Episode, order_id: int, names: tuple[str, ...] = NAMES) -> None:
    """Every tool was a step with its own parameters, and its result as it can be kept."""
    steps = {step.tool: step for step in episode.steps}
    assert sorted(steps) == sorted(names)
    assert all(step.parameters == {"order_id": order_id} for step in episode.steps)
    assert all(step.status == "ok" for step in episode.steps)
    assert all(step.latency_ms is not None for step in episode.steps)
    assert steps["get_order"].output == {"id": order_id, "placed": PLACED.isoformat(), "total": "12.50"}
    assert steps["delivery_date"].output == PLACED.isoformat()
    if "last_problem" in names:
        assert steps["last_problem"].output == f"LookupError: no card for order {order_id}"
    page = steps["fetch_page"]
    assert 9_000 < len(page.output) <= 10_000
    assert (page.output[:3], page.output[-4:]) == ("<p>", "</p>")
    assert page.altered == ("output: cut from 200,007 to 10,000 characters",)


def check_failed(episode: Episode, error: str) -> None:
    """The failing tool is a failed step."""
    (step,) = episode.steps
    assert (step.tool, step.status) == ("refund", "error")
    assert error in (step.error or "")


def check_cancelled(episode: Episode) -> None:
    """A cancelled run is abandoned: stored, and no failure of the agent."""
    (step,) = episode.steps
    assert (step.tool, step.status) == ("wait_for", "error")
    assert episode.outcome is not None
    assert episode.outcome.kind == "abandoned"
