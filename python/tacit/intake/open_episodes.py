"""Open episodes: their heads, their growing records, and the answers that they were given."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import msgspec

from .._native import RecordBuilder
from ..config import Limits, RecordingSettings
from ..credit.receipts import RecallReceipt, feedback_of
from ..errors import (
    EpisodeClosedError,
    LeaseLostError,
    StorageError,
    TooLargeError,
    UnknownEpisodeError,
    ValidationError,
)
from ..model.checks import check_step
from ..model.closed_episode import ClosedEpisode
from ..model.content import digest_of, namespace_of
from ..model.episode import Episode, Outcome, Step
from ..model.ids import as_bytes
from ..model.record import SideRecord
from ..redaction import Redactor
from ..storage.base import Store
from .calls import CallResult, CallsInFlight
from .conversion import ToJson
from .redacting import redacted_episode
from .step_fields import StepFields, convert_step
from .step_journal import Landed, StepJournal, step_count

_EPISODES = msgspec.msgpack.Decoder(Episode)
_FULL = ("steps", "episode")
"""Fields of a refusal that no conversion can mend: the episode has no room for the step."""
_COMPLETING = "is being completed by the call that this one was made from"
_NEVER = 1 << 62


class OpenEpisode:
    """An open episode: its head, and a record that grows with each step.

    `started_in` is the namespace of the memory that started it; `None` means the episode's own.
    """

    __slots__ = (
        "_closed",
        "_credited",
        "_episode",
        "_limits",
        "_record",
        "altered_steps",
        "calls",
        "dropped_answers",
        "dropped_steps",
        "is_completing",
        "land_at",
        "landed",
        "landing_problem",
        "lock",
        "namespace",
        "noticed_at",
        "receipts",
        "started_in",
        "verdict",
    )  # fmt: skip

    def __init__(self, episode: Episode, limits: Limits, started_in: str | None = None) -> None:
        self.lock: threading.RLock = threading.RLock()
        """Held while the episode is completed or forgotten."""
        self.is_completing: bool = False
        """Set by the holder of the lock: the same thread is not let in a second time."""
        self.namespace: str = episode.namespace
        self.started_in: str = episode.namespace if started_in is None else started_in
        self.verdict: tuple[Outcome, str, int] | None = None
        """The verdict that `judge` gave last, its source and time; it decides an ending without an outcome."""
        self.receipts: list[RecallReceipt] = []
        """The answers that the episode was given, oldest first."""
        self.dropped_answers: int = 0
        self.calls: CallsInFlight | None = None
        """Made when a call begins or a batch is opened first."""
        self.altered_steps: int = 0
        self.dropped_steps: dict[str, int] = {}
        """How many steps were not recorded, by reason."""
        self.landed: Landed = Landed()
        self.land_at: int = _NEVER
        """The number of the step with which a batch is full."""
        self.noticed_at: float | None = None
        """When the timer saw the oldest step that is not stored; `None` if it saw none."""
        self.landing_problem: str | None = None
        self._episode = replace(episode, steps=())
        self._limits = limits
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
        return self._log_converted(StepFields(*step), refusal, strict, to_json)  # type: ignore[arg-type]

    def _log_converted(
        self, given: StepFields, refusal: ValidationError, strict: bool, to_json: ToJson | None
    ) -> int:
        if refusal.field not in _FULL:
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
        return _EPISODES.decode(self._record.record({}))

    def unlanded(self) -> tuple[int, bytes]:
        """The number of the last step, and a record of the steps that are not stored; the first has the head too."""
        landed = self.landed
        record = self._record.steps_after(landed.steps) if landed.is_there else self._record.record({})
        return landed.steps + step_count(record), record

    def restore(self, record: bytes) -> None:
        """Appends the steps of a batch that landed."""
        self._record.push_steps(record)

    @property
    def is_unlanded(self) -> bool:
        """Returns True if the head or a step is not stored."""
        return not self.landed.is_there or len(self._record) > self.landed.steps

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
        for receipt in self.receipts:
            if receipt.id == recall_id:
                receipt.feedback = feedback_of(helped, receipt.memories)
                self._credited = None
                return True
        return False

    def was_closed_with(self, number: int) -> bool:
        """Returns True if the record that was closed last holds the step of this number."""
        return self._closed is not None and number <= len(self._closed[2].trajectory)


class OpenEpisodes:
    """The open episodes: those of this process by id, and those of others in the store.

    Steps are stored by `flush_full`, and by a timer: a daemon thread that starts with the first episode.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits,
        *,
        redactor: Redactor,
        settings: RecordingSettings,
        now: Callable[[], int],
    ) -> None:
        self.by_id: dict[str, OpenEpisode] = {}
        self.journal: StepJournal = StepJournal(store, redactor, settings, now)
        self._store = store
        self._limits = limits
        self._settings = settings
        self._lost: dict[str, LeaseLostError] = {}
        self._timer: threading.Thread | None = None
        self._starting = threading.RLock()
        self._wake = threading.Event()
        self._is_closed = False
        _ACTIVE.add(self)

    def start(self, episode: Episode, started_in: str) -> str:
        """Opens the episode and returns its id. Raises `TooLargeError` beyond `Limits.open_episodes`."""
        self._check_open()
        self._check_room()
        return self._hold(OpenEpisode(episode, self._limits, started_in)).id

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageError("the memory is closed")

    def _check_room(self) -> None:
        if len(self.by_id) >= self._limits.open_episodes:
            rule = f"at most {self._limits.open_episodes:,} (complete or forget some first)"
            raise TooLargeError("open episodes", rule, f"{len(self.by_id) + 1:,}")

    def _hold(self, opened: OpenEpisode) -> OpenEpisode:
        opened.land_at = len(opened) + (self._settings.flush_steps or _NEVER)
        self.by_id[opened.id] = opened
        if self._settings.flush_seconds and self._timer is None:
            self._start_timer()
        return opened

    # --- steps land ---

    def flush_full(self, opened: OpenEpisode) -> None:
        """Stores a full batch, unless another thread is storing one or completes the episode.

        Raises `LeaseLostError`. If the store fails, the steps stay and are tried again with the next batch.
        """
        if not opened.lock.acquire(blocking=False):
            return
        try:
            if opened.id in self.by_id and not opened.is_completing:
                opened.land_at = len(opened) + (self._settings.flush_steps or _NEVER)
                self._land(opened)
        finally:
            opened.lock.release()

    def wake(self) -> None:
        """Has the timer store what is full, without waiting for it."""
        if self._timer is None:
            self._start_timer()
        self._wake.set()

    def flush(self) -> None:
        """Stores every step that is not stored. Raises `StorageError` for the first episode that cannot be."""
        self._flush(release=False)

    def close(self) -> None:
        """Stores everything and gives the leases up: other processes may resume the episodes at once."""
        if not self._is_closed:
            self._is_closed = True
            self._stop_timer()
            try:
                self._flush(release=True)
            finally:
                self.by_id.clear()

    def _flush(self, *, release: bool) -> None:
        for opened in tuple(self.by_id.values()):
            with opened.lock:
                if opened.id not in self.by_id or opened.is_completing:
                    continue
                try:
                    self._land(opened, release=release)
                except LeaseLostError:
                    continue
                if opened.landing_problem is not None:
                    raise StorageError(f"open episodes could not be stored: {opened.landing_problem}")

    def _land(self, opened: OpenEpisode, *, release: bool = False) -> None:
        """Raises `LeaseLostError` alone; `landing_problem` says what else went wrong."""
        opened.noticed_at = None
        if release:
            opened.log_unfinished()
        try:
            self.journal.land(opened, release=release)
        except LeaseLostError as error:
            self.lose(opened, error)
            raise
        except Exception as error:
            opened.landing_problem = f"{type(error).__name__}: {error}"
        else:
            opened.landing_problem = None

    def lose(self, opened: OpenEpisode, error: LeaseLostError) -> None:
        """Drops an episode that another process owns now: every verb on it raises the error from here on."""
        self._lost[opened.id] = error
        self.by_id.pop(opened.id, None)

    def check_lost(self, episode_id: str) -> None:
        """Raises `LeaseLostError` if another process took the episode over and has not completed it."""
        if episode_id in self._lost and self._store.version("episode", as_bytes(episode_id)) is None:
            raise self._lost[episode_id].again()

    def tick(self, now: float) -> None:
        """Stores what has waited for its time, at `now` seconds of a clock that never stands back."""
        for opened in tuple(self.by_id.values()):
            if not self._is_due(opened, now) or not opened.lock.acquire(blocking=False):
                continue
            try:
                if opened.id in self.by_id and not opened.is_completing:
                    opened.land_at = len(opened) + (self._settings.flush_steps or _NEVER)
                    self._land(opened)
            except LeaseLostError:
                pass  # kept in `_lost`: the next verb raises it
            finally:
                opened.lock.release()

    def _is_due(self, opened: OpenEpisode, now: float) -> bool:
        if not opened.is_unlanded:
            return self.journal.needs_renewal(opened.landed)
        if len(opened) >= opened.land_at:
            return True
        if opened.noticed_at is None:
            opened.noticed_at = now
        longest = self._settings.flush_seconds
        return bool(longest) and now - opened.noticed_at >= longest * (1 - _TICKS)

    def _start_timer(self) -> None:
        wait = self._settings.flush_seconds * _TICKS or None
        arguments = (weakref.ref(self, lambda _, wake=self._wake: wake.set()), self._wake, wait)  # type: ignore[misc]
        with self._starting:
            if self._timer is None:
                timer = threading.Thread(target=_tick, args=arguments, name="tacit-recording", daemon=True)
                self._timer = timer  # before it starts: a signal handler may start an episode meanwhile
                timer.start()

    def _stop_timer(self) -> None:
        self._wake.set()
        timer = self._timer
        if timer is not None and timer.is_alive() and timer is not threading.current_thread():
            timer.join(_EXIT_DEADLINE_S)

    @property
    def is_closed(self) -> bool:
        """Returns True once `close` was called."""
        return self._is_closed

    # --- episodes of other processes ---

    def read(self, episode_id: str, namespace: str) -> Episode | None:
        """An open episode of any process as it is stored; `None` if there is none in the namespace."""
        if self.journal.lease_of(episode_id, namespace) is None:
            return None
        records = [record for _, record in self.journal.batches(episode_id)]
        return self._restored(records, namespace).snapshot() if records else None

    def page(self, namespace: str, limit: int) -> tuple[Episode, ...]:
        """The newest open episodes of the namespace, of every process."""
        own = {opened.id for opened in tuple(self.by_id.values()) if opened.namespace == namespace}
        found: list[Episode] = []
        for id in sorted(own.union(self.journal.ids(namespace)), reverse=True):
            opened = self.by_id.get(id)
            episode = self.read(id, namespace) if opened is None else opened.snapshot()
            if episode is not None:
                found.append(episode)
            if len(found) == limit:
                break
        return tuple(found)

    def resume(self, episode_id: str, namespace: str, *, force: bool) -> OpenEpisode:
        """Takes over an open episode of another process; see `Memory.resume`."""
        opened = self.find(episode_id, namespace)
        if opened is not None:
            return opened
        payload = self._store.get("episode", as_bytes(episode_id))
        if payload is not None and namespace_of(payload) == namespace:
            raise EpisodeClosedError(episode_id)
        self._check_room()
        landed = self.journal.take_over(episode_id, namespace, force=force)
        batches = self.journal.batches(episode_id)
        opened = self._restored([record for _, record in batches], namespace)
        landed.batches, landed.steps = [id for id, _ in batches], len(opened)
        opened.landed = landed
        opened.calls = CallsInFlight(
            _batches=max((step.batch or 0 for step in opened.snapshot().steps), default=0)
        )
        self._lost.pop(episode_id, None)
        return self._hold(opened)

    def _restored(self, records: list[bytes], namespace: str) -> OpenEpisode:
        opened = OpenEpisode(_EPISODES.decode(records[0]), self._limits, namespace)
        for record in records:
            opened.restore(record)
        return opened

    # --- the ones of this process ---

    def find(self, episode_id: str, *namespaces: str) -> OpenEpisode | None:
        """The open episode if one of the namespaces may see it, else `None`."""
        opened = self.by_id.get(episode_id)
        if opened is None or not any(map(opened.is_visible_in, namespaces)):
            return None
        return opened

    def require(self, episode_id: str, *namespaces: str) -> OpenEpisode:
        """The open episode. Raises `UnknownEpisodeError`, or `EpisodeClosedError` if it has ended."""
        opened = self.find(episode_id, *namespaces)
        if opened is None:
            self._check_open()
            self.check_lost(episode_id)
            payload = self._store.get("episode", as_bytes(episode_id))
            if payload is not None and namespace_of(payload) in namespaces:
                raise EpisodeClosedError(episode_id)
            raise UnknownEpisodeError(episode_id)
        return opened

    def append(
        self,
        episode_id: str,
        namespace: str,
        step: tuple[object, ...],
        strict: bool,
        to_json: ToJson | None,
    ) -> tuple[OpenEpisode, int, bool]:
        """Appends a step without waiting for any lock; `step` holds its fields in the order of `StepFields`.

        Gives the episode, the number, and True if the episode is being completed: `refuse_late` then tells whether
        the step is part of it.
        """
        opened = self.by_id.get(episode_id)
        if opened is None or not (opened.namespace == namespace or opened.started_in == namespace):
            opened = self.require(episode_id, namespace)
        if opened.is_completing:
            self.refuse_from_within(opened)
        if opened.calls is not None and (batch := opened.calls.held_batch()) is not None:
            step = (*step, None, None, batch)
        number = opened.log(step, strict, to_json)
        return opened, number, opened.is_completing or episode_id not in self.by_id

    def begin(
        self, episode_id: str, namespace: str, fields: StepFields, call_id: str, to_json: ToJson | None
    ) -> int:
        """Notes the beginning of a call; gives its step's number if the result came before, else 0."""
        opened = self.require(episode_id, namespace)
        self._check_not_ending(opened)
        # Values are read now: a call may change its arguments while it runs.
        fields, _ = convert_step(fields, self._limits, to_json)
        finished = opened.in_flight().begin(fields, call_id)
        return 0 if finished is None else self._log_call(opened, finished, False, to_json)

    def end(
        self,
        episode_id: str,
        namespace: str,
        call_id: str,
        result: CallResult,
        strict: bool,
        to_json: ToJson | None,
    ) -> int:
        """Appends the step of a call that ends; gives its number, or 0 if the result waits for the beginning."""
        opened = self.require(episode_id, namespace)
        self._check_not_ending(opened)
        calls = opened.in_flight()
        begun = calls.find(call_id)
        finished = calls.end(call_id, result)
        if finished is None:
            return 0
        try:
            number = self._log_call(opened, finished, strict, to_json)
        except ValidationError:
            if begun is not None:
                calls.take_back(call_id, begun)
            raise
        if strict and (opened.is_completing or episode_id not in self.by_id):
            self.refuse_late(opened, number)
        return number

    def _check_not_ending(self, opened: OpenEpisode) -> None:
        if opened.is_completing:
            self.refuse_from_within(opened)
            raise EpisodeClosedError(opened.id, "is being completed")

    def _log_call(
        self, opened: OpenEpisode, finished: StepFields, strict: bool, to_json: ToJson | None
    ) -> int:
        """Appends the step of a call that has ended; the timer stores the batch that it fills."""
        number = opened.log(finished, strict, to_json)
        if number >= opened.land_at:
            self.wake()
        return number

    @contextmanager
    def held(self, opened: OpenEpisode) -> Iterator[bool]:
        """Keeps other threads out while the episode ends; gives False if it has ended in the meantime.

        Raises `EpisodeClosedError` in a call that was made from within, as an embedder or a signal handler may.
        """
        with opened.lock:
            if opened.is_completing:
                raise EpisodeClosedError(opened.id, _COMPLETING)
            opened.is_completing = True
            try:
                yield opened.id in self.by_id
            finally:
                opened.is_completing = False

    def refuse_from_within(self, opened: OpenEpisode) -> None:
        """Raises `EpisodeClosedError` if the thread that completes the episode logs to it."""
        if opened.lock.acquire(blocking=False):
            try:
                if opened.is_completing:
                    raise EpisodeClosedError(opened.id, _COMPLETING)
            finally:
                opened.lock.release()

    def refuse_late(self, opened: OpenEpisode, number: int) -> None:
        """Raises `EpisodeClosedError` if the episode ended without the step of this number."""
        with opened.lock:
            if opened.id not in self.by_id and not opened.was_closed_with(number):
                raise EpisodeClosedError(opened.id)

    def take_feedback(self, recall_id: bytes, helped: Mapping[str, bool], namespace: str) -> bool:
        """Keeps feedback with the open episode that has the answer.

        Returns False if there is none, or if it ended while this call waited for it.
        """
        for opened in tuple(self.by_id.values()):
            if opened.is_visible_in(namespace) and opened.has_answer(recall_id):
                with self.held(opened) as is_open:
                    return is_open and opened.take_feedback(recall_id, helped)
        return False


def _tick(opened: weakref.ref[OpenEpisodes], wake: threading.Event, wait: float | None) -> None:
    """The timer; it ends with the memory that it serves."""
    while True:
        wake.wait(wait)
        wake.clear()
        served = opened()
        if served is None or served.is_closed:
            return
        served.tick(time.monotonic())
        del served


_TICKS = 0.2
"""The share of `flush_seconds` between two looks of the timer."""
_EXIT_DEADLINE_S = 30.0
_ACTIVE: weakref.WeakSet[OpenEpisodes] = weakref.WeakSet()


@atexit.register
def _store_at_exit() -> None:
    """Runs before the stores are closed: their module was imported first."""
    for opened in list(_ACTIVE):
        with suppress(StorageError):
            opened.close()


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
