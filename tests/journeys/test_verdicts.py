"""Episodes without a verdict, and verdicts that come later."""

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
    ConflictError,
    Episode,
    EpisodeClosedError,
    Memory,
    Outcome,
    RecordingSettings,
    Settings,
    Step,
    TaskContext,
    UnknownEpisodeError,
    ValidationError,
)
from tacit.config import with_caller_training
from tacit.storage import InMemoryStore
from tacit.testing.clock import Clock
from tests.journeys.conftest import MakeMemory


@pytest.fixture
def memory(make_memory: MakeMemory) -> Memory:
    return make_memory()


STEPS = (
    Step("cancel_order", status="error", error="payment method not found"),
    Step("get_user", status="ok", output={"methods": ["card"]}),
    Step("cancel_order", status="ok", output="done"),
)
MANUAL = with_caller_training(Settings(recording=RecordingSettings.manual()))
DAY = 86_400_000_000
FIRST_DAY = 1_760_000_000_000_000


def attempt(number: int, outcome: Outcome | None, **fields: Any) -> Episode:
    """One attempt at cancelling an order, a day after the one before it."""
    episode = Episode(
        f"Cancel order {number}",
        context=TaskContext(domain="retail"),
        started_at=FIRST_DAY + number * DAY,
        ended_at=FIRST_DAY + number * DAY + 20_000_000,
        steps=STEPS,
        outcome=outcome,
    )
    return replace(episode, **fields)


def evidence(memory: Memory) -> dict[str, tuple[Any, ...]]:
    """Every sum and comparison of every pattern."""
    return {
        each.text: (each.trials, each.successes, each.episodes, each.outcomes, each.odds_ratio, each.odds_low)
        for each in memory.patterns(limit=10_000, min_trials=0)
    }


UNJUDGED: dict[str, Callable[[Memory], str]] = {
    "block": lambda memory: _recorded(memory),
    "complete": lambda memory: _completed(memory),
    "add": lambda memory: memory.add(attempt(99, None)).episode_id,
}


def _recorded(memory: Memory) -> str:
    with memory.episode("Cancel order 99", domain="retail") as episode:
        _log_steps(memory, episode.id)
    return episode.id


def _completed(memory: Memory) -> str:
    id = memory.start("Cancel order 99", domain="retail")
    _log_steps(memory, id)
    assert memory.complete(id).state == "learned"
    return id


def _log_steps(memory: Memory, id: str) -> None:
    memory.log(id, "cancel_order", error="payment method not found")
    memory.log(id, "get_user", output={"methods": ["card"]})
    memory.log(id, "cancel_order", output="done")


@pytest.mark.parametrize("end", UNJUDGED.values(), ids=UNJUDGED)
def test_an_episode_without_a_verdict_teaches_its_recoveries_alone(
    memory: Memory, end: Callable[[Memory], str]
) -> None:
    stored = memory.get(end(memory))
    assert stored.outcome == Outcome.unknown()
    assert (stored.reward, memory.score(stored)) == (None, None)
    [pattern] = memory.patterns(limit=100)
    assert (pattern.kind, pattern.trials, pattern.successes) == ("error_recovery", 1, 1.0)
    assert (pattern.episodes, pattern.outcomes, pattern.odds_ratio) == (0, 0.0, None)
    ways = memory.recover("payment method not found", tool="cancel_order").ways
    assert [(way.tool, way.trials) for way in ways][:1] == [("get_user", 1)]


def test_an_unknown_episode_counts_in_no_odds_plan_or_median(make_memory: MakeMemory) -> None:
    judged, with_unknown = make_memory(), make_memory()
    for memory in (judged, with_unknown):
        memory.add(attempt(1, Outcome.success(), task_key="k"))
        memory.add(attempt(2, Outcome.failure("refused"), steps=STEPS[:1], task_key="k"))
    slow = attempt(3, None, task_key="k", steps=(Step("wander", status="ok"),) * 40)
    with_unknown.add(replace(slow, ended_at=slow.started_at + DAY))
    assert evidence(with_unknown) == evidence(judged)
    for memory in (judged, with_unknown):
        [success] = [each for each in memory.episodes() if each.outcome == Outcome.success()]
        memory.forget(success.id)
    known = [
        memory.predict("Cancel order 9", task_key="k", domain="retail") for memory in (judged, with_unknown)
    ]
    assert known[0] == known[1]
    plans = [memory.playbook("Cancel order 9", domain="retail").steps for memory in (judged, with_unknown)]
    assert plans[0] == plans[1]
    rewards = [memory.add(attempt(4, Outcome.success())).reward for memory in (judged, with_unknown)]
    assert rewards[0] == rewards[1]


