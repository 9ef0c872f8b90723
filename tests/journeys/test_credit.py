"""The loop is closed: memories that were recalled and used are credited with the outcome, and later answers change."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tacit import (
    AsyncMemory,
    Episode,
    EpisodeClosedError,
    Memory,
    Outcome,
    Recall,
    Step,
    UnknownEpisodeError,
    UnknownRecallError,
    Usage,
    ValidationError,
)
from tacit.model.record import Batch, Receipt
from tacit.storage import InMemoryStore, Store
from tacit.testing import Clock, FaultyStore

GOOD = ("look_up", "verify", "refund", "notify")
BAD = ("guess", "refund_all", "apologise", "escalate")


def run(
    memory: Memory, task: str, tools: tuple[str, ...], *, well: bool, recall: bool = False
) -> Recall | None:
    """Records one episode of these steps and returns its recall."""
    with memory.episode(task, domain="retail") as episode:
        answer = episode.recall() if recall else None
        for tool in tools:
            episode.log(tool, output="done")
        if well:
            episode.succeed()
        else:
            episode.fail("the customer was not served")
    return answer


def seeded(memory: Memory) -> None:
    """Two ways to refund that went equally well so far, and other work that went badly."""
    run(memory, "Refund order 17 for the customer", GOOD, well=True)
    run(memory, "Refund order 18 for the customer", BAD, well=True)
    for number in range(6):
        run(memory, f"Write report {number}", ("draft", "print"), well=number % 2 == 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    with Memory(path, clock=Clock()) as memory:
        seeded(memory)
        yield memory


def order(memory: Memory) -> list[tuple[str, ...]]:
    hits = memory.recall("Refund order 99 for the customer", domain="retail").hits
    return [hit.tools for hit in hits if hit.tools in (GOOD, BAD)]


def episode_of(memory: Memory, tools: tuple[str, ...]) -> str:
    hits = memory.recall("Refund order 99 for the customer", domain="retail").hits
    return next(hit.episode_id for hit in hits if hit.tools == tools)


def effectiveness(memory: Memory, episode_id: str) -> float:
    return memory.usage(episode_id).effectiveness


def test_credit_changes_the_order_of_later_answers_and_a_restart_changes_nothing(path: Path) -> None:
    with Memory(path, clock=Clock()) as memory:
        seeded(memory)
        good, bad = episode_of(memory, GOOD), episode_of(memory, BAD)
        first = order(memory)[0]
        for number in range(4):
            run(memory, f"Refund order {30 + number} for the customer", first, well=False, recall=True)
        run(memory, "Pay back order 40", GOOD if first == BAD else BAD, well=True, recall=True)
        led, fell = (good, bad) if first == BAD else (bad, good)
        assert effectiveness(memory, fell) < 0.5 < effectiveness(memory, led)
        assert order(memory)[0] != first
        before = memory.usage(good), memory.usage(bad), memory.recall("Refund order 99").hits
    with Memory(path, clock=Clock()) as again:
        assert (again.usage(good), again.usage(bad), again.recall("Refund order 99").hits) == before


def test_the_reasons_still_sum_to_the_score_and_the_credit_is_one_of_them(memory: Memory) -> None:
    signals = {reason.signal for hit in memory.recall("Refund order 99").hits for reason in hit.reasons}
    assert "effectiveness" not in signals
    run(memory, "Refund order 30 for the customer", BAD, well=False, recall=True)
    for hit in memory.recall("Refund order 99 for the customer", domain="retail").hits:
        assert hit.score == pytest.approx(sum(reason.value * reason.weight for reason in hit.reasons))
        [value] = [reason.value for reason in hit.reasons if reason.signal == "effectiveness"]
        assert value == pytest.approx(effectiveness(memory, hit.episode_id))


def test_a_pattern_tells_how_its_recalls_were_used_and_loses_its_place_where_they_misled(path: Path) -> None:
    with Memory(path, clock=Clock()) as memory:
        seeded(memory)
        answer = run(memory, "Refund order 30 for the customer", BAD, well=False, recall=True)
        assert answer is not None
        usages = {pattern.id: memory.usage(pattern.id) for pattern in answer.patterns}
        used = {id for id, usage in usages.items() if usage.applied}
        assert used
        assert {usage.retrieved for usage in usages.values()} == {1}
        listed = {pattern.id: pattern.usage for pattern in memory.patterns(limit=1_000)}
        assert {id: listed[id] for id in usages} == usages
        assert all(usages[id].effectiveness < 0.5 for id in used)


def receipts_and_credits(store: Store) -> tuple[int, int]:
    return len(store.scan("receipt")), len(store.scan("credit"))


def test_one_outcome_is_one_trial_however_much_was_recalled_and_used(memory: Memory) -> None:
    with memory.episode("Refund order 30 for the customer", domain="retail") as episode:
        for _ in range(5):
            episode.recall()
        for tool in GOOD:
            episode.log(tool, output="done")
        episode.succeed()
    assert len(memory._store.scan("credit")) == 5
    assert weight_of(memory._store) == pytest.approx(1.0)


def weight_of(store: Store) -> float:
    """The sum of all credit, read from the store."""
    uses = b"".join(msgspec.msgpack.decode(record)["uses"] for _, record in store.scan("credit"))
    return sum(weight for _, weight, _ in struct.iter_unpack("<16sdd", uses))


def test_what_was_shown_and_not_used_is_counted_and_not_credited(memory: Memory) -> None:
    good, bad = episode_of(memory, GOOD), episode_of(memory, BAD)
    run(memory, "Refund order 30 for the customer", GOOD, well=True, recall=True)
    used, passed_over = memory.usage(good), memory.usage(bad)
    assert (used.retrieved, used.applied, used.helped) == (1, 1, 1)
    assert (passed_over.retrieved, passed_over.applied, passed_over.effectiveness) == (1, 0, 0.5)
    assert used.low < used.effectiveness < used.high


def test_an_outcome_counts_against_what_was_to_be_expected() -> None:
    """Among successes one more success says little; among failures it says much."""
    credited = []
    for well in (True, False):
        memory = Memory()
        run(memory, "Refund order 17", GOOD, well=True)
        for number in range(30):
            run(memory, f"Write report {number}", ("draft",), well=well)
        answer = run(memory, "Refund order 18", GOOD, well=True, recall=True)
        assert answer is not None
        refund = next(hit.episode_id for hit in answer.hits if hit.tools == GOOD)
        credited.append(effectiveness(memory, refund))
    assert 0.5 < credited[0] < credited[1]


def test_a_recall_outside_of_an_episode_writes_nothing(memory: Memory) -> None:
    before = memory.stats()["sequence"]
    answer = memory.recall("Refund order 99")
    assert memory.stats()["sequence"] == before
    assert memory.usage(answer.hits[0].episode_id) == Usage()
    with pytest.raises(UnknownRecallError):
        memory.feedback(answer.id, helped={})


def test_plain_verbs_make_receipts_by_the_id_of_the_open_episode(memory: Memory) -> None:
    episode_id = memory.start("Refund order 30 for the customer", domain="retail")
    answer = memory.recall("Refund order 30 for the customer", episode_id=episode_id)
    for tool in GOOD:
        memory.log(episode_id, tool, output="done")
    learned = memory.complete(episode_id, Outcome.success())
    assert learned.receipt.committed == 3
    assert memory.usage(episode_of(memory, GOOD)).applied == 1
    with pytest.raises(EpisodeClosedError):
        memory.recall("Refund order 30", episode_id=episode_id)
    with pytest.raises(UnknownEpisodeError):
        memory.recall("Refund order 30", episode_id=answer.id)


def test_steps_before_the_recall_are_no_use_of_it(memory: Memory) -> None:
    with memory.episode("Refund order 30 for the customer", domain="retail") as episode:
        for tool in GOOD:
            episode.log(tool, output="done")
        answer = episode.recall()
        episode.succeed()
    assert {memory.usage(hit.episode_id).applied for hit in answer.hits} == {0}
    with memory.episode("Refund order 31 for the customer", domain="retail") as episode:
        for tool in GOOD:
            episode.log(tool, output="done")
        answer = episode.recall()
        for tool in ("unlike", "anything"):
            episode.log(tool, output="done")
        episode.succeed()
    assert {memory.usage(pattern.id).applied for pattern in answer.patterns} == {0}


def test_an_abandoned_episode_keeps_its_receipts_and_credits_nothing(memory: Memory) -> None:
    with memory.episode("Refund order 30 for the customer", domain="retail") as episode:
        answer = episode.recall()
        for tool in GOOD:
            episode.log(tool, output="done")
    usage = memory.usage(answer.hits[0].episode_id)
    assert (usage.retrieved, usage.applied) == (1, 0)
    memory.feedback(answer.id, helped={answer.hits[0].episode_id: True})
    assert memory.usage(answer.hits[0].episode_id).helped == 1


def test_completing_again_credits_nothing_more(path: Path) -> None:
    with Memory(path) as memory:
        seeded(memory)
        good = episode_of(memory, GOOD)
        episode_id = memory.start("Refund order 30 for the customer", domain="retail")
        memory.recall("Refund order 30 for the customer", episode_id=episode_id)
        for tool in GOOD:
            memory.log(episode_id, tool, output="done")
        memory.complete(episode_id, Outcome.success())
        before = memory.usage(good), memory.stats()["sequence"]
        assert memory.complete(episode_id, Outcome.success()).state == "unchanged"
        assert (memory.usage(good), memory.stats()["sequence"]) == before


class _Interrupted(InMemoryStore):
    """Runs something in another thread while it commits an episode, and continues once that is over, or waits."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: threading.Thread | None = None

    def commit(self, batch: Batch) -> Receipt:
        if self.meanwhile is not None and batch.episodes:
            self.meanwhile.start()
            self.meanwhile.join(timeout=0.2)
        return super().commit(batch)


