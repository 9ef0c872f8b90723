"""A failure beside a success: when they are of the same task, and how they differ."""

from __future__ import annotations

import pytest

from tacit import Contrast, Episode, Memory, Outcome, Step, TaskContext
from tacit.answers.contrasts import contrast_of


def run(task: str, tools: str, outcome: Outcome, task_key: str | None = None) -> Episode:
    """A capital is a tool that fails."""
    steps = tuple(
        Step(tool.lower(), status="error", error=f"{tool} broke")
        if tool.isupper()
        else Step(tool, status="ok")
        for tool in tools
    )
    return Episode(task, id=task + tools, steps=steps, outcome=outcome, task_key=task_key)


NO, YES = Outcome.failure("refused"), Outcome.success()


@pytest.mark.parametrize(
    ("failure", "success", "same"),
    [
        (run("t", "ab", NO), run("t", "a", YES), True),
        (run("t", "ab", NO), run("u", "a", YES), False),
        (run("t", "ab", NO, task_key="k"), run("u", "a", YES, task_key="k"), True),
        (run("t", "ab", NO, task_key="k"), run("u", "a", YES, task_key="l"), False),
        (run("t", "ab", NO, task_key="k"), run("u", "a", YES), False),
    ],
)
def test_runs_are_of_one_task_by_its_key_or_its_text(failure: Episode, success: Episode, same: bool) -> None:
    contrast = contrast_of(failure, success, 0.4)
    assert (contrast.same_task, contrast.similarity) == (same, 1.0 if same else 0.4)


def test_the_difference_is_told_by_tools_and_errors() -> None:
    contrast = contrast_of(run("t", "abCCe", NO), run("t", "abdf", YES), 1.0)
    assert contrast == Contrast(
        task="t",
        failure="tabCCe",
        success="tabdf",
        same_task=True,
        similarity=1.0,
        together=2,
        failure_plan=("a", "b", "c", "c", "e"),
        success_plan=("a", "b", "d", "f"),
        only_failure=("c", "e"),
        only_success=("d", "f"),
        errors=("C broke",),
        reason="refused",
    )


def test_failures_are_found_beyond_a_page_of_successes() -> None:
    memory = Memory()
    memory.add(Episode("an early failure", steps=(Step("a", status="ok"),), outcome=NO))
    later = [Episode(f"task {number}", steps=(Step("b", status="ok"),), outcome=YES) for number in range(130)]
    assert len(list(memory.add_many(later))) == 130
    assert [contrast.task for contrast in memory.contrasts()] == ["an early failure"]


def test_a_task_of_no_domain_is_compared_with_those_of_every_domain() -> None:
    memory = Memory()
    memory.add(Episode("cancel the order", outcome=YES, context=TaskContext("retail")))
    memory.add(Episode("sort the mail", outcome=YES))
    memory.add(Episode("cancel an order", outcome=NO))
    [contrast] = memory.contrasts()
    assert memory.get(contrast.success).task == "cancel the order"


def test_among_equal_tasks_that_of_the_same_domain_is_the_nearest() -> None:
    memory = Memory()
    for domain in ("sky", "lab", "sea"):
        memory.add(Episode("cancel the order", outcome=YES, context=TaskContext(domain)))
    memory.add(Episode("cancel an order", outcome=NO, context=TaskContext("lab")))
    [contrast] = memory.contrasts()
    assert memory.get(contrast.success).context.domain == "lab"
