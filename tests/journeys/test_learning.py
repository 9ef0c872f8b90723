"""The details of recording and learning that a score or a later answer depends on."""

from __future__ import annotations

from typing import Any

import pytest

from tacit import (
    Episode,
    EpisodeClosedError,
    Memory,
    Outcome,
    Step,
    StorageError,
    TaskContext,
    UnavailableError,
    UnknownEpisodeError,
    ValidationError,
)
from tacit.model.record import Batch, Receipt
from tacit.storage import InMemoryStore
from tacit.testing import FaultyStore

WELL = Outcome.success("done")
START = 1_764_547_200_000_000


def ok(*tools: str) -> tuple[Step, ...]:
    return tuple(Step(tool, status="ok") for tool in tools)


def run(*tools: str, **fields: Any) -> Episode:
    return Episode("find the order", steps=ok(*tools), outcome=WELL, **fields)


# --- steps ---


@pytest.mark.parametrize(
    ("step", "status", "error"),
    [
        (Step("a"), None, None),
        (Step("a", output="x"), "ok", None),
        (Step("a", error="broke"), "error", "broke"),
        (Step("a", status="ok"), "ok", None),
        (Step("a", status="error"), "error", ""),
        (Step("a", status="error", error="broke"), "error", "broke"),
        (Step("a", status="timeout"), "timeout", None),
        (Step("a", status="timeout", error="late"), "timeout", "late"),
    ],
)
def test_the_status_of_an_added_step_follows_from_its_result(
    step: Step, status: str | None, error: str | None
) -> None:
    memory = Memory()
    id = memory.add(Episode("t", steps=(step,), outcome=WELL)).episode_id
    [stored] = memory.get(id).steps
    assert (stored.status, stored.error, stored.output) == (status, error, step.output)


def test_a_step_without_a_time_of_its_own_has_that_of_the_start() -> None:
    memory = Memory()
    steps = (Step("a", status="ok", at=START + 5), Step("b", status="ok"))
    given = Episode("t", steps=steps, outcome=WELL, started_at=START, ended_at=START + 9)
    stored = memory.get(memory.add(given).episode_id)
    assert [(step.number, step.at) for step in stored.steps] == [(1, START + 5), (2, START)]


# --- rewards and reflections ---


def test_rewards_are_measured_by_the_domain_once_it_has_five_episodes() -> None:
    memory = Memory()
    rewards = []
    for number in range(6):
        started_at = START + number * 1_000_000_000
        given = run(
            "a", "b", context=TaskContext("lab"), started_at=started_at, ended_at=started_at + 4_000_000
        )
        rewards.append(memory.get(memory.add(given).episode_id).reward)
    assert [(reward.usual_seconds, reward.usual_steps) for reward in rewards if reward] == [
        *[(60.0, 10.0)] * 5,
        (4.0, 2.0),
    ]


def test_a_reflection_is_dated_by_the_end() -> None:
    memory = Memory()
    reflection = memory.get(memory.add(run("a", started_at=START, ended_at=START + 7)).episode_id).reflection
    assert reflection is not None
    assert reflection.generated_at == START + 7


@pytest.mark.parametrize("verb", ["complete", "add"])
def test_patterns_that_another_memory_stored_are_no_novelty(verb: str) -> None:
    store = InMemoryStore()
    memory, other = Memory(store=store), Memory(store=store)
    id = memory.start("find the order")
    for tool in ("a", "b"):
        memory.log(id, tool, output=1)
    other.add(run("a", "b"))
    learned = memory.complete(id, WELL) if verb == "complete" else memory.add(run("a", "b"))
    assert learned.reward is not None
    assert learned.reward.novelty == 0.0


def test_half_of_what_an_episode_shows_may_be_new() -> None:
    memory = Memory()
    rewards = [memory.add(run(*tools)).reward for tools in (("a", "b"), ("a", "b", "c"))]
    first, second = (reward.novelty for reward in rewards if reward)
    assert first == 1.0
    assert 0.0 < second < 1.0


# --- repetitions and places ---


def test_an_external_id_twice_in_one_chunk_is_stored_once() -> None:
    memory = Memory()
    twice = [run("a", external_id="x", started_at=START, ended_at=START)] * 2
    first, second = memory.add_many(twice)
    assert (first.state, second.state) == ("learned", "unchanged")
    assert second.episode_id == first.episode_id
    assert memory.stats()["episodes"] == 1


def test_an_episode_of_no_namespace_is_placed_in_that_of_the_memory() -> None:
    memory = Memory(namespace="ours")
    placed = memory.add(run("a"))
    kept = memory.add(run("a", namespace="theirs"))
    assert memory.get(placed.episode_id).namespace == "ours"
    assert memory.within("theirs").get(kept.episode_id).namespace == "theirs"


