"""One open episode: its head, its growing record, its calls in flight, and the answers that it was given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from .._native import RecordBuilder, new_id
from ..config import Limits
from ..credit.shown_answer import RecallReceipt
from ..errors import ValidationError, is_failure
from ..model.checks import check_step
from ..model.episode import Episode, Outcome, Step
from ..model.ids import as_bytes
from ..model.record import SideRecord
from .calls import CallEvent, CallResult, CallsInFlight, result_fields
from .journal_records import StepBatch, entries_of, episode_decoder, with_entries
from .step_fields import StepFields
from .step_fold import StepFold

if TYPE_CHECKING:
    from ..model.closed_episode import ClosedEpisode
    from ..redaction import Redactor
    from .conversion import ToJson

_FULL = ("steps", "episode")
"""Fields of a refusal that no conversion can mend: the episode has no room for the step."""
NEVER = 1 << 62
_ANY_NUMBER = 1 << 40


class Landed(msgspec.Struct):
    """The part of an open episode that is stored, as far as its writer knows."""

    steps: int = 0
    """How many of the writer's own steps."""
    batches: list[bytes] = []
    """The ids of the writer's batches and answers."""
    version: int = 1
    until: int = 0
    known: int = 0
    """The number of batches, of every writer, when the writer looked last."""
    is_shared: bool = False
    """True once another process has written to the journal of the episode."""
    was_tried: bool = False
    """True from the first attempt on: a commit whose outcome is unknown may have landed."""
    is_there: bool = False
    next_id: bytes | None = None
    """The id of the batch that is being landed: a second attempt replaces it."""


class Unlanded(msgspec.Struct, frozen=True):
    """Everything of an open episode that the store does not have."""

    steps: int
    """The number of the last step."""
    record: bytes
    """The entries as steps of a record, the first one with the head; empty if there are none."""
    marks: dict[int, str]
    """The entries that are no finished steps, by their place."""
    events: list[CallEvent]
    answers: list[RecallReceipt]
    verdict: tuple[Outcome, str, int] | None


