"""The asynchronous memory: the same verbs, the same answers."""

from __future__ import annotations

import asyncio
import inspect
import threading
from pathlib import Path

import pytest

from tacit import AsyncMemory, Memory, Outcome, StorageError
from tacit.aio import AsyncRecorder
from tacit.model.record import Batch, Receipt
from tacit.recorder import Recorder
from tacit.storage import InMemoryStore


@pytest.mark.parametrize(("sync", "twin"), [(Memory, AsyncMemory), (Recorder, AsyncRecorder)])
def test_every_verb_has_its_twin(sync: type, twin: type) -> None:
    verbs = {name for name, _ in inspect.getmembers(sync, inspect.isfunction) if not name.startswith("_")}
    assert verbs <= {name for name in dir(twin) if not name.startswith("_")}


def test_an_episode_is_recorded_and_recalled(tmp_path: Path) -> None:
    async def journey() -> None:
        async with AsyncMemory(tmp_path / "m.db") as memory:
            async with memory.episode("Cancel order 17", domain="retail") as episode:
                await episode.recall()
                await episode.log("cancel_order", output="done")
                await episode.succeed()
            assert episode.learned is not None
            recall = await memory.recall("Cancel order 18", domain="retail")
            assert [hit.episode_id for hit in recall.hits] == [episode.id]
            assert (await memory.get(episode.id)).task == "Cancel order 17"

    asyncio.run(journey())


def test_many_episodes_complete_at_once(tmp_path: Path) -> None:
    async def one(memory: AsyncMemory, number: int) -> None:
        id = await memory.start(f"Do thing {number}")
        await memory.log(id, "look", output=number)
        await memory.complete(id, Outcome.success())

    async def all_of_them() -> int:
        async with AsyncMemory(tmp_path / "m.db") as memory:
            await asyncio.gather(*(one(memory, number) for number in range(50)))
            stats = await memory.stats()
            return int(stats["episodes"])

    assert asyncio.run(all_of_them()) == 50


def test_an_exception_inside_fails_the_episode_and_passes(tmp_path: Path) -> None:
    async def journey() -> None:
        async with AsyncMemory() as memory:
            with pytest.raises(RuntimeError, match="boom"):
                async with memory.episode("break") as episode:
                    raise RuntimeError("boom")
            outcome = (await memory.get(episode.id)).outcome
            assert outcome is not None
            assert outcome.kind == "failure"

    asyncio.run(journey())


def test_cancelled_agents_keep_the_verdict_that_they_gave(tmp_path: Path) -> None:
    async def agent(memory: AsyncMemory, number: int, ended: asyncio.Event) -> None:
        async with memory.episode(f"Do thing {number}") as episode:
            await episode.log("look", output=number)
            ended.set()
            await episode.succeed()

    async def cancel_all() -> list[str]:
        async with AsyncMemory(tmp_path / "m.db") as memory:
            events = [asyncio.Event() for _ in range(40)]
            tasks = [asyncio.create_task(agent(memory, *each)) for each in enumerate(events)]
            await asyncio.gather(*(event.wait() for event in events))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with Memory(tmp_path / "m.db") as memory_again:
            return [each.outcome.kind for each in memory_again.episodes(limit=100) if each.outcome]

    assert asyncio.run(cancel_all()) == ["success"] * 40


def test_a_cancelled_agent_without_a_verdict_is_abandoned() -> None:
    async def journey() -> None:
        async with AsyncMemory() as memory:
            begun = asyncio.Event()

            async def agent() -> None:
                async with memory.episode("wait") as episode:
                    ids.append(episode.id)
                    begun.set()
                    await asyncio.Event().wait()

            ids: list[str] = []
            task = asyncio.create_task(agent())
            await begun.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert (await memory.get(ids[0])).outcome == Outcome.abandoned()

    asyncio.run(journey())


class HeldStore(InMemoryStore):
    """A store whose commits wait until they are let through."""

    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Event()
        self.may_go_on = threading.Event()

    def commit(self, batch: Batch) -> Receipt:
        self.started.set()
        self.may_go_on.wait()
        return super().commit(batch)


def test_the_loop_goes_on_while_an_episode_is_being_committed() -> None:
    async def journey() -> None:
        store = HeldStore()
        async with AsyncMemory(store=store) as memory, memory.episode("Cancel order 17") as episode:
            ending = asyncio.create_task(episode.succeed())
            await asyncio.to_thread(store.started.wait)
            # Each of these would never come back if it waited for the commit.
            await episode.log("look", output="too late")
            await memory.recall("Cancel order 17")
            store.may_go_on.set()
            learned = await ending
        assert any("came after the end" in problem for problem in learned.problems)

    asyncio.run(journey())


def test_a_closed_memory_raises_a_storage_error() -> None:
    async def journey() -> None:
        memory = AsyncMemory()
        await memory.close()
        await memory.close()
        with pytest.raises(StorageError, match="closed"):
            await memory.recall("Cancel order 17")

    asyncio.run(journey())


def test_a_memory_that_is_made_on_a_loop_opens_its_files_on_a_thread(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def journey() -> None:
        memory = AsyncMemory(tmp_path / "file" / "m.db")
        with pytest.raises(StorageError):
            await memory.start("Cancel order 17")

    asyncio.run(journey())
    with pytest.raises(StorageError):
        AsyncMemory(tmp_path / "file" / "m.db")
