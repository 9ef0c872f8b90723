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
    _ended: set[str] = field(default_factory=set)
    _batches: int = 0
    _held: int = 0

    def begin(self, fields: StepFields, call_id: str) -> StepFields | None:
        """Notes that a call began. Gives the finished step if its result came before.

        Raises `ValidationError` for a call id that is in flight already.
        """
        with self._lock:
            if call_id in self._begun or call_id in self._ended:
                state = "in flight already" if call_id in self._begun else "of a call that has ended"
                raise ValidationError("call_id", f"new; this one is {state}", repr(call_id))
            self._check_room()
            fields = fields._replace(call_id=call_id, batch=self._batch())
            result = self._early.pop(call_id, None)
            if result is None:
                self._begun[call_id] = fields
                return None
            self._ended.add(call_id)
        return ended(fields, result)

    def end(self, call_id: str, result: CallResult) -> StepFields | None:
        """The finished step of a call; `None` if the call has not begun, so that its result waits for it.

        Raises `ValidationError` for a call that has ended before.
        """
        with self._lock:
            if call_id in self._ended:
                raise ValidationError("call_id", "that of a call in flight", f"{call_id!r}, which has ended")
            fields = self._begun.pop(call_id, None)
            if fields is None:
                self._check_room()
                self._early[call_id] = result
                return None
            self._ended.add(call_id)
        return ended(fields, result)

    def take_back(self, call_id: str, fields: StepFields) -> None:
        """Puts a call in flight again: its result was refused."""
        with self._lock:
            self._ended.discard(call_id)
            self._begun[call_id] = fields

    def find(self, call_id: str) -> StepFields | None:
        """The call in flight, or `None`."""
        with self._lock:
            return self._begun.get(call_id)

    @property
    def unclaimed(self) -> int:
        """How many results wait for a call that has not begun."""
        with self._lock:
            return len(self._early)

    def _check_room(self) -> None:
        if len(self._begun) + len(self._early) >= _MAX_IN_FLIGHT:
            raise ValidationError("calls", f"at most {_MAX_IN_FLIGHT:,} in flight", f"{_MAX_IN_FLIGHT + 1:,}")

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
