"""Judges: functions that decide the outcome of an episode that ended without a verdict.

A judge takes the closed episode and returns an `Outcome`, or `None` if it cannot tell; the outcome is unknown then. It
is given as `judge=` to `Memory.episode`, `AsyncMemory.episode` and `recorded`.

Example:
    >>> from tacit import Memory, judging
    >>> memory = Memory()
    >>> with memory.episode("Run the tests", judge=judging.tests_passed()) as episode:
    ...     number = episode.log("pytest", output="12 passed in 0.31s")
    >>> memory.get(episode.id).outcome.verdict
    '12 tests passed'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from .model.episode import Episode, Outcome, Step

__all__ = ["Judge", "exit_status", "last_step_ok", "tests_passed", "threshold"]

_STATUS_FIELDS = ("exit_status", "exit_code", "returncode", "exitcode")
_STATUS_TEXT = re.compile(r"\bexit(?:ed with)?(?: status| code)[:= ]+(\d{1,5})\b", re.IGNORECASE)
_PASSED = re.compile(r"\b(\d{1,9}) (?:tests? )?pass(?:ed|ing)\b")
_FAILED = re.compile(r"\b(\d{1,9}) (?:tests? )?(?:fail(?:ed|ing|ures?)|errors?)\b")
_UNITTEST_RAN = re.compile(r"^Ran (\d{1,9}) tests?\b", re.MULTILINE)
_UNITTEST_FAILED = re.compile(r"^FAILED \(([^)]{1,200})\)", re.MULTILINE)
_READ = 10_000
"""The characters that are read at the end of a text: summaries stand there."""


class Judge(Protocol):
    """Decides the outcome of a closed episode; `None` means that it cannot tell.

    Example:
        >>> from tacit import Memory, Outcome
        >>> def judge(episode):
        ...     return Outcome.success() if episode.steps else None
        >>> memory = Memory()
        >>> with memory.episode("Say nothing", judge=judge) as episode:
        ...     pass
        >>> memory.get(episode.id).outcome.kind
        'unknown'
    """

    def __call__(self, episode: Episode, /) -> Outcome | None:
        """Returns the outcome."""
        ...


def last_step_ok(episode: Episode) -> Outcome | None:
    """Success if the last step with a result went well, failure if it did not.

    Example:
        >>> from tacit import Episode, Step
        >>> last_step_ok(Episode("t", steps=(Step("look", status="error", error="no"),))).reason
        'look: no'
    """
    step = next((step for step in reversed(episode.steps) if step.ok is not None), None)
    if step is None:
        return None
    if step.ok:
        return Outcome.success()
    return Outcome.failure(f"{step.tool}: {step.error or step.status}"[:1_000])


def exit_status(tool: str | None = None) -> Judge:
    """Judges by the newest exit status that a step shows: success if it is 0.

    It is read from the fields `exit_status`, `exit_code` and `returncode` of an output, or from a text such as "exit
    status 2". With `tool` only the steps of that tool are read.

    Example:
        >>> from tacit import Episode, Step
        >>> judge = exit_status("make")
        >>> judge(Episode("t", steps=(Step("make", status="ok", output={"exit_status": 2}),))).reason
        'exit status 2'
    """

    def judge(episode: Episode) -> Outcome | None:
        for step in _newest(episode, tool):
            status = _status_of(step)
            if status is not None:
                return Outcome.success() if status == 0 else Outcome.failure(f"exit status {status}")
        return None

    return judge


def tests_passed(tool: str | None = None) -> Judge:  # noqa: PT028  # no test
    """Judges by the newest summary of tests that a step shows: success if some passed and none failed.

    It reads "12 passed, 1 failed" (pytest, cargo, jest, mocha) and the last lines of unittest. With `tool` only the
    steps of that tool are read.

    Example:
        >>> from tacit import Episode, Step
        >>> judge = tests_passed()
        >>> judge(Episode("t", steps=(Step("pytest", status="error", error="1 failed, 3 passed"),))).reason
        '1 of 4 tests failed'
    """

    def judge(episode: Episode) -> Outcome | None:
        for step in _newest(episode, tool):
            for text in _texts(step):
                counts = _counts_in(text)
                if counts is not None:
                    return _outcome_of(*counts)
        return None

    return judge


def threshold(name: str, at_least: float) -> Judge:
    """Judges by a number: success if the field `name` of the newest output that has it reaches `at_least`.

    Without such an output the episode's metadata are read.

    Example:
        >>> from tacit import Episode
        >>> threshold("score", 0.8)(Episode("t", metadata={"score": 0.9})).kind
        'success'
    """

    def judge(episode: Episode) -> Outcome | None:
        values = (step.output for step in reversed(episode.steps))
        for value in (*values, episode.metadata):
            number = value.get(name) if isinstance(value, Mapping) else None
            if isinstance(number, int | float) and not isinstance(number, bool):
                said = f"{name} is {number:g}"
                if number >= at_least:
                    return Outcome.success(said)
                return Outcome.failure(f"{said}, below {at_least:g}")
        return None

    return judge


def _newest(episode: Episode, tool: str | None) -> Iterable[Step]:
    return (step for step in reversed(episode.steps) if tool is None or step.tool == tool)


def _texts(step: Step) -> list[str]:
    """The texts of a step's result, cut to their ends."""
    values: list[Any] = [step.error, step.output]
    if isinstance(step.output, Mapping):
        values += step.output.values()
    return [value[-_READ:] for value in values if isinstance(value, str)]


def _status_of(step: Step) -> int | None:
    if isinstance(step.output, Mapping):
        for name in _STATUS_FIELDS:
            value = step.output.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    found = [match for text in _texts(step) for match in _STATUS_TEXT.findall(text)]
    return int(found[-1]) if found else None


def _counts_in(text: str) -> tuple[int, int] | None:
    """How many tests passed and failed by the last summary in a text; `None` if it holds none."""
    ran = _UNITTEST_RAN.findall(text)
    if ran:
        failures = _UNITTEST_FAILED.findall(text)
        failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d{1,9})", failures[-1]))) if failures else 0
        return int(ran[-1]) - failed, failed
    line = next(
        (line for line in reversed(text.splitlines()) if _PASSED.search(line) or _FAILED.search(line)), None
    )
    if line is None:
        return None
    return sum(map(int, _PASSED.findall(line))), sum(map(int, _FAILED.findall(line)))


def _outcome_of(passed: int, failed: int) -> Outcome | None:
    if failed:
        return Outcome.failure(f"{failed} of {passed + failed} tests failed")
    return Outcome.success(f"{passed} tests passed") if passed else None
