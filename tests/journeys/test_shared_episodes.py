"""Several processes work on one open episode: each memory here stands for a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit import (
    AsyncMemory,
    CorruptRecordError,
    EpisodeClosedError,
    LeaseLostError,
    Limits,
    Memory,
    Outcome,
    Recorder,
    RecordingSettings,
    Settings,
    StorageError,
    UnknownEpisodeError,
    ValidationError,
    judging,
)
from tacit.model.episode import Episode
from tacit.model.ids import as_bytes
from tacit.model.record import Batch, SideRecord
from tacit.storage import InMemoryStore
from tacit.testing import Clock, FaultyStore
from tests.watched import WatchedStore

MANUAL = Settings(recording=RecordingSettings.manual())
AT_ONCE = Settings(recording=RecordingSettings(flush_steps=1, flush_seconds=0.0))
WELL = Outcome.success()


def process(store: Any, **options: Any) -> Memory:
    return Memory(store=store, **{"settings": MANUAL, **options})


def started(store: Any, **head: Any) -> tuple[Memory, str]:
    """An owner and its open episode of one stored step."""
    owner = process(store)
    episode_id = owner.start("Cancel order 17", domain="retail", **head)
    owner.log(episode_id, "own_1", output=1)
    owner.flush()
    return owner, episode_id


def tools(episode: Episode) -> list[str]:
    return [step.tool for step in episode.steps]


def left(store: InMemoryStore) -> int:
    return len(store.scan("open_episode")) + len(store.scan("step_batch", limit=1_000))


def test_steps_of_two_processes_are_there_in_the_order_of_their_commits() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    guest = process(store)
    assert guest.log(id, "guest_1", output=1) == 1
    assert tools(owner.get(id)) == ["own_1"]
    assert tools(guest.get(id)) == ["own_1", "guest_1"]
    guest.flush()
    owner.log(id, "own_2", output=1)
    assert tools(owner.get(id)) == ["own_1", "guest_1", "own_2"]
    assert guest.log(id, "guest_2", output=1) == 2
    guest.flush()
    assert owner.complete(id, WELL).state == "learned"
    stored = owner.get(id)
    assert tools(stored) == ["own_1", "guest_1", "guest_2", "own_2"]
    assert [step.number for step in stored.steps] == [1, 2, 3, 4]
    assert left(store) == 0


def test_a_process_that_owns_nothing_completes_the_episode_with_every_batch() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    guest, third = process(store), process(store)
    guest.log(id, "guest_1", output=1)
    guest.flush()
    third.log(id, "third_1", output=1)
    assert third.complete(id, WELL).state == "learned"
    assert tools(third.get(id)) == ["own_1", "guest_1", "third_1"]
    assert left(store) == 0
    assert owner.complete(id, WELL).state == "unchanged"
    with pytest.raises(EpisodeClosedError):
        owner.complete(id, Outcome.failure("no"))
    guest.log(id, "late", output=1)
    with pytest.raises(EpisodeClosedError, match="dropped: 1"):
        guest.flush()
    with pytest.raises(EpisodeClosedError):
        guest.log(id, "late", output=1)


def test_the_other_writers_learn_which_of_their_steps_were_dropped() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    guest, other = process(store, settings=AT_ONCE), process(store)
    owner.log(id, "own_2", output=1)
    guest.log(id, "guest_1", output=1)
    assert other.complete(id, WELL).state == "learned"
    with pytest.raises(LeaseLostError, match="dropped: 1"):
        owner.complete(id, WELL)
    assert owner.complete(id, WELL).state == "unchanged"
    with pytest.raises(EpisodeClosedError, match="dropped: 1"):
        guest.log(id, "guest_2", output=1)
    with pytest.raises(EpisodeClosedError):
        guest.log(id, "guest_3", output=1)
    assert tools(other.get(id)) == ["own_1", "guest_1"]


def test_a_lenient_recorder_whose_episode_was_completed_elsewhere_notes_it() -> None:
    store = InMemoryStore()
    owner, other = process(store), process(store)
    with owner.episode("Cancel order 17") as episode:
        episode.log("look", output=1)
        owner.flush()
        other.complete(episode.id, Outcome.failure("no"))
        episode.log("cancel", output=1)
        assert episode.succeed().state == "unstored"
    assert any("LeaseLostError" in each and "dropped: 1" in each for each in episode.problems)
    owner._rooms.opened.close()
    assert other.get(episode.id).outcome == Outcome.failure("no")


def test_a_close_that_drops_steps_of_another_process_says_so() -> None:
    store = FaultyStore()
    _, id = started(store)
    guest, other = process(store), process(store)
    guest.log(id, "guest_1", output=1)
    other.complete(id, WELL)
    with pytest.raises(StorageError, match="dropped: 1"):
        guest._rooms.opened.close()


def test_an_append_to_no_open_episode_is_refused_at_once() -> None:
    store = InMemoryStore()
    owner, id = started(store, namespace="tenant")
    guest = process(store)
    for unknown in (id, "01a22827-4e31-7543-952d-570d081dc362", "no id"):
        with pytest.raises(UnknownEpisodeError):
            guest.log(unknown, "look")
    assert guest.log(id, "look", output=1, namespace="tenant") == 1
    guest.flush()
    owner.complete(id, WELL, namespace="tenant")
    with pytest.raises(EpisodeClosedError):
        process(store).log(id, "look", namespace="tenant")
    owner.forget(id, namespace="tenant")
    with pytest.raises(UnknownEpisodeError):
        process(store).log(id, "look", namespace="tenant")


def test_another_process_ends_a_call() -> None:
    store, clock = InMemoryStore(), Clock()
    owner, guest, third = (process(store, clock=clock) for _ in range(3))
    id = owner.start("Compare two shops")
    for call in "ab":
        owner.begin(id, "search", parameters={"shop": call}, call_id=call)
    owner.flush()
    clock.advance(2)
    assert guest.end(id, call_id="b", error="no answer") == 0
    third.begin(id, "buy", call_id="c")
    third.flush()
    guest.end(id, call_id="c", output="bought")
    guest.flush()
    owner.end(id, call_id="a", output=12.5)
    assert owner.complete(id, WELL).problems == ()
    first, second, last = owner.get(id).steps
    assert (first.parameters, first.error, first.latency_ms) == ({"shop": "b"}, "no answer", 2_000.0)
    assert (second.tool, second.output, last.output) == ("buy", "bought", 12.5)
    assert first.batch == second.batch == last.batch == 1


def test_a_result_that_is_stored_before_its_beginning_waits_for_it() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    guest = process(store)
    guest.end(id, call_id="c1", output="found")
    guest.end(id, call_id="c2", output="never asked")
    guest.flush()
    assert tools(guest.get(id)) == ["own_1"]
    owner.begin(id, "search", parameters={"to": "Oslo"}, call_id="c1")
    owner.log(id, "own_2", output=1)
    learned = owner.complete(id, WELL)
    assert learned.problems == ("results: 1 of calls that never began were dropped",)
    stored = owner.get(id).steps
    assert [(step.tool, step.output) for step in stored] == [("own_1", 1), ("search", "found"), ("own_2", 1)]
    assert stored[1].parameters == {"to": "Oslo"}


def test_the_first_result_of_a_call_holds() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    owner.begin(id, "search", call_id="c1")
    owner.flush()
    first, second = process(store), process(store)
    for memory, output in ((first, "one"), (second, "two")):
        memory.end(id, call_id="c1", output=output)
        memory.flush()
    owner.end(id, call_id="c1", output="three")
    learned = owner.complete(id, WELL)
    assert [step.output for step in owner.get(id).steps] == [1, "one"]
    assert learned.problems == ("results: 2 of calls that had ended were dropped",)


def test_two_processes_may_use_one_call_id_for_two_calls() -> None:
    store, clock = InMemoryStore(), Clock()
    owner, guest = process(store, clock=clock), process(store, clock=clock)
    id = owner.start("Cancel order 17")
    for memory, output in ((owner, "one"), (guest, "two")):
        memory.begin(id, "search", call_id="1")
        clock.advance(1)
        memory.end(id, call_id="1", output=output)
        memory.flush()
    assert [step.output for step in owner.get(id).steps] == ["one", "two"]


def test_a_waiting_result_that_would_lose_something_is_refused() -> None:
    store = InMemoryStore()
    _, id = started(store)
    guest = process(store)
    with pytest.raises(ValidationError, match="output"):
        guest.end(id, call_id="c1", output=float("nan"))
    guest.end(id, call_id="c1", output="x" * 20_000, strict=False)
    guest.begin(id, "search", call_id="c1")
    guest.flush()
    step = guest.get(id).steps[-1]
    assert len(step.output) <= 10_000
    assert step.altered == ("output: cut from 20,000 to 10,000 characters",)


def test_calls_in_flight_survive_the_close_of_their_process() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    owner.begin(id, "search", call_id="c1", parameters={"n": 1})
    owner._rooms.opened.close()
    guest = process(store)
    guest.end(id, call_id="c1", output="found")
    guest._rooms.opened.close()
    with process(store).resume(id) as episode:
        episode.succeed()
    last = process(store).get(id).steps[-1]
    assert (last.parameters, last.output) == ({"n": 1}, "found")


def test_a_call_that_never_ended_is_a_step_without_a_result_at_the_end() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    owner.begin(id, "search", call_id="c1")
    owner.flush()
    assert process(store).complete(id, WELL).state == "learned"
    assert [(step.tool, step.ok) for step in owner.get(id).steps] == [("own_1", True), ("search", None)]


def test_a_verdict_from_another_process_takes_effect_at_the_end() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    tests, user = process(store), process(store)
    assert tests.judge(id, Outcome.failure("red"), by="tests").state == "open"
    assert user.judge(id, Outcome.success("fine"), by="user").state == "open"
    assert owner.get(id).outcome is None
    assert owner.complete(id).state == "learned"
    stored = owner.get(id)
    assert (stored.outcome, stored.judged_by) == (Outcome.success("fine"), "user")


def test_a_verdict_of_another_process_is_asked_before_the_judge_of_the_block() -> None:
    store = InMemoryStore()
    owner, tests = process(store), process(store)
    with owner.episode("Cancel order 17", judge=judging.last_step_ok) as judged:
        fail_and_be_judged(judged, owner, tests)
    raised = owner.episode("Cancel order 18")
    with pytest.raises(LookupError), raised:
        fail_and_be_judged(raised, owner, tests, LookupError("no such order"))
    for episode in (judged, raised):
        assert owner.get(episode.id).judged_by == "tests"


def fail_and_be_judged(
    episode: Recorder, owner: Memory, tests: Memory, error: Exception | None = None
) -> None:
    episode.log("cancel", error="no")
    owner.flush()
    tests.judge(episode.id, WELL, by="tests")
    if error is not None:
        raise error


def test_a_verdict_of_the_owner_survives_it() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    owner.judge(id, Outcome.failure("red"), by="tests")
    other = process(store)
    other.resume(id, force=True)
    other.complete(id)
    assert other.get(id).judged_by == "tests"


def test_a_verdict_that_cannot_be_stored_is_not_kept() -> None:
    store = FaultyStore()
    owner, id = started(store)

    def full() -> None:
        raise StorageError("the disk is full")

    store.before = full
    with pytest.raises(StorageError, match="the disk is full"):
        owner.judge(id, WELL)
    owner.complete(id)
    assert owner.get(id).outcome == Outcome.unknown()


def test_answers_survive_resume_and_are_credited() -> None:
    store = InMemoryStore()
    helper = process(store)
    with helper.episode("Cancel order 1", domain="retail") as episode:
        for tool in ("get_order", "cancel_order"):
            episode.log(tool, output="done")
        episode.succeed()
    owner = process(store)
    id = owner.start("Cancel order 17", domain="retail")
    owner.log(id, "look", output=1)
    answer = owner.recall("Cancel order 17", domain="retail", episode_id=id)
    assert [hit.episode_id for hit in answer.hits] == [episode.id]
    owner.flush()
    with process(store).resume(id, force=True) as resumed:
        for tool in ("get_order", "cancel_order"):
            resumed.log(tool, output="done")
        resumed.succeed()
    usage = helper.usage(episode.id)
    assert (usage.retrieved, usage.applied) == (1, 1)


def test_feedback_for_an_open_episode_of_another_process_is_kept_until_its_end() -> None:
    store = InMemoryStore()
    owner = process(store)
    with owner.episode("Cancel order 1") as episode:
        episode.log("cancel_order", output="done")
        episode.succeed()
    id = owner.start("Cancel order 2")
    answer = owner.recall("Cancel order 2", episode_id=id)
    other = process(store)
    with pytest.raises(ValidationError):
        owner.feedback(answer.id, helped={"ab" * 16: True})
    owner.flush()
    with pytest.raises(ValidationError):
        other.feedback(answer.id, helped={"ab" * 16: True})
    other.feedback(answer.id, helped={episode.id: False})
    owner.log(id, "wait", output=1)
    owner.complete(id, WELL)
    usage = other.usage(episode.id)
    assert (usage.applied, usage.helped) == (1.0, 0.0)
    assert left(store) == 0


def test_a_guest_asks_for_advice_and_the_owner_ends_with_its_credit() -> None:
    store = InMemoryStore()
    owner = process(store)
    with owner.episode("Cancel order 1") as episode:
        episode.log("cancel_order", output="done")
        episode.succeed()
    id = owner.start("Cancel order 2")
    owner.flush()
    guest = process(store)
    guest.recall("Cancel order 2", episode_id=id)
    guest.flush()
    owner.log(id, "cancel_order", output="done")
    owner.complete(id, WELL)
    assert owner.usage(episode.id).applied == 1.0


def test_a_step_that_lands_just_before_the_completion_commits_is_part_of_it() -> None:
    store = FaultyStore()
    owner, id = started(store)
    guest = process(store)

    def append() -> None:
        guest.log(id, "guest_1", output=1)
        guest.flush()

    store.before = append
    assert owner.complete(id, WELL).state == "learned"
    assert tools(owner.get(id)) == ["own_1", "guest_1"]
    assert left(store) == 0


def test_a_shared_completion_that_landed_and_raised_can_be_repeated() -> None:
    store = FaultyStore()
    owner, id = started(store)
    guest = process(store)
    guest.log(id, "guest_1", output=1)
    guest.flush()
    owner.flush()

    def cut() -> None:
        raise StorageError("the link died")

    store.after = cut
    with pytest.raises(StorageError):
        owner.complete(id, WELL)
    assert owner.complete(id, WELL).state == "unchanged"
    assert tools(owner.get(id)) == ["own_1", "guest_1"]


def test_a_guest_that_resumes_brings_its_own_steps() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    guest = process(store)
    guest.log(id, "guest_1", output=1)
    with guest.resume(id, force=True) as episode:
        assert episode.log("guest_2", output=1) == 3
        episode.succeed()
    assert tools(guest.get(id)) == ["own_1", "guest_1", "guest_2"]
    owner.log(id, "late", output=1)
    with pytest.raises(LeaseLostError, match="dropped: 1"):
        owner.complete(id, WELL)


def test_steps_beyond_the_limit_of_all_processes_are_dropped_and_counted() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    guest = process(store)
    for number in range(600):
        owner.log(id, "a", output=number)
        guest.log(id, "b", output=number)
    guest.flush()
    learned = owner.complete(id, WELL)
    assert len(owner.get(id).steps) == 1_000
    assert any("steps: 201 not recorded" in problem for problem in learned.problems)


def test_forgetting_meets_a_step_that_lands_meanwhile() -> None:
    store = FaultyStore()
    owner, id = started(store)
    guest = process(store)
    guest.log(id, "guest_1", output=1)

    def append() -> None:
        guest.flush()

    store.before = append
    owner.forget(id)
    assert left(store) == 0
    guest.log(id, "late", output=1)
    with pytest.raises(EpisodeClosedError, match="forgotten"):
        guest.flush()


@pytest.mark.parametrize("who", ["owner", "guest"])
def test_an_episode_that_ended_elsewhere_is_forgotten_by_a_process_that_wrote_to_it(who: str) -> None:
    store = InMemoryStore()
    owner, id = started(store)
    guest, other = process(store), process(store)
    guest.log(id, "guest_1", output=1)
    guest.flush()
    other.complete(id, WELL)
    (owner if who == "owner" else guest).forget(id)
    with pytest.raises(UnknownEpisodeError):
        other.get(id)


def test_an_episode_that_was_taken_over_is_shown_as_its_new_owner_stored_it() -> None:
    store = InMemoryStore()
    owner, id = started(store)
    other = process(store)
    other.resume(id, force=True).log("other_1", output=1)
    other.flush()
    assert tools(owner.get(id)) == ["own_1", "other_1"]
    assert [tools(each) for each in owner.open_episodes()] == [["own_1", "other_1"]]
    other.complete(id, WELL)
    assert owner.open_episodes() == ()
    assert owner.get(id).outcome == WELL


def test_idle_guests_make_room_for_other_episodes() -> None:
    store = InMemoryStore()
    owner = process(store)
    ids = [owner.start(f"task {number}") for number in range(5)]
    owner.flush()
    settings = Settings(recording=RecordingSettings.manual(), limits=Limits(open_episodes=2))
    guest = process(store, settings=settings)
    for id in ids:
        guest.log(id, "look", output=1)
        guest.flush()
    assert guest.stats()["open"] == 0
    for id in ids:
        assert len(owner.get(id).steps) == 1


def test_awaited_verbs_append_to_an_episode_of_another_process(tmp_path: Path) -> None:
    asyncio.run(awaited(tmp_path / "m.db"))


async def awaited(path: Path) -> None:
    async with AsyncMemory(path, settings=MANUAL) as owner, AsyncMemory(path, settings=MANUAL) as guest:
        id = await owner.start("Cancel order 17")
        await owner.flush()
        await guest.log(id, "look", output=1)
        await guest.begin(id, "search", call_id="c1")
        await guest.flush()
        await owner.end(id, call_id="c1", output="found")
        await owner.flush()
        await guest.judge(id, WELL, by="tests")
        assert (await guest.complete(id)).state == "learned"
        stored = await owner.get(id)
        assert [(step.tool, step.output) for step in stored.steps] == [("look", 1), ("search", "found")]
        assert stored.judged_by == "tests"
        with pytest.raises(EpisodeClosedError):
            await guest.begin(id, "late")
        await owner.begin(id, "late", call_id="c2")
        await owner.flush()
        with pytest.raises(LeaseLostError, match="dropped: 1"):
            await owner.begin(id, "late")


WRITERS = st.integers(0, 2)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("log"), WRITERS, st.just(0)),
        st.tuples(st.just("begin"), WRITERS, st.integers(0, 9)),
        st.tuples(st.just("end"), WRITERS, st.integers(0, 9)),
        st.tuples(st.just("flush"), WRITERS, st.just(0)),
        st.tuples(st.just("resume"), WRITERS, st.just(0)),
    ),
    max_size=60,
)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.example([("end", 0, 1), ("flush", 0, 0), ("begin", 0, 1)], 1)
@given(EVENTS, WRITERS)
def test_whoever_writes_every_step_is_there_once_with_its_own_result(
    events: list[tuple[str, int, int]], last: int
) -> None:
    store = InMemoryStore()
    memories = [process(store) for _ in range(3)]
    id = memories[0].start("Cancel order 17")
    memories[0].flush()
    logged: list[list[int]] = [[], [], []]
    begun: set[str] = set()
    ended: set[str] = set()
    owner = 0
    for number, (verb, writer, call) in enumerate(events):
        memory = memories[writer]
        if verb == "log":
            memory.log(id, "log", output=[writer, number])
            logged[writer].append(number)
        elif verb == "begin" and f"c{call}" not in begun:
            memory.begin(id, "call", parameters=f"c{call}", call_id=f"c{call}")
            begun.add(f"c{call}")
        elif verb == "end" and f"c{call}" not in ended:
            memory.end(id, call_id=f"c{call}", output=f"c{call}")
            ended.add(f"c{call}")
        elif verb == "flush":
            memory.flush()
        elif verb == "resume" and writer == owner:
            memory.resume(id)
    for memory in memories:
        memory.flush()
    learned = memories[last].complete(id, WELL)
    steps = memories[last].get(id).steps
    for writer in range(3):
        own = [step.output[1] for step in steps if step.tool == "log" and step.output[0] == writer]
        assert own == logged[writer]
    calls = {step.parameters: step.output for step in steps if step.tool == "call"}
    assert calls == {each: each if each in ended else None for each in begun}
    assert len(steps) == sum(map(len, logged)) + len(begun)
    unclaimed = len(ended - begun)
    expected = (f"results: {unclaimed} of calls that never began were dropped",) if unclaimed else ()
    assert learned.problems == expected


def test_an_abandoned_episode_is_opened_again(tmp_path: Path) -> None:
    for store in (InMemoryStore(), None):
        with Memory(tmp_path / "m.db", store=store, settings=MANUAL) as memory:
            first = memory.episode("Cancel order 17", tags=("some-tag",))
            with pytest.raises(KeyboardInterrupt), first:
                interrupted(first)
            abandoned = memory.get(first.id)
            assert abandoned.outcome == Outcome.abandoned()
            with memory.resume(first.id) as episode:
                assert memory.episodes() == ()
                assert memory.get(first.id) == replace(abandoned, outcome=None, ended_at=None)
                assert episode.log("cancel", output=1) == 2
                assert episode.succeed().state == "learned"
            stored = memory.get(first.id)
            assert (tools(stored), stored.outcome, stored.tags) == (["look", "cancel"], WELL, ("some-tag",))
            assert memory.stats()["index"]["episodes"] == 1
            with pytest.raises(EpisodeClosedError):
                memory.resume(first.id)


def interrupted(episode: Recorder) -> None:
    episode.log("look", output=1)
    raise KeyboardInterrupt


VERBS: dict[str, Callable[[Memory, str], object]] = {
    "log": lambda memory, id: memory.log(id, "look", output=1),
    "begin": lambda memory, id: memory.begin(id, "look"),
    "end": lambda memory, id: memory.end(id, call_id="c1", output=1),
    "complete": lambda memory, id: memory.complete(id, WELL),
    "judge": lambda memory, id: memory.judge(id, WELL),
    "recall": lambda memory, id: memory.recall("a task", episode_id=id),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_process_that_lost_the_lease_is_refused_by_every_verb(verb: str) -> None:
    store = InMemoryStore()
    owner, id = started(store)
    process(store).resume(id, force=True)
    owner.log(id, "late", output=1)
    owner.flush()
    with pytest.raises(LeaseLostError):
        VERBS[verb](owner, id)


def test_an_episode_without_its_first_batch_is_refused_and_forgotten() -> None:
    store = InMemoryStore()
    _, id = started(store)
    memory = process(store)
    store.commit(Batch(side_records=(SideRecord("step_batch", as_bytes(id), "default", None, as_bytes(id)),)))
    with pytest.raises(CorruptRecordError, match="the head of the open episode"):
        memory.log(id, "look")
    healthy = started(store)[1]
    assert [each.id for each in memory.open_episodes()] == [healthy]
    memory.forget(id)
    memory.forget(healthy)
    assert left(store) == 0


def test_a_full_batch_of_calls_is_stored_by_the_timer() -> None:
    store = WatchedStore()
    settings = Settings(recording=RecordingSettings(flush_steps=3, flush_seconds=0.0))
    owner = process(store, settings=settings)
    id = owner.start("Compare many shops")
    owner.flush()
    for call in "abc":
        owner.begin(id, "search", call_id=call)
    store.wait_until(lambda: len(store.scan("step_batch")) == 2)
    reader = process(store)
    for call in "abc":
        reader.end(id, call_id=call, output=call)
    reader.complete(id, WELL)
    assert [step.output for step in reader.get(id).steps] == list("abc")


def test_an_abandoned_episode_that_is_opened_again_numbers_its_calls_on() -> None:
    memory = Memory(settings=MANUAL)
    id = memory.start("Compare two shops")
    for call in "ab":
        memory.begin(id, "search", call_id=call)
        memory.end(id, call_id=call, output=call)
    memory.complete(id, Outcome.abandoned())
    with memory.resume(id) as episode:
        episode.begin("search").end(output="c")
        episode.succeed()
    assert [step.batch for step in memory.get(id).steps] == [1, 2, 3]
