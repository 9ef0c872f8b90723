"""Maintenance through the public API: its decisions, that they last, and that they can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tacit import (
    AsyncMemory,
    Episode,
    EvidenceSettings,
    Heuristic,
    MaintenanceSettings,
    Memory,
    Outcome,
    Pattern,
    Settings,
    Step,
    StorageError,
    TaskContext,
    UnknownNameError,
    ValidationError,
)
from tacit.inducers import History, inducers
from tacit.maintenance.duplicates import merges
from tacit.model.maintenance import Merge
from tacit.model.record import Batch, Receipt
from tacit.storage import InMemoryStore
from tacit.testing import Clock

DAY = 86_400 * 1_000_000
START = 1_700_000_000_000_000


def run(*tools: str, succeeds: bool = True, error: str = "payment was refused", **fields: Any) -> Episode:
    """A tool with "!" fails."""
    steps = tuple(
        Step(
            tool.strip("!"),
            status="error" if tool.endswith("!") else "ok",
            error=error if tool.endswith("!") else None,
        )
        for tool in tools
    )
    outcome = Outcome.success() if succeeds else Outcome.failure("refused")
    given: dict[str, Any] = {
        "context": TaskContext(domain="shop"),
        "started_at": START,
        "ended_at": START,
        **fields,
    }
    return Episode("Buy a lamp", steps=steps, outcome=outcome, **given)


HELPS = [
    *[run("pay!", "look", "pay")] * 18,
    *[run("pay!", "look", "pay", succeeds=False)] * 2,
    *[run("pay!", "pay!", "pay", succeeds=False)] * 18,
    *[run("pay!", "pay!", "pay")] * 2,
]
NEAR_DUPLICATES = [run("pay!", "look", error="payments was refused")] * 3


def fill(memory: Memory, episodes: list[Episode]) -> list[str]:
    return [learned.episode_id for learned in memory.add_many(episodes)]


@pytest.fixture
def clock() -> Clock:
    return Clock(at_s=START / 1e6)


@pytest.fixture(params=["memory", "file"])
def memory(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "m.db" if request.param == "file" else None, clock=clock) as memory:
        yield memory


def recovery(memory: Memory, next: str, error: str = "payment was refused") -> Pattern:
    patterns = memory.patterns(kind="error_recovery", limit=100)
    return next_of(patterns, tool="pay", error=error, next=next)


def next_of(patterns: tuple[Pattern, ...], **content: str) -> Pattern:
    (found,) = [pattern for pattern in patterns if pattern.content == content]
    return found


def everything(memory: Memory) -> tuple[object, ...]:
    return memory.patterns(limit=1_000), memory.heuristics(limit=1_000), memory.clusters(limit=1_000)


def test_a_pattern_is_compared_when_it_is_read_and_promoted_by_maintenance(memory: Memory) -> None:
    fill(memory, HELPS)
    before = recovery(memory, "look")
    assert before.odds_ratio is not None
    assert before.odds_ratio > 10
    assert (before.undecided, before.state) == (False, "candidate")
    report = memory.maintain()
    assert recovery(memory, "look").state == "proven"
    assert recovery(memory, "pay").state == "pitfall"
    assert (before.id, before.text) in {(change.pattern, change.text) for change in report.promoted}


def test_a_dry_run_says_the_same_and_writes_nothing(memory: Memory) -> None:
    fill(memory, [*HELPS, *NEAR_DUPLICATES])
    before, stored = everything(memory), memory.stats()["sequence"]
    dry = memory.maintain(dry_run=True)
    assert dry.dry_run
    assert dry.id is None
    assert not dry.unchanged
    assert (everything(memory), memory.stats()["sequence"]) == (before, stored)
    done = memory.maintain()
    assert done.id is not None
    assert replace(done, id=None, dry_run=True) == dry


def test_maintaining_twice_changes_nothing_more(memory: Memory) -> None:
    fill(memory, [*HELPS, *NEAR_DUPLICATES])
    memory.maintain()
    before, stored = everything(memory), memory.stats()["sequence"]
    again = memory.maintain()
    assert (again.unchanged, again.id, again.merges, again.changed) == (True, None, (), ())
    assert (everything(memory), memory.stats()["sequence"]) == (before, stored)


def _drawn(seed: int, *, day: int = 0, episodes: int = 40) -> list[Episode]:
    """Plans at random, one a day, so that many are nearly alike; testing helps."""
    draw = Random(seed)

    def one(number: int) -> Episode:
        tools = [draw.choice(["look", "read", "write", "test", "fix"]) for _ in range(draw.randrange(1, 6))]
        at = START + (day + number) * DAY
        context = TaskContext(domain=draw.choice(["shop", "bank"]))
        succeeds = draw.random() < (0.9 if "test" in tools else 0.2)
        return run(*tools, succeeds=succeeds, context=context, started_at=at, ended_at=at)

    return [one(number) for number in range(episodes)]


def _eager(retire_after_days: float = 180.0, store: InMemoryStore | None = None) -> Memory:
    return Memory(
        store=store,
        settings=Settings(
            maintenance=MaintenanceSettings(
                similarity=0.6, min_episodes=1, retire_after_days=retire_after_days
            )
        ),
    )


@pytest.mark.parametrize("seed", range(4))
def test_maintaining_twice_merges_nothing_more_where_merging_makes_patterns_alike(seed: int) -> None:
    store = InMemoryStore()
    # Another memory knows nothing of what the first one compared.
    with _eager(store=store) as memory, _eager(store=store) as other:
        fill(memory, _drawn(seed))
        assert memory.maintain().merges
        again = other.maintain()
        assert (again.unchanged, again.merges, again.changed) == (True, (), ())


def test_patterns_are_compared_again_after_an_episode_or_an_undo_alone(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def counting(*given: Any) -> list[Merge]:
        compared.append(1)
        return merges(*given)

    monkeypatch.setattr("tacit.maintenance.maintainer.merges", counting)
    fill(memory, [*HELPS, *NEAR_DUPLICATES])

    def is_compared_by(run: Callable[[], object]) -> bool:
        compared.clear()
        run()
        return bool(compared)

    report = memory.maintain()
    assert is_compared_by(lambda: memory.maintain(dry_run=True)) is False
    assert is_compared_by(memory.maintain) is False
    fill(memory, HELPS[:1])
    assert is_compared_by(memory.maintain)
    assert report.id is not None
    memory.undo(report.id)
    assert is_compared_by(memory.maintain)
    assert is_compared_by(lambda: memory.maintain(namespace="other"))


@pytest.mark.parametrize("seed", range(4))
def test_undoing_gives_merged_patterns_their_states_back(seed: int) -> None:
    with _eager(retire_after_days=1.0) as memory:
        fill(memory, _drawn(seed))
        memory.maintain()
        fill(memory, _drawn(seed + 100, day=40))
        before = memory.patterns(limit=10_000, min_trials=0)
        done = memory.maintain()
        assert done.merges
        assert done.id is not None
        memory.undo(done.id)
        assert memory.patterns(limit=10_000, min_trials=0) == before


def test_near_duplicates_are_one_pattern_that_counts_an_episode_once(memory: Memory) -> None:
    both = Episode(
        "Buy a lamp",
        context=TaskContext(domain="shop"),
        steps=(
            *run("pay!", "look").steps,
            *run("pay!", "look", error="payments was refused").steps,
        ),
        outcome=Outcome.success(),
    )
    fill(memory, [*HELPS, *NEAR_DUPLICATES, both])
    usual = recovery(memory, "look")
    rare = recovery(memory, "look", "payments was refused")
    report = memory.maintain()
    survivor = recovery(memory, "look")
    assert (rare.id, usual.id) in {(merge.merged, merge.survivor) for merge in report.merges}
    assert survivor.merged == (rare.id,)
    assert survivor.trials == usual.trials + rare.trials
    assert survivor.episodes == usual.episodes + rare.episodes - 1
    assert rare.id not in {pattern.id for pattern in memory.patterns(limit=1_000)}
    fill(memory, [run("pay!", "look", error="payments was refused")])
    assert recovery(memory, "look").episodes == survivor.episodes + 1


def test_what_was_decided_is_there_after_a_restart_and_for_other_processes(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as first, Memory(tmp_path / "m.db") as other:
        fill(first, [*HELPS, *NEAR_DUPLICATES])
        assert recovery(other, "look").state == "candidate"
        first.maintain()
        before = everything(first)
        assert everything(other) == before
        recalled = first.recall("Buy a lamp", domain="shop", steps=[*run("pay!").steps])
        assert recalled.heuristics
    with Memory(tmp_path / "m.db") as again:
        assert everything(again) == before
        later = again.recall("Buy a lamp", domain="shop", steps=[*run("pay!").steps])
        assert (later.patterns, later.heuristics, later.pitfalls) == (
            recalled.patterns,
            recalled.heuristics,
            recalled.pitfalls,
        )
        assert again.maintain().unchanged


def test_what_was_undone_is_not_done_again_until_that_is_undone_too(memory: Memory) -> None:
    fill(memory, [*HELPS, *NEAR_DUPLICATES])
    apart = memory.patterns(limit=1_000)
    report = memory.maintain()
    maintained = memory.patterns(limit=1_000)
    assert report.id is not None
    undone = memory.undo(report.id)
    assert (undone.kind, len(undone.merges), len(undone.changed)) == (
        "undo",
        len(report.merges),
        len(report.changed),
    )
    assert memory.patterns(limit=1_000) == apart
    assert memory.maintain().merges == ()
    assert recovery(memory, "look").state == "candidate"
    assert undone.id is not None
    memory.undo(undone.id)
    assert memory.patterns(limit=1_000) == maintained


def test_a_merged_pattern_is_listed_when_the_episodes_of_its_survivor_are_forgotten(memory: Memory) -> None:
    ids = fill(memory, HELPS)
    fill(memory, NEAR_DUPLICATES)
    rare = recovery(memory, "look", "payments was refused")
    assert rare.id in {merge.merged for merge in memory.maintain().merges}
    for id in ids:
        memory.forget(id)
    listed = memory.patterns(kind="error_recovery", min_trials=0, limit=100)
    assert [each.trials for each in listed if rare.id in each.merged] == [rare.trials]


def test_undone_merges_leave_no_trace_in_the_scores_of_later_recalls() -> None:
    with Memory(clock=lambda: START * 1_000) as memory:
        fill(memory, [*HELPS, *NEAR_DUPLICATES])
        before = memory.recall("Buy a lamp").hits
        report = memory.maintain()
        assert report.merges
        memory.undo(str(report.id))
        assert memory.recall("Buy a lamp").hits == before


def test_undoing_twice_changes_nothing_more(memory: Memory) -> None:
    fill(memory, HELPS)
    report = memory.maintain()
    assert report.id is not None
    memory.undo(report.id)
    again = memory.undo(report.id)
    assert (again.unchanged, again.id) == (True, None)


@pytest.mark.parametrize("id", ["", "nothing", "00000000-0000-0000-0000-000000000000", None])
def test_only_an_audit_entry_can_be_undone(memory: Memory, id: Any) -> None:
    with pytest.raises(ValidationError, match="no maintenance run"):
        memory.undo(id)


def test_namespaces_are_maintained_apart(memory: Memory) -> None:
    fill(memory, HELPS)
    fill(memory, [replace(episode, namespace="other") for episode in HELPS])
    memory.maintain()
    states = {pattern.state for pattern in memory.patterns(namespace="other", limit=100)}
    assert states == {"candidate"}
    memory.maintain(namespace="other")
    there = memory.patterns(namespace="other", limit=100)
    assert {pattern.state for pattern in there} == {pattern.state for pattern in memory.patterns(limit=100)}


def test_what_is_not_seen_for_long_retires_and_comes_back_when_it_is_seen(
    memory: Memory, clock: Clock
) -> None:
    fill(memory, [run("walk", "pay")] * 12)
    clock.advance(200 * 86_400)
    fill(memory, [run("fly", started_at=START + 200 * DAY, ended_at=START + 200 * DAY)] * 12)
    report = memory.maintain()
    assert report.retired
    walked = next(
        each for each in memory.patterns(kind="tool_sequence") if each.content == {"tools": ["walk", "pay"]}
    )
    assert walked.state == "retired"
    recalled = memory.recall("Buy a lamp", domain="shop")
    assert walked.id not in {pattern.id for pattern in (*recalled.patterns, *recalled.pitfalls)}
    fill(memory, [run("walk", "pay", started_at=START + 201 * DAY, ended_at=START + 201 * DAY)])
    memory.maintain()
    assert next(e for e in memory.patterns(kind="tool_sequence") if e.id == walked.id).state == "candidate"


def test_an_episode_dated_ahead_of_the_clock_makes_no_other_pattern_old(memory: Memory, clock: Clock) -> None:
    fill(memory, [run("walk", "pay")] * 12)
    five_years = 5 * 365 * 86_400
    clock.advance(five_years)
    ahead = START + five_years * 1_000_000
    fill(memory, [run("fly", "land", started_at=ahead, ended_at=ahead)] * 12)
    clock.advance(-five_years)
    assert memory.maintain().retired == ()
    clock.advance(181 * 86_400)
    assert memory.maintain().retired
    assert {each.state for each in memory.patterns() if "fly" in str(each.content)} == {"candidate"}


def test_a_promotion_is_lost_with_its_episodes(memory: Memory) -> None:
    ids = fill(memory, HELPS)
    memory.maintain()
    for id in ids:
        memory.forget(id)
    report = memory.maintain()
    assert {change.after for change in report.changed} == {"candidate"}
    assert everything(memory) == ((), (), ())


def test_a_group_keeps_its_id_as_episodes_arrive(memory: Memory) -> None:
    fill(memory, [run("find", "look", "buy")] * 3)
    memory.maintain()
    (before,) = memory.clusters()
    fill(memory, [run("find", "look", "look", "buy", "pay")] * 3)
    fill(memory, [run(*"abcdefghij"), run(*"abcdefghix"), run(*"abcdefghiy")])
    assert before.id in {cluster.id for cluster in memory.clusters()}
    memory.maintain()
    assert before.id in {cluster.id for cluster in memory.clusters()}
    assert {cluster.episodes for cluster in memory.clusters()} == {3}


def test_rules_apply_to_the_steps_of_a_recall_once_they_are_stored(memory: Memory) -> None:
    fill(memory, HELPS)
    failed = run("pay!").steps
    assert memory.recall("Buy a lamp", steps=failed).heuristics == ()
    memory.maintain()
    recalled = memory.recall("Buy a lamp", steps=failed)
    assert recalled.heuristics[0].action in {"use look", "use look, then pay"}
    assert 'when pay fails with "payment was refused", use look' in recalled.to_prompt(max_tokens=2_000)


def test_a_pitfall_is_surely_worse_than_the_alternatives_and_never_recommended(memory: Memory) -> None:
    fill(memory, [run("pay!", "pay!", succeeds=False)] * 12)
    assert memory.recall("Buy a lamp").pitfalls == ()  # every run does it
    fill(memory, [run("pay!", "look", "pay")] * 12)
    recalled = memory.recall("Buy a lamp")
    assert recalled.pitfalls
    assert all(pattern.high < 0.5 for pattern in recalled.pitfalls)
    assert all(pattern.odds_high is not None and pattern.odds_high < 1.0 for pattern in recalled.pitfalls)
    assert {each.id for each in recalled.pitfalls}.isdisjoint(each.id for each in recalled.patterns)
    playbook = memory.playbook("Buy a lamp", arguments=False)
    assert [step.tool for step in playbook.steps] == ["look", "pay"]
    assert not any("look" in pattern.text.split(":")[-1] for pattern in playbook.pitfalls)


def test_old_evidence_counts_for_less_where_a_half_life_is_set() -> None:
    settings = Settings(evidence=EvidenceSettings(decay_half_life_days=30.0))
    later = START + 90 * DAY
    with (
        Memory(clock=lambda: later * 1_000) as plain,
        Memory(settings=settings, clock=lambda: later * 1_000) as fading,
    ):
        for memory in (plain, fading):
            fill(memory, [run("walk", "pay")] * 8)
        one, other = plain.patterns()[0], fading.patterns()[0]
        assert (one.trials, one.successes) == (other.trials, other.successes)
        assert other.low < one.low


class Seen:
    """A stranger's inducer: one rule that says how many choices there are."""

    def induce(self, history: History) -> list[Heuristic]:
        choices = len(history.index.choices(history.namespace))
        return [Heuristic("0" * 32, "anything", f"choose like {choices} others", choices, choices, 0.99, 1.0)]


