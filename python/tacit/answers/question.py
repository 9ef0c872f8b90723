"""What is asked about, as the models read it: the record of an episode that has not ended."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from ..errors import ValidationError
from ..model.episode import Episode, Step

_RECORDS = msgspec.msgpack.Encoder()


def record_of(asked: Episode) -> bytes:
    """The record. Raises `ValidationError` where a step holds what is no JSON value."""
    try:
        return _RECORDS.encode(asked)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError("steps", "parameters and results that are JSON values", str(error)) from error


def failing_at(asked: Episode, error: str, tool: str | None) -> Episode:
    """The question whose last step is the one that failed with `error`.

    Raises `ValidationError` where neither `tool` nor the last step says which tool failed.
    """
    if not isinstance(error, str):
        raise ValidationError("error", "a text", type(error).__name__)
    if tool is not None and not (asked.steps and _is(asked.steps[-1], tool, error)):
        return replace(asked, steps=(*asked.steps, Step(tool=tool, status="error", error=error)))
    if not asked.steps:
        raise ValidationError("tool", "the tool that failed, or steps that end with it", "None")
    *before, last = asked.steps
    return replace(asked, steps=(*before, replace(last, status="error", error=error, output=None)))


def _is(step: Step, tool: str, error: str) -> bool:
    return (step.tool, step.error) == (tool, error)