def test_a_view_of_another_namespace_neither_sees_nor_ends_our_episodes() -> None:
    memory = Memory()
    view, id = memory.within("other"), memory.start("t")
    for ask in (view.get, view.forget, lambda id: view.log(id, "a"), lambda id: view.complete(id, WELL)):
        with pytest.raises(UnknownEpisodeError):
            ask(id)
    view.close()
    assert memory.complete(id, WELL).state == "learned"
    with pytest.raises(ValidationError, match="namespace"):
        memory.within("")


def test_leaving_the_block_closes_the_memory() -> None:
    with Memory() as memory:
        memory.add(run("a"))
    with pytest.raises(StorageError):
        memory.add(run("a"))


def test_an_episode_cannot_be_completed_from_within_its_completion() -> None:
    store = FaultyStore()
    memory = Memory(store=store)
    id = memory.start("t")
    refused: list[Exception] = []

    def complete_again() -> None:
        try:
            memory.complete(id, WELL)
        except EpisodeClosedError as error:
            refused.append(error)

    store.before = complete_again
    assert memory.complete(id, WELL).state == "learned"
    assert len(refused) == 1


# --- what later answers show ---


def test_a_limit_cuts_clusters_and_heuristics() -> None:
    memory = Memory()
    runs = [run(*tools) for tools in (("a", "b", "c"), ("x", "y", "z")) for _ in range(5)]
    assert len(list(memory.add_many(runs))) == 10
    assert len(memory.clusters()) == 2
    assert len(memory.clusters(limit=1)) == 1
    assert len(memory.heuristics(limit=1)) == 1


def test_a_pattern_that_came_only_after_the_recall_was_used() -> None:
    memory = Memory()
    memory.add(run("look", "a", "b"))
    with memory.episode("find the order") as episode:
        episode.log("look", output=1)
        answer = episode.recall()
        for tool in ("a", "b"):
            episode.log(tool, output=1)
        episode.succeed()
    applied = {
        tuple(pattern.content["tools"]): memory.usage(pattern.id).applied
        for pattern in answer.patterns
        if pattern.kind == "tool_sequence"
    }
    assert applied[("a", "b")] == 1


# --- lenient recording at its limits ---


def lenient_step(**fields: Any) -> Step:
    memory = Memory()
    with memory.episode("t") as episode:
        episode.log("look", **fields)
        episode.succeed()
    return memory.get(episode.id).steps[0]


@pytest.mark.parametrize(("size", "is_altered"), [(10_000, False), (10_001, True)])
def test_a_text_is_cut_only_beyond_its_limit(size: int, is_altered: bool) -> None:
    text = "x " * (size // 2) + "x" * (size % 2)
    for step in (lenient_step(output=text), lenient_step(error=text)):
        assert bool(step.altered) is is_altered
        kept = step.output or step.error or ""
        assert kept == text or 9_990 <= len(kept) <= 10_000
        assert (kept == text) is not is_altered


def test_tags_that_are_nothing_are_left_out_without_a_word() -> None:
    memory = Memory()
    nothing: tuple[Any, ...] = (None, (), [], "")
    for tags in nothing:
        with memory.episode("t", tags=tags) as episode:
            learned = episode.succeed()
        assert (memory.get(episode.id).tags, learned.problems) == ((), ())


def test_an_exception_that_leaves_the_memory_names_the_verdicts_that_were_not_stored() -> None:
    class Refusing(InMemoryStore):
        def commit(self, batch: Batch) -> Receipt:
            raise UnavailableError("the disk is full")

    def work() -> None:
        with Memory(store=Refusing()) as memory:
            with memory.episode("t") as episode:
                episode.succeed()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        work()
    assert any("could not be stored" in note for note in getattr(caught.value, "__notes__", []))


def test_only_the_first_success_after_failures_is_called_so() -> None:
    memory = Memory()
    outcomes = (Outcome.failure("no"), Outcome.partial(), WELL, WELL)
    insights = []
    for outcome in outcomes:
        given = Episode("find the order", task_key="k", steps=ok("a"), outcome=outcome)
        reflection = memory.get(memory.add(given).episode_id).reflection
        insights.append(" ".join(reflection.insights if reflection else ()))
    assert ["First success" in each for each in insights] == [False, False, True, False]


def test_a_pattern_of_the_steps_before_the_recall_alone_was_not_used() -> None:
    memory = Memory()
    memory.add(run("look"))
    with memory.episode("find the order") as episode:
        episode.log("look", output=1)
        answer = episode.recall()
        episode.log("other", output=1)
        episode.succeed()
    shown = {pattern.id for pattern in answer.patterns if pattern.text == "start with look"}
    assert len(shown) == 1
    assert [memory.usage(id).applied for id in shown] == [0]
