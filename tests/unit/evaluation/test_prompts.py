"""How much of a winning run stands in a prompt: whole calls in order, and arguments on a line of their tool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tacit.evaluation import Report, evaluate
from tacit.evaluation.dataset import Dataset
from tacit.evaluation.dataset import _prepared as prepared
from tacit.evaluation.prompts import calls_in, last_call_in, values_in
from tacit.memory import Memory
from tacit.model.episode import Episode
from tacit.model.recall import Recall

from .toy import episode

WON = episode(
    "exchange the lamp of order 17",
    ("find", "find", "exchange"),
    parameters=({"order": "17"}, {"order": "23"}, {"items": ["a 1", "b"], "note": 'so "they" say\nnow'}),
)
WHOLE = """find {"order": "17"} -> found
find {"order": "23"}
exchange {"items": ["a 1", "b"], "note": "so \\"they\\" say\\nnow"} -> done"""


def test_whole_calls_in_order_count() -> None:
    assert calls_in(WON, WHOLE) == last_call_in(WON, WHOLE) == values_in(WON, WHOLE) == 1.0


def test_calls_in_another_order_count_as_far_as_they_follow_one_another() -> None:
    first, second, third = WHOLE.splitlines()
    assert calls_in(WON, "\n".join((third, first, second))) == pytest.approx(2 / 3)


def test_a_bag_of_values_is_no_call() -> None:
    assert calls_in(WON, 'find 17\n17 23\n["a 1", "b"]') == pytest.approx(1 / 3)
    assert calls_in(WON, f"find find exchange {WHOLE!r}") == pytest.approx(1 / 3)


@pytest.mark.parametrize("line", ['find {"order": "170"}', 'find {"order": "x17"}', 'finder {"order": "17"}'])
def test_a_part_of_a_longer_word_is_no_value(line: str) -> None:
    assert calls_in(WON, line) == 0.0


def test_escapes_of_a_fence_are_undone() -> None:
    compared = episode("t", ("run",), parameters=({"command": "a < b && c > `d`"},))
    line = 'run {"command": "a &lt; b &amp;&amp; c &gt; &#96;d&#96;"}'
    assert calls_in(compared, line) == 1.0


def test_arguments_that_the_task_names_do_not_count() -> None:
    assert values_in(WON, 'find {"order": "23"}') == pytest.approx(1 / 3)


@dataclass(frozen=True, slots=True)
class _Written(Recall):
    """A recall that renders as somebody wrote it."""

    text: str = ""

    def to_prompt(self, **_: Any) -> str:
        return self.text


class _Scribe(Memory):
    """A memory whose prompts hold every call of every success of the same task text."""

    def recall(self, task: str, **asked: Any) -> Recall:
        recall = super().recall(task, **asked)
        alike = [self.get(hit.episode_id) for hit in recall.hits if hit.task == task]
        lines = [f"{step.tool} {step.parameters}".replace("'", '"') for each in alike for step in each.steps]
        return _Written(recall.id, task, recall.hits, text="\n".join(lines))


def _dataset() -> Dataset:
    attempts: list[Episode] = []
    for number in range(6):
        run = episode(
            f"water plant number{number}",
            ("look", "water"),
            key=f"plant {number}",
            parameters=({"plant": number}, {"litres": 100 + number}),
        )
        other = replace(run, steps=run.steps[1:], agent="hasty")
        attempts += [run, other] if number % 2 else [run]
    return Dataset("plants", prepared(attempts))


def _report(make_memory: Callable[[], Memory]) -> Report:
    return evaluate([_dataset()], ask=["B7"], make_memory=make_memory)


def test_a_memory_that_shows_every_call_answers_repeats_and_nothing_of_held_out_tasks() -> None:
    rows = {row.metric: row for row in _report(_Scribe).rows}
    assert rows["repeat_calls_800"].memory > 0.7
    assert rows["repeat_last_call_800"].memory == 1.0
    assert rows["attempt_values_800"].memory == rows["attempt_values_ceiling"].memory == 1.0
    assert rows["attempt_values_800"].queries == 3
    assert rows["other_values_800"].memory == 0.0
    assert rows["repeat_calls_800"].controls["empty"] == 0.0
    assert rows["repeat_calls_800"].controls["random"] < 0.5


def test_the_naive_rendering_stops_at_the_budget() -> None:
    pytest.importorskip("sklearn")
    rows = {row.metric: row for row in _report(_Scribe).rows}
    assert rows["repeat_calls_200"].baselines == {"naive rendering": 1.0}
    long = replace(_dataset().episodes[0], task="long", task_key="long")
    steps = tuple(
        replace(step, parameters={"text": f"{number} " * 200}) for number, step in enumerate(long.steps)
    )
    several = Dataset("long", prepared([replace(long, steps=steps), *_dataset().episodes]))
    found = {row.metric: row for row in evaluate([several], ask=["B7"], make_memory=_Scribe).rows}
    assert found["repeat_calls_200"].baselines["naive rendering"] < 1.0
    assert found["repeat_calls_800"].baselines["naive rendering"] == 1.0


def test_tasks_without_a_success_are_left_out() -> None:
    failed = Dataset("failed", prepared([episode("t", ("a",), success=False)]))
    report = evaluate([failed], ask=["B7"])
    assert [each.reason for each in report.left_out] == ["no task has a success"]