def test_feedback_that_comes_while_its_episode_is_completed_is_not_lost() -> None:
    store = _Interrupted()
    with Memory(store=store) as memory:
        seeded(memory)
        episode_id = memory.start("Refund order 19 for the customer", domain="retail")
        answer = memory.recall("Refund order 19 for the customer", domain="retail", episode_id=episode_id)
        shown = answer.hits[0].episode_id
        said = threading.Thread(target=memory.feedback, args=(answer.id,), kwargs={"helped": {shown: True}})
        store.meanwhile = said
        memory.complete(episode_id, Outcome.failure("nothing was done"))
        said.join()
        usage = memory.usage(shown)
        assert (usage.applied, usage.helped) == (1, 1)


def test_feedback_takes_the_place_of_what_was_concluded_and_can_be_taken_back(path: Path) -> None:
    with Memory(path, clock=Clock()) as memory:
        seeded(memory)
        good, bad = episode_of(memory, GOOD), episode_of(memory, BAD)
        answer = run(memory, "Refund order 30 for the customer", GOOD, well=True, recall=True)
        assert answer is not None
        assert memory.usage(good).helped == 1
    with Memory(path, clock=Clock()) as memory:
        memory.feedback(answer.id, helped={good: False, bad: True})
        assert (memory.usage(good).applied, memory.usage(good).helped) == (1, 0)
        assert effectiveness(memory, good) < 0.5 < effectiveness(memory, bad)
        told = memory.stats()["sequence"]
        memory.feedback(answer.id, helped={bad: True, good: False})
        assert memory.stats()["sequence"] == told
        with Memory(path, clock=Clock()) as other:
            assert (other.usage(good), other.usage(bad)) == (memory.usage(good), memory.usage(bad))
            other.feedback(answer.id, helped={})
        assert (memory.usage(good).applied, effectiveness(memory, good)) == (0, 0.5)
        assert memory.usage(good).retrieved == 1


