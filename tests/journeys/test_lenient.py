"""A refusal by tacit never decides an outcome: every lenient surface against a failure from every place."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pytest

import tacit
from tacit import (
    AsyncMemory,
    Episode,
    Finding,
    Memory,
    Outcome,
    RecordingSettings,
    Settings,
    StorageError,
    UnavailableError,
    recorded,
)
from tacit.observing import Event, Observer
from tacit.storage import InMemoryStore


class PanicException(BaseException):
    """As PyO3 raises it: no `Exception`."""


class AppError(Exception):
    """The agent's own."""


FAILURES: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: RuntimeError("broken part"),
    "PanicException": lambda: PanicException("broken part"),
}


@dataclass
class Trap:
    """Raises `failure` in every part that is listed in `broken`."""

    broken: str
    failure: Callable[[], BaseException]
    reached: threading.Event = field(default_factory=threading.Event)

    def reach(self, part: str) -> None:
        if part == self.broken:
            self.reached.set()
            raise self.failure()


class TrappedStore(InMemoryStore):
    """A store of which every verb can fail but closing."""

    def __init__(self, trap: Trap) -> None:
        super().__init__()
        self.trap = trap

    def __getattribute__(self, name: str) -> Any:
        if name in ("commit", "get", "get_many", "get_versioned", "version", "scan", "changes", "sequence"):
            trap = object.__getattribute__(self, "trap")
            trap.reach("commit" if name == "commit" else "reads")
            trap.reach("store")
        return super().__getattribute__(name)


@dataclass
class Parts:
    """An embedder, an extractor, a redactor, an observer and a converter that share a trap."""

    trap: Trap
    name: str = "trapped"
    dimension: int = 2

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        self.trap.reach("embedder")
        return np.ones((len(texts), 2), dtype=np.float32)

    def extract(self, episode: Episode) -> Iterator[Finding]:
        self.trap.reach("extractor")
        yield Finding("note", {"task": episode.task})

    def redact(self, record: bytes) -> tuple[bytes, int]:
        self.trap.reach("redactor")
        return record, 0

    def to_json(self, value: object) -> object:
        self.trap.reach("converter")
        return NotImplemented


class Hearing(Observer):
    def __init__(self, trap: Trap) -> None:
        self.trap = trap

    def learned(self, event: Event[Any]) -> None:
        self.trap.reach("observer")

    committed = recalled = degraded = refused = learned


@dataclass
class Odd:
    """A result whose every way to be read fails."""

    trap: Trap = field(repr=False)

    def __repr__(self) -> str:
        self.trap.reach("repr")
        return "Odd()"

    def __iter__(self) -> Iterator[NoReturn]:
        self.trap.reach("repr")
        return iter(())

    @property
    def __class__(self) -> type:
        self.trap.reach("class")
        return Odd

    @__class__.setter
    def __class__(self, value: type) -> None: ...


PLACES = (
    "store", "commit", "reads", "embedder", "extractor", "redactor", "observer", "converter", "repr", "class",
    "closed", "clock",
)  # fmt: skip


def memory_of(trap: Trap, recording: RecordingSettings | None = None) -> Memory:
    parts = Parts(trap)

    def clock() -> int:
        trap.reach("clock")
        return 1_750_000_000_000_000_000

    trapped, trap.broken = trap.broken, ""
    memory = Memory(
        store=TrappedStore(trap),
        settings=Settings(
            embedder=parts,
            extractors=("tool_sequence", parts),
            recording=recording or RecordingSettings.manual(),
        ),
        redactor=parts,
        observers=[Hearing(trap)],
        to_json=parts.to_json,
        clock=clock,
    )
    trap.broken = trapped
    if trapped == "closed":
        memory.close()
    return memory


Agent = Callable[[Memory, Trap, Callable[[], int]], int]
"""Runs `work` under a lenient surface and returns its result."""
REPORTED: list[tuple[str, ...]] = []


