"""Calls in flight: begun, and not ended yet."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import EllipsisType

from ..errors import ValidationError
from ..model.episode import Json
from .step_fields import StepFields

_MAX_IN_FLIGHT = 10_000


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call, with the time at which it came."""

    at: int
    output: Json | EllipsisType = ...
    error: str | BaseException | None = None
    timed_out: bool = False
    tokens: int | None = None
    metadata: dict[str, Json] | None = None


@dataclass(slots=True)
class CallsInFlight:
    """The calls of one open episode that wait for their results, and results that wait for their calls.

    Calls that are in flight at the same time share a batch number. Safe for threads.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _begun: dict[str, StepFields] = field(default_factory=dict)
    _early: dict[str, CallResult] = field(default_factory=dict)
    _batches: int = 0
    _held: int = 0

    def begin(self, fields: StepFields, call_id: str) -> StepFields | None:
        """Notes that a call began. Gives the finished step if its result came before.

        Raises `ValidationError` for a call id that is in flight already.
        """
        with self._lock:
            if call_id in self._begun:
                raise ValidationError("call_id", "new; this call is in flight already", repr(call_id))
            if len(self._begun) + len(self._early) >= _MAX_IN_FLIGHT:
                raise ValidationError(
                    "calls", f"at most {_MAX_IN_FLIGHT:,} in flight", f"{_MAX_IN_FLIGHT + 1:,}"
                )
            fields = fields._replace(call_id=call_id, batch=self._batch())
            result = self._early.pop(call_id, None)
            if result is None:
                self._begun[call_id] = fields
                return None
        return ended(fields, result)

    def end(self, call_id: str, result: CallResult) -> StepFields | None:
        """The finished step of a call; `None` if the call has not begun, so that its result waits for it."""
        with self._lock:
            fields = self._begun.pop(call_id, None)
            if fields is None:
                self._early[call_id] = result
                return None
        return ended(fields, result)

    def drain(self) -> list[StepFields]:
        """Takes the calls in flight as steps without a result, in the order of their beginnings."""
        with self._lock:
            unfinished = list(self._begun.values())
            self._begun.clear()
            return unfinished

    def hold_batch(self) -> None:
        """Calls from now until `release_batch` share a batch, also if they follow one another."""
        with self._lock:
            if not self._held and not self._begun:
                self._batches += 1
            self._held += 1

    def release_batch(self) -> None:
        """Ends what `hold_batch` began."""
        with self._lock:
            self._held -= 1

    def held_batch(self) -> int | None:
        """The batch that `hold_batch` keeps open; `None` means that there is none."""
        with self._lock:
            return self._batches if self._held else None

    def _batch(self) -> int:
        """A new number unless calls are in flight: then theirs."""
        if not self._begun and not self._held:
            self._batches += 1
        return self._batches


def ended(fields: StepFields, result: CallResult) -> StepFields:
    """The step with its result; its latency is the time from beginning to result unless it was given."""
    latency = fields.latency_ms
    if latency is None:
        latency = max(0, result.at - fields.at) / 1_000
    return fields._replace(
        output=result.output,
        error=result.error,  # type: ignore[arg-type]  # an exception is converted to text when it is logged
        timed_out=result.timed_out,
        latency_ms=latency,
        tokens=fields.tokens if result.tokens is None else result.tokens,
        metadata=fields.metadata if result.metadata is None else result.metadata,
    )