def test_feedback_may_come_before_the_end(memory: Memory) -> None:
    with memory.episode("Refund order 30 for the customer", domain="retail") as episode:
        answer = episode.recall()
        told = answer.hits[0].episode_id
        memory.feedback(answer.id, helped={told: False})
        for tool in answer.hits[0].tools:
            episode.log(tool, output="done")
        episode.succeed()
    assert (memory.usage(told).applied, memory.usage(told).helped) == (1, 0)
    assert weight_of(memory._store) == 1.0


def test_feedback_on_what_was_not_shown_is_refused_by_its_name(memory: Memory) -> None:
    answer = run(memory, "Refund order 30 for the customer", GOOD, well=True, recall=True)
    assert answer is not None
    for wrong in ({answer.id: True}, {"nobody": True}, {answer.hits[0].episode_id: 1}):
        with pytest.raises(ValidationError, match="helped"):
            memory.feedback(answer.id, helped=wrong)  # type: ignore[arg-type]
    for unknown in ("nobody", answer.hits[0].episode_id):
        with pytest.raises(UnknownRecallError):
            memory.feedback(unknown, helped={})


def test_a_forgotten_episode_takes_its_credit_with_it(memory: Memory) -> None:
    good = episode_of(memory, GOOD)
    answer = run(memory, "Refund order 30 for the customer", GOOD, well=True, recall=True)
    assert answer is not None
    used = next(
        episode for episode in memory.episodes() if episode.task == "Refund order 30 for the customer"
    )
    memory.forget(used.id)
    assert memory.usage(good) == Usage()
    assert receipts_and_credits(memory._store) == (0, 0)


def test_suggestions_and_playbooks_of_an_episode_are_receipts_too(memory: Memory) -> None:
    run(memory, "Refund order 19 for the customer", GOOD, well=True)
    with memory.episode("Refund order 30 for the customer", domain="retail") as episode:
        plan = episode.playbook()
        suggested = []
        for tool in GOOD:
            suggested.append(episode.suggest())
            episode.log(tool, output="done")
        episode.succeed()
    shown = {*plan.episodes, *(each for one in suggested for step in one.steps for each in step.episodes)}
    assert len(memory._store.scan("receipt")) == 5
    assert plan.episodes
    assert all(memory.usage(each).retrieved for each in shown)
    assert weight_of(memory._store) == pytest.approx(1.0)
    memory.feedback(plan.id, helped={plan.episodes[0]: False})
    assert memory.usage(plan.episodes[0]).applied >= 1


