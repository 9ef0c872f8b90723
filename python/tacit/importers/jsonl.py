"""Recorded runs as JSON lines: one run a line, plain or gzipped, with an optional file of tasks beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ValidationError
from ..model.context import Complexity, TaskContext
from ..model.episode import Episode, Json, Outcome, Step
from ..model.lines import episode_in, is_episode_line, unknown_fields
from .base import Entry, importers
from .numbers import has_no_json_number, with_nulls
from .source import Line, Refusal, Source

_COMPLEXITY_OF: dict[str, Complexity] = {
    "easy": "simple",
    "medium": "moderate",
    "hard": "complex",
    "extra": "complex",
}
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_FAILED = "the run was judged unsuccessful"
_NO_MESSAGE = "the step failed without a message"


class _Step(msgspec.Struct):
    tool: str
    ok: bool
    arguments: Any = None
    observation: Any = None
    error: str | None = None
    actor: str | None = None


class _Outcome(msgspec.Struct):
    success: bool
    reward: float | None = None


class _Run(msgspec.Struct):
    source: str
    task_id: str
    trial: int | str
    model: str
    task_description: str
    domain: str
    steps: list[_Step]
    outcome: _Outcome | None = None
    first_user_message: str | None = None
    meta: dict[str, Any] | None = None


class _TaskExtra(msgspec.Struct):
    hardness: str | None = None


class _Task(msgspec.Struct):
    """The fields that are read of a task: the decoder skips its solution."""

    source: str
    task_id: str
    extra: _TaskExtra | None = None


_VALUES = msgspec.json.Decoder(dict[str, Any])
_TASKS = msgspec.json.Decoder(_Task)
_RUN_FIELDS = frozenset(_Run.__struct_fields__)
_STEP_FIELDS = frozenset(_Step.__struct_fields__)
_OUTCOME_FIELDS = frozenset(_Outcome.__struct_fields__)


@importers.register("jsonl")
class Jsonl:
    """One run a line, in either of two forms; `docs/guides/importing.md` has the fields.

    With `nan_as_null` NaN and infinities are read as null; without it their line is refused.

    A file called `X.episodes.jsonl` or `X.episodes.jsonl.gz` is read with its neighbour `X.tasks.jsonl` (or `.gz`),
    for the difficulty of its tasks.
    """

    def __init__(self, *, nan_as_null: bool = False) -> None:
        self.nan_as_null = nan_as_null

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each line that is not blank."""
        complexities: dict[tuple[str, str], Complexity] = {}
        yield from _read_tasks(source.path, complexities)
        for line in source.lines():
            if isinstance(line, Refusal):
                yield line
                continue
            if self.nan_as_null:
                line = Line(line.number, with_nulls(line.content))
            try:
                yield _entry(line, complexities)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValidationError) as error:
                yield source.refusal(line.number, _reason(error, line))


def _read_tasks(path: str, complexities: dict[tuple[str, str], Complexity]) -> Iterator[Refusal]:
    """Fills in the difficulty of every task that the neighbouring file has one for."""
    neighbour = tasks_beside(path)
    if neighbour is None:
        return
    with Source(neighbour) as tasks:
        for line in tasks.lines():
            if isinstance(line, Refusal):
                yield line
                continue
            try:
                task = _TASKS.decode(line.content)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                yield tasks.refusal(line.number, _reason(error, line))
                continue
            hardness = task.extra.hardness if task.extra else None
            if hardness in _COMPLEXITY_OF:
                complexities[task.source, task.task_id] = _COMPLEXITY_OF[hardness]


def tasks_beside(path: str | Path) -> Path | None:
    """The file of tasks beside a file of episodes; `None` if there is none."""
    name = Path(path).name.removesuffix(".gz")
    if not name.endswith(".episodes.jsonl"):
        return None
    tasks = Path(path).with_name(name.removesuffix(".episodes.jsonl") + ".tasks.jsonl")
    found = (each for each in (tasks.with_name(tasks.name + ".gz"), tasks) if each.is_file())
    return next(found, None)


