"""Recording without naming ids: how a block or a call ends, and how its episode ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

import tacit
from tacit import (
    Episode,
    Finding,
    Limits,
    Memory,
    Outcome,
    Settings,
    StorageError,
    UnavailableError,
    ValidationError,
    recorded,
)
from tacit.testing import FaultyStore


def be_full() -> None:
    raise UnavailableError("the disk is full")


def be_interrupted() -> None:
    raise KeyboardInterrupt


def test_a_store_that_fails_does_not_make_a_failure_of_the_episode() -> None:
    store = FaultyStore()
    store.before = be_full
    memory = Memory(store=store)
    with pytest.raises(UnavailableError), memory.episode("Cancel order 17", strict=True) as episode:
        episode.succeed()
    assert memory.get(episode.id).outcome is None
    assert memory.complete(episode.id, Outcome.success()).state == "learned"


def test_an_episode_that_could_not_be_stored_is_stored_with_the_next_commit() -> None:
    store = FaultyStore()
    store.before = be_full
    memory = Memory(store=store)
    with memory.episode("Cancel order 17") as first:
        learned = first.succeed()
    assert learned.state == "unstored"
    assert any("the disk is full" in problem for problem in learned.problems)
    with memory.episode("Cancel order 18") as second:
        second.succeed()
    assert [each.outcome for each in memory.episodes()] == [Outcome.success(), Outcome.success()]


def test_closing_names_the_episodes_that_the_store_still_refuses() -> None:
    store = FaultyStore()
    store.before = be_full
    memory = Memory(store=store)
    with memory.episode("Cancel order 17") as episode:
        episode.succeed()
    store.before = be_full
    with pytest.raises(StorageError, match=episode.id):
        memory.close()


def with_a_full_disk(memory: Memory, store: FaultyStore) -> None:
    with memory.episode("Cancel order 17"):
        store.before = be_full
        raise LookupError("no such order")


def test_the_exception_of_the_application_passes_with_a_note_that_nothing_was_stored() -> None:
    store = FaultyStore()
    memory = Memory(store=store)
    with pytest.raises(LookupError, match="no such order") as caught:
        with_a_full_disk(memory, store)
    assert any("the disk is full" in note for note in caught.value.__notes__)


def test_an_interrupt_during_an_ending_passes_and_what_was_stored_stays() -> None:
    store = FaultyStore()
    store.after = be_interrupted
    memory = Memory(store=store)
    with pytest.raises(KeyboardInterrupt), memory.episode("Cancel order 17") as episode:
        episode.succeed()
    with Memory(store=store) as other:
        assert other.get(episode.id).outcome == Outcome.success()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_an_interrupt_abandons_the_episode_and_passes(interrupt: type[BaseException]) -> None:
    memory = Memory()
    with pytest.raises(interrupt), memory.episode("Cancel order 17") as episode:
        raise interrupt
    assert memory.get(episode.id).outcome == Outcome.abandoned()
    assert memory.patterns() == ()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_an_interrupted_call_of_a_recorded_function_is_abandoned(interrupt: type[BaseException]) -> None:
    memory = Memory()

    @recorded(memory)
    def buy() -> None:
        raise interrupt

    @recorded(memory)
    async def buy_awaited() -> None:
        raise interrupt

    with pytest.raises(interrupt):
        buy()
    with pytest.raises(interrupt):
        asyncio.run(buy_awaited())
    assert [episode.outcome for episode in memory.episodes()] == [Outcome.abandoned()] * 2


def test_a_coroutine_that_is_closed_is_abandoned() -> None:
    memory = Memory()

    @recorded(memory)
    async def wait() -> None:
        await asyncio.Future()

    async def journey() -> None:
        waiting = wait()
        waiting.send(None)
        waiting.close()

    asyncio.run(journey())
    assert [episode.outcome for episode in memory.episodes()] == [Outcome.abandoned()]


def test_an_error_may_be_an_exception_of_a_strict_step_too() -> None:
    memory = Memory()
    id = memory.start("Cancel order 17")
    memory.log(id, "pay", error=ValueError("no card"))
    assert memory.get(id).steps[0].error == "ValueError: no card"


def test_an_exception_without_a_message_is_described_by_its_name() -> None:
    memory = Memory()
    with pytest.raises(MemoryError), memory.episode("Cancel order 17") as episode:
        raise MemoryError
    assert memory.get(episode.id).outcome == Outcome.failure("MemoryError")


def test_the_first_verdict_holds() -> None:
    memory = Memory()
    with memory.episode("Cancel order 17") as episode:
        episode.succeed("done")
        episode.fail("changed my mind")
    assert memory.get(episode.id).outcome == Outcome.success("done")


@pytest.mark.parametrize("ending", ["artifacts", "completed", "failed"])
def test_one_text_is_not_taken_for_a_list_of_its_characters(ending: str) -> None:
    make = Outcome.success if ending == "artifacts" else Outcome.partial
    with pytest.raises(ValidationError, match=f"{ending} must be a sequence of texts"):
        make(**{ending: "report.txt"})
    memory = Memory()
    with memory.episode("Write a report") as episode:
        (episode.succeed if ending == "artifacts" else episode.partial)(**{ending: "report.txt"})
    assert memory.get(episode.id).outcome == Outcome("success" if ending == "artifacts" else "partial")
    assert any(ending in problem for problem in episode.problems)


@dataclass
class Page:
    url: str
    at: datetime


class Unreadable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


ODD_VALUES = [
    "x" * 20_000,
    {"page": "x" * 20_000},
    Page("/orders", datetime(2026, 1, 2, tzinfo=UTC)),
    {3: (1, {2})},
    float("nan"),
    "a\ud800b",
    2**80,
    b"bytes",
    ValueError("bad"),
    Unreadable(),
    object(),
    iter(range(3)),
]


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("field", ["output", "parameters", "metadata", "state", "error", "action"])
def test_no_logged_value_raises_into_the_agent(field: str, value: object) -> None:
    memory = Memory()
    with memory.episode("Fetch the page", domain="web") as episode:
        assert episode.log("fetch", **{field: value}) == 1  # type: ignore[arg-type]
        episode.succeed()
    stored = memory.get(episode.id)
    assert stored.outcome == Outcome.success()
    assert len(stored.steps) == 1
    if field == "output":
        assert stored.steps[0].altered, "each change of an output is named"


@pytest.mark.parametrize(
    ("field", "value"),
    [("latency_ms", "12"), ("tokens", -1), ("tokens", 1.5), ("timed_out", "yes"), ("tool", None)],
)
def test_a_field_of_another_type_is_dropped_and_named(field: str, value: object) -> None:
    memory = Memory()
    step: dict[str, object] = {"tool": "fetch", "output": 1, field: value}
    with memory.episode("Fetch the page") as episode:
        assert episode.log(**step) == 1  # type: ignore[arg-type]
        episode.succeed()
    assert len(memory.get(episode.id).steps) == 1


def test_strict_logging_refuses_a_loss_and_converts_the_rest() -> None:
    memory = Memory()
    id = memory.start("Fetch the page")
    memory.log(id, "fetch", output=Page("/orders", datetime(2026, 1, 2, tzinfo=UTC)))
    for lossy in (float("nan"), "x" * 20_000, object()):
        with pytest.raises(ValidationError, match="output"):
            memory.log(id, "fetch", output=lossy)
    with pytest.raises(ValidationError, match="latency_ms must be a number; got str"):
        memory.log(id, "fetch", latency_ms="12")  # type: ignore[arg-type]
    (step,) = memory.get(id).steps
    assert step.output == {"url": "/orders", "at": "2026-01-02T00:00:00+00:00"}
    assert "output: Page became an object" in step.altered


def test_a_converter_of_the_caller_is_asked_first() -> None:
    memory = Memory(to_json=lambda value: value.url if isinstance(value, Page) else NotImplemented)
    with memory.episode("Fetch the page") as episode:
        episode.log("fetch", output=Page("/orders", datetime(2026, 1, 2, tzinfo=UTC)))
    assert memory.get(episode.id).steps[0].output == "/orders"


def test_a_second_verdict_is_ignored_and_named() -> None:
    memory = Memory()
    with memory.episode("Cancel order 17") as episode:
        episode.succeed("one")
        episode.fail("two")
    assert any("has ended as success" in problem for problem in episode.problems)


def test_a_tool_that_has_no_name_is_recorded_by_its_type() -> None:
    memory = Memory()
    with memory.episode("Cancel order 17", tags=10**6_000) as episode:  # type: ignore[arg-type]
        episode.log(Unreadable(), output=1)  # type: ignore[arg-type]
        episode.succeed()
    assert memory.get(episode.id).outcome == Outcome.success()


def test_a_closed_memory_takes_no_work() -> None:
    memory = Memory()
    id = memory.start("Cancel order 17")
    memory.close()
    for verb in (lambda: memory.start("x"), lambda: memory.log(id, "x"), lambda: memory.begin(id, "x")):
        with pytest.raises(StorageError, match="closed"):
            verb()


def test_a_step_beyond_the_limit_is_counted() -> None:
    memory = Memory(settings=Settings(limits=Limits(steps=3)))
    with memory.episode("Look around") as episode:
        numbers = [episode.log("look", output=number) for number in range(5)]
        learned = episode.succeed()
    assert numbers == [1, 2, 3, 0, 0]
    assert learned.state == "learned"
    assert any("2 not recorded" in problem for problem in learned.problems)


def test_a_bad_head_is_mended_and_named() -> None:
    memory = Memory()
    with memory.episode(
        "x" * 20_000,
        tags=["ok", "user:42"],
        metadata={"at": datetime(2026, 1, 2, tzinfo=UTC)},
        complexity="hard",  # type: ignore[arg-type]
    ) as episode:
        episode.succeed()
    stored = memory.get(episode.id)
    assert (len(stored.task), stored.tags, stored.metadata) == (
        10_000,
        ("ok",),
        {"at": "2026-01-02T00:00:00+00:00"},
    )
    assert {problem.split(":")[0] for problem in episode.problems} == {
        "task",
        "tags",
        "metadata",
        "complexity",
    }


def test_a_misspelt_keyword_is_the_agents_own_mistake() -> None:
    memory = Memory()
    with pytest.raises(TypeError, match="did you mean 'domain'"):
        memory.episode("Cancel order 17", domian="retail")  # type: ignore[call-arg]
    with pytest.raises(TypeError), memory.episode("Cancel order 17") as episode:
        episode.log("fetch", outptu=1)  # type: ignore[call-arg]
    outcome = memory.get(episode.id).outcome
    assert outcome is not None
    assert outcome.kind == "failure"


def test_a_closed_memory_does_not_break_the_agent() -> None:
    memory = Memory()
    memory.close()
    with memory.episode("Cancel order 17") as episode:
        assert episode.recall().degraded == ("store",)
        assert episode.suggest().degraded == ("store",)
        assert episode.recover("boom", tool="fetch").degraded == ("store",)
        assert episode.predict().degraded == ("store",)
        assert episode.playbook().degraded == ("store",)
        episode.log("fetch", output=1)
        assert episode.succeed().state == "unstored"
    assert episode.problems


@pytest.mark.parametrize("part", ["embedder", "extractor", "to_json"])
def test_a_part_that_raises_decides_no_outcome(part: str) -> None:
    memory = Memory(
        settings=Settings(
            embedder=BrokenEmbedder() if part == "embedder" else "hashed",
            extractors=(BrokenExtractor(),) if part == "extractor" else ("tool_sequence",),
        ),
        to_json=broken if part == "to_json" else None,
    )
    with memory.episode("Cancel order 17") as episode:
        episode.log("fetch", output=object())
        learned = episode.succeed()
    assert episode.problems
    assert memory.get(episode.id).outcome == Outcome.success()
    assert learned.state == ("learned" if part == "to_json" else "pending")


def broken(value: object) -> object:
    raise RuntimeError("broken")


class BrokenEmbedder:
    name = "broken"
    dimension = 4

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        raise RuntimeError("broken")


class BrokenExtractor:
    def extract(self, episode: Episode) -> Iterator[Finding]:
        raise RuntimeError("broken")


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


def test_calls_in_flight_at_the_same_time_share_a_batch() -> None:
    memory = Memory()
    with memory.episode("Compare two shops") as episode:
        first = episode.begin("search", parameters={"shop": 1})
        second = episode.begin("search", parameters={"shop": 2})
        second.end(output="cheap")
        first.fail(TimeoutError("too slow"))
        third = episode.begin("buy")
        third.end(output="done")
        episode.succeed()
    steps = memory.get(episode.id).steps
    assert [(step.parameters, step.status, step.error) for step in steps] == [
        ({"shop": 2}, "ok", None),
        ({"shop": 1}, "error", "TimeoutError: too slow"),
        (None, "ok", None),
    ]
    assert steps[0].batch == steps[1].batch != steps[2].batch
    assert all(step.latency_ms is not None and step.latency_ms >= 0 for step in steps)


def test_a_call_in_flight_at_the_end_is_a_step_without_a_result() -> None:
    memory = Memory()
    with memory.episode("Search") as episode:
        call = episode.begin("search", call_id="c1")
        episode.succeed()
    assert call.end(output="late") == 0
    (step,) = memory.get(episode.id).steps
    assert (step.status, step.call_id) == (None, "c1")
    assert any("end:" in problem for problem in episode.problems)


def test_a_result_that_comes_first_waits_for_its_beginning() -> None:
    memory = Memory()
    id = memory.start("Search")
    assert memory.end(id, call_id="c1", output="found") == 0
    assert memory.begin(id, "search", call_id="c1") == "c1"
    (step,) = memory.get(id).steps
    assert (step.tool, step.output, step.call_id) == ("search", "found", "c1")
    memory.begin(id, "search", call_id="c2")
    with pytest.raises(ValidationError, match="in flight already"):
        memory.begin(id, "search", call_id="c2")


def test_a_step_block_ends_its_call_by_how_the_block_ends() -> None:
    memory = Memory()
    with memory.episode("Search") as episode:
        with episode.step("search", parameters={"to": "Oslo"}) as call:
            call.end(output=["SK 4423"])
        with episode.step("wait"):
            pass
        with pytest.raises(LookupError), episode.step("book"):
            raise LookupError("sold out")
        with episode.batch():
            episode.log("read", output=1)
            episode.log("read", output=2)
        episode.succeed()
    steps = memory.get(episode.id).steps
    assert [step.status for step in steps] == ["ok", "ok", "error", "ok", "ok"]
    assert steps[3].batch == steps[4].batch is not None


def test_the_current_episode_follows_its_context() -> None:
    memory = Memory()
    assert tacit.current() is None

    @tacit.tool
    def look(place: str) -> str:
        return f"nothing in {place}"

    @tacit.tool(name="fetch_page")
    def fetch(url: str) -> str:
        raise ConnectionError("refused")

    assert look("the void") == "nothing in the void"
    with memory.episode("Look around") as outer:
        assert tacit.current() is outer
        look("the drawer")
        with memory.episode("Look closer") as inner:
            assert tacit.current() is inner
        assert tacit.current() is outer
        with pytest.raises(ConnectionError):
            fetch(url="/")
        outer.succeed()
    assert tacit.current() is None
    first, second = memory.get(outer.id).steps
    assert (first.tool, first.parameters, first.output) == (
        "look",
        {"place": "the drawer"},
        "nothing in the drawer",
    )
    assert (second.tool, second.error) == ("fetch_page", "ConnectionError: refused")


def test_a_carried_function_records_into_the_episode_of_its_origin() -> None:
    memory = Memory()

    @tacit.tool
    def look(place: str) -> str:
        return place

    with ThreadPoolExecutor(2) as pool, memory.episode("Look around") as episode:
        pool.submit(look, "lost").result()
        pool.submit(tacit.carry(look), "found").result()
        episode.succeed()
    assert [step.parameters for step in memory.get(episode.id).steps] == [{"place": "found"}]


def test_an_awaited_tool_is_a_step_of_its_task() -> None:
    memory = Memory()

    @tacit.tool
    async def look(place: str) -> str:
        await asyncio.sleep(0)
        return place

    async def agent() -> None:
        with memory.episode("Look around") as episode:
            await asyncio.gather(look("left"), look("right"))
            episode.succeed()

    asyncio.run(agent())
    (episode,) = memory.episodes()
    assert {step.output for step in episode.steps} == {"left", "right"}
    assert len({step.batch for step in episode.steps}) == 1


def test_a_refused_result_leaves_its_call_in_flight() -> None:
    memory = Memory()
    id = memory.start("Pay")
    call = memory.begin(id, "pay", parameters={"amount": 3})
    with pytest.raises(ValidationError, match="output"):
        memory.end(id, call_id=call, output=float("nan"))
    assert memory.end(id, call_id=call, output="paid") == 1
    with pytest.raises(ValidationError, match="has ended"):
        memory.end(id, call_id=call, output="paid twice")
    assert [step.output for step in memory.get(id).steps] == ["paid"]


def test_a_result_without_a_call_is_named_at_the_end() -> None:
    memory = Memory()
    id = memory.start("Pay")
    memory.end(id, call_id="typo", output="paid")
    learned = memory.complete(id, Outcome.success())
    assert any("never began" in problem for problem in learned.problems)


def test_a_recorded_tool_changes_nothing_for_its_caller() -> None:
    memory = Memory()

    @tacit.tool
    def stream() -> Iterator[int]:
        return iter([1, 2, 3])

    @tacit.tool
    def drain(items: list[int]) -> int:
        count = len(items)
        items.clear()
        return count

    with memory.episode("Read") as episode:
        assert list(stream()) == [1, 2, 3]
        assert drain([1, 2]) == 2
        episode.succeed()
    streamed, drained = memory.get(episode.id).steps
    assert streamed.output == "<list_iterator>"
    assert drained.parameters == {"items": [1, 2]}


def test_a_block_that_is_left_late_does_not_stay_current() -> None:
    memory = Memory()

    def generator() -> Iterator[None]:
        with memory.episode("inner"):
            yield

    running = generator()
    next(running)
    with memory.episode("outer") as outer:
        running.close()  # type: ignore[attr-defined]
        assert tacit.current() is outer
    assert tacit.current() is None


def test_an_episode_that_any_part_kept_from_being_stored_is_tried_again() -> None:
    class Once:
        calls = 0

        def redact(self, record: bytes) -> tuple[bytes, int]:
            Once.calls += 1
            if Once.calls == 1:
                raise OSError("the key server is down")
            return record, 0

    memory = Memory(redactor=Once())
    with memory.episode("Cancel order 17") as first:
        assert first.succeed().state == "unstored"
    with memory.episode("Cancel order 18") as second:
        second.succeed()
    assert memory.get(first.id).outcome == Outcome.success()


def test_half_of_a_secret_is_not_left_beside_a_cut() -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    memory = Memory()
    with memory.episode("Read the log") as episode:
        for offset in range(0, 60, 5):
            episode.log("read", output="a " * (2_490 - offset // 2) + secret + " " + "b " * 5_000)
        episode.succeed()
    kept = "".join(step.output for step in memory.get(episode.id).steps)
    assert secret[:12] not in kept
    assert secret[-12:] not in kept
