"""The asynchronous memory: the same verbs, the same answers."""

from __future__ import annotations

import asyncio
import inspect
import threading
from pathlib import Path

import pytest

from tacit import AsyncMemory, Episode, Memory, Outcome, StorageError
from tacit.aio import AsyncRecorder
from tacit.model.record import Batch, Receipt
from tacit.recorder import Recorder
from tacit.storage import InMemoryStore
from tests.watched import WatchedStore


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
        self.landed = 0

    def commit(self, batch: Batch) -> Receipt:
        self.started.set()
        self.may_go_on.wait()
        receipt = super().commit(batch)
        self.landed += len(batch.episodes)
        return receipt


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


def test_the_first_verbs_of_a_loop_wait_for_no_lock() -> None:
    memory = AsyncMemory()
    is_held, may_go_on, waited = threading.Event(), threading.Event(), []

    def hold() -> None:
        with memory.memory._rooms.lock:
            is_held.set()
            waited.append(not may_go_on.wait(30))

    async def journey() -> None:
        episode_id = await memory.start("Cancel order 17")
        await memory.log(episode_id, "look", output=1)
        call_id = await memory.begin(episode_id, "cancel_order")
        await memory.end(episode_id, call_id=call_id, output="done")
        async with memory.episode("Cancel order 18") as episode:
            await episode.log("look", output=1)
            with episode.batch(), episode.step("cancel_order"):
                pass
            may_go_on.set()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    asyncio.run(journey())
    thread.join()
    assert waited == [False]


