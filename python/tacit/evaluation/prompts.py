"""B7: how much of a winning run stands in the text that a model is given."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from ..model.episode import Episode, Json, Step
from . import texts
from .bench import EMPTY, LEARNED, RANDOM, Arm, Bench
from .dataset import Dataset, is_success, task_of
from .question import Answer, questions
from .replay import Replay
from .rows import LeftOut, Measured, Total

BUDGETS = (200, 400, 800)
"""Tokens of a prompt; a token is three bytes of UTF-8."""
MOST = 80
"""Tasks of a dataset that are asked about."""
HITS = 5
"""Episodes that a recall brings by default."""
_NAIVE_OUTPUT = 100
"""Characters of a result that the naive rendering shows."""
_BYTES = 3
NAIVE = "naive rendering"

Value: TypeAlias = tuple[str, str]
"""A tool and one of its arguments, as it must stand on a line of that tool."""
Score: TypeAlias = Callable[[Episode, str], float]
"""How much of a success stands in a text, within 0..1."""


@questions.register("B7")
class PromptContent:
    """Reads the prompts of recalls: the calls that won, and arguments of an attempt that the memory never saw."""

    name = "B7"
    title = "hands a model the calls that won"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """Shares of calls of solved tasks, and of arguments while an attempt or the whole task is held out."""
        successes = _successes(bench.dataset)
        if not successes:
            yield LeftOut(self.name, bench.dataset.name, "all", "no task has a success")
            return
        naive = _Naive(successes) if texts.is_available() else None
        if naive is None:
            yield LeftOut(self.name, bench.dataset.name, NAIVE, texts.MISSING)
        yield from _repeats(bench, successes, naive)
        yield from _another_attempt(bench, successes, naive)
        yield from _other_tasks(bench, successes, naive)


@dataclass(frozen=True)
class _Asked:
    """A task, the success that is looked for in its text, and the episodes that the memory must not hold."""

    success: Episode
    held_out: tuple[Episode, ...] = ()
    others: tuple[Episode, ...] = ()
    """Successes of the same task that the memory holds."""

    @property
    def query(self) -> Episode:
        """The task alone: an attempt that no memory holds."""
        return replace(self.success, id="")


def _successes(dataset: Dataset) -> dict[str, list[Episode]]:
    """The successes of each task that has any, the best first: fewest steps, then first in the file."""
    found = {key: [each for each in attempts if is_success(each)] for key, attempts in dataset.tasks.items()}
    return {
        key: sorted(several, key=lambda each: len(each.steps)) for key, several in found.items() if several
    }


def _chosen(bench: Bench, successes: Mapping[str, Sequence[Episode]]) -> list[str]:
    return bench.capped(sorted(successes), lambda key: key, MOST)


def _repeats(
    bench: Bench, successes: Mapping[str, Sequence[Episode]], naive: _Naive | None
) -> Iterator[Measured]:
    asked = [_Asked(successes[key][0]) for key in _chosen(bench, successes)]
    asked = [each for each in asked if _calls(each.success)]
    yield from _measured(bench, "repeat_calls", asked, naive, calls_in)
    yield from _measured(bench, "repeat_last_call", asked, naive, last_call_in)


def _another_attempt(
    bench: Bench, successes: Mapping[str, Sequence[Episode]], naive: _Naive | None
) -> Iterator[Answer]:
    several = {key: found for key, found in successes.items() if len(found) > 1}
    asked = [
        _Asked(best, held_out=(best,), others=tuple(others))
        for best, *others in (several[key] for key in _chosen(bench, several))
    ]
    asked = [each for each in asked if _unsaid(each.success)]
    if not asked:
        yield LeftOut("B7", bench.dataset.name, "another attempt", "no task has two successes with arguments")
        return
    yield from _measured(bench, "attempt_values", asked, naive, values_in)
    ceiling = [values_in(each.success, _everything(each.others)) for each in asked]
    yield Total("all", "attempt_values_ceiling", len(asked), float(np.mean(ceiling)))


def _other_tasks(
    bench: Bench, successes: Mapping[str, Sequence[Episode]], naive: _Naive | None
) -> Iterator[Measured]:
    asked = [
        _Asked(successes[key][0], held_out=bench.dataset.tasks[key]) for key in _chosen(bench, successes)
    ]
    asked = [each for each in asked if _unsaid(each.success)]
    yield from _measured(bench, "other_values", asked, naive, values_in)


def _measured(
    bench: Bench, metric: str, asked: Sequence[_Asked], naive: _Naive | None, score: Score
) -> Iterator[Measured]:
    """The same score of the prompts of each budget, beside the naive rendering and the controls."""
    if not asked:
        return
    prompts = {arm: _prompts(bench, metric, asked, arm) for arm in (LEARNED, EMPTY, RANDOM)}
    for place, budget in enumerate(BUDGETS):
        scores = {
            arm.name: [score(each.success, text[place]) for each, text in zip(asked, several, strict=True)]
            for arm, several in prompts.items()
        }
        baselines = (
            {}
            if naive is None
            else {NAIVE: [score(each.success, naive.text(each, budget)) for each in asked]}
        )
        figure = Measured(
            slice="all",
            metric=f"{metric}_{budget}",
            tasks=[task_of(each.success) for each in asked],
            memory=scores.pop(LEARNED.name),
            baselines=baselines,
            controls=scores,
        )
        yield from bench.sliced(figure, [each.success for each in asked])


def _prompts(bench: Bench, metric: str, asked: Sequence[_Asked], arm: Arm) -> list[list[str]]:
    """A memory's text for each task, by budget."""
    replay = bench.whole(arm)
    return [_prompts_for(replay, each) for each in bench.each(f"B7 {metric}, {arm.name}", asked)]