def test_a_strangers_inducer_is_run_by_maintenance_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inducers, "_factories", dict(inducers._factories))
    inducers.register("seen")(Seen)
    settings = Settings(inducers=("clustering", "heuristic", "seen"))
    with Memory(tmp_path / "m.db", settings=settings) as memory:
        fill(memory, HELPS)
        report = memory.maintain()
        assert report.heuristics[0].action == "choose like 160 others"
    with Memory(tmp_path / "m.db", settings=settings) as again:
        assert again.heuristics(limit=1) == report.heuristics[:1]
    with pytest.raises(UnknownNameError):
        Memory(settings=Settings(inducers=("nobody",)))


def test_readers_see_nothing_of_a_run_before_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Pattern, ...]] = []

    class Looking:
        """An inducer that reads the memory whose maintenance it is part of."""

        def induce(self, history: History) -> list[Heuristic]:
            seen.append(looked_at.patterns(limit=1_000))
            return []

    monkeypatch.setattr(inducers, "_factories", dict(inducers._factories))
    inducers.register("looking")(Looking)
    settings = Settings(inducers=("clustering", "heuristic", "looking"))
    with Memory(settings=settings) as looked_at:
        fill(looked_at, [*HELPS, *NEAR_DUPLICATES])
        before = looked_at.patterns(limit=1_000)
        assert looked_at.maintain(dry_run=True).merges
        assert seen
        assert all(each == before for each in seen)


