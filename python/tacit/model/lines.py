"""tacit's own line form: one episode a line, with everything that an episode can say."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from .context import Complexity, TaskContext, TaskType
from .episode import Episode, Json, Outcome, Step

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOME_FIELDS = frozenset(field.name for field in fields(Outcome))


class _ContextLine(msgspec.Struct, omit_defaults=True):
    domain: str = "general"
    language: str | None = None
    framework: str | None = None
    complexity: Complexity = "unknown"
    tags: tuple[str, ...] = ()


class _StepLine(msgspec.Struct, omit_defaults=True):
    tool: str
    action: str | None = None
    parameters: Any = None
    status: str | None = None
    output: Any = msgspec.UNSET
    error: str | None = None
    latency_ms: float | None = None
    tokens: int | None = None
    metadata: dict[str, Any] | None = None
    at: datetime | int = 0
    state: Any = None
    altered: tuple[str, ...] = ()
    call_id: str | None = None
    batch: int | None = None


class _EpisodeLine(msgspec.Struct, omit_defaults=True):
    task: str
    id: str = ""
    external_id: str | None = None
    task_key: str | None = None
    task_type: TaskType = "other"
    context: _ContextLine = msgspec.field(default_factory=_ContextLine)
    agent: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    started_at: datetime | int = 0
    ended_at: datetime | int | None = None
    timed: bool = True
    steps: list[_StepLine] = msgspec.field(default_factory=list)
    outcome: Outcome | None = None
    judged_by: str | None = None
    judged_at: datetime | int | None = None


_FIELDS = frozenset(_EpisodeLine.__struct_fields__)
_STEP_FIELDS = frozenset(_StepLine.__struct_fields__)
_CONTEXT_FIELDS = frozenset(_ContextLine.__struct_fields__)
_ENCODER = msgspec.json.Encoder()


def episode_line(episode: Episode) -> bytes:
    """The episode as one line of JSON, without its namespace, reward and reflection; the import gives it back.

    Example:
        >>> from tacit import Episode, Outcome, Step
        >>> from tacit.importers import episode_line
        >>> run = Episode("Refund order 17", steps=(Step("refund", error="no card"),), outcome=Outcome.unknown())
        >>> print(episode_line(run).decode())
        {"task":"Refund order 17","steps":[{"tool":"refund","error":"no card"}],"outcome":{"kind":"unknown"}}
    """
    head = {name: getattr(episode, name) for name in _FIELDS}
    head["context"] = _ContextLine(**{name: getattr(episode.context, name) for name in _CONTEXT_FIELDS})
    head["steps"] = [_step_line(step) for step in episode.steps]
    for name in ("started_at", "ended_at", "judged_at"):
        head[name] = _as_time(head[name])
    head["outcome"] = None if episode.outcome is None else _spoken(episode.outcome)
    return _ENCODER.encode(_EpisodeLine(**head))


def is_episode_line(values: dict[str, Any]) -> bool:
    """Returns True for the values of a line in this form."""
    return "task" in values and "task_description" not in values


def episode_in(values: dict[str, Any], line: bytes) -> Episode:
    """The episode of a line's values.

    A line without `id` and `external_id` gets an external id made of its bytes, so that it is imported once. Raises
    `ValidationError`, and `msgspec.ValidationError` for a field of the wrong type.
    """
    given = msgspec.convert(values, _EpisodeLine)
    head: dict[str, Any] = {name: getattr(given, name) for name in _FIELDS - {"context", "steps"}}
    if not given.id and given.external_id is None:
        head["external_id"] = hashlib.blake2b(line.strip(), digest_size=16).hexdigest()
    context = TaskContext(**{name: getattr(given.context, name) for name in _CONTEXT_FIELDS})
    return Episode(**head, context=context, steps=tuple(_step(step) for step in given.steps))


def unknown_fields(values: dict[str, Any]) -> frozenset[str]:
    """The names of the line's fields that an episode does not have."""
    steps = (step.keys() - _STEP_FIELDS for step in values.get("steps") or ())
    return frozenset().union(
        values.keys() - _FIELDS,
        (f"context.{name}" for name in (values.get("context") or {}).keys() - _CONTEXT_FIELDS),
        (f"outcome.{name}" for name in (values.get("outcome") or {}).keys() - _OUTCOME_FIELDS),
        (f"steps.{name}" for names in steps for name in names),
    )


def _step_line(step: Step) -> _StepLine:
    given = {name: getattr(step, name) for name in _STEP_FIELDS}
    if step.output is None and step.status != "ok":
        given["output"] = msgspec.UNSET
    if step.status == "ok" or (step.status == "error" and step.error is not None):
        given["status"] = None  # the output or the error says it
    return _StepLine(**{**given, "at": _as_time(step.at)})


def _step(given: _StepLine) -> Step:
    """The step; without a status its error or its output says how it went."""
    has_output = given.output is not msgspec.UNSET
    status: Any = given.status
    if status is None:
        status = "error" if given.error is not None else "ok" if has_output else None
    values: dict[str, Any] = {name: getattr(given, name) for name in _STEP_FIELDS}
    return Step(**{**values, "status": status, "output": given.output if has_output else None})


def _spoken(outcome: Outcome) -> Any:
    """The outcome without the fields that say nothing."""
    values: dict[str, Json] = msgspec.to_builtins(outcome)
    return {name: value for name, value in values.items() if value not in (None, [], ())}


def _as_time(time: int | datetime | None) -> datetime | int | None:
    """The time as a line has it: a date where the calendar has one."""
    if isinstance(time, int) and time:
        return _EPOCH + timedelta(microseconds=time)
    return time