def test_an_unknown_episode_is_forgotten_without_a_trace(memory: Memory) -> None:
    memory.add(attempt(1, Outcome.success()))
    before = evidence(memory)
    memory.forget(memory.add(attempt(2, None)).episode_id)
    assert evidence(memory) == before


def test_completing_an_ended_episode_without_an_outcome_changes_nothing(memory: Memory) -> None:
    learned = memory.add(attempt(1, Outcome.success()))
    assert memory.complete(learned.episode_id).state == "unchanged"
    assert memory.get(learned.episode_id).outcome == Outcome.success()


VERDICTS = (
    Outcome.success("all green"),
    Outcome.failure("two tests failed"),
    Outcome.partial(completed=["cancel"], failed=["refund", "mail"]),
    Outcome.unknown(),
)


def history(memory: Memory) -> None:
    """Four earlier attempts, and one by another agent that failed."""
    for number in range(4):
        memory.add(attempt(number, Outcome.success() if number % 2 else Outcome.failure("no"), agent="a"))
    memory.add(attempt(7, Outcome.failure("no"), steps=STEPS[:1], agent="b"))


def later_attempt(memory: Memory, outcome: Outcome | None) -> tuple[str, str]:
    """An attempt that recalled a memory and used it; gives its id and that of the memory."""
    id, shown = begun_attempt(memory)
    memory.complete(id, outcome)
    return id, shown


def begun_attempt(memory: Memory) -> tuple[str, str]:
    id = memory.start("Cancel order 50", domain="retail", agent="a", external_id="run-50")
    shown = memory.recall("Cancel order 50", domain="retail", episode_id=id).hits[0].episode_id
    _log_steps(memory, id)
    memory.log(id, "notify", output="mail sent")
    return id, shown


def everything(memory: Memory, id: str, shown: str) -> tuple[Any, ...]:
    stored = memory.get(id)
    others = {each.id: each.reward for each in memory.episodes(limit=100) if each.id != id}
    # Ids differ between memories: rewards of the others are compared by their order.
    return (
        stored.outcome,
        stored.reward,
        evidence(memory),
        memory.usage(shown),
        memory.predict("Cancel order 50", domain="retail", agent="a"),
        list(others.values()),
    )


@given(st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=5), st.sampled_from((*VERDICTS, None)))
@hypothesis.settings(max_examples=25, deadline=None)
def test_any_order_of_verdicts_equals_the_last_one_given_at_once(
    verdicts: list[Outcome], first: Outcome | None
) -> None:
    clock = Clock(at_s=FIRST_DAY / 1e6 + 100 * 86_400)
    with Memory(clock=clock) as judged, Memory(clock=clock) as given_at_once:
        results = []
        for memory, outcome in ((judged, first), (given_at_once, verdicts[-1])):
            history(memory)
            results.append(later_attempt(memory, outcome))
        before = [each.reward for each in judged.episodes(limit=100)][1:]
        for verdict in verdicts:
            judged.judge(results[0][0], verdict, by="tests")
        assert everything(judged, *results[0]) == everything(given_at_once, *results[1])
        assert [each.reward for each in judged.episodes(limit=100)][1:] == before


@given(
    st.lists(st.tuples(st.sampled_from(VERDICTS), st.integers(0, 1)), min_size=1, max_size=5),
    st.integers(0, 5),
)
@hypothesis.settings(max_examples=25, deadline=None)
def test_verdicts_of_two_processes_before_and_after_the_end_equal_the_last_one(
    verdicts: list[tuple[Outcome, int]], before_the_end: int
) -> None:
    clock = Clock(at_s=FIRST_DAY / 1e6 + 100 * 86_400)
    store = InMemoryStore()
    processes = [Memory(clock=clock, store=store, settings=MANUAL) for _ in range(2)]
    with Memory(clock=clock) as given_at_once:
        for memory in (processes[0], given_at_once):
            history(memory)
        expected = later_attempt(given_at_once, verdicts[-1][0])
        id, shown = begun_attempt(processes[0])
        processes[0].flush()
        for verdict, number in verdicts[:before_the_end]:
            assert processes[number].judge(id, verdict, by="tests").state == "open"
        processes[0].complete(id)
        for verdict, number in verdicts[before_the_end:]:
            processes[number].judge(id, verdict, by="tests")
        for memory in processes:
            assert everything(memory, id, shown) == everything(given_at_once, *expected)