def test_what_is_no_id_has_no_usage(memory: Memory) -> None:
    assert memory.usage("0" * 32) == Usage()
    with pytest.raises(ValidationError, match="memory_id"):
        memory.usage("nobody")


def test_credit_stays_within_its_namespace(memory: Memory) -> None:
    answer = run(memory, "Refund order 30 for the customer", GOOD, well=True, recall=True)
    assert answer is not None
    pattern = answer.patterns[0].id
    assert memory.usage(pattern).retrieved == 1
    assert memory.usage(pattern, namespace="other") == Usage()


def test_two_processes_know_the_same_credit(path: Path) -> None:
    with Memory(path) as one, Memory(path) as other:
        seeded(one)
        good = episode_of(one, GOOD)
        run(other, "Refund order 30 for the customer", GOOD, well=True, recall=True)
        assert one.usage(good) == other.usage(good) != Usage()


def interrupted() -> None:
    raise KeyboardInterrupt


def test_a_completion_that_landed_and_is_repeated_credits_once() -> None:
    store = FaultyStore()
    memory = Memory(store=store)
    seeded(memory)
    good = episode_of(memory, GOOD)
    episode_id = memory.start("Refund order 30 for the customer", domain="retail")
    memory.recall("Refund order 30 for the customer", episode_id=episode_id)
    for tool in GOOD:
        memory.log(episode_id, tool, output="done")
    store.after = interrupted
    with pytest.raises(KeyboardInterrupt):
        memory.complete(episode_id, Outcome.success())
    memory.usage(good)
    credited = store.scan("credit")
    assert memory.complete(episode_id, Outcome.success()).state == "unchanged"
    assert store.scan("credit") == credited
    assert memory.usage(good).applied == 1


def test_a_completion_that_did_not_land_credits_nothing_until_it_does() -> None:
    store = FaultyStore()
    memory = Memory(store=store)
    seeded(memory)
    good = episode_of(memory, GOOD)
    with memory.episode("Refund order 30 for the customer", domain="retail") as episode:
        episode.recall()
        for tool in GOOD:
            episode.log(tool, output="done")
        store.before = interrupted
        with pytest.raises(KeyboardInterrupt):
            episode.succeed()
        assert (receipts_and_credits(store), memory.usage(good)) == ((0, 0), Usage())
        episode.succeed()
    assert (receipts_and_credits(store), memory.usage(good).applied) == ((1, 1), 1)


def test_what_the_index_holds_is_what_the_notes_say(path: Path) -> None:
    """Credit that was replaced, taken back and forgotten leaves nothing behind."""
    with Memory(path) as memory:
        seeded(memory)
        answers = [
            run(
                memory,
                f"Refund order {number}",
                GOOD if number % 3 else BAD,
                well=number % 2 == 0,
                recall=True,
            )
            for number in range(30, 42)
        ]
        for answer in answers[::3]:
            assert answer is not None
            memory.feedback(answer.id, helped={answer.hits[0].episode_id: True})
        for episode in memory.episodes()[::4]:
            memory.forget(episode.id)
        shown = {hit.episode_id for answer in answers if answer for hit in answer.hits}
        usages = {id: memory.usage(id) for id in shown}
    with Memory(path) as again:
        assert {id: again.usage(id) for id in shown} == usages


def test_the_same_verbs_are_awaited(path: Path) -> None:
    async def go() -> None:
        async with AsyncMemory(path) as memory:
            await asyncio.to_thread(seeded, memory.memory)
            async with memory.episode("Refund order 30 for the customer", domain="retail") as episode:
                answer = await episode.recall()
                for tool in answer.hits[0].tools:
                    await episode.log(tool, output="done")
                await episode.succeed()
            assert (await memory.usage(answer.hits[0].episode_id)).applied == 1
            await memory.feedback(answer.id, helped={answer.hits[0].episode_id: False})
            assert (await memory.usage(answer.hits[0].episode_id)).helped == 0

    asyncio.run(go())


@pytest.mark.parametrize(("others", "is_used"), [("abcd", 1), ("abcde", 0)])
def test_a_similar_episode_is_used_from_the_set_similarity_of_plans_on(others: str, is_used: int) -> None:
    memory, common = Memory(), ("look", "verify", "pay")
    steps = tuple(Step(tool, status="ok") for tool in (*common, *others))
    shown = memory.add(Episode("refund the order", steps=steps, outcome=Outcome.success())).episode_id
    with memory.episode("refund the order") as episode:
        episode.recall()
        for tool in common:
            episode.log(tool, output=1)
        episode.succeed()
    assert (memory.usage(shown).retrieved, memory.usage(shown).applied) == (1, is_used)
