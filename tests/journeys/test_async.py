"""The asynchronous memory: the same verbs, the same answers."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from tacit import AsyncMemory, Memory, Outcome
from tacit.aio import AsyncRecorder
from tacit.recorder import Recorder


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
