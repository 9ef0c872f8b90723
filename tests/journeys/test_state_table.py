"""The table of states, cell by cell, through every surface: `Memory`, `AsyncMemory` and their recorders.

An event in a state gives another state, an error, or changes nothing. The page "Recording" shows the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from tacit import (
    AsyncMemory,
    Episode,
    EpisodeClosedError,
    Memory,
    Outcome,
    RecordingSettings,
    Settings,
    StorageError,
    UnknownEpisodeError,
)
from tacit.judging import Judge
from tacit.storage import InMemoryStore
from tacit.testing import Clock, FaultyStore

MANUAL = Settings(recording=RecordingSettings.manual())
WELL, HALF, BADLY = Outcome.success("done"), Outcome.partial("half"), Outcome.failure("no")
DAY = 86_400
OPEN, GONE, REFUSED, SAME = "open", "gone", "refused", "same"

STATES: dict[str, Outcome | None] = {
    OPEN: None,
    "unknown": Outcome.unknown(),
    "success": WELL,
    "partial": HALF,
    "failure": BADLY,
    "abandoned": Outcome.abandoned(),
}
# The state after an event, by the state before it in the order above. "refused" means `EpisodeClosedError`.
SUCCEEDS = ("success", "success", SAME, REFUSED, REFUSED, "success")
GOES_HALF = ("partial", "partial", REFUSED, SAME, REFUSED, "partial")
FAILS = ("failure", "failure", REFUSED, REFUSED, SAME, "failure")


def only_open(state: str) -> tuple[str, ...]:
    return (state, *[SAME] * 5)


@dataclass(frozen=True)
class Event:
    """A verb with its arguments behind the episode's id, and the state after it by the state before it."""

    verb: str
    given: tuple[object, ...]
    after: tuple[str, ...]


EVENTS = {
    "complete(success)": Event("complete", (WELL,), SUCCEEDS),
    "complete(partial)": Event("complete", (HALF,), GOES_HALF),
    "complete(failure)": Event("complete", (BADLY,), FAILS),
    "complete()": Event("complete", (), only_open("unknown")),
    "judge(success)": Event("judge", (WELL,), (OPEN, *["success"] * 5)),
    "judge(partial)": Event("judge", (HALF,), (OPEN, *["partial"] * 5)),
    "judge(failure)": Event("judge", (BADLY,), (OPEN, *["failure"] * 5)),
    "judge(unknown)": Event("judge", (Outcome.unknown(),), (OPEN, *["unknown"] * 5)),
    "resume": Event("resume", (), (OPEN, REFUSED, REFUSED, REFUSED, REFUSED, OPEN)),
    "forget": Event("forget", (), (GONE,) * 6),
    "a day passes": Event("maintain", (), only_open("abandoned")),
}
# A recorder's block ends with one of these: a verb of the recorder, or an exception that leaves the block.
ENDINGS: dict[str, tuple[tuple[str, ...] | Callable[[], BaseException], tuple[str, ...]]] = {
    "succeed": (("succeed", "done"), SUCCEEDS),
    "partial": (("partial", "half"), GOES_HALF),
    "fail": (("fail", "no"), FAILS),
    "end": (("end",), only_open("unknown")),
    "the end of the block": ((), only_open("unknown")),
    "an error of the agent": (lambda: LookupError("no such order"), only_open("failure")),
    "no memory": (lambda: MemoryError("no room"), only_open("failure")),
    "an interrupt": (lambda: KeyboardInterrupt(), only_open("abandoned")),
    "an exit": (lambda: SystemExit(1), only_open("abandoned")),
    "a cancellation": (lambda: asyncio.CancelledError(), only_open("abandoned")),
    "a closed generator": (lambda: GeneratorExit(), only_open("abandoned")),
    "an error of tacit": (lambda: UnknownEpisodeError("another one"), only_open(OPEN)),
}


