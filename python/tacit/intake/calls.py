"""Calls in flight: begun, and not ended yet."""

from __future__ import annotations

import threading
from types import EllipsisType

import msgspec

from ..errors import ValidationError
from ..model.episode import Json
from .journal_records import BEGUN, ENDED
from .step_fields import StepFields

_MAX_IN_FLIGHT = 10_000


class CallResult(msgspec.Struct, frozen=True):
    """The result of a call, with the time at which it came."""

    at: int
    output: Json | EllipsisType = ...
    error: str | BaseException | None = None
    timed_out: bool = False
    tokens: int | None = None
    metadata: dict[str, Json] | None = None
    altered: list[str] | None = None


class CallEvent(msgspec.Struct):
    """A call in flight, or a result that waits for its call: other processes learn of it by the journal."""

    mark: str
    fields: StepFields
    after: int
    """How many steps this process had taken."""


class CallsInFlight:
    """The calls of one open episode that wait for their results, and results that wait for their calls.

    Calls that are in flight at the same time share a batch number. Safe for threads.
    """

    __slots__ = ("_batches", "_begun", "_early", "_ended", "_held", "_lock", "_unstored")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[str, CallEvent] = {}
        self._early: dict[str, CallEvent] = {}
        self._unstored: dict[str, CallEvent] = {}
        """The calls and results that the store does not have."""
        self._ended: set[str] = set()
        self._batches = 0
        self._held = 0

    def begin(self, fields: StepFields, call_id: str, after: int) -> StepFields | None:
        """Notes that a call began after so many steps. Gives the finished step if its result came before.

        Raises `ValidationError` for a call id that is in flight already.
        """
        with self._lock:
            if call_id in self._begun or call_id in self._ended:
                state = "in flight already" if call_id in self._begun else "of a call that has ended"
                raise ValidationError("call_id", f"new; this one is {state}", repr(call_id))
            self._check_room()
            fields = fields._replace(call_id=call_id, batch=self._batch())
            early = self._early.pop(call_id, None)
            if early is None:
                self._begun[call_id] = self._unstored[call_id] = CallEvent(BEGUN, fields, after)
                return None
            self._unstored.pop(call_id, None)
            self._ended.add(call_id)
        return ended(fields, _result_of(early.fields))

    def end(self, call_id: str, result: CallResult, after: int) -> StepFields | None:
        """The finished step of a call; `None` if the call has not begun, so that its result waits for it.

        Raises `ValidationError` for a call that has ended before.
        """
        with self._lock:
            if call_id in self._ended:
                raise ValidationError("call_id", "that of a call in flight", f"{call_id!r}, which has ended")
            begun = self._begun.pop(call_id, None)
            if begun is None:
                if call_id in self._early:
                    raise ValidationError(
                        "call_id", "that of a call in flight", f"{call_id!r}, which has a result"
                    )
                self._check_room()
                event = CallEvent(ENDED, result_fields(call_id, result), after)
                self._early[call_id] = self._unstored[call_id] = event
                return None
            self._unstored.pop(call_id, None)
            self._ended.add(call_id)
        return ended(begun.fields, result)

    def take_back(self, call_id: str, call: CallEvent) -> None:
        """Puts a call in flight again: its result was refused."""
        with self._lock:
            self._ended.discard(call_id)
            self._begun[call_id] = self._unstored[call_id] = call

    def find(self, call_id: str) -> CallEvent | None:
        """The call in flight, or `None`."""
        with self._lock:
            return self._begun.get(call_id)

    def unstored(self) -> list[CallEvent]:
        """The calls in flight and the waiting results that the store does not have."""
        with self._lock:
            return list(self._unstored.values())

    def count_unstored(self) -> int:
        """How many calls in flight and waiting results the store does not have."""
        return len(self._unstored)

    def note_stored(self, events: list[CallEvent]) -> None:
        """Notes that the store has these."""
        with self._lock:
            for event in events:
                id = event.fields.call_id or ""
                if self._unstored.get(id) is event:
                    del self._unstored[id]

    def restore(
        self, begun: list[StepFields], early: list[StepFields], ended: set[str], batches: int
    ) -> None:
        """Takes what the journal says of calls: those in flight, waiting results, ended calls, the last batch."""
        with self._lock:
            self._begun = {each.call_id or "": CallEvent(BEGUN, each, 0) for each in begun}
            self._early = {each.call_id or "": CallEvent(ENDED, each, 0) for each in early}
            self._ended, self._batches = ended, batches

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
            unfinished = [call.fields for call in self._begun.values()]
            self._begun.clear()
            self._unstored.clear()
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
        altered=[*(fields.altered or ()), *(result.altered or ())] or None,
    )


def result_fields(call_id: str, result: CallResult) -> StepFields:
    """A result as the fields of an entry; the tool says that it is one."""
    return StepFields(
        result.at,
        "result",
        output=result.output,
        error=result.error,  # type: ignore[arg-type]  # as in `ended`
        timed_out=result.timed_out,
        tokens=result.tokens,
        metadata=result.metadata,
        altered=result.altered,
        call_id=call_id,
    )


def _result_of(fields: StepFields) -> CallResult:
    return CallResult(
        fields.at,
        fields.output,
        fields.error,
        fields.timed_out,
        fields.tokens,
        fields.metadata,
        fields.altered,
    )
