"""The fields of a step as callers give them become those that a record can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from ..config import Limits
from ..errors import is_failure
from ..model.checks import TOOL_CHARACTERS
from ..model.episode import Json
from .conversion import Converted, ToJson, cut_middle, error_text, fit_to, to_json_value
from .step_fields import StepFields

_MOST_TOKENS = 2**63 - 1


def convert_step(given: StepFields, limits: Limits, to_json: ToJson | None = None) -> tuple[StepFields, bool]:
    """Fields that a record can hold, and True if something was lost on the way.

    Values of other types become JSON values, long texts are cut in the middle. `altered` lists the
    changes, field by field.
    """
    converter = _Converter(limits, to_json)
    converter.altered = list(given.altered or ())
    fields = given._replace(
        tool=converter.name("tool", given.tool),
        action=converter.text("action", given.action),
        parameters=converter.value("parameters", given.parameters),
        output=given.output if given.output is ... else converter.observation("output", given.output),
        error=converter.text("error", given.error),
        timed_out=bool(given.timed_out),
        latency_ms=converter.milliseconds("latency_ms", given.latency_ms),
        tokens=converter.count("tokens", given.tokens),
        metadata=converter.mapping("metadata", given.metadata),
        state=converter.observation("state", given.state),
    )
    return fields._replace(altered=converter.altered or None), converter.is_lossy


def microseconds(field: str, value: object) -> int | None:
    """Microseconds since 1970 of an aware `datetime` or of a whole number; `None` for anything else."""
    if isinstance(value, datetime):
        return None if value.tzinfo is None else round(value.timestamp() * 1_000_000)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None


class _Converter:
    """Converts field by field and collects the changes."""

    def __init__(self, limits: Limits, to_json: ToJson | None) -> None:
        self.altered: list[str] = []
        self.is_lossy = False
        self._limit = limits.observation_characters
        self._to_json = to_json

    def value(self, field: str, value: object) -> Json:
        return self._take(field, to_json_value(value, self._to_json))

    def observation(self, field: str, value: object) -> Json:
        converted = self.value(field, value)
        fitted = fit_to(converted, self._limit)
        if fitted is not converted and fitted != converted:
            self._cut(field, converted)
        return fitted

    def text(self, field: str, value: object) -> str | None:
        if value is None:
            return None
        if isinstance(value, BaseException):
            value = error_text(value)
        converted = self.value(field, value)
        if not isinstance(converted, str):
            import json

            converted = json.dumps(converted, ensure_ascii=False)
            self._lose(f"{field}: became text")
        if len(converted) > self._limit:
            self._cut(field, converted)
        return cut_middle(converted, self._limit)

    def name(self, field: str, value: object) -> str:
        text = self.text(field, getattr(value, "__name__", value) if callable(value) else value) or "unnamed"
        if len(text) > TOOL_CHARACTERS or text != value:
            self._lose(f"{field}: became another text")
        return text[:TOOL_CHARACTERS]

    def milliseconds(self, field: str, value: object) -> float | None:
        if value is None:
            return None
        if isinstance(value, timedelta):
            self.altered.append(f"{field}: timedelta became milliseconds")
            value = value.total_seconds() * 1_000
        try:
            number = float(value)  # type: ignore[arg-type]
        except BaseException as error:
            if not is_failure(error):
                raise
            number = math.nan
        if math.isfinite(number) and number >= 0 and not isinstance(value, str):
            return number
        self._lose(f"{field}: dropped, it was no number of milliseconds")
        return None

    def count(self, field: str, value: object) -> int | None:
        if value is None:
            return None
        try:
            number = int(value)  # type: ignore[call-overload]
        except BaseException as error:
            if not is_failure(error):
                raise
            number = -1
        if 0 <= number <= _MOST_TOKENS and number == value and not isinstance(value, str | bool):
            return int(number)
        self._lose(f"{field}: dropped, it was no count")
        return None

    def mapping(self, field: str, value: object) -> dict[str, Json] | None:
        if value is None:
            return None
        converted = self.value(field, value)
        if isinstance(converted, Mapping):
            return dict(converted)
        self._lose(f"{field}: became an object")
        return {"value": converted}

    def _take(self, field: str, converted: Converted) -> Json:
        self.altered += [f"{field}: {change}" for change in converted.altered]
        self.is_lossy |= converted.is_lossy
        return converted.value

    def _cut(self, field: str, value: Json) -> None:
        import msgspec

        size = len(value) if isinstance(value, str) else len(msgspec.json.encode(value))
        self._lose(f"{field}: cut from {size:,} to {self._limit:,} characters")

    def _lose(self, change: str) -> None:
        self.altered.append(change)
        self.is_lossy = True
