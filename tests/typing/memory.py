"""The types that checkers infer for the public verbs. Run by `make check` through mypy and pyright, never executed."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_type

import tacit


def check_the_journey(memory: tacit.Memory) -> None:
    episode_id = memory.start("task", domain="retail", complexity="simple", tags=("a1", "b2"))
    assert_type(episode_id, str)
    assert_type(memory.log(episode_id, "tool", parameters={"n": 1}, output=None), int)
    learned = memory.complete(episode_id, tacit.Outcome.success("done"))
    assert_type(learned, tacit.Learned)
    assert_type(learned.reward, tacit.Reward | None)
    assert_type(learned.receipt.sequence, int)


def check_times(memory: tacit.Memory, at: datetime) -> None:
    step = tacit.Step("look", at=at)
    run = tacit.Episode("task", started_at=at, ended_at=at, judged_at=at, steps=(step,))
    assert_type(memory.add(run), tacit.Learned)
    assert_type(run.started_at, int)
    assert_type(step.at, int)


def check_the_recorder(memory: tacit.Memory) -> None:
    with memory.episode("task", domain="retail") as episode:
        assert_type(episode, tacit.Recorder)
        assert_type(episode.recall(limit=5), tacit.Recall)
        assert_type(episode.succeed(), tacit.Learned)


def check_the_answer(recall: tacit.Recall) -> None:
    assert_type(recall.hits[0].score, float)
    assert_type(recall.hits[0].reasons, tuple[tacit.Reason, ...])
    assert_type(recall.patterns, tuple[tacit.Pattern, ...])
    assert_type(recall.next_steps, tuple[tacit.NextStep, ...])
    assert_type(recall.degraded, tuple[str, ...])
    assert_type(recall.to_prompt(max_tokens=100), str)


def check_what_is_there(memory: tacit.Memory) -> None:
    assert_type(memory.get("id"), tacit.Episode)
    assert_type(memory.episodes(domain="retail"), tuple[tacit.Episode, ...])
    assert_type(memory.patterns(kind="error_recovery")[0].low, float)
    assert_type(memory.patterns()[0].content, dict[str, Any])
    assert_type(memory.clusters(domain="retail"), tuple[tacit.Cluster, ...])
    assert_type(memory.clusters()[0].plan, tuple[str, ...])
    assert_type(memory.stats(), dict[str, Any])


async def check_the_awaited_verbs(memory: tacit.AsyncMemory) -> None:
    assert_type(await memory.recall("task"), tacit.Recall)
    assert_type(await memory.complete("id", tacit.Outcome.failure("no")), tacit.Learned)


def check_decoration(memory: tacit.Memory) -> None:
    @tacit.recorded(memory, domain="retail")
    def work(n: int) -> str:
        return str(n)

    assert_type(work(1), str)


def check_what_is_refused(memory: tacit.Memory, recall: tacit.Recall) -> None:
    """Each line is an error to both checkers: an ignore that is not needed fails."""
    memory.start("task", complexity="hard")  # type: ignore[arg-type]
    memory.complete("id", "success")  # type: ignore[arg-type]
    recall.hits = ()  # type: ignore[misc]