class Failing(InMemoryStore):
    """Refuses side records."""

    def commit(self, batch: Batch) -> Receipt:
        if batch.side_records:
            raise StorageError("the disk is full")
        return super().commit(batch)


def test_where_it_cannot_be_committed_nothing_is_changed() -> None:
    with Memory(store=Failing()) as memory:
        fill(memory, [*HELPS, *NEAR_DUPLICATES])
        before = everything(memory)
        with pytest.raises(StorageError):
            memory.maintain()
        assert everything(memory) == before


def test_a_failure_is_shown_beside_a_success_of_the_same_task(memory: Memory) -> None:
    failed, succeeded = fill(
        memory,
        [
            run("find", "pay!", succeeds=False, task_key="lamp", external_id="1"),
            run("find", "look", "pay", task_key="lamp", external_id="2"),
        ],
    )
    (pair,) = memory.contrasts()
    assert (pair.failure, pair.success, pair.same_task, pair.together) == (failed, succeeded, True, 1)
    assert (pair.only_success, pair.only_failure) == (("look",), ())
    assert pair.errors == ("payment was refused",)
    assert pair.text == "the success went with look"
    assert memory.contrasts("Buy a lamp", domain="shop") == (pair,)
    assert memory.contrasts(task_key="other") == ()


def test_without_a_success_at_the_same_task_the_nearest_one_is_taken(memory: Memory) -> None:
    fill(memory, [replace(run("find", "pay!", succeeds=False), task="Buy a red lamp", task_key="red")])
    assert memory.contrasts() == ()
    fill(memory, [replace(run("find", "pay"), task="Buy a green lamp", task_key="green")])
    (pair,) = memory.contrasts()
    assert not pair.same_task
    assert 0 < pair.similarity < 1


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"min_confidence": 2.0}, {"min_confidence": "high"}, {"agent": 3}]
)
def test_what_makes_no_sense_is_refused_by_its_field(memory: Memory, asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(asked))):
        memory.heuristics(**asked)


def test_the_verbs_can_be_awaited() -> None:
    async def go() -> None:
        async with AsyncMemory() as memory:
            await memory.add_many(HELPS)
            report = await memory.maintain()
            assert report.id is not None
            assert await memory.heuristics() == report.heuristics[:20]
            assert await memory.contrasts()
            assert (await memory.undo(report.id)).kind == "undo"

    asyncio.run(go())