def test_a_verdict_comes_from_another_memory_and_outlives_it(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with Memory(path) as recording:
        id = recording.add(attempt(1, None)).episode_id
        with Memory(path) as judging_memory:
            judging_memory.judge(id, Outcome.success("green"), by="tests")
        assert recording.get(id).outcome == Outcome.success("green")
        assert evidence(recording)
        sums = evidence(recording)
        assert recording.score(recording.get(id)) is not None
    with Memory(path) as reopened:
        stored = reopened.get(id)
        assert (stored.judged_by, stored.outcome) == ("tests", Outcome.success("green"))
        assert stored.judged_at is not None
        assert evidence(reopened) == sums


def test_a_withdrawn_verdict_leaves_the_episode_unknown_and_no_older_one_returns(memory: Memory) -> None:
    id = memory.add(attempt(1, Outcome.success())).episode_id
    memory.judge(id, Outcome.failure("tests"), by="tests")
    memory.judge(id, Outcome.unknown(), by="tests")
    assert memory.get(id).outcome == Outcome.unknown()
    assert memory.get(id).reward is None
    assert [pattern.kind for pattern in memory.patterns()] == ["error_recovery"]


def test_the_same_verdict_of_the_same_source_changes_nothing(memory: Memory) -> None:
    id = memory.add(attempt(1, None)).episode_id
    assert memory.judge(id, Outcome.success(), by="tests").state == "learned"
    before = memory.stats()["sequence"]
    assert memory.judge(id, Outcome.success(), by="tests").state == "unchanged"
    assert memory.stats()["sequence"] == before
    assert memory.judge(id, Outcome.success(), by="a person").state == "learned"
    assert memory.get(id).judged_by == "a person"


def test_a_verdict_on_an_open_episode_decides_an_ending_without_an_outcome(memory: Memory) -> None:
    with memory.episode("Cancel order 5") as silent:
        assert memory.judge(silent.id, Outcome.success("green"), by="tests").state == "open"
    assert memory.get(silent.id).outcome == Outcome.success("green")
    assert memory.get(silent.id).judged_by == "tests"
    with memory.episode("Cancel order 6") as spoken:
        memory.judge(spoken.id, Outcome.success("green"), by="tests")
        spoken.fail("the user said no")
    assert memory.get(spoken.id).outcome == Outcome.failure("the user said no")
    assert memory.get(spoken.id).judged_by is None
    broken = memory.episode("Cancel order 7")
    memory.judge(broken.id, Outcome.success("green"), by="tests")
    broken.__exit__(RuntimeError, RuntimeError("after the verdict"), None)
    assert memory.get(broken.id).outcome == Outcome.success("green")


def test_an_abandoned_episode_is_learned_from_at_its_first_verdict(memory: Memory) -> None:
    id = memory.add(attempt(1, Outcome.abandoned())).episode_id
    assert memory.patterns() == ()
    assert memory.judge(id, Outcome.success()).state == "learned"
    assert memory.patterns() != ()
    assert memory.recall("Cancel order 1").hits[0].episode_id == id


def test_an_ending_with_a_verdict_closes_the_question_of_an_unknown_episode(memory: Memory) -> None:
    id = memory.add(attempt(1, None)).episode_id
    assert memory.complete(id, Outcome.success()).state == "learned"
    assert memory.get(id).judged_by == "agent"
    with pytest.raises(EpisodeClosedError):
        memory.complete(id, Outcome.failure("no"))
    assert memory.complete(id).state == "unchanged"


def test_feedback_on_an_answer_stands_whatever_the_verdict(memory: Memory) -> None:
    history(memory)
    id = memory.start("Cancel order 50", domain="retail")
    recall = memory.recall("Cancel order 50", domain="retail", episode_id=id)
    shown = recall.hits[0].episode_id
    _log_steps(memory, id)
    memory.complete(id, Outcome.success())
    memory.feedback(recall.id, helped={})
    memory.judge(id, Outcome.failure("no"))
    assert memory.usage(shown).applied == 0


def test_what_cannot_be_judged_is_refused(memory: Memory) -> None:
    id = memory.add(attempt(1, None)).episode_id
    with pytest.raises(UnknownEpisodeError):
        memory.judge("00000000-0000-7000-8000-000000000000", Outcome.success())
    with pytest.raises(UnknownEpisodeError):
        memory.within("other").judge(id, Outcome.success())
    with pytest.raises(
        ValidationError, match="outcome must be a success, partial, failure or unknown outcome"
    ):
        memory.judge(id, Outcome.abandoned())
    with pytest.raises(ValidationError, match="by must"):
        memory.judge(id, Outcome.success(), by="")


# --- the same run twice ---


def test_one_run_recorded_live_twice_is_unchanged(memory: Memory) -> None:
    learned = []
    for _ in range(2):
        with memory.episode("Cancel order 1", external_id="run-1") as episode:
            _log_steps(memory, episode.id)
            learned.append(episode.succeed())
    assert [each.state for each in learned] == ["learned", "unchanged"]
    assert learned[0].episode_id == learned[1].episode_id
    assert memory.stats()["open"] == 0
    assert len(memory.episodes()) == 1


def test_importing_a_judged_run_again_changes_nothing(memory: Memory) -> None:
    id = memory.add(attempt(1, Outcome.success(), external_id="run-1")).episode_id
    memory.judge(id, Outcome.failure("tests"), by="tests")
    again = attempt(1, Outcome.success(), external_id="run-1", started_at=FIRST_DAY, ended_at=FIRST_DAY + 5)
    assert memory.add(again).state == "unchanged"
    assert memory.get(id).outcome == Outcome.failure("tests")


def test_a_longer_run_takes_the_place_of_the_stored_one(make_memory: MakeMemory) -> None:
    replaced, fresh = make_memory(), make_memory()
    short = attempt(1, Outcome.failure("cut short"), steps=STEPS[:1], external_id="run-1")
    whole = attempt(1, Outcome.success(), external_id="run-1")
    id = replaced.add(short).episode_id
    with pytest.raises(ConflictError):
        replaced.add(whole)
    learned = replaced.add(whole, replace=True)
    assert (learned.state, learned.episode_id) == ("learned", id)
    assert replaced.get(id).steps == fresh.get(fresh.add(whole).episode_id).steps
    assert evidence(replaced) == evidence(fresh)
    assert replaced.add(whole, replace=True).state == "unchanged"


def test_a_replaced_run_keeps_its_verdict_unless_the_new_one_has_its_own(memory: Memory) -> None:
    id = memory.add(attempt(1, None, steps=STEPS[:1], external_id="run-1")).episode_id
    memory.judge(id, Outcome.success("green"), by="tests")
    memory.add(attempt(1, None, external_id="run-1"), replace=True)
    stored = memory.get(id)
    assert (stored.outcome, stored.judged_by, len(stored.steps)) == (Outcome.success("green"), "tests", 3)
    memory.add(attempt(1, Outcome.failure("no"), steps=STEPS[:2], external_id="run-1"), replace=True)
    stored = memory.get(id)
    assert (stored.outcome, stored.judged_by) == (Outcome.failure("no"), None)


def test_runs_of_one_identity_in_one_call_replace_each_other_in_order(memory: Memory) -> None:
    runs = [attempt(1, Outcome.success(), steps=STEPS[:count], external_id="run-1") for count in (1, 2, 3)]
    learned = list(memory.add_many([*runs, attempt(2, Outcome.success())], replace=True))
    assert [each.state for each in learned] == ["learned"] * 4
    assert len({each.episode_id for each in learned}) == 2
    assert len(memory.get(learned[0].episode_id).steps) == 3


def test_a_judge_in_asyncio_waits_for_the_commit() -> None:
    async def main() -> Outcome | None:
        async with AsyncMemory() as memory:
            id = await memory.start("Cancel order 1")
            await memory.complete(id)
            await memory.judge(id, Outcome.success(), by="tests")
            return (await memory.get(id)).outcome

    assert asyncio.run(main()) == Outcome.success()


def test_a_repeated_run_leaves_no_open_episode_in_the_store(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.add(attempt(1, Outcome.success(), task="Cancel order 1", external_id="run-1"))
        id = memory.start("Cancel order 1", domain="retail", external_id="run-1")
        for step in STEPS:
            given = {"error": step.error} if step.error else {"output": step.output}
            memory.log(id, step.tool, **given)
        memory.flush()
        assert [each.id for each in memory.open_episodes()] == [id]
        assert memory.complete(id, Outcome.success()).state == "unchanged"
        assert memory.open_episodes() == ()
