"""Episodes without a verdict, and verdicts that come later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tacit import Episode, Memory, Outcome, Step, TaskContext
from tests.journeys.conftest import MakeMemory


@pytest.fixture
def memory(make_memory: MakeMemory) -> Memory:
    return make_memory()


STEPS = (
    Step("cancel_order", status="error", error="payment method not found"),
    Step("get_user", status="ok", output={"methods": ["card"]}),
    Step("cancel_order", status="ok", output="done"),
)
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