def _prompts_for(replay: Replay, asked: _Asked) -> list[str]:
    with replay.without(asked.held_out):
        recall = replay.recall(asked.query, limit=HITS)
    return [recall.to_prompt(max_tokens=budget) for budget in BUDGETS]


# --- what stands in a text ---


def calls_in(success: Episode, text: str) -> float:
    """The share of a success's calls that stand in the text as whole calls, in order.

    A whole call is a line that holds the tool and every argument; a line counts for one call.
    """
    calls, lines = _calls(success), _lines(text)
    return _in_order(calls, lines) / len(calls)


def last_call_in(success: Episode, text: str) -> float:
    """1 if a success's last call with arguments stands in the text, else 0."""
    calls = _calls(success)
    last = next((call for call in reversed(calls) if call.parameters not in (None, {}, [])), calls[-1])
    return float(any(_stands(last, line) for line in _lines(text)))


def values_in(success: Episode, text: str) -> float:
    """The share of a success's arguments, beyond those in its task's text, that stand on a line of their tool."""
    lines, values = _lines(text), _unsaid(success)
    found = sum(any(_holds(line, tool) and _holds(line, value) for line in lines) for tool, value in values)
    return found / len(values)


def _in_order(calls: Sequence[Step], lines: Sequence[str]) -> int:
    """The length of the longest common subsequence of calls and lines."""
    row = [0] * (len(lines) + 1)
    for call in calls:
        previous, row = row, [0]
        for place, line in enumerate(lines):
            longest = max(previous[place + 1], row[place])
            row.append(max(longest, previous[place] + 1) if _stands(call, line) else longest)
    return row[-1]


def _stands(call: Step, line: str) -> bool:
    return _holds(line, call.tool) and all(_holds(line, value) for value in _values(call))


def _holds(line: str, value: str) -> bool:
    """True if the line holds the value whole: no letter or digit of the line continues it at either end."""
    start = line.find(value)
    while start >= 0:
        end = start + len(value)
        before, after = line[start - 1 : start], line[end : end + 1]
        if not (_continues(before, value[:1]) or _continues(after, value[-1:])):
            return True
        start = line.find(value, start + 1)
    return False


