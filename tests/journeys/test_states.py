"""Episodes that a day without a step abandons, and runs that take the place of a stored one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tacit import (
    AsyncMemory,
    ConflictError,
    Learned,
    Memory,
    Outcome,
    RecordingSettings,
    Settings,
)
from tacit.model.ids import as_bytes
from tacit.model.record import Batch, SideRecord
from tacit.storage import InMemoryStore
from tacit.testing import Clock, FaultyStore

MANUAL = Settings(recording=RecordingSettings.manual())
WELL, BADLY = Outcome.success("done"), Outcome.failure("no")
DAY = 86_400

OPEN = "open"


def state_of(memory: Memory, id: str) -> str:
    outcome = memory.get(id).outcome
    return OPEN if outcome is None else outcome.kind


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