class OpenEpisode:
    """An open episode: its head, and a record that grows with each step.

    `started_in` is the namespace of the memory that started it; `None` means the episode's own. A guest is an episode
    of another process, to which this one appends without a lease: it holds the steps of this process alone.
    """

    __slots__ = (
        "_closed",
        "_credited",
        "_episode",
        "_limits",
        "_record",
        "_writer",
        "altered_steps",
        "calls",
        "dropped_answers",
        "dropped_steps",
        "is_completing",
        "is_guest",
        "land_at",
        "landed",
        "landing_problem",
        "lock",
        "namespace",
        "noticed_at",
        "receipts",
        "repeated_results",
        "started_in",
        "stored_verdict",
        "verdict",
    )  # fmt: skip

    def __init__(
        self, episode: Episode, limits: Limits, started_in: str | None = None, *, is_guest: bool = False
    ) -> None:
        self.lock: threading.RLock = threading.RLock()
        """Held while the episode is completed or forgotten."""
        self.is_completing: bool = False
        """Set by the holder of the lock: the same thread is not let in a second time."""
        self.is_guest: bool = is_guest
        self.namespace: str = episode.namespace
        self.started_in: str = episode.namespace if started_in is None else started_in
        self.verdict: tuple[Outcome, str, int] | None = None
        """The verdict that `judge` gave last, its source and time; it decides an ending without an outcome."""
        self.stored_verdict: tuple[Outcome, str, int] | None = None
        """The verdict that the store has."""
        self.receipts: list[RecallReceipt] = []
        """The answers that the episode was given, oldest first."""
        self.dropped_answers: int = 0
        self.calls: CallsInFlight | None = None
        """Made when a call begins or a batch is opened first."""
        self.altered_steps: int = 0
        self.dropped_steps: dict[str, int] = {}
        """How many steps were not recorded, by reason."""
        self.repeated_results: int = 0
        """How many further results of one call were dropped."""
        self.landed: Landed = Landed()
        self.land_at: int = NEVER
        """The number of the step with which a batch is full."""
        self.noticed_at: float | None = None
        """When the timer saw the oldest step that is not stored; `None` if it saw none."""
        self.landing_problem: str | None = None
        self._episode = replace(episode, steps=())
        self._limits = limits
        self._writer = b""
        self._closed: tuple[int, Outcome, ClosedEpisode] | None = None
        self._credited: tuple[ClosedEpisode, tuple[SideRecord, ...]] | None = None
        self._record = RecordBuilder(
            _head(episode),
            max_steps=limits.steps,
            max_bytes=limits.episode_bytes,
            max_observation=limits.observation_characters,
        )

    @property
    def id(self) -> str:
        """The episode's id."""
        return self._episode.id

    @property
    def started_at(self) -> int:
        """Microseconds since 1970, UTC."""
        return self._episode.started_at

    def is_visible_in(self, namespace: str) -> bool:
        """Returns True for its own namespace, and for that of the memory that started it."""
        return namespace in (self.namespace, self.started_in)

    def log(self, step: tuple[object, ...], strict: bool = True, to_json: ToJson | None = None) -> int:
        """Appends a step, its fields in the order of `StepFields`; returns its number.

        Values of other types are converted. If something would be lost, a strict call raises `ValidationError` and
        records nothing; a lenient one records the rest, and returns 0 if the episode cannot hold the step at all.
        """
        try:
            return self._record.log(*step)  # type: ignore[arg-type]
        except (TypeError, OverflowError) as error:
            refusal = _mistyped(error)
        except ValidationError as error:
            refusal = error
        except BaseException as error:  # of a value's own code, as `__float__`
            if not is_failure(error):
                raise
            from .conversion import error_text

            refusal = ValidationError("step", "made of values that can be read", error_text(error))
        return self._log_converted(StepFields(*step), refusal, strict, to_json)  # type: ignore[arg-type]

    def _log_converted(
        self, given: StepFields, refusal: ValidationError, strict: bool, to_json: ToJson | None
    ) -> int:
        if refusal.field not in _FULL:
            from .step_conversion import convert_step

            fields, is_lossy = convert_step(given, self._limits, to_json)
            if strict and is_lossy:
                raise refusal
            try:
                number = self._record.log(*fields)
            except ValidationError as error:
                refusal = error
            else:
                self.altered_steps += 1
                return number
        if strict:
            raise refusal
        reason = refusal.rule.removeprefix("must be ")
        self.dropped_steps[reason] = self.dropped_steps.get(reason, 0) + 1
        return 0

    def in_flight(self) -> CallsInFlight:
        """The calls of this episode that wait for their results."""
        if self.calls is None:
            self.calls = CallsInFlight()
        return self.calls

    def log_unfinished(self) -> None:
        """Appends the calls in flight as steps without a result: the episode ends before they do."""
        if self.calls is not None:
            for fields in self.calls.drain():
                self.log(fields, strict=False)

    def snapshot(self) -> Episode:
        """The episode as it stands."""
        return episode_decoder().decode(self._record.record({}))

    def waiting_result(
        self, call_id: str, result: CallResult, strict: bool, to_json: ToJson | None
    ) -> CallResult:
        """A result as the journal can hold it. A strict call raises `ValidationError` if something would be lost."""
        from .step_conversion import convert_step

        fields, is_lossy = convert_step(result_fields(call_id, result), self._limits, to_json)
        if strict and is_lossy:
            self._scratch().log(*result_fields(call_id, result))  # raises and names the field
        return msgspec.structs.replace(
            result,
            output=fields.output,
            error=fields.error,
            timed_out=fields.timed_out,
            tokens=fields.tokens,
            metadata=fields.metadata,
            altered=fields.altered,
        )

    def _scratch(self) -> RecordBuilder:
        """A record for entries that are no steps of this one."""
        return RecordBuilder(
            {},
            max_steps=_ANY_NUMBER,
            max_bytes=_ANY_NUMBER,
            max_observation=self._limits.observation_characters,
        )

    def unlanded(self) -> Unlanded:
        """Everything that the store does not have."""
        landed = self.landed
        events = [] if self.calls is None else self.calls.unstored()
        record = self._record.steps_after(landed.steps) if landed.is_there else self._record.record({})
        entries = entries_of(record)
        steps = landed.steps + len(entries)
        marks: dict[int, str] = {}
        if events:
            record, marks = self._with_events(record, entries, events)
        elif landed.is_there and not entries:
            record = b""
        answers = [receipt for receipt in tuple(self.receipts) if not receipt.is_stored]
        verdict = None if self.verdict is self.stored_verdict else self.verdict
        return Unlanded(steps, record, marks, events, answers, verdict)

    def _with_events(
        self, record: bytes, steps: list[msgspec.Raw], events: list[CallEvent]
    ) -> tuple[bytes, dict[int, str]]:
        """The record with calls in flight and waiting results at their places between the steps."""
        first = self.landed.steps
        found = [(first + number, 0, step, "") for number, step in enumerate(steps, 1)]
        for event in events:
            scratch = self._scratch()
            try:
                scratch.log(*event.fields)
            except (ValidationError, TypeError, OverflowError):
                continue  # its step is refused by the same rule, and counted, when the call ends
            [entry] = entries_of(scratch.steps_after(0))
            found.append((event.after, 1, entry, event.mark))
        found.sort(key=lambda each: each[:2])
        marks = {index: mark for index, (*_, mark) in enumerate(found) if mark}
        return with_entries(record, [entry for _, _, entry, _ in found]), marks

    def note_landed(self, unlanded: Unlanded) -> None:
        """Notes that the store has all of this."""
        self.landed.is_there, self.landed.steps = True, unlanded.steps
        if self.calls is not None:
            self.calls.note_stored(unlanded.events)
        for answer in unlanded.answers:
            answer.is_stored = True
        if unlanded.verdict is not None:
            self.stored_verdict = unlanded.verdict

    def dropped_with(self, unlanded: Unlanded) -> int:
        """How many steps and results are lost if this never lands."""
        return unlanded.steps - self.landed.steps + len(unlanded.events)

    def take_steps(self, record: bytes) -> None:
        """Appends the steps of a record. Raises `TooLargeError` for one that the episode has no room for."""
        self._record.push_steps(record)

    def restore(self, fold: StepFold) -> None:
        """Takes the steps, calls, answers and the verdict that landed, of every writer."""
        before = len(self._record)
        try:
            self._record.push_steps(fold.record)
        except ValidationError as error:
            missing = len(fold.steps) - (len(self._record) - before)
            self.dropped_steps[error.rule.removeprefix("must be ")] = missing
        if fold.ended or fold.begun or fold.early or fold.call_batches:
            self.in_flight().restore(
                fold.calls_in_flight, fold.waiting_results, set(fold.ended), fold.call_batches
            )
        self.repeated_results = fold.repeated
        self.receipts = fold.receipts()[-self._limits.answers :]
        self.verdict = self.stored_verdict = fold.verdict

    def joined(self, batches: list[StepBatch], *, with_own: bool) -> OpenEpisode:
        """The episode with the steps of every process, from all batches that landed, as a value of its own.

        `with_own` adds the steps of this process that have not landed.
        """
        fold = StepFold()
        for batch in batches:
            fold.add(batch)
        own = self.unlanded()
        if with_own and own.record:
            fold.add(StepBatch(NEVER, own.record, self.writer, own.marks))
        head = episode_decoder().decode(batches[0].record) if self.is_guest else self._episode
        whole = OpenEpisode(head, self._limits, self.started_in)
        whole.restore(fold)
        whole.altered_steps, whole.dropped_answers = self.altered_steps, self.dropped_answers
        for reason, count in self.dropped_steps.items():
            whole.dropped_steps[reason] = whole.dropped_steps.get(reason, 0) + count
        return whole

    def is_shared(self, batches: int) -> bool:
        """Returns True if another process has written to the journal, in which `batches` have landed."""
        return self.landed.is_shared or batches != self.landed.known

    @property
    def writer(self) -> bytes:
        """The id of this writer: its steps are numbered, and its batches of calls too."""
        if not self._writer:
            self._writer = as_bytes(new_id())
        return self._writer

    @property
    def is_unlanded(self) -> bool:
        """Returns True if the store lacks something: the head, a step, a call, a result, an answer, a verdict."""
        return (
            not self.landed.is_there
            or len(self._record) > self.landed.steps
            or self.verdict is not self.stored_verdict
            or (self.calls is not None and self.calls.count_unstored() > 0)
            or not all(receipt.is_stored for receipt in tuple(self.receipts))
        )

    def add(self, step: Step) -> None:
        """Appends a step that was taken elsewhere, with its own time."""
        check_step(step)
        failed = step.status == "error" or (step.status is None and step.error is not None)
        has_result = step.status is not None or step.output is not None
        try:
            self._record.log(
                step.at or self.started_at,
                step.tool,
                step.action,
                step.parameters,
                step.output if has_result else ...,
                (step.error or "") if failed else step.error,
                step.status == "timeout",
                step.latency_ms,
                step.tokens,
                step.metadata,
                False,
                step.state,
                list(step.altered) or None,
                step.call_id,
                step.batch,
            )
        except (TypeError, OverflowError) as error:
            raise _mistyped(error) from error

    def close(
        self, outcome: Outcome, *, ended_at: int, redactor: Redactor, content: bytes | None = None
    ) -> ClosedEpisode:
        """The closed episode without secrets. The open one stays as it is.

        Its digest stands for `content`, by default for the record.

        A second call with the same outcome and no step in between returns the same value: committing it again
        changes nothing, even if the first attempt landed.
        """
        from ..model.closed_episode import ClosedEpisode
        from ..model.content import digest_of
        from .redacting import redacted_episode

        steps = len(self._record)
        if self._closed is not None and self._closed[:2] == (steps, outcome):
            return self._closed[2]
        judged = {}
        if self.verdict is not None and self.verdict[0] == outcome:
            judged = {"judged_by": self.verdict[1], "judged_at": self.verdict[2]}
        record = self._record.record({**judged, "outcome": ending_fields(outcome), "ended_at": ended_at})
        episode = replace(self._episode, ended_at=ended_at, outcome=outcome)
        digest = digest_of(record if content is None else content)
        closed = redacted_episode(ClosedEpisode(episode, outcome, record, digest), redactor, content)
        self._closed = steps, outcome, closed
        return closed

    def __len__(self) -> int:
        return len(self._record)

    def side_records(
        self, closed: ClosedEpisode, make: Callable[[], tuple[SideRecord, ...]]
    ) -> tuple[SideRecord, ...]:
        """Receipts and credit of a closed episode, made once: committing them again changes nothing."""
        if self._credited is None or self._credited[0] is not closed:
            self._credited = closed, make()
        return self._credited[1]

    def keep_answer(self, receipt: RecallReceipt) -> None:
        """Adds an answer; beyond `Limits.answers` the oldest is dropped and counted."""
        self.receipts.append(receipt)
        if len(self.receipts) > self._limits.answers:
            del self.receipts[0]
            self.dropped_answers += 1

    @property
    def late_steps(self) -> int:
        """How many steps came after the record was closed, too late to be part of it."""
        return 0 if self._closed is None else len(self._record) - self._closed[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that was altered or dropped, in words."""
        found = [f"steps: {count:,} not recorded: {rule}" for rule, count in self.dropped_steps.items()]
        if self.late_steps:
            found.append(f"steps: {self.late_steps:,} came after the end and were not recorded")
        if self.altered_steps:
            found.append(f"steps: {self.altered_steps:,} recorded with changes, named in their `altered`")
        if self.calls is not None and self.calls.unclaimed:
            found.append(f"results: {self.calls.unclaimed:,} of calls that never began were dropped")
        if self.repeated_results:
            found.append(f"results: {self.repeated_results:,} of calls that had ended were dropped")
        if self.landing_problem is not None:
            found.append(f"steps: not stored yet: {self.landing_problem}")
        if self.dropped_answers:
            answers = self.dropped_answers + len(self.receipts)
            found.append(f"answers: kept the newest {len(self.receipts):,} of {answers:,}")
        return tuple(found)

    def has_answer(self, recall_id: bytes) -> bool:
        """Returns True if the answer with this id was given to the episode and is still kept."""
        return any(receipt.id == recall_id for receipt in tuple(self.receipts))

    def take_feedback(self, recall_id: bytes, helped: Mapping[str, bool]) -> bool:
        """Keeps feedback on an answer; returns False if this episode has no such answer."""
        from ..credit.receipts import feedback_of

        for receipt in self.receipts:
            if receipt.id == recall_id:
                receipt.feedback = feedback_of(helped, receipt.memories)
                receipt.is_stored = False
                self._credited = None
                return True
        return False

    @property
    def was_closed(self) -> bool:
        """Returns True if a record was closed: a commit of it was tried."""
        return self._closed is not None

    def was_closed_with(self, number: int) -> bool:
        """Returns True if the record that was closed last holds the step of this number."""
        return self._closed is not None and number <= len(self._closed[2].trajectory)


def _mistyped(error: Exception) -> ValidationError:
    """A type error of the boundary as a refusal of ours: its note names the argument."""
    named = [note.split("'")[1] for note in getattr(error, "__notes__", ()) if "'" in note]
    field = named[0] if named else "step"
    return ValidationError(field, _TYPES.get(field, "of its field's type and range"), _got(error))


_TYPES = {
    "latency_ms": "a number",
    "tokens": "a whole number",
    "error": "a text",
    "action": "a text",
    "tool": "a text",
    "timed_out": "True or False",
}


def _got(error: Exception) -> str:
    """The given type: "str" of the message "must be real number, not str"."""
    if isinstance(error, OverflowError):
        return "a number out of range"
    text = str(error)
    for before in (", not ", "'"):
        if before in text:
            return text.split(before)[1].split("'")[0]
    return text


def _head(episode: Episode) -> dict[str, Any]:
    """The fields known before the first step, without those that are `None`."""
    context = episode.context
    fields: dict[str, Any] = {
        "id": episode.id,
        "namespace": episode.namespace,
        "task": episode.task,
        "task_key": episode.task_key,
        "task_type": episode.task_type,
        "context": {
            "domain": context.domain,
            "language": context.language,
            "framework": context.framework,
            "complexity": context.complexity,
            "tags": list(context.tags),
        },
        "started_at": episode.started_at,
        "timed": episode.timed,
        "tags": list(episode.tags),
        "metadata": episode.metadata,
        "agent": episode.agent,
        "source": episode.source,
        "external_id": episode.external_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def ending_fields(outcome: Outcome) -> dict[str, Any]:
    """The outcome as a record holds it: without the fields that say nothing."""
    fields = {
        "kind": outcome.kind,
        "verdict": outcome.verdict,
        "artifacts": list(outcome.artifacts),
        "completed": list(outcome.completed),
        "failed": list(outcome.failed),
        "reason": outcome.reason,
        "details": outcome.details,
    }
    return {name: value for name, value in fields.items() if value is not None and value != []}