class World:
    """A store, two processes with a memory each, and the awaited twin of each memory."""

    def __init__(self, where: str) -> None:
        self.store, self.clock = InMemoryStore(), Clock()
        self.before: Episode
        self.verdict: Outcome | None = None
        self.memories = [self._process() for _ in range(1 if where == "here" else 2)]

    def _process(self) -> AsyncMemory:
        return AsyncMemory(store=self.store, settings=MANUAL, clock=self.clock)

    @property
    def owner(self) -> Memory:
        return self.memories[0].memory

    @property
    def acting(self) -> AsyncMemory:
        return self.memories[-1]

    def episode_in(self, state: str) -> str:
        id = self.owner.start("Cancel order 17", domain="retail")
        self.owner.log(id, "look", output=1)
        self.owner.flush()
        outcome = STATES[state]
        if outcome is not None:
            self.owner.complete(id, outcome)
        return id

    def stored(self, id: str) -> Episode | None:
        """The episode as another process sees it."""
        self.owner.flush()
        self.acting.memory.flush()
        with suppress(UnknownEpisodeError):
            return Memory(store=self.store, settings=MANUAL, clock=self.clock).get(id)
        return None

    def close(self) -> None:
        asyncio.run(self._close())

    async def _close(self) -> None:
        for memory in self.memories:
            memory._commits.shutdown()
            memory._answers.shutdown()


@contextmanager
def world_of(where: str) -> Iterator[World]:
    world = World(where)
    try:
        yield world
    finally:
        world.close()


def state_of(episode: Episode | None) -> str:
    if episode is None:
        return GONE
    return OPEN if episode.outcome is None else episode.outcome.kind


def after(expected: tuple[str, ...], state: str) -> str:
    return dict(zip(STATES, expected, strict=True))[state]


Act: TypeAlias = Callable[[AsyncMemory, str, tuple[Any, ...]], object]


def plainly(memory: AsyncMemory, verb: str, given: tuple[Any, ...]) -> object:
    return getattr(memory.memory, verb)(*given)


def awaited(memory: AsyncMemory, verb: str, given: tuple[Any, ...]) -> object:
    async def call() -> object:
        return await getattr(memory, verb)(*given)

    return asyncio.run(call())


SURFACES: dict[str, Act] = {"Memory": plainly, "AsyncMemory": awaited}


@pytest.mark.parametrize(
    ("surface", "where"), [("Memory", "here"), ("Memory", "elsewhere"), ("AsyncMemory", "elsewhere")]
)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_in_a_state(event: str, state: str, surface: str, where: str) -> None:
    act, (verb, given) = SURFACES[surface], (EVENTS[event].verb, EVENTS[event].given)
    with world_of(where) as world:
        id = world.episode_in(state)
        before, expected = world.stored(id), after(EVENTS[event].after, state)
        if where == "elsewhere" or event == "a day passes":
            world.clock.advance(DAY + 61)  # the owner is gone: its lease has run out
        if expected == REFUSED:
            with pytest.raises(EpisodeClosedError):
                act(world.acting, verb, (id, *given))
        else:
            act(world.acting, verb, given if verb == "maintain" else (id, *given))
        found = world.stored(id)
        if expected in (REFUSED, SAME):
            assert found == before
        else:
            assert state_of(found) == expected
        assert found is None or [step.tool for step in found.steps] == ["look"]
        assert bool(world.store.scan("open_episode")) is (state_of(found) == OPEN)
        assert bool(world.store.scan("step_batch")) is (state_of(found) == OPEN)


# --- the block of a recorder ---


def into_state(world: World, id: str, state: str) -> Episode:
    """Another actor brings the episode of a running block into a state; gives the episode as it is then."""
    world.owner.flush()
    outcome = STATES[state]
    if outcome is not None:
        world.acting.memory.complete(id, outcome)
    if world.verdict is not None:
        world.acting.memory.judge(id, world.verdict, by="tests")
    return world.acting.memory.get(id)


def leave(world: World, state: str, ending: str, strict: bool, judge: Judge | None) -> None:
    """Leaves a block whose episode got into the state meanwhile."""
    last, _ = ENDINGS[ending]
    with world.owner.episode("Cancel order 17", strict=strict, judge=judge) as episode:
        episode.log("look", output=1)
        world.before = into_state(world, episode.id, state)
        if callable(last):
            raise last()
        if last:
            getattr(episode, last[0])(*last[1:])


