"""The fields of a step."""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple

from ..model.episode import Json


class StepFields(NamedTuple):
    """The fields of a step in the order of `RecordBuilder.log`."""

    at: int
    tool: str
    action: str | None = None
    parameters: Json = None
    output: Json | EllipsisType = ...
    error: str | None = None
    timed_out: bool = False
    latency_ms: float | None = None
    tokens: int | None = None
    metadata: dict[str, Json] | None = None
    truncate: bool = False
    state: Json = None
    altered: list[str] | None = None
    call_id: str | None = None
    batch: int | None = None
