"""Recording without naming ids: how a block or a call ends, and how its episode ends with it."""

from __future__ import annotations

import asyncio

import pytest

from tacit import Memory, Outcome, UnavailableError, ValidationError, recorded
from tacit.testing import FaultyStore


def be_full() -> None:
    raise UnavailableError("the disk is full")


def be_interrupted() -> None:
    raise KeyboardInterrupt


def test_a_store_that_fails_does_not_make_a_failure_of_the_episode() -> None:
    store = FaultyStore()
    store.before = be_full
    memory = Memory(store=store)
    with pytest.raises(UnavailableError), memory.episode("Cancel order 17") as episode:
        episode.succeed()
    assert memory.get(episode.id).outcome is None
    assert memory.complete(episode.id, Outcome.success()).state == "learned"


def test_an_interrupt_during_an_ending_passes_and_what_was_stored_stays() -> None:
    store = FaultyStore()
    store.after = be_interrupted
    memory = Memory(store=store)
    with pytest.raises(KeyboardInterrupt), memory.episode("Cancel order 17") as episode:
        episode.succeed()
    with Memory(store=store) as other:
        assert other.get(episode.id).outcome == Outcome.success()


def test_an_exception_without_a_message_is_told_by_its_name() -> None:
    memory = Memory()
    with pytest.raises(KeyboardInterrupt), memory.episode("Cancel order 17") as episode:
        raise KeyboardInterrupt
    assert memory.get(episode.id).outcome == Outcome.failure("KeyboardInterrupt")


@pytest.mark.parametrize("ending", ["artifacts", "completed", "failed"])
def test_one_text_is_not_taken_for_a_list_of_its_characters(ending: str) -> None:
    memory = Memory()
    make = Outcome.success if ending == "artifacts" else Outcome.partial
    with pytest.raises(ValidationError, match=f"{ending} must be a sequence of texts"):
        make(**{ending: "report.txt"})
    episode = memory.episode("Write a report")
    end = episode.succeed if ending == "artifacts" else episode.partial
    with pytest.raises(ValidationError, match=ending):
        end(**{ending: "report.txt"})


def test_a_decorated_coroutine_is_an_episode_once_it_was_awaited() -> None:
    memory = Memory()

    @recorded(memory, domain="math")
    async def divide(a: int, b: int) -> float:
        await asyncio.sleep(0)
        return a / b

    async def both() -> None:
        assert await divide(6, 3) == 2.0
        with pytest.raises(ZeroDivisionError):
            await divide(1, 0)

    asyncio.run(both())
    failed, succeeded = memory.episodes(domain="math")
    assert succeeded.outcome == Outcome.success()
    assert failed.outcome == Outcome.failure("ZeroDivisionError: division by zero")
    assert [step.status for step in (*succeeded.steps, *failed.steps)] == ["ok", "error"]
