"""The arm whose agent reads nothing but the text that a model would be given."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from itertools import takewhile

from ..memory import Memory
from ..model.episode import Episode, Json, Outcome, Step
from ..model.recall import NextStep
from .advice import Advice
from .arms import Remembered, Remembering
from .database import Question

MAX_TOKENS = 800
_REPEAT = re.compile(r"this task before: (?P<won>\d+) of \d+ attempts? succeeded")
_SIMILAR = re.compile(
    r"similar task \(score [\d.]+\), (?P<won>\d+) of \d+ attempts? succeeded"
    r"(?: \(.*?\))?(?:, with calls shown above)?: (?P<task>.+)"
)
_CALL = re.compile(r"(?P<tool>\w+) (?P<rest>\{.*)")
_SHARE = re.compile(r"(\w+) (\d+)%")
_USUAL = "usual next step: "


class Reading(Remembering):
    """An agent with a memory that answers in text: it reads `to_prompt` and nothing else."""

    name = "reading"

    def __init__(self, memory: Memory, *, hits: int = 10, max_tokens: int = MAX_TOKENS) -> None:
        super().__init__(memory, hits=hits)
        self.max_tokens: int = max_tokens

    def attempt(self, question: Question) -> Reader:
        """Begins a question, as an episode."""
        return Reader(self, self.episode(question))


class Reader(Remembered):
    """An episode that is being recorded, with advice read from a prompt."""

    arm: Reading

    def advise(self, about: str) -> Advice:
        """The attempts that the text shows."""
        recall = self.episode.recall(about, limit=self.arm.hits)
        return read(recall.to_prompt(max_tokens=self.arm.max_tokens), about)


def read(prompt: str, about: str) -> Advice:
    """The attempts and the usual next steps that a prompt shows; `about` is the question it answers.

    A list of tables or columns whose result is cut is left out: a part of it is no list.
    """
    lines = [html.unescape(line) for line in prompt.splitlines()]
    episodes = []
    next_steps: tuple[NextStep, ...] = ()
    for number, line in enumerate(lines):
        head = _REPEAT.fullmatch(line.partition(" (")[0]) or _SIMILAR.fullmatch(line)
        if head is not None:
            task = head.groupdict().get("task") or about
            shown = takewhile(lambda each: not _is_head(each), lines[number + 1 :])
            episodes.append(_episode(task, shown, succeeded=head["won"] != "0"))
        elif line.startswith(_USUAL):
            shares = _SHARE.findall(line)
            next_steps = tuple(NextStep(tool, int(percent) / 100, 0.0) for tool, percent in shares)
    return Advice(tuple(episodes), next_steps=next_steps)


def _is_head(line: str) -> bool:
    return line.startswith(("this task before: ", "similar task ("))


def _episode(task: str, lines: Iterator[str], *, succeeded: bool) -> Episode:
    """An attempt: its calls in order; the submission of a success need not be shown."""
    steps = [step for line in lines if (step := _step(line)) is not None]
    if succeeded:
        steps = [step for step in steps if step.tool != "submit"] + [Step("submit", status="ok")]
    return Episode(
        task,
        id=f"{task}\n{[step.parameters for step in steps]}",
        steps=tuple(steps),
        outcome=Outcome.success() if succeeded else Outcome.failure("not accepted"),
    )


def _step(line: str) -> Step | None:
    """A call with all its arguments; `None` for another line, or one whose result matters and is cut."""
    call = _CALL.fullmatch(line.removeprefix("also: ").removeprefix("tried: "))
    if call is None:
        return None
    try:
        parameters, end = json.JSONDecoder().raw_decode(call["rest"])
    except ValueError:
        return None
    output = _result(call["rest"][end:].removeprefix(" → "))
    if call["tool"] in ("list_tables", "describe") and output is None:
        return None
    return Step(call["tool"], parameters=parameters, status="ok", output=output)


def _result(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return None