async def leave_awaited(world: World, state: str, ending: str, strict: bool, judge: Judge | None) -> None:
    last, _ = ENDINGS[ending]
    async with world.memories[0].episode("Cancel order 17", strict=strict, judge=judge) as episode:
        await episode.log("look", output=1)
        world.before = into_state(world, episode.id, state)
        if callable(last):
            raise last()
        if last:
            await getattr(episode, last[0])(*last[1:])


def left_with(world: World, surface: str, *how: Any) -> BaseException | None:
    """The exception that left the block, if one did."""

    async def leave_and_catch() -> BaseException | None:
        try:
            await leave_awaited(world, *how)
        except BaseException as error:
            return error
        return None

    if surface == "AsyncRecorder":
        error = asyncio.run(leave_and_catch())
        world.close()  # waits for the ending that a closed generator handed over
        return error
    try:
        leave(world, *how)
    except BaseException as error:
        return error
    return None


@pytest.mark.parametrize(
    ("surface", "is_strict", "where"),
    [("Recorder", False, "elsewhere"), ("Recorder", True, "here"), ("AsyncRecorder", True, "elsewhere")],
)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_block_ends_in_a_state(ending: str, state: str, is_strict: bool, surface: str, where: str) -> None:
    last, expected = ENDINGS[ending][0], after(ENDINGS[ending][1], state)
    with world_of(where) as world:
        error = left_with(world, surface, state, ending, is_strict, None)
        if callable(last):
            assert repr(error) == repr(last())
            assert getattr(error, "__notes__", []) == []
        elif expected == REFUSED and is_strict:
            assert isinstance(error, EpisodeClosedError)
        else:
            assert error is None
        found = world.stored(world.before.id)
        if expected in (REFUSED, SAME):
            assert found == world.before
        else:
            assert state_of(found) == expected


@pytest.mark.parametrize(("surface", "where"), [("Recorder", "here"), ("AsyncRecorder", "elsewhere")])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("ending", ["end", "the end of the block"])
def test_a_judge_decides_of_an_open_episode_alone(ending: str, state: str, surface: str, where: str) -> None:
    asked: list[Episode] = []

    def judge(episode: Episode) -> Outcome:
        asked.append(episode)
        return HALF

    with world_of(where) as world:
        assert left_with(world, surface, state, ending, False, judge) is None
        found = world.stored(world.before.id)
        assert state_of(found) == (state if state != OPEN else "partial")
        assert len(asked) == (state == OPEN)
        if state != OPEN:
            assert found == world.before


@pytest.mark.parametrize("surface", ["Recorder", "AsyncRecorder"])
@pytest.mark.parametrize("ending", [each for each, (_, after) in ENDINGS.items() if after[1:] == (SAME,) * 5])
def test_a_verdict_that_was_given_while_open_decides_where_the_block_has_none(
    ending: str, surface: str
) -> None:
    with world_of("elsewhere") as world:
        world.verdict = WELL
        left_with(world, surface, OPEN, ending, False, None)
        found = world.stored(world.before.id)
        assert state_of(found) == (OPEN if ending == "an error of tacit" else "success")


def test_a_verdict_after_an_ending_without_one_is_refused_by_a_strict_recorder() -> None:
    with world_of("here") as world:
        episode = world.owner.episode("Cancel order 17", strict=True)
        with suppress(LookupError), episode:
            raise LookupError("no such order")
        with pytest.raises(EpisodeClosedError):
            episode.succeed("done")
        assert state_of(world.stored(episode.id)) == "failure"


def test_an_ending_that_the_store_refused_leaves_what_others_decided() -> None:
    store, clock = FaultyStore(), Clock()
    memory, other = (Memory(store=store, settings=MANUAL, clock=clock) for _ in range(2))

    def refuse() -> None:
        raise StorageError("the disk is full")

    with suppress(LookupError), memory.episode("Cancel order 17") as episode:
        memory.flush()
        store.before = refuse
        raise LookupError("no such order")
    assert episode.learned is not None
    assert episode.learned.state == "unstored"
    other.complete(episode.id)
    clock.advance(59)
    memory._rooms.opened.tick(0.0)  # renews leases, and finds that this one is lost
    memory.complete(memory.start("Cancel order 18"), WELL)  # tries the other one again
    assert not memory._rooms.intake._unstored
    assert state_of(other.get(episode.id)) == "unknown"
