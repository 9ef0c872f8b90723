"""The table of states, cell by cell: an event in a state gives another state, an error, or changes nothing.

The page "Recording" shows the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from tacit import (
    AsyncMemory,
    ConflictError,
    EpisodeClosedError,
    Learned,
    Memory,
    Outcome,
    RecordingSettings,
    Settings,
    UnknownEpisodeError,
)
from tacit.model.ids import as_bytes
from tacit.model.record import Batch, SideRecord
from tacit.storage import InMemoryStore
from tacit.testing import Clock, FaultyStore

MANUAL = Settings(recording=RecordingSettings.manual())
WELL, BADLY = Outcome.success("done"), Outcome.failure("no")
DAY = 86_400

Event: TypeAlias = Callable[[Memory, str], object]


def leaves_block(memory: Memory, id: str, error: BaseException | None) -> None:
    """A block that records the episode ends by itself, or by an error of its own."""
    left = (KeyboardInterrupt, GeneratorExit, SystemExit, asyncio.CancelledError, Exception)
    with suppress(*left), memory.resume(id):
        if error is not None:
            raise error


def passes_a_day(memory: Memory, id: str) -> None:
    memory.flush()
    memory._clock.advance(DAY + 61)  # type: ignore[attr-defined]
    memory.maintain()


STATES: dict[str, Outcome | None] = {
    "open": None,
    "unknown": Outcome.unknown(),
    "success": WELL,
    "partial": Outcome.partial("half"),
    "failure": BADLY,
    "abandoned": Outcome.abandoned(),
}
EVENTS: dict[str, Event] = {
    "complete(success)": lambda memory, id: memory.complete(id, WELL),
    "complete(failure)": lambda memory, id: memory.complete(id, BADLY),
    "complete()": lambda memory, id: memory.complete(id),
    "judge(success)": lambda memory, id: memory.judge(id, WELL),
    "judge(unknown)": lambda memory, id: memory.judge(id, Outcome.unknown()),
    "resume": lambda memory, id: memory.resume(id),
    "forget": lambda memory, id: memory.forget(id),
    "a day passes": passes_a_day,
}
ENDINGS: dict[str, BaseException | None] = {
    "nothing": None,
    "an error of the agent": LookupError("no such order"),
    "no memory": MemoryError("no room"),
    "an interrupt": KeyboardInterrupt(),
    "an exit": SystemExit(1),
    "a cancellation": asyncio.CancelledError(),
    "a generator that is closed": GeneratorExit(),
    "an error of tacit": UnknownEpisodeError("another one"),
}
OPEN, GONE, REFUSED = "open", "gone", "refused"
# The state after the event, by the state before it; "refused" means `EpisodeClosedError`, and no change.
TABLE: dict[str, dict[str, str]] = {
    "complete(success)": {
        "open": "success", "unknown": "success", "success": "success", "partial": REFUSED, "failure": REFUSED,
        "abandoned": "success",
    },
    "complete(failure)": {
        "open": "failure", "unknown": "failure", "success": REFUSED, "partial": REFUSED, "failure": "failure",
        "abandoned": "failure",
    },
    "complete()": {
        "open": "unknown", "unknown": "unknown", "success": "success", "partial": "partial", "failure": "failure",
        "abandoned": "abandoned",
    },
    "judge(success)": {
        "open": OPEN, "unknown": "success", "success": "success", "partial": "success", "failure": "success",
        "abandoned": "success",
    },
    "judge(unknown)": {
        "open": OPEN, "unknown": "unknown", "success": "unknown", "partial": "unknown", "failure": "unknown",
        "abandoned": "unknown",
    },
    "resume": {
        "open": OPEN, "unknown": REFUSED, "success": REFUSED, "partial": REFUSED, "failure": REFUSED,
        "abandoned": OPEN,
    },
    "forget": dict.fromkeys(STATES, GONE),
    "a day passes": {
        "open": "abandoned", "unknown": "unknown", "success": "success", "partial": "partial",
        "failure": "failure", "abandoned": "abandoned",
    },
}  # fmt: skip


def episode_in(memory: Memory, state: str) -> str:
    id = memory.start("Cancel order 17", domain="retail")
    memory.log(id, "look", output=1)
    outcome = STATES[state]
    if outcome is not None:
        memory.complete(id, outcome)
    return id


def state_of(memory: Memory, id: str) -> str:
    try:
        outcome = memory.get(id).outcome
    except UnknownEpisodeError:
        return GONE
    return OPEN if outcome is None else outcome.kind


def from_here(store: InMemoryStore, clock: Clock) -> Iterator[Memory]:
    """One process for everything."""
    yield from [Memory(store=store, settings=MANUAL, clock=clock)] * 2


def from_elsewhere(store: InMemoryStore, clock: Clock) -> Iterator[Memory]:
    """The process of the episode has closed its memory; another one acts."""
    first = Memory(store=store, settings=MANUAL, clock=clock)
    yield first
    first._rooms.opened.close()
    yield Memory(store=store, settings=MANUAL, clock=clock)


PROCESSES = {"here": from_here, "elsewhere": from_elsewhere}


@pytest.mark.parametrize("where", PROCESSES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_in_a_state(event: str, state: str, where: str) -> None:
    store, clock = InMemoryStore(), Clock()
    processes = PROCESSES[where](store, clock)
    id = episode_in(next(processes), state)
    acting = next(processes)
    before, expected = acting.get(id), TABLE[event][state]
    if expected == REFUSED:
        with pytest.raises(EpisodeClosedError):
            EVENTS[event](acting, id)
    else:
        EVENTS[event](acting, id)
    reader = Memory(store=store, settings=MANUAL, clock=clock)
    acting.flush()
    assert state_of(reader, id) == (state if expected == REFUSED else expected)
    if expected in (REFUSED, state) and event not in ("judge(success)", "judge(unknown)", "resume"):
        assert reader.get(id) == before
    if expected != GONE:
        assert [step.tool for step in reader.get(id).steps] == ["look"]
    is_open = expected == OPEN
    assert bool(store.scan("open_episode")) is is_open
    assert bool(store.scan("step_batch")) is is_open


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("nothing", "unknown"),
        ("an error of the agent", "failure"),
        ("no memory", "failure"),
        ("an interrupt", "abandoned"),
        ("an exit", "abandoned"),
        ("a cancellation", "abandoned"),
        ("a generator that is closed", "abandoned"),
        ("an error of tacit", OPEN),
    ],
)
@pytest.mark.parametrize("is_judged", [False, True])
def test_a_block_that_is_left(ending: str, expected: str, is_judged: bool) -> None:
    store, clock = InMemoryStore(), Clock()
    memory = Memory(store=store, settings=MANUAL, clock=clock)
    id = episode_in(memory, "open")
    memory.flush()
    if is_judged:
        Memory(store=store, settings=MANUAL, clock=clock).judge(id, WELL, by="tests")
    leaves_block(memory, id, ENDINGS[ending])
    assert state_of(memory, id) == ("success" if is_judged and expected != OPEN else expected)


@pytest.mark.parametrize("state", [each for each in STATES if each != "open"])
def test_a_verdict_of_the_block_on_an_ended_episode(state: str) -> None:
    memory = Memory(settings=MANUAL)
    episode = memory.episode("Cancel order 17", strict=True)
    memory.complete(episode.id, STATES[state])
    expected = TABLE["complete(success)"][state]
    if expected == REFUSED:
        with pytest.raises(EpisodeClosedError):
            episode.succeed("done")
    else:
        episode.succeed("done")
    assert state_of(memory, episode.id) == (state if expected == REFUSED else expected)


# --- a day passes ---


def left_open(store: InMemoryStore, clock: Clock, **head: object) -> str:
    owner = Memory(store=store, settings=MANUAL, clock=clock)
    id = owner.start("Cancel order 17", **head)  # type: ignore[arg-type]
    owner.log(id, "look", output=1)
    owner.flush()
    return id


def test_maintenance_abandons_what_nobody_works_on_and_counts_it() -> None:
    store, clock = InMemoryStore(), Clock()
    ids = {left_open(store, clock) for _ in range(3)}
    left_open(store, clock, namespace="tenant")
    memory = Memory(store=store, settings=MANUAL, clock=clock)
    clock.advance(DAY - 1)
    assert memory.maintain().abandoned == ()
    clock.advance(2)
    planned = memory.maintain(dry_run=True)
    assert (set(planned.abandoned), planned.unchanged) == (ids, False)
    assert len(memory.open_episodes()) == 3
    report = memory.maintain()
    assert (set(report.abandoned), report.unchanged) == (ids, False)
    assert memory.open_episodes() == ()
    assert {each.id for each in memory.episodes()} == ids
    assert memory.maintain().unchanged
    assert len(memory.open_episodes(namespace="tenant")) == 1


def test_an_episode_whose_owner_lives_is_not_abandoned() -> None:
    store, clock = InMemoryStore(), Clock()
    owner = Memory(store=store, settings=MANUAL, clock=clock)
    id = owner.start("Ask the user")
    owner.flush()
    memory = Memory(store=store, settings=MANUAL, clock=clock)
    for _ in range(3):
        clock.advance(DAY)
        owner._rooms.opened.tick(0.0)  # renews the lease
        assert memory.maintain().abandoned == ()
    assert state_of(memory, id) == OPEN


@pytest.mark.parametrize("who", ["another process", "this process"])
def test_a_step_of_any_process_keeps_an_episode_open(who: str) -> None:
    store, clock = InMemoryStore(), Clock()
    id = left_open(store, clock)
    memory, guest = (Memory(store=store, settings=MANUAL, clock=clock) for _ in range(2))
    clock.advance(DAY - 10)
    writer = guest if who == "another process" else memory
    writer.log(id, "look", output=2)
    if who == "another process":
        writer.flush()
    clock.advance(20)
    assert memory.maintain().abandoned == ()
    clock.advance(DAY)
    memory.flush()
    assert memory.maintain().abandoned == (() if who == "this process" else (id,))


def test_a_step_that_comes_just_before_the_end_keeps_an_episode_open() -> None:
    store, clock = FaultyStore(), Clock()
    id = left_open(store, clock)
    memory, guest = (Memory(store=store, settings=MANUAL, clock=clock) for _ in range(2))
    clock.advance(DAY + 1)
    guest.log(id, "look", output=2)
    store.before = guest.flush
    assert memory.maintain().abandoned == ()
    assert len(memory.get(id).steps) == 2


def test_a_stale_episode_that_was_judged_ends_with_its_verdict_and_its_last_step() -> None:
    store, clock = InMemoryStore(), Clock()
    id = left_open(store, clock)
    memory = Memory(store=store, settings=MANUAL, clock=clock)
    clock.advance(60)
    memory.judge(id, WELL, by="tests")
    clock.advance(2 * DAY)
    assert memory.maintain().abandoned == (id,)
    stored = memory.get(id)
    assert (stored.outcome, stored.judged_by, stored.duration_s) == (WELL, "tests", 0.0)


@pytest.mark.parametrize("hours", [0.0, 48.0])
def test_the_age_of_an_abandoned_episode_is_a_setting(hours: float) -> None:
    store, clock = InMemoryStore(), Clock()
    id = left_open(store, clock)
    recording = RecordingSettings(flush_steps=0, flush_seconds=0.0, abandon_after_hours=hours)
    memory = Memory(store=store, settings=Settings(recording=recording), clock=clock)
    clock.advance(DAY + 61)
    assert memory.maintain().abandoned == ()
    clock.advance(DAY)
    assert memory.maintain().abandoned == ((id,) if hours else ())


def test_an_owner_that_comes_back_after_its_episode_was_abandoned_and_opened_again() -> None:
    store, clock = InMemoryStore(), Clock()
    owner, other = (Memory(store=store, settings=MANUAL, clock=clock) for _ in range(2))
    episode = owner.episode("Cancel order 17")
    episode.log("look", output=1)
    owner.flush()
    clock.advance(DAY + 61)
    assert other.maintain().abandoned == (episode.id,)
    with other.resume(episode.id) as resumed:
        resumed.log("cancel", output=1)
        other.flush()
        episode.log("late", output=1)
        assert episode.succeed().state == "unstored"
        assert any("dropped: 1" in problem for problem in episode.problems)
    assert [step.tool for step in other.get(episode.id).steps] == ["look", "cancel"]


def test_a_process_opens_its_own_abandoned_episode_again() -> None:
    store, clock = InMemoryStore(), Clock()
    owner, other = (Memory(store=store, settings=MANUAL, clock=clock) for _ in range(2))
    id = owner.start("Cancel order 17")
    owner.flush()
    clock.advance(DAY + 61)
    assert other.maintain().abandoned == (id,)
    with owner.resume(id) as episode:
        episode.log("cancel", output=1)
        assert episode.succeed().state == "learned"
    assert len(other.get(id).steps) == 1


# --- another run under the same external id ---


def run(memory: Memory, tools: str, outcome: Outcome | None, *, replace: bool) -> Learned:
    id = memory.start("Order paper", external_id="order-7")
    for tool in tools:
        memory.log(id, tool, output="done")
    return memory.complete(id, outcome, replace=replace)


def test_a_live_run_takes_the_place_of_the_stored_one() -> None:
    store = InMemoryStore()
    memory = Memory(store=store, settings=MANUAL)
    first = run(memory, "ab", WELL, replace=False)
    assert run(memory, "ab", WELL, replace=True).state == "unchanged"
    with pytest.raises(ConflictError):
        run(memory, "abc", WELL, replace=False)
    [left] = memory.open_episodes()
    memory.flush()
    second = memory.complete(left.id, WELL, replace=True)
    assert (second.state, second.episode_id) == ("learned", first.episode_id)
    assert [step.tool for step in memory.get(first.episode_id).steps] == list("abc")
    assert (memory.open_episodes(), len(memory.episodes())) == ((), 1)
    assert (store.scan("open_episode"), store.scan("step_batch")) == ([], [])
    fresh = Memory(settings=MANUAL)
    run(fresh, "abc", WELL, replace=False)
    assert counts(memory) == counts(fresh)


def counts(memory: Memory) -> list[tuple[str, float, float]]:
    return sorted((each.text, each.trials, each.successes) for each in memory.patterns(limit=100))


def test_a_replaced_run_keeps_the_verdict_that_was_given_unless_the_new_one_has_its_own() -> None:
    memory = Memory(settings=MANUAL)
    id = run(memory, "ab", None, replace=False).episode_id
    memory.judge(id, WELL, by="tests")
    run(memory, "abc", None, replace=True)
    assert (memory.get(id).outcome, memory.get(id).judged_by) == (WELL, "tests")
    run(memory, "abcd", BADLY, replace=True)
    assert (memory.get(id).outcome, memory.get(id).judged_by) == (BADLY, None)


def test_an_abandoned_run_replaces_nothing() -> None:
    memory = Memory(settings=MANUAL)
    id = run(memory, "ab", WELL, replace=False).episode_id
    with pytest.raises(ConflictError):
        run(memory, "a", Outcome.abandoned(), replace=True)
    assert len(memory.get(id).steps) == 2


def test_a_replaced_run_brings_its_answers_and_its_credit() -> None:
    memory = Memory(settings=MANUAL)
    with memory.episode("Order paper for the office") as helper:
        helper.log("order", output="done")
        helper.succeed()
    run(memory, "ab", WELL, replace=False)
    id = memory.start("Order paper for the office", external_id="order-7")
    assert memory.recall("Order paper for the office", episode_id=id).hits
    memory.log(id, "order", output="done")
    memory.complete(id, WELL, replace=True)
    assert memory.usage(helper.id).applied == 1.0


def test_the_recorders_replace_too(tmp_path: Path) -> None:
    memory = Memory(settings=MANUAL)
    learned = [recorded(memory, tools) for tools in ("ab", "abc")]
    assert [each.state for each in learned] == ["learned", "learned"]
    assert len(memory.get(learned[0].episode_id).steps) == 3
    asyncio.run(awaited(tmp_path / "m.db"))


def recorded(memory: Memory, tools: str) -> Learned:
    with memory.episode("Order paper", external_id="order-7", replace=True) as episode:
        for tool in tools:
            episode.log(tool, output="done")
        return episode.succeed()


async def awaited(path: Path) -> None:
    async with AsyncMemory(path, settings=MANUAL) as memory:
        learned: list[Learned] = []
        for tools in ("ab", "abc"):
            async with memory.episode("Order paper", external_id="order-7", replace=True) as episode:
                for tool in tools:
                    await episode.log(tool, output="done")
                learned.append(await episode.succeed())
        assert len((await memory.get(learned[0].episode_id)).steps) == 3
        id = await memory.start("Order paper", external_id="order-7")
        assert (await memory.complete(id, BADLY, replace=True)).episode_id == learned[0].episode_id


@pytest.mark.parametrize("is_damaged", [False, True])
def test_an_open_episode_of_an_earlier_version_is_as_old_as_its_start(is_damaged: bool) -> None:
    store, clock = InMemoryStore(), Clock()
    owner = Memory(store=store, settings=MANUAL, clock=clock)
    id = as_bytes(owner.start("Cancel order 17"))
    owner._rooms.opened.close()
    [(_, record)] = store.scan("open_episode")
    lease = msgspec.msgpack.decode(record)
    del lease["stepped_at"]
    store.commit(
        Batch(side_records=(SideRecord("open_episode", id, "default", msgspec.msgpack.encode(lease), id),))
    )
    if is_damaged:
        store.commit(Batch(side_records=(SideRecord("step_batch", id, "default", None, id),)))
    memory = Memory(store=store, settings=MANUAL, clock=clock)
    clock.advance(DAY - 1)
    assert memory.maintain().abandoned == ()
    clock.advance(2)
    assert len(memory.maintain().abandoned) == (0 if is_damaged else 1)