def with_recorder(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    with memory.episode("Buy a fern", metadata={"odd": Odd(trap)}) as episode:
        try:
            episode.recall()
            episode.suggest()
            episode.recover(RuntimeError("no card"), tool="buy")
            episode.predict()
            episode.playbook()
            episode.log("look", parameters={"odd": Odd(trap)}, output=Odd(trap), state=Odd(trap))
            with episode.batch():
                call = episode.begin("buy", parameters={"odd": Odd(trap)})
                call.end(output=Odd(trap))
                episode.begin("buy").fail(RuntimeError("no card"))
                episode.begin("buy").timed_out()
            with episode.step("pay") as call:
                result = work()
            episode.succeed(artifacts=["receipt"])
            episode.fail("a second verdict")
            return result
        finally:
            episode.log("late", output=1)
            REPORTED.append(episode.problems)


def with_block_that_says_nothing(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    with memory.episode("Buy a fern") as episode:
        try:
            episode.log("look", output=Odd(trap))
            return work()
        finally:
            REPORTED.append(episode.problems)


def with_judge(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    def judge(closed: Episode) -> Outcome | None:
        trap.reach("judge")
        return Outcome.success()

    with memory.episode("Buy a fern", judge=judge) as episode:
        episode.log("look", output=Odd(trap))
        result = work()
    REPORTED.append(episode.problems)
    return result


def with_recorded(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    @recorded(memory, domain="shop")
    def buy() -> int:
        return work()

    return buy()


def with_recorded_coroutine(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    @recorded(memory, domain="shop")
    async def buy() -> int:
        return work()

    return asyncio.run(buy())


def with_tool(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    @tacit.tool
    def look(odd: object) -> object:
        return odd

    @tacit.tool
    def buy(odd: object) -> int:
        return work()

    with memory.episode("Buy a fern") as episode:
        try:
            odd = Odd(trap)
            assert look(odd) is odd
            return buy(odd)
        finally:
            REPORTED.append(episode.problems)


def with_awaited_tool(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    @tacit.tool
    async def look(odd: object) -> object:
        return odd

    async def run() -> int:
        with memory.episode("Buy a fern"):
            odd = Odd(trap)
            assert await look(odd) is odd
            return work()

    return asyncio.run(run())


def with_current(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    with memory.episode("Buy a fern") as episode:
        current = tacit.current()
        assert current is episode
        current.log("look", output=Odd(trap))
        return tacit.carry(work)()


def with_async_recorder(memory: Memory, trap: Trap, work: Callable[[], int]) -> int:
    async def run() -> int:
        awaited = AsyncMemory(store=memory._store, clock=memory._clock)
        awaited._opening = _done(memory)
        if trap.broken == "closed":
            await awaited.close()
        async with awaited.episode("Buy a fern") as episode:
            await episode.recall()
            await episode.suggest()
            await episode.recover("no card", tool="buy")
            await episode.predict()
            await episode.playbook()
            await episode.log("look", output=Odd(trap), state=Odd(trap))
            with episode.batch(), episode.step("pay"):
                result = work()
            await episode.partial(completed=["paid"])
        REPORTED.append(episode.problems)
        return result

    return asyncio.run(run())


def _done(memory: Memory) -> Any:
    from concurrent.futures import Future

    future: Future[Memory] = Future()
    future.set_result(memory)
    return future


SURFACES = {
    surface.__name__: surface
    for surface in (
        with_recorder, with_block_that_says_nothing, with_judge, with_recorded, with_recorded_coroutine, with_tool,
        with_awaited_tool, with_current, with_async_recorder,
    )
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", [*PLACES, "judge"])
@pytest.mark.parametrize("surface", SURFACES)
def test_the_agents_run_goes_on_and_its_result_stands(surface: str, place: str, failure: str) -> None:
    trap = Trap(place, FAILURES[failure])
    memory = memory_of(trap)
    REPORTED.clear()
    assert SURFACES[surface](memory, trap, lambda: 42) == 42
    if place == "observer":
        assert memory._observers.failures > 0
    elif surface in ("with_recorder", "with_async_recorder") and place != "judge":
        assert REPORTED[-1], "what was not done is reported"


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("surface", SURFACES)
def test_the_agents_own_exception_passes(surface: str, place: str, failure: str) -> None:
    trap = Trap(place, FAILURES[failure])
    memory = memory_of(trap)

    def work() -> NoReturn:
        raise AppError("no fern")

    with pytest.raises(AppError, match="no fern") as raised:
        SURFACES[surface](memory, trap, work)
    if place in ("store", "commit", "redactor"):
        assert any("could not store the episode" in note for note in raised.value.__notes__)


@pytest.mark.parametrize("place", ["embedder", "extractor", "observer", "converter", "repr", "class"])
@pytest.mark.parametrize("surface", SURFACES)
def test_the_outcome_is_the_agents_own_where_the_store_works(surface: str, place: str) -> None:
    for work, wanted in ((lambda: 42, {"success", "partial", "unknown"}), (_raise, {"failure"})):
        trap = Trap(place, FAILURES["Exception"])
        memory = memory_of(trap)
        with contextlib.suppress(AppError):
            SURFACES[surface](memory, trap, work)
        (episode,) = memory.episodes()
        assert episode.outcome is not None
        assert episode.outcome.kind in wanted
        assert not memory.open_episodes()


def _raise() -> NoReturn:
    raise AppError("no fern")


@pytest.mark.parametrize(
    "refusal",
    [
        UnavailableError("the disk is full"),
        StorageError("the file is gone"),
        OSError(errno.ENOSPC, "No space left on device"),
        PanicException("index out of bounds"),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
def test_an_episode_that_the_store_refuses_is_unstored_and_named_when_the_memory_closes(
    refusal: BaseException,
) -> None:
    trap = Trap("", lambda: refusal)
    memory = memory_of(trap)
    with memory.episode("Buy a fern") as episode:
        episode.log("look", output=1)
        trap.broken = "commit"
        learned = episode.succeed()
    assert learned.state == "unstored"
    assert str(refusal) in learned.problems[-1]
    with pytest.raises(StorageError, match=f"1 ended episode could not be stored: {episode.id}"):
        memory.close()


def test_a_full_disk_that_has_room_again_has_lost_nothing() -> None:
    trap = Trap("", FAILURES["Exception"])
    memory = memory_of(trap)
    trap.broken = "commit"
    ids = []
    for number in range(3):
        with memory.episode(f"Buy fern {number}") as episode:
            episode.log("look", output=number)
            assert episode.succeed().state == "unstored"
        ids.append(episode.id)
    trap.broken = ""
    with memory.episode("Buy a palm") as episode:
        episode.succeed()
    stored = {each.id: each for each in memory.episodes()}
    assert all(stored[id].outcome == Outcome.success() for id in ids)
    memory.close()


def test_an_exception_that_passes_is_not_replaced_by_that_of_closing() -> None:
    ids: list[str] = []

    def unstored(memory: Memory) -> None:
        trap = memory._store.trap  # type: ignore[attr-defined]
        with memory.episode("Buy a fern") as episode:
            trap.broken = "commit"
            ids.append(episode.id)
            assert episode.succeed().state == "unstored"
        raise AppError("later")

    async def awaited() -> None:
        memory = AsyncMemory()
        memory._opening = _done(memory_of(Trap("", FAILURES["Exception"])))
        async with memory:
            unstored(memory.memory)

    with pytest.raises(AppError) as raised, memory_of(Trap("", FAILURES["Exception"])) as memory:
        unstored(memory)
    with pytest.raises(AppError) as raised_async:
        asyncio.run(awaited())
    for id, error in zip(ids, (raised.value, raised_async.value), strict=True):
        assert any(id in note for note in error.__notes__)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", ["commit", "store", "redactor", "clock"])
def test_the_timer_outlives_what_fails_while_it_stores_steps(place: str, failure: str) -> None:
    trap = Trap("", FAILURES[failure])
    memory = memory_of(trap, RecordingSettings(flush_steps=0, flush_seconds=0.01))
    with memory.episode("Buy a fern") as episode:
        episode.log("look", output=1)
        wait_for_batches(memory, 1)
        trap.broken = place
        if place != "clock":  # the timer looks at the clock without a new step
            episode.log("buy", output=1)
        assert trap.reached.wait(30), "the timer has tried"
        trap.broken = ""
        episode.log("pay", output=1)
        wait_for_batches(memory, 2)
        episode.succeed()
    memory.close()


def wait_for_batches(memory: Memory, count: int) -> None:
    while len(memory._store.scan("step_batch")) < count:
        threading.Event().wait(0.005)


class Panicking:
    def __repr__(self) -> str:
        raise PanicException("no text")

    __float__ = __int__ = __str__ = __repr__


@pytest.mark.parametrize(
    "field",
    ["output", "parameters", "state", "metadata", "error", "latency_ms", "tokens", "tool"],
)
def test_a_step_with_a_value_that_panics_is_recorded_without_it(field: str) -> None:
    memory = Memory()
    with memory.episode("Buy a fern") as episode:
        given: dict[str, Any] = {"tool": "look", field: Panicking()}
        assert episode.log(**given) == 1
        assert episode.log("look", parameters={Panicking(): 1}) == 2
        episode.succeed()
    assert [step.altered != () for step in memory.get(episode.id).steps] == [True, True]


def test_a_redactor_that_returns_nonsense_costs_no_reason() -> None:
    class Broken:
        answer: Any = None

        def redact(self, record: bytes) -> Any:
            return self.answer or (record, 0)

    redactor = Broken()
    memory = Memory(redactor=redactor)
    with memory.episode("Buy a fern") as episode:
        redactor.answer = "nonsense"
        assert episode.fail("no card").state == "unstored"
        redactor.answer = None
    memory.complete(memory.start("another"), Outcome.success())
    assert memory.get(episode.id).outcome == Outcome.failure("no card")


def test_an_outcome_that_is_mended_may_be_refused_by_the_store_too() -> None:
    trap = Trap("", FAILURES["PanicException"])
    memory = memory_of(trap)
    with memory.episode("Buy a fern") as episode:
        trap.broken = "commit"
        assert episode.fail({"not": "a text"}).state == "unstored"  # type: ignore[arg-type]
        trap.broken = ""
    memory.complete(memory.start("another"), Outcome.success())
    assert memory.get(episode.id).outcome == Outcome.failure("unreadable reason")
