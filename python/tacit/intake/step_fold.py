"""The steps of an open episode, from the batches of all its writers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from ..credit.shown_answer import RecallReceipt
from ..model.episode import Outcome
from .journal_records import BEGUN, ENDED, StepBatch, StoredAnswer, entries_of
from .step_fields import StepFields


class _CallKey(msgspec.Struct):
    at: int = 0
    call_id: str | None = None
    batch: int | None = None


_KEYS = msgspec.msgpack.Decoder(_CallKey)
_STEPS = msgspec.msgpack.Decoder(dict[str, Any])


class StepFold:
    """Joins batches in the order of their commits.

    A call takes its place when its result is stored, or its beginning if that came later. The first result of a call
    holds. Calls that were in flight at the same time share a batch number, whichever processes began them.
    """

    def __init__(self) -> None:
        self.steps: list[msgspec.Raw] = []
        """Finished steps."""
        self.begun: dict[str, dict[str, Any]] = {}
        """Calls in flight, by call id."""
        self.early: dict[str, dict[str, Any]] = {}
        """Results whose calls have not begun."""
        self.ended: dict[str, int] = {}
        """When each ended call began."""
        self.repeated: int = 0
        """How many further results of one call were dropped."""
        self.call_batches: int = 0
        """The last batch number of calls in flight."""
        self.verdict: tuple[Outcome, str, int] | None = None
        self._answers: list[tuple[bytes, StoredAnswer]] = []
        self._groups: dict[tuple[bytes, int], int] = {}
        self._places: defaultdict[bytes, list[int]] = defaultdict(list)
        self._after: list[tuple[int, int]] = []

    def add(self, batch: StepBatch) -> None:
        """Takes the next batch."""
        for index, entry in enumerate(entries_of(batch.record)):
            mark = batch.marks.get(index)
            if mark == BEGUN:
                self._begin(_STEPS.decode(entry), batch.writer)
            elif mark == ENDED:
                self._end(_STEPS.decode(entry))
            else:
                self._take(entry, batch.writer)
                self._places[batch.writer].append(len(self.steps))
        self._after.append((batch.number, len(self.steps)))
        if batch.verdict is not None:
            self.verdict = batch.verdict
        if batch.answer is not None:
            self._answers.append((batch.writer, batch.answer))

    def _take(self, entry: msgspec.Raw, writer: bytes) -> None:
        """A finished step; one of a call that was in flight takes its batch."""
        key = _KEYS.decode(entry)
        if key.call_id is not None:
            if self.ended.get(key.call_id) == key.at:
                self.repeated += 1
                return
            begun = self.begun.pop(key.call_id, None)
            early = self.early.pop(key.call_id, None)
            self.repeated += early is not None and not _is_result_of(early, _STEPS.decode(entry))
            self.ended[key.call_id] = key.at
            if begun is not None and key.batch is not None:
                self._groups[writer, key.batch] = begun["batch"]
        group = None if key.batch is None else self._group(writer, key.batch)
        if group != key.batch:
            entry = _raw({**_STEPS.decode(entry), "batch": group})
        self.steps.append(entry)

    def _begin(self, call: dict[str, Any], writer: bytes) -> None:
        id: str = call["call_id"]
        if id in self.begun:  # another call under the same id
            self.steps.append(_raw(self.begun.pop(id)))
        call["batch"] = self._group(writer, call.get("batch") or 0)
        result = self.early.pop(id, None)
        if result is None:
            self.begun[id] = call
        else:
            self._finish(call, result)

    def _end(self, result: dict[str, Any]) -> None:
        call = self.begun.pop(result["call_id"], None)
        if call is not None:
            self._finish(call, result)
        elif result["call_id"] in self.ended or result["call_id"] in self.early:
            self.repeated += 1
        else:
            self.early[result["call_id"]] = result

    def _finish(self, call: dict[str, Any], result: dict[str, Any]) -> None:
        self.ended[call["call_id"]] = call.get("at", 0)
        step = {**call, **{name: result[name] for name in _OF_RESULT if name in result}}
        if call.get("latency_ms") is None:
            step["latency_ms"] = max(0, result.get("at", 0) - call.get("at", 0)) / 1_000
        if altered := (*call.get("altered", ()), *result.get("altered", ())):
            step["altered"] = altered
        self.steps.append(_raw(step))

    def _group(self, writer: bytes, batch: int) -> int:
        """The number of a writer's batch in the whole episode: that of the calls in flight, or a new one."""
        if (writer, batch) not in self._groups:
            self.call_batches += not self.begun
            self._groups[writer, batch] = self.call_batches
        return self._groups[writer, batch]

    @property
    def record(self) -> bytes:
        """A record of the steps alone."""
        return msgspec.msgpack.encode({"steps": self.steps})

    @property
    def calls_in_flight(self) -> list[StepFields]:
        """The calls in flight, in the order of their beginnings."""
        return [_fields(call) for call in self.begun.values()]

    @property
    def waiting_results(self) -> list[StepFields]:
        """The results whose calls have not begun."""
        return [_fields(result) for result in self.early.values()]

    def receipts(self) -> list[RecallReceipt]:
        """The answers that the writers asked for, each after the steps that its writer had taken or seen."""
        return [
            RecallReceipt(
                stored.shown,
                stored.namespace,
                stored.at,
                self._steps_before(writer, stored),
                stored.feedback,
                stored.known,
                is_stored=True,
            )
            for writer, stored in sorted(self._answers, key=lambda each: each[1].at)
        ]

    def _steps_before(self, writer: bytes, answer: StoredAnswer) -> int:
        places = self._places[writer][: answer.steps]
        seen = (count for number, count in self._after if number < answer.known)
        return max(places[-1] if places else 0, max(seen, default=0))


_OF_RESULT = ("status", "output", "error", "tokens", "metadata")


def _is_result_of(result: dict[str, Any], step: dict[str, Any]) -> bool:
    """Returns True if the step ended with this result: its writer had it when the call began."""
    return all(result.get(name) == step.get(name) for name in ("status", "output", "error"))


def _raw(step: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(step))


def _fields(step: dict[str, Any]) -> StepFields:
    """The fields of an entry, as they were given."""
    has_output = step.get("status") == "ok"
    return StepFields(
        step["at"],
        step["tool"],
        step.get("action"),
        step.get("parameters"),
        step.get("output") if has_output else ...,
        step.get("error"),
        step.get("status") == "timeout",
        step.get("latency_ms"),
        step.get("tokens"),
        step.get("metadata"),
        state=step.get("state"),
        altered=step.get("altered"),
        call_id=step.get("call_id"),
        batch=step.get("batch"),
    )
