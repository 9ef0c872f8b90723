"""Both journeys through the public API, in RAM and on a real file."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tacit import (
    ClusteringSettings,
    ConflictError,
    Episode,
    EpisodeClosedError,
    Finding,
    Learned,
    Memory,
    Outcome,
    Settings,
    Step,
    StorageError,
    TaskContext,
    TooLargeError,
    UnknownEpisodeError,
    ValidationError,
    recorded,
)
from tacit.extractors import extractors
from tacit.model.record import Batch, Receipt
from tests.journeys.conftest import MakeMemory


@pytest.fixture
def memory(make_memory: MakeMemory) -> Memory:
    return make_memory()


def refund(memory: Memory, order: int, **head: Any) -> Learned:
    with memory.episode(f"Cancel order {order} and refund it", domain="retail", **head) as episode:
        episode.log("get_order", parameters={"order_id": order}, output={"status": "pending"}, latency_ms=120)
        episode.log(
            "cancel_order", parameters={"order_id": order}, error=f"payment method p_{order} not found"
        )
        episode.log("get_user", output={"methods": ["card"]})
        episode.log("cancel_order", parameters={"order_id": order, "method": "card"}, output="done")
        return episode.succeed("refunded to the card")


def test_an_episode_comes_back_as_it_was_logged(memory: Memory) -> None:
    learned = refund(memory, 17, agent="gpt", task_key="refunds", tags=["vip"], metadata={"ticket": 9})
    episode = memory.get(learned.episode_id)
    assert episode.task == "Cancel order 17 and refund it"
    assert (episode.context.domain, episode.agent, episode.task_key) == ("retail", "gpt", "refunds")
    assert (episode.tags, episode.metadata) == (("vip",), {"ticket": 9})
    assert [step.status for step in episode.steps] == ["ok", "error", "ok", "ok"]
    assert episode.steps[0].parameters == {"order_id": 17}
    assert episode.outcome == Outcome.success("refunded to the card")
    assert episode.reward == learned.reward
    assert episode.reflection == learned.reflection
    assert episode.ended_at is not None
    assert episode.ended_at >= episode.started_at > 0


def test_an_episode_is_scored_reflected_upon_and_its_patterns_are_found(memory: Memory) -> None:
    learned = refund(memory, 17)
    assert learned.state == "learned"
    assert learned.reward is not None
    assert learned.reward.total > 1.0
    assert learned.reward.novelty == 1.0
    assert learned.reflection is not None
    assert any("get_user worked" in sentence for sentence in learned.reflection.successes)
    assert learned.findings is not None
    kinds = {finding.kind for finding in learned.findings}
    assert kinds == {"tool_sequence", "decision_point", "error_recovery", "context_pattern"}


def test_the_same_way_of_working_is_one_pattern_with_evidence_of_every_episode(memory: Memory) -> None:
    for order in range(10):
        refund(memory, order, agent=f"agent-{order % 2}")
    (recovery,) = memory.patterns(kind="error_recovery")
    assert recovery.content == {
        "tool": "cancel_order",
        "error": "payment method not found",
        "next": "get_user",
    }
    assert (recovery.trials, recovery.successes, recovery.episodes, recovery.outcomes) == (10, 10.0, 10, 10.0)
    assert 0 < recovery.low < recovery.mean < recovery.high <= 1
    assert recovery.mean == pytest.approx(10.5 / 11)
    assert set(recovery.agents) == {"agent-0", "agent-1"}
    assert recovery.domains == ("retail",)
    (slice,) = memory.patterns(kind="error_recovery", agent="agent-1")
    assert (slice.id, slice.trials) == (recovery.id, 5)
    assert memory.patterns(kind="error_recovery", domain="airline") == ()


def test_a_new_task_gets_ranked_explained_experience(memory: Memory) -> None:
    for order in range(5):
        refund(memory, order, task_key=f"refund {order}")
    with memory.episode("Write a poem about the sea", domain="poetry") as episode:
        episode.log("write", output="waves")
        episode.fail("nobody liked it")
    recall = memory.recall("Please cancel order 99 and refund", domain="retail", steps=["get_order"])
    assert recall.hits[0].task.startswith("Cancel order")
    for hit in recall.hits:
        score = sum(reason.value * reason.weight for reason in hit.reasons)
        assert hit.score == pytest.approx(score, abs=1e-12)
        assert sum(reason.weight for reason in hit.reasons) == pytest.approx(1.0)
        assert all(0.0 <= reason.value <= 1.0 for reason in hit.reasons)
    assert [hit.score for hit in recall.hits] == sorted((hit.score for hit in recall.hits), reverse=True)
    assert recall.patterns
    assert recall.next_steps[0].tool == "cancel_order"
    prompt = recall.to_prompt(max_tokens=200)
    assert math.ceil(len(prompt.encode()) / 3) <= 200
    assert "cancel_order" in prompt


def test_failures_are_learned_from_as_pitfalls(memory: Memory) -> None:
    for attempt in range(12):
        with memory.episode(f"Close account {attempt}", domain="bank") as episode:
            episode.log("delete_user", error="foreign key constraint failed")
            episode.log("delete_user", error="foreign key constraint failed")
            episode.fail("could not delete")
    assert memory.recall("Close account 77", domain="bank").pitfalls == ()  # there was no other way
    for attempt in range(12):
        with memory.episode(f"Close account {attempt}", domain="bank") as episode:
            episode.log("delete_user", error="foreign key constraint failed")
            episode.log("unlink_payments", output="ok")
            episode.succeed()
    recall = memory.recall("Close account 77", domain="bank")
    assert recall.pitfalls
    assert all(pitfall.odds_high is not None and pitfall.odds_high < 1.0 for pitfall in recall.pitfalls)
    assert all(pitfall.mean < 0.5 for pitfall in recall.pitfalls)


def test_memory_of_one_namespace_is_invisible_in_another(memory: Memory) -> None:
    learned = refund(memory, 1, namespace="tenant-a")
    assert memory.recall("Cancel order 1 and refund it", namespace="tenant-b").hits == ()
    assert memory.patterns(namespace="tenant-b") == ()
    assert memory.episodes(namespace="tenant-b") == ()
    again = refund(memory, 2, namespace="tenant-b")
    assert again.reward is not None
    assert again.reward.novelty == 1.0
    assert memory.recall("Cancel order", namespace="tenant-a").hits[0].episode_id == learned.episode_id


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as first:
        ids = [refund(first, order, task_key=str(order)).episode_id for order in range(30)]
        before = first.recall("Cancel order 3 and refund it", domain="retail")
        patterns = first.patterns(limit=1_000)
    with Memory(tmp_path / "m.db") as second:
        after = second.recall("Cancel order 3 and refund it", domain="retail")
        assert [hit.episode_id for hit in after.hits] == [hit.episode_id for hit in before.hits]
        assert [hit.score for hit in after.hits] == pytest.approx(
            [hit.score for hit in before.hits], abs=1e-6
        )
        assert (after.patterns, after.pitfalls, after.next_steps) == (
            before.patterns,
            before.pitfalls,
            before.next_steps,
        )
        assert second.patterns(limit=1_000) == patterns
        assert [second.get(id).id for id in ids] == ids


def test_two_memories_of_one_file_see_what_the_other_learned(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as one, Memory(tmp_path / "m.db") as other:
        refund(one, 1)
        assert other.recall("Cancel order 1 and refund it").hits
        refund(other, 2)
        assert len(one.episodes()) == 2
        (recovery,) = one.patterns(kind="error_recovery")
        assert recovery.trials == 2


def test_a_failed_commit_leaves_the_episode_open(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = make_memory()
    id = memory.start("Cancel order 17")
    memory.log(id, "cancel_order", output="done")

    def refuse(batch: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(memory._store, "commit", refuse)
        with pytest.raises(StorageError, match="disk is full"):
            memory.complete(id, Outcome.success())
    assert memory.log(id, "look", output=None) == 2
    assert memory.complete(id, Outcome.success()).state == "learned"
    assert len(memory.get(id).steps) == 2


def test_a_step_that_comes_while_the_episode_is_completed_is_refused_not_lost(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = make_memory()
    id = memory.start("Cancel order 17")
    commit = memory._store.commit
    refused: list[Exception] = []

    def log_late() -> None:
        try:
            memory.log(id, "late", output=None)
        except EpisodeClosedError as error:
            refused.append(error)

    late = threading.Thread(target=log_late)

    def commit_while_another_logs(batch: Batch) -> Receipt:
        late.start()
        return commit(batch)

    monkeypatch.setattr(memory._store, "commit", commit_while_another_logs)
    memory.complete(id, Outcome.success())
    late.join()
    assert len(refused) == 1
    assert memory.get(id).steps == ()


def test_completing_again_is_safe_with_the_same_outcome_and_refused_with_another(memory: Memory) -> None:
    id = memory.start("Cancel order 17")
    first = memory.complete(id, Outcome.success("done"))
    again = memory.complete(id, Outcome.success("done"))
    assert (again.state, again.reward) == ("unchanged", first.reward)
    with pytest.raises(EpisodeClosedError, match="completed as success"):
        memory.complete(id, Outcome.failure("no"))
    with pytest.raises(EpisodeClosedError):
        memory.log(id, "look")
    assert memory.stats()["episodes"] == 1


def test_a_forgotten_episode_leaves_nothing_behind_and_can_be_added_again(memory: Memory) -> None:
    refund(memory, 1)
    before = {(each.id, each.trials, each.successes) for each in memory.patterns(limit=100)}
    id = refund(memory, 2).episode_id
    forgotten = memory.get(id)
    memory.forget(id)
    assert {(each.id, each.trials, each.successes) for each in memory.patterns(limit=100)} == before
    assert [hit.task for hit in memory.recall("Cancel order 2").hits] == ["Cancel order 1 and refund it"]
    with pytest.raises(UnknownEpisodeError):
        memory.forget(id)
    again = Episode(task=forgotten.task, id=id, context=forgotten.context, steps=forgotten.steps,
                    outcome=forgotten.outcome)  # fmt: skip
    assert memory.add(again).state == "learned"
    assert len(memory.episodes()) == 2


def test_forgetting_survives_a_restart(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        memory.forget(refund(memory, 1).episode_id)
    with Memory(tmp_path / "m.db") as memory:
        assert (memory.episodes(), memory.patterns()) == ((), ())


def test_an_open_episode_that_is_forgotten_is_dropped(memory: Memory) -> None:
    id = memory.start("Cancel order 3")
    memory.forget(id)
    with pytest.raises(UnknownEpisodeError):
        memory.log(id, "get_order")


@pytest.mark.parametrize("id", ["0190c42e-0000-7000-8000-000000000000", "nonsense", ""])
def test_an_unknown_episode_is_named(memory: Memory, id: str) -> None:
    for call in (
        memory.get,
        lambda id: memory.log(id, "look"),
        lambda id: memory.complete(id, Outcome.success()),
    ):
        with pytest.raises(UnknownEpisodeError, match=f"no episode '{id}'"):
            call(id)


def test_leaving_without_a_verdict_is_unknown_and_an_exception_fails(memory: Memory) -> None:
    with memory.episode("say nothing") as silent:
        silent.log("look", output=None)
    assert silent.learned is not None
    assert silent.learned.state == "learned"
    with pytest.raises(RuntimeError, match="boom"), memory.episode("break") as broken:
        raise RuntimeError("boom")
    outcome = memory.get(broken.id).outcome
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == ("failure", "RuntimeError: boom")
    assert memory.get(silent.id).reward is None
    recall = memory.recall("say nothing")
    assert [(hit.episode_id, hit.outcome) for hit in recall.hits][:1] == [(silent.id, "unknown")]
    assert "outcome unknown" in recall.to_prompt()


def test_a_decorated_function_is_an_episode_a_call(memory: Memory) -> None:
    @recorded(memory, domain="math")
    def divide(a: int, b: int) -> float:
        return a / b

    assert divide(6, 3) == 2.0
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    failed, succeeded = memory.episodes(domain="math")
    assert (succeeded.task, succeeded.outcome) == ("divide", Outcome.success())
    assert failed.steps[0].error == "ZeroDivisionError: division by zero"
    assert failed.outcome is not None
    assert failed.outcome.kind == "failure"


def test_a_generator_cannot_be_recorded(memory: Memory) -> None:
    def count() -> Iterator[int]:
        yield 1

    with pytest.raises(ValidationError, match="generator"):
        recorded(memory)(count)


RECENT = 1_760_000_000_000_000
"""A time in 2025, in microseconds."""


def finished(number: int = 0, **fields: Any) -> Episode:
    steps = (
        Step("look", status="ok", output={"n": number}),
        Step("act", status="error", error="not allowed"),
    )
    return Episode(f"Do thing {number}", **{"steps": steps, "outcome": Outcome.success(), **fields})


def test_a_finished_episode_keeps_the_times_it_carries(memory: Memory) -> None:
    learned = memory.add(finished(started_at=RECENT, ended_at=RECENT + 30_000_000))
    episode = memory.get(learned.episode_id)
    assert (episode.started_at, episode.ended_at, episode.duration_s) == (RECENT, RECENT + 30_000_000, 30.0)
    assert [step.number for step in episode.steps] == [1, 2]


def test_an_episode_that_ended_before_it_began_is_refused(memory: Memory) -> None:
    with pytest.raises(ValidationError, match="ended_at"):
        memory.add(finished(started_at=RECENT + 1, ended_at=RECENT))


def test_adding_the_same_external_id_again_changes_nothing(memory: Memory) -> None:
    first = memory.add(finished(external_id="run-1"))
    again = memory.add(finished(external_id="run-1"))
    assert (again.state, again.episode_id) == ("unchanged", first.episode_id)
    with pytest.raises(ConflictError, match="external id 'run-1' in namespace 'default'"):
        memory.add(finished(number=2, external_id="run-1"))
    assert memory.add(finished(external_id="run-1", namespace="other")).state == "learned"


UNDATED = Episode(
    task="Cancel order 17",
    steps=(
        Step("get_order", parameters={"b": 1.0, "a": [True, None]}, status="ok"),
        Step("cancel", at=RECENT + 5),
    ),
    outcome=Outcome.success("done"),
    metadata={"duration_s": 3},
)


@pytest.mark.parametrize(
    "given",
    [
        None,
        UNDATED,
        replace(UNDATED, started_at=RECENT + 7, ended_at=RECENT + 9),
        replace(UNDATED, external_id="run-1", ended_at=RECENT + 9),
    ],
)
def test_what_memory_gives_can_be_added_again_and_changes_nothing(
    memory: Memory, given: Episode | None
) -> None:
    learned = refund(memory, 17, agent="solo") if given is None else memory.add(given)
    stored, before = memory.get(learned.episode_id), memory.stats()["sequence"]
    again = memory.add(stored)
    assert (again.state, again.episode_id) == ("unchanged", learned.episode_id)
    assert (again.receipt.committed, again.receipt.unchanged) == (0, 1)
    assert memory.stats()["sequence"] == before
    assert memory.add(replace(stored, started_at=RECENT)).state == "unchanged"
    for other in (replace(stored, task="Other"), replace(stored, tags=("new",))):
        with pytest.raises(ConflictError):
            memory.add(other)
    assert memory.get(learned.episode_id) == stored


def test_many_are_added_with_few_commits_and_learned_alike(make_memory: MakeMemory) -> None:
    one_by_one, at_once = make_memory(), make_memory()
    for number in range(70):
        one_by_one.add(finished(number))
    states = [learned.state for learned in at_once.add_many(finished(number) for number in range(70))]
    assert states == ["learned"] * 70
    listed = [
        [(pattern.id, pattern.trials, pattern.successes) for pattern in memory.patterns(limit=1_000)]
        for memory in (one_by_one, at_once)
    ]
    assert listed[0] == listed[1]


def test_a_page_of_episodes_is_newest_first_and_filtered(memory: Memory) -> None:
    for number in range(5):
        memory.add(finished(number, context=TaskContext(domain="even" if number % 2 == 0 else "odd")))
    first = memory.episodes(limit=2)
    rest = memory.episodes(limit=10, after=first[-1].id)
    tasks = [episode.task for episode in (*first, *rest)]
    assert tasks == [f"Do thing {number}" for number in (4, 3, 2, 1, 0)]
    assert [episode.task for episode in memory.episodes(domain="odd")] == ["Do thing 3", "Do thing 1"]


@pytest.mark.parametrize(
    ("head", "field"),
    [
        ({"task": ""}, "task"),
        ({"task": "é" * 5_001}, "task"),
        ({"task": None}, "task"),
        ({"task": "\ud800"}, "episode.task|task"),
        ({"domain": ""}, "domain"),
        ({"domain": "x" * 501}, "domain"),
        ({"complexity": "easy"}, "complexity"),
        ({"task_type": "cooking"}, "task_type"),
        ({"tags": ["x"]}, "tags"),
        ({"tags": ["no spaces"]}, "tags"),
        ({"tags": "text"}, "tags"),
        ({"namespace": "x" * 129}, "namespace"),
        ({"namespace": ""}, "namespace"),
        ({"metadata": {"a": math.nan}}, "metadata"),
        ({"metadata": {"a": {1, 2}}}, "metadata"),
        ({"context": "airline"}, "context"),
        ({"context": {"domain": "airline"}, "domain": "retail"}, "context must be a TaskContext"),
        ({"metadata": [1]}, "metadata must be a mapping"),
        ({"namespace": "x" * 600}, "namespace must be at most 128 characters; got 600"),
    ],
)
def test_a_start_that_breaks_a_rule_is_refused_by_the_field(
    memory: Memory, head: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError, match=field):
        memory.start(**{"task": "do it", **head})
    assert memory.stats()["open"] == 0


@pytest.mark.parametrize("tokens", [-1, 2**63, 2**70, 1.5])
def test_tokens_that_are_no_count_are_refused(memory: Memory, tokens: Any) -> None:
    id = memory.start("do it")
    with pytest.raises(ValidationError, match="tokens"):
        memory.log(id, "look", tokens=tokens)
    assert memory.get(id).steps == ()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"steps": ("look",)}, "step 1: step must be a Step; got str"),
        ({"steps": None}, "steps must be a sequence"),
        ({"steps": (Step("look"), Step(""))}, "step 2: tool must not be empty"),
        ({"steps": (Step("look", output=math.nan),)}, "step 1: output must be finite"),
        ({"outcome": "success"}, "outcome must be an Outcome; got str"),
    ],
)
def test_what_is_wrong_with_an_added_episode_is_named(
    memory: Memory, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        memory.add(finished(**given))
    with pytest.raises(ValidationError, match="episode must be an Episode"):
        memory.add("do it")  # type: ignore[arg-type]
    assert memory.stats()["episodes"] == 0


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        *(("episodes", {"limit": limit}) for limit in (0, -1, 2**70, "all", None)),
        *(("patterns", {"limit": limit}) for limit in (0, 10_001, 2**70, "all")),
        *(("clusters", {"limit": limit}) for limit in (0, 10_001, 2**70, "all")),
        *(("patterns", {"min_trials": trials}) for trials in (-1, 2**70, "all")),
        *(
            (verb, {"domain": name})
            for verb in ("episodes", "patterns", "clusters")
            for name in ("\ud800", 3, "")
        ),
        *(
            (verb, {"namespace": name})
            for verb in ("episodes", "patterns", "clusters")
            for name in ("\ud800", 3, "")
        ),
        *(("recall", {"task": "do it", "limit": limit}) for limit in (2.5, "5", None)),
        *(("recall", {"task": "do it", "steps": steps}) for steps in ("look", None, [3])),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(memory: Memory, verb: str, asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        getattr(memory, verb)(**asked)


def test_a_closed_memory_can_still_be_shown(memory: Memory) -> None:
    memory.close()
    assert "Store(" in repr(memory)


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ({"tool": None}, "tool"),
        ({"tool": "look", "action": 3}, "action"),
        ({"tool": "look", "error": 3}, "error"),
        ({"tool": "look", "latency_ms": "5"}, "latency_ms"),
        ({"tool": "look", "metadata": [1]}, "metadata"),
        ({"tool": "look", "tokens": -1}, "tokens"),
    ],
)
def test_a_step_of_another_type_is_refused_by_the_field(
    memory: Memory, step: dict[str, Any], field: str
) -> None:
    id = memory.start("do it")
    with pytest.raises(ValidationError, match=f"^{field} must "):
        memory.log(id, **step)
    assert memory.get(id).steps == ()


def test_an_added_step_at_no_time_there_is_is_refused(memory: Memory) -> None:
    with pytest.raises(ValidationError, match="at"):
        memory.add(finished(steps=(Step("look", status="ok", at=2**70),)))


def test_an_artifact_beyond_its_limit_leaves_the_episode_open(memory: Memory) -> None:
    id = memory.start("do it")
    with pytest.raises(TooLargeError, match=r"artifacts\[0\] must be at most 1,000,000 bytes; got 1,000,001"):
        memory.complete(id, Outcome.success(artifacts=["x" * 1_000_001]))
    assert memory.complete(id, Outcome.success(artifacts=["x" * 1_000_000])).state == "learned"


def test_a_strangers_extractor_is_on_the_main_path(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lengths:
        def extract(self, episode: Episode) -> list[Finding]:
            return [Finding("length", {"steps": len(episode.steps)}, ok=1.0)]

    monkeypatch.setitem(extractors._factories, "lengths", Lengths)
    memory = make_memory(settings=Settings(extractors=("lengths",)))
    memory.add(finished())
    (pattern,) = memory.patterns()
    assert (pattern.kind, pattern.content) == ("length", {"steps": 2})


def test_a_score_is_a_percentile_once_the_domain_is_known(memory: Memory) -> None:
    for number in range(25):
        memory.add(finished(number, started_at=RECENT, ended_at=RECENT + (number * 7 % 25 + 1) * 10_000_000))
    scores = [memory.score(episode) for episode in memory.episodes(limit=25)]
    assert all(score is not None and 0.0 < score < 1.0 for score in scores)
    assert len(set(scores)) > 10


def test_a_recall_outside_its_limits_is_refused(memory: Memory) -> None:
    for limit in (0, 101):
        with pytest.raises(ValidationError, match="limit must be 1 to 100"):
            memory.recall("do it", limit=limit)


def test_an_empty_memory_answers_with_nothing(memory: Memory) -> None:
    recall = memory.recall("do it", domain="retail")
    assert (recall.hits, recall.patterns, recall.pitfalls, recall.next_steps) == ((), (), (), ())


def test_successes_that_went_about_it_alike_share_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        for number in range(4):
            with memory.episode(f"Cancel order {number}", domain="retail") as episode:
                episode.log("get_order", output="found")
                episode.log("cancel_order", output="done")
                episode.succeed()
        with memory.episode("Refund order 9", domain="retail") as episode:
            episode.log("refund_order", error="too late")
            episode.fail("too late")
        (cluster,) = found = memory.clusters()
        assert (cluster.plan, cluster.episodes, cluster.share) == (("get_order", "cancel_order"), 4, 1.0)
        assert memory.get(cluster.medoid).task == "Cancel order 0"
        assert memory.clusters(domain="airline") == memory.clusters(namespace="other") == ()
    with Memory(path) as memory:
        assert memory.clusters() == found
        with pytest.raises(ValidationError, match="limit"):
            memory.clusters(limit=0)


def test_what_makes_plans_alike_can_be_set() -> None:
    settings = Settings(clustering=ClusteringSettings(eps=0.5, min_points=2))
    with Memory(settings=settings) as memory:
        for tools in ("abc", "abd"):
            with memory.episode("spell") as episode:
                for tool in tools:
                    episode.log(tool, output="done")
                episode.succeed()
        assert [cluster.episodes for cluster in memory.clusters()] == [2]