def _continues(neighbour: str, edge: str) -> bool:
    return (neighbour.isalnum() or neighbour == "_") and (edge.isalnum() or edge == "_")


def _lines(text: str) -> list[str]:
    """The lines of a text with escapes undone and white space folded."""
    return [_folded(_unescaped(html.unescape(line))) for line in text.splitlines()]


_ESCAPE = re.compile(r'\\(u[0-9a-fA-F]{4}|["\\/bfnrt])')


def _unescaped(line: str) -> str:
    """The line with the escapes of JSON texts undone."""
    return _ESCAPE.sub(lambda found: json.loads(f'"{found.group()}"'), line)


def _folded(text: str) -> str:
    """The text with white space folded to one space, without white space beside the punctuation of JSON."""
    return re.sub(r"\s*([,:\[\]{}])\s*", r"\1", " ".join(text.split()))


def _calls(episode: Episode) -> list[Step]:
    return [step for step in episode.steps if step.ok]


def _values(call: Step) -> list[str]:
    """The arguments of a call as they must stand on its line."""
    if call.parameters is None:
        return []
    several = call.parameters.values() if isinstance(call.parameters, dict) else [call.parameters]
    return [_as_text(value) for value in several]


def _as_text(value: Json) -> str:
    if isinstance(value, str):
        return _folded(value)
    return _folded(_unescaped(json.dumps(value, ensure_ascii=False)))


def _unsaid(episode: Episode) -> list[Value]:
    """The different arguments of the calls that succeeded, without those that stand in the task's text."""
    task = _folded(episode.task)
    values = ((call.tool, value) for call in _calls(episode) for value in _values(call))
    return [each for each in dict.fromkeys(values) if not _holds(task, each[1])]


# --- what it is held against ---


def _everything(episodes: Iterable[Episode]) -> str:
    """Every call of the episodes, without a limit."""
    return "\n".join(_call(step) for episode in episodes for step in episode.steps)


def _call(step: Step) -> str:
    parameters = {} if step.parameters is None else step.parameters
    return f"{step.tool} {json.dumps(parameters, ensure_ascii=False)}"


class _Naive:
    """Renders the best success of the nearest task, call by call, until the budget is full."""

    def __init__(self, successes: Mapping[str, Sequence[Episode]]) -> None:
        self._successes = successes
        self._with_text: dict[str, list[Episode]] = {}
        for episode in (episode for several in successes.values() for episode in several):
            self._with_text.setdefault(episode.task, []).append(episode)
        self._texts = list(self._with_text)
        self._place_of = {text: place for place, text in enumerate(self._texts)}
        self._cosines = texts.all_words_tf_idf(self._texts, self._texts)

    def text(self, asked: _Asked, budget: int) -> str:
        held_out = {episode.id for episode in asked.held_out}
        lines: list[str] = []
        size = 0
        for step in _calls(self._nearest(asked, held_out)):
            line = f"{_call(step)} -> {_shown(step.output)}"
            size += len(line.encode("utf-8", "surrogatepass")) + bool(lines)
            if size > budget * _BYTES:
                break
            lines.append(line)
        return "\n".join(lines)

    def _nearest(self, asked: _Asked, held_out: set[str]) -> Episode:
        """The best success of the task of the nearest text, among those that are not held out."""
        cosines = self._cosines[self._place_of[asked.success.task]]
        for place in np.argsort(-cosines, kind="stable").tolist():
            alike = (each for each in self._with_text[self._texts[place]] if each.id not in held_out)
            nearest = next(alike, None)
            if nearest is not None:
                task = self._successes[task_of(nearest)]
                return next(each for each in task if each.id not in held_out)
        return replace(asked.success, steps=())


def _shown(output: Json) -> str:
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return " ".join(text.split())[:_NAIVE_OUTPUT]
