"""Rules from recorded runs of real agents: the ones that must be found, the ones that must stay undecided."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tacit import Heuristic, Memory
from tacit._native import benjamini_hochberg
from tacit.importers import import_file
from tacit.inducers import Heuristics
from tacit.testing import example_history


@pytest.fixture(scope="module")
def sql(evaluation_data: Path) -> Iterator[Memory]:
    with Memory() as memory:
        import_file(memory, evaluation_data / "intercode-sql.episodes.jsonl.gz")
        memory.maintain()
        yield memory


@pytest.fixture(scope="module")
def service(evaluation_data: Path) -> Iterator[Memory]:
    with Memory() as memory:
        import_file(memory, evaluation_data / "tau2-bench.episodes.jsonl.gz")
        memory.maintain()
        yield memory


def rule(memory: Memory, do: dict[str, object], of: str | None = None, **when: object) -> Heuristic:
    found = [
        each
        for each in memory.heuristics(agent=of, limit=10_000)
        if each.do == do
        and all(str(each.when.get(name)).startswith(str(said)) for name, said in when.items())
        and len(each.when) == len(when)
    ]
    return max(found, key=lambda each: each.trials)


def test_after_a_missing_table_the_tables_are_shown(sql: Memory) -> None:
    found = rule(sql, {"tools": ["show"]}, after="select", result="table doesn't exist")
    assert found.trials == 843
    assert found.confidence > 0.85
    assert (found.weak, found.verdict, found.state) == (False, "better", "proven")
    assert len(found.domains) > 10
    (pattern,) = [
        each for each in sql.patterns(kind="error_recovery", limit=1_000) if each.id == found.parents[0]
    ]
    assert (pattern.trials, pattern.successes) == (found.trials, found.successes)
    assert pattern.odds_ratio == pytest.approx(found.odds_ratio)
    assert pattern.state == "proven"


def test_after_an_unknown_column_the_table_is_described(sql: Memory) -> None:
    found = rule(sql, {"tools": ["describe"]}, after="select", result="unknown column")
    assert found.trials > 400
    assert found.verdict == "better"
    assert not found.weak


def test_the_confounded_rule_is_undecided_within_the_strong_agent(sql: Memory) -> None:
    for of, when in (("gpt-4", {}), (None, {"agent": "gpt-4"})):
        found = rule(sql, {"respond": "switch"}, of, first_error=True, tool="select", **when)
        assert found.odds_ratio == pytest.approx(1.16, abs=0.02)
        assert found.odds_low == pytest.approx(0.79, abs=0.02)
        assert found.odds_high == pytest.approx(1.70, abs=0.02)
        assert found.undecided
        assert found.verdict == "undecided"
        assert found.state == "candidate"


def test_among_all_agents_trying_another_tool_is_better_and_whom_it_helps_is_said(sql: Memory) -> None:
    found = rule(sql, {"respond": "switch"}, first_error=True)
    assert found.verdict == "better"
    assert (found.odds_low or 0) > 2
    weak = rule(sql, {"respond": "switch"}, first_error=True, agent="gpt-3.5")
    assert weak.verdict == "better"
    assert weak.parents == (found.id,)


def test_three_events_are_weak_evidence(service: Memory) -> None:
    (pattern,) = [
        each
        for each in service.patterns(kind="error_recovery", limit=1_000)
        if each.content["tool"] == "book_reservation"
        and each.content["next"] == "calculate"
        and "payment amount does not add up" in each.content["error"]
    ]
    assert (pattern.trials, pattern.state) == (3, "candidate")
    assert pattern.high - pattern.low > 0.4
    rules = [each for each in service.heuristics(limit=10_000) if pattern.id in each.parents]
    assert all(each.weak and each.state == "candidate" for each in rules)


def test_with_outcomes_shuffled_nothing_is_promoted(sql: Memory, service: Memory) -> None:
    promoted = 0
    for memory in (sql, service):
        episodes = memory.episodes(limit=10_000)
        for seed in range(3):
            outcomes = [episode.outcome for episode in episodes]
            random.Random(seed).shuffle(outcomes)
            shuffled = [
                replace(episode, outcome=outcome, reward=None, reflection=None)
                for episode, outcome in zip(episodes, outcomes, strict=True)
            ]
            history = example_history(shuffled)
            rows = history.index.compared("default", min_episodes=10)
            beyond = (rows.odds_low > 1) | (rows.odds_high < 1)
            promoted += int(((benjamini_hochberg(rows.p_values) <= 0.05) & beyond).sum())
            promoted += sum(each.state == "proven" for each in Heuristics().induce(history))
    assert promoted <= 2