def _reason(error: Exception, line: Line) -> str:
    """The reason why a line was refused, in one phrase.

    Decoders differ in how they report bytes that are not UTF-8, so the line itself is asked first.
    """
    if isinstance(error, RecursionError):
        return "nests too deep"
    if isinstance(error, ValidationError | msgspec.ValidationError):
        return str(error)
    try:
        line.content.decode()
    except UnicodeDecodeError as fault:
        return f"is not UTF-8: {fault.reason} at byte {fault.start} of the line"
    if _SURROGATE.search(line.content):
        return f"is not JSON, or holds a lone surrogate: {error}"
    if has_no_json_number(line.content):
        return f"holds NaN or Infinity, which JSON does not have ({error}); --nan-as-null reads them as null"
    return f"is not JSON: {error}"


def _entry(line: Line, complexities: dict[tuple[str, str], Complexity]) -> Entry:
    values = _VALUES.decode(line.content)
    if is_episode_line(values):
        episode = episode_in(values, line.content)
        return Entry(line.number, episode, len(line.content), unknown_fields(values))
    run = msgspec.convert(values, _Run)
    complexity = complexities.get((run.source, run.task_id), "unknown")
    return Entry(line.number, _episode(run, complexity), len(line.content), _left_out(values))


def _left_out(values: dict[str, Any]) -> frozenset[str]:
    """The names of the line's fields that are not stored."""
    steps = (step.keys() - _STEP_FIELDS for step in values["steps"])
    return frozenset().union(
        values.keys() - _RUN_FIELDS,
        (f"outcome.{name}" for name in (values.get("outcome") or {}).keys() - _OUTCOME_FIELDS),
        (f"steps.{name}" for names in steps for name in names),
    )


def _episode(run: _Run, complexity: Complexity) -> Episode:
    return Episode(
        task=run.task_description,
        task_key=run.task_id,
        context=TaskContext(domain=run.domain, complexity=complexity),
        steps=tuple(_step(step, run.model) for step in run.steps),
        outcome=_outcome(run.outcome),
        metadata=_metadata(run),
        agent=run.model,
        source=run.source,
        external_id=_external_id(run),
    )


def _outcome(given: _Outcome | None) -> Outcome:
    if given is None:
        return Outcome.unknown()
    return Outcome.success() if given.success else Outcome.failure(_FAILED)


def _external_id(run: _Run) -> str:
    """The identity of a run: a list as JSON, so that no two are spelled the same."""
    return msgspec.json.encode([run.source, run.task_id, run.model, run.trial]).decode()


def _metadata(run: _Run) -> dict[str, Json]:
    """The run's own notes, the first message of its user, and a reward that says more than the outcome."""
    notes: dict[str, Json] = {}
    if run.first_user_message is not None:
        notes["first_user_message"] = run.first_user_message
    if (
        run.outcome is not None
        and run.outcome.reward is not None
        and run.outcome.reward != float(run.outcome.success)
    ):
        notes["reward"] = run.outcome.reward
    meta = run.meta or {}
    for name in notes.keys() & meta.keys():
        raise ValidationError(f"meta.{name}", "named unlike the fields of a run", repr(name))
    return {**meta, **notes}


def _step(step: _Step, model: str) -> Step:
    metadata = {"actor": step.actor} if step.actor not in (None, "agent", model) else {}
    if step.ok:
        if step.error:
            metadata["error"] = step.error
        output, error = step.observation, None
    else:
        output, error = _failure(step)
    return Step(
        tool=step.tool,
        parameters=step.arguments,
        status="ok" if step.ok else "error",
        output=output,
        error=error,
        metadata=metadata or None,
    )


def _failure(step: _Step) -> tuple[Json, str]:
    """The output of a failed step beside its error, and the error: the observation, if there is no other."""
    if step.error is not None:
        return (None if step.observation == step.error else step.observation), step.error
    if isinstance(step.observation, str):
        return None, step.observation
    return step.observation, _NO_MESSAGE
