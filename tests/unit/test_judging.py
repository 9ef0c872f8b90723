"""Judges of closed episodes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tacit import AsyncMemory, Episode, Memory, Outcome, Step, judging, recorded


def episode_of(*steps: Step, **fields: Any) -> Episode:
    return Episode("t", steps=steps, **fields)


def ended(output: Any = None, *, tool: str = "run", error: str | None = None) -> Step:
    return Step(tool, status="ok" if error is None else "error", output=output, error=error)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (ended({"exit_status": 0}), Outcome.success()),
        (ended({"returncode": 2}), Outcome.failure("exit status 2")),
        (ended({"exit_code": True}), None),
        (ended(error="make: *** failed\nExit code 127"), Outcome.failure("exit status 127")),
        (ended("process exited with code 0"), Outcome.success()),
        (ended("all good"), None),
    ],
    ids=range(6),
)
def test_an_exit_status_is_read_from_fields_and_texts(step: Step, outcome: Outcome | None) -> None:
    assert judging.exit_status()(episode_of(step)) == outcome
    assert judging.exit_status("other")(episode_of(step)) is None


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("===== 12 passed in 0.31s =====", Outcome.success("12 tests passed")),
        ("=== 1 failed, 3 passed, 2 skipped in 0.3s ===", Outcome.failure("1 of 4 tests failed")),
        ("=== 2 passed, 1 error in 0.3s ===", Outcome.failure("1 of 3 tests failed")),
        ("test result: ok. 72 passed; 0 failed; 0 ignored", Outcome.success("72 tests passed")),
        ("Tests: 1 failed, 5 passed, 6 total", Outcome.failure("1 of 6 tests failed")),
        ("Ran 5 tests in 0.001s\n\nOK", Outcome.success("5 tests passed")),
        ("Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=1)", Outcome.failure("2 of 5 tests failed")),
        ("0 passed", None),
        ("no tests here", None),
    ],
    ids=range(9),
)
def test_the_last_summary_of_tests_decides(text: str, outcome: Outcome | None) -> None:
    judge = judging.tests_passed()
    earlier = ended("1 passed")
    assert judge(episode_of(ended(text))) == outcome
    assert judge(episode_of(ended({"stdout": text}))) == outcome
    if outcome is not None:
        assert judge(episode_of(earlier, ended(error=text))) == outcome


def test_the_last_step_with_a_result_decides() -> None:
    assert judging.last_step_ok(episode_of()) is None
    assert judging.last_step_ok(episode_of(ended(error="no"), ended(1), Step("later"))) == Outcome.success()
    assert judging.last_step_ok(episode_of(ended(1), ended(error="no"))) == Outcome.failure("run: no")


def test_a_number_is_compared_with_its_threshold() -> None:
    judge = judging.threshold("score", 0.8)
    assert judge(episode_of(ended({"score": 0.8}))) == Outcome.success("score is 0.8")
    assert judge(episode_of(ended({"score": 0.9}), ended({"score": 0}))) == Outcome.failure(
        "score is 0, below 0.8"
    )
    assert judge(episode_of(metadata={"score": 1})) == Outcome.success("score is 1")
    assert judge(episode_of(ended({"score": "high"}))) is None


def test_a_judge_decides_a_block_without_a_verdict() -> None:
    memory = Memory()
    seen: list[Episode] = []

    def judge(episode: Episode) -> Outcome:
        seen.append(episode)
        return Outcome.failure("judged")

    with memory.episode("t", judge=judge) as silent:
        silent.log("look", output=1)
    with memory.episode("t", judge=judge) as spoken:
        spoken.succeed()
    with memory.episode("t", judge=judge) as judged:
        memory.judge(judged.id, Outcome.success(), by="tests")
    broken = memory.episode("t", judge=judge)
    broken.__exit__(RuntimeError, RuntimeError("boom"), None)
    assert [(each.id, len(each.steps), each.ended_at is None) for each in seen] == [(silent.id, 1, False)]
    kinds = [memory.get(each.id).outcome for each in (silent, spoken, judged, broken)]
    assert kinds == [
        Outcome.failure("judged"),
        Outcome.success(),
        Outcome.success(),
        Outcome.failure("RuntimeError: boom"),
    ]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("answer", [None, "success", ValueError("cannot read it")], ids=str)
def test_a_judge_that_cannot_tell_leaves_the_outcome_unknown(answer: Any, *, strict: bool) -> None:
    def judge(episode: Episode) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    memory = Memory()
    with memory.episode("t", judge=judge, strict=strict) as episode:
        pass
    assert memory.get(episode.id).outcome == Outcome.unknown()
    assert bool(episode.problems) == (answer is not None)
    assert all(problem.startswith("judge: ") for problem in episode.problems)


def test_a_judge_decides_awaited_blocks_and_decorated_calls() -> None:
    def judge(episode: Episode) -> Outcome:
        return Outcome.failure(episode.task)

    async def main() -> Outcome | None:
        async with AsyncMemory() as memory:
            async with memory.episode("awaited", judge=judge) as episode:
                pass
            return (await memory.get(episode.id)).outcome

    assert asyncio.run(main()) == Outcome.failure("awaited")
    memory = Memory()

    @recorded(memory, judge=judge)
    def work() -> int:
        return 1

    assert work() == 1
    assert memory.episodes()[0].outcome == Outcome.failure("work")