@pytest.mark.parametrize("verb", ["log", "end"])
def test_a_result_that_comes_while_its_episode_ends_does_not_hold_up_the_loop(verb: str) -> None:
    async def journey() -> int:
        store = HeldStore()
        memory = AsyncMemory(store=store, to_json=ending)
        episode_id = await memory.start("Cancel order 17")
        call_id = await memory.begin(episode_id, "look")
        given.append((memory.memory, episode_id, store))
        if verb == "log":
            late = asyncio.create_task(memory.log(episode_id, "look", output=object()))
        else:
            late = asyncio.create_task(memory.end(episode_id, call_id=call_id, output=object()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        store.may_go_on.set()  # never reached if the loop waited for the commit
        outcome = await asyncio.gather(late, return_exceptions=True)
        await memory.close()
        return len(outcome)

    def ending(value: object) -> object:
        """Has the episode completed on another thread at the very moment in which its step is converted."""
        memory, episode_id, store = given[0]
        if not store.started.is_set():
            threading.Thread(target=memory.complete, args=(episode_id, Outcome.success())).start()
            store.started.wait()
        return "converted"

    given: list[tuple[Memory, str, HeldStore]] = []
    assert asyncio.run(journey()) == 1


def test_answers_do_not_queue_behind_commits() -> None:
    async def journey() -> None:
        store = HeldStore()
        memory = AsyncMemory(store=store)
        endings = []
        for number in range(40):
            episode_id = await memory.start(f"Cancel order {number}")
            endings.append(asyncio.create_task(memory.complete(episode_id, Outcome.success())))
        await asyncio.to_thread(store.started.wait)
        # Each would never come back if it waited behind a commit.
        assert (await memory.recall("Cancel order 17")).hits == ()
        assert await memory.patterns() == ()
        assert not any(ending.done() for ending in endings)
        store.may_go_on.set()
        await asyncio.gather(*endings)
        await memory.close()

    asyncio.run(journey())


class CountingStore(InMemoryStore):
    """Notes the threads that used it."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def commit(self, batch: Batch) -> Receipt:
        self.threads.add(threading.current_thread().name)
        return super().commit(batch)

    def sequence(self) -> int:
        self.threads.add(threading.current_thread().name)
        return super().sequence()


def test_no_call_gets_a_thread_of_its_own_and_none_of_them_runs_on_the_loop() -> None:
    async def journey() -> set[str]:
        store = CountingStore()
        async with AsyncMemory(store=store) as memory:
            for _ in range(5):
                await asyncio.gather(*(one(memory, number) for number in range(40)))
            return store.threads

    async def one(memory: AsyncMemory, number: int) -> None:
        async with memory.episode(f"Cancel order {number}") as episode:
            await episode.recall()
            await episode.log("look", output=number)
            await episode.succeed()

    threads = asyncio.run(journey())
    assert len(threads) <= 12
    assert all(name.startswith("tacit-") for name in threads)


HANDED_OVER = {
    "complete": lambda memory, id: memory.complete(id, Outcome.success()),
    "add": lambda memory, _: memory.add(Episode(task="added", outcome=Outcome.success())),
    "add_many": lambda memory, _: memory.add_many([Episode(task="added", outcome=Outcome.success())]),
}


@pytest.mark.parametrize("verb", sorted(HANDED_OVER))
def test_cancelling_the_waiter_withdraws_nothing(verb: str) -> None:
    async def journey() -> tuple[int, int]:
        store = HeldStore()
        memory = AsyncMemory(store=store)
        tasks = []
        for _ in range(20):  # more than there are threads: most of them are still waiting for one
            id = await memory.start("Cancel order 17")
            tasks.append(asyncio.create_task(HANDED_OVER[verb](memory, id)))
        await asyncio.to_thread(store.started.wait)
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        cancelled = await asyncio.gather(*tasks, return_exceptions=True)
        store.may_go_on.set()
        await memory.close()
        return sum(isinstance(each, asyncio.CancelledError) for each in cancelled), store.landed

    assert asyncio.run(journey()) == (20, 20)


VERBS = {
    "start": lambda memory: memory.start("Cancel order 18"),
    "log": lambda memory: memory.log(ID, "look", output=1),
    "begin": lambda memory: memory.begin(ID, "look"),
    "end": lambda memory: memory.end(ID, call_id="one", output=1),
    "complete": lambda memory: memory.complete(ID, Outcome.success()),
    "resume": lambda memory: memory.resume(ID),
    "flush": lambda memory: memory.flush(),
    "judge": lambda memory: memory.judge(ID, Outcome.success()),
    "add": lambda memory: memory.add(Episode(task="t", outcome=Outcome.success())),
    "add_many": lambda memory: memory.add_many([Episode(task="t", outcome=Outcome.success())]),
    "forget": lambda memory: memory.forget(ID),
    "recall": lambda memory: memory.recall("Cancel order 18"),
    "suggest": lambda memory: memory.suggest(["look"]),
    "choose": lambda memory: memory.choose(["look"]),
    "recover": lambda memory: memory.recover("no card", tool="pay"),
    "predict": lambda memory: memory.predict("Cancel order 18"),
    "playbook": lambda memory: memory.playbook("Cancel order 18"),
    "feedback": lambda memory: memory.feedback(ID, helped={}),
    "usage": lambda memory: memory.usage(ID),
    "get": lambda memory: memory.get(ID),
    "find": lambda memory: memory.find("run 1"),
    "was_forgotten": lambda memory: memory.was_forgotten("run 1"),
    "namespaces": lambda memory: memory.namespaces(),
    "open_episodes": lambda memory: memory.open_episodes(),
    "episodes": lambda memory: memory.episodes(),
    "patterns": lambda memory: memory.patterns(),
    "clusters": lambda memory: memory.clusters(),
    "heuristics": lambda memory: memory.heuristics(),
    "contrasts": lambda memory: memory.contrasts(),
    "maintain": lambda memory: memory.maintain(),
    "relearn": lambda memory: memory.relearn(),
    "tools": lambda memory: memory.tools(),
    "undo": lambda memory: memory.undo(ID),
    "retain": lambda memory: memory.retain(max_episodes=1),
    "export": lambda memory: memory.export("nowhere.jsonl"),
    "drain": lambda memory: memory.drain(),
    "dead_letters": lambda memory: memory.dead_letters(),
    "replay": lambda memory: memory.replay(),
    "score": lambda memory: memory.score(Episode(task="t")),
    "stats": lambda memory: memory.stats(),
}
ID = "01a228ac-31a7-7100-aaa0-321c56eea6f1"


def test_every_verb_is_tried_on_a_closed_memory() -> None:
    others = {"close", "episode", "within", "memory"}
    public = {name for name in dir(AsyncMemory) if not name.startswith("_")}
    assert public - others == VERBS.keys()


@pytest.mark.parametrize("is_view", [False, True])
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_closed_memory_raises_a_storage_error_from_every_verb(verb: str, is_view: bool) -> None:
    async def journey() -> None:
        memory = AsyncMemory()
        used = memory.within("shop") if is_view else memory
        await memory.close()
        with pytest.raises(StorageError, match="closed"):
            await VERBS[verb](used)

    asyncio.run(journey())


@pytest.mark.parametrize("is_view", [False, True])
def test_a_recorder_of_a_closed_memory_raises_nothing(is_view: bool) -> None:
    async def journey() -> None:
        memory = AsyncMemory()
        used = memory.within("shop") if is_view else memory
        await memory.close()
        async with used.episode("Cancel order 17") as episode:
            assert (await episode.recall()).degraded == ("store",)
            assert await episode.log("look", output=1) == 0
            assert (await episode.succeed()).state == "unstored"
        assert episode.problems

    asyncio.run(journey())


def test_a_coroutine_that_is_closed_inside_of_its_episode_is_abandoned() -> None:
    async def waits(memory: AsyncMemory) -> None:
        async with memory.episode("wait") as episode:
            ids.append(episode.id)
            await asyncio.Future()

    async def journey() -> Outcome | None:
        store = WatchedStore()
        async with AsyncMemory(store=store) as memory:
            await memory.stats()
            waiting = waits(memory)
            waiting.send(None)
            waiting.close()
            await asyncio.gather(*(memory.stats() for _ in range(3)))
            plain = memory.memory
            await asyncio.to_thread(store.wait_until, lambda: plain.get(ids[0]).outcome is not None)
            return plain.get(ids[0]).outcome

    ids: list[str] = []
    assert asyncio.run(journey()) == Outcome.abandoned()


def test_siblings_that_a_task_group_cancels_are_abandoned() -> None:
    async def waits(memory: AsyncMemory, begun: asyncio.Event) -> None:
        async with memory.episode("wait") as episode:
            ids.append(episode.id)
            begun.set()
            await asyncio.Event().wait()

    async def fails(memory: AsyncMemory, begun: asyncio.Event) -> None:
        await begun.wait()
        async with memory.episode("fail") as episode:
            ids.append(episode.id)
            raise RuntimeError("boom")

    async def both(memory: AsyncMemory) -> None:
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(waits(memory, begun))
            group.create_task(fails(memory, begun))

    async def journey() -> list[Outcome | None]:
        async with AsyncMemory() as memory:
            with pytest.raises(ExceptionGroup):
                await both(memory)
            return [(await memory.get(id)).outcome for id in ids]

    ids: list[str] = []
    assert asyncio.run(journey()) == [Outcome.abandoned(), Outcome.failure("RuntimeError: boom")]
