"""The open episodes of one process: those it records, and those of others that it appends to."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from ..config import Limits, RecordingSettings
from ..errors import (
    CorruptRecordError,
    EpisodeClosedError,
    EpisodeError,
    LeaseLostError,
    StorageError,
    TooLargeError,
    UnknownEpisodeError,
    ValidationError,
    is_failure,
)
from ..model.content import namespace_of
from ..model.episode import Episode
from ..model.ids import as_bytes
from ..storage.base import require_writable
from .calls import CallResult
from .flush_timer import TICKS, FlushTimer
from .journal_records import episode_decoder
from .open_episode import NEVER, OpenEpisode
from .step_fields import StepFields
from .step_journal import StepJournal

if TYPE_CHECKING:
    from ..redaction import Redactor
    from ..storage.base import Store
    from .conversion import ToJson

_COMPLETING = "is being completed by the call that this one was made from"


class _Loss(msgspec.Struct):
    """Why an episode was dropped that this process held, or appended to."""

    error: EpisodeError
    is_told: bool
    """True once a verb has raised it."""


class OpenEpisodes:
    """The open episodes: those of this process by id, guests among them, and those of others in the store.

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
        self._lost: dict[str, _Loss] = {}
        self._timer = FlushTimer(self, settings.flush_seconds)
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
            self._drop_idle_guests()
        if len(self.by_id) >= self._limits.open_episodes:
            rule = f"at most {self._limits.open_episodes:,} (complete or forget some first)"
            raise TooLargeError("open episodes", rule, f"{len(self.by_id) + 1:,}")

    def _drop_idle_guests(self) -> None:
        """Lets go of guests without anything to store; the next verb on one finds it again."""
        for opened in tuple(self.by_id.values()):
            if opened.is_guest and not opened.is_unlanded and not opened.is_completing:
                self.by_id.pop(opened.id, None)

    def _hold(self, opened: OpenEpisode) -> OpenEpisode:
        require_writable(self._store)
        opened.land_at = len(opened) + (self._settings.flush_steps or NEVER)
        opened = self.by_id.setdefault(opened.id, opened)
        if self._settings.flush_seconds:
            self._timer.start()
        return opened

    @property
    def recorded(self) -> int:
        """How many open episodes this process records: guests are not counted."""
        return sum(not opened.is_guest for opened in tuple(self.by_id.values()))

    # --- steps land ---

    def flush_full(self, opened: OpenEpisode) -> None:
        """Stores a full batch, unless another thread is storing one or completes the episode.

        Raises `LeaseLostError`, or `EpisodeClosedError` for a guest. If the store fails, the steps stay and are tried
        again with the next batch.
        """
        if not opened.lock.acquire(blocking=False):
            return
        try:
            if opened.id in self.by_id and not opened.is_completing:
                opened.land_at = len(opened) + (self._settings.flush_steps or NEVER)
                self._land(opened)
        finally:
            opened.lock.release()

    def wake(self) -> None:
        """Has the timer store what is full, without waiting for it."""
        self._timer.wake()

    def flush(self) -> None:
        """Stores every step that is not stored.

        Raises `StorageError` for the first episode that cannot be, or `EpisodeClosedError` for a guest that has ended.
        """
        self._check_open()
        ended = self._flush(release=False)
        if ended is not None:
            raise ended

    def close(self) -> None:
        """Stores everything and gives the leases up: other processes may resume the episodes at once."""
        if not self._is_closed:
            self._is_closed = True
            self._timer.stop()
            try:
                ended = self._flush(release=True)
            finally:
                self.by_id.clear()
            if ended is not None:
                raise StorageError(f"open episodes could not be stored: {ended}") from ended

    def _flush(self, *, release: bool) -> EpisodeClosedError | None:
        """Stores everything; gives the refusal of the first guest that has ended with steps that were not stored."""
        ended: EpisodeClosedError | None = None
        for opened in tuple(self.by_id.values()):
            with opened.lock:
                if opened.id not in self.by_id or opened.is_completing:
                    continue
                try:
                    self._land(opened, release=release, is_told=opened.is_guest)
                except EpisodeClosedError as error:
                    ended = ended or error
                except LeaseLostError:
                    continue
                if opened.landing_problem is not None:
                    raise StorageError(f"open episodes could not be stored: {opened.landing_problem}")
        return ended

    def _land(self, opened: OpenEpisode, *, release: bool = False, is_told: bool = True) -> None:
        """Raises the error of `lose` alone; `landing_problem` says what else went wrong."""
        opened.noticed_at = None
        try:
            self.journal.land(opened, release=release)
        except LeaseLostError as error:
            raise self.lose(opened, error, is_told=is_told) from None
        except BaseException as error:
            if not is_failure(error):
                raise
            opened.landing_problem = f"{type(error).__name__}: {error}"
        else:
            opened.landing_problem = None

    def lose(self, opened: OpenEpisode, error: LeaseLostError, *, is_told: bool = True) -> EpisodeError:
        """Drops an episode that another process owns, ended or forgot; returns the error that its verbs raise."""
        found: EpisodeError = error
        if opened.is_guest:
            message = f"has ended or was forgotten elsewhere; steps that were dropped: {error.dropped:,}"
            found = EpisodeClosedError(opened.id, message)
        self._lost[opened.id] = _Loss(found, is_told or not error.dropped)
        if self.by_id.get(opened.id) is opened:
            del self.by_id[opened.id]
        return found

    def check_lost(self, episode_id: str) -> None:
        """Raises once that steps were dropped, and `LeaseLostError` until the new owner has ended the episode."""
        loss = self._lost.get(episode_id)
        if loss is None:
            return
        is_open = self._store.version("episode", as_bytes(episode_id)) is None
        if not loss.is_told or (is_open and isinstance(loss.error, LeaseLostError)):
            loss.is_told = True
            raise loss.error.again() if isinstance(loss.error, LeaseLostError) else loss.error

    def loss_of(self, episode_id: str) -> str | None:
        """Says how this process lost an episode; `None` if it did not."""
        loss = self._lost.get(episode_id)
        return None if loss is None else f"{type(loss.error).__name__}: {loss.error}"

    def tick(self, now: float) -> None:
        """Stores what has waited for its time, at `now` seconds of a clock that never stands back."""
        for opened in tuple(self.by_id.values()):
            if not self._is_due(opened, now) or not opened.lock.acquire(blocking=False):
                continue
            try:
                if opened.id in self.by_id and not opened.is_completing:
                    opened.land_at = len(opened) + (self._settings.flush_steps or NEVER)
                    self._land(opened, is_told=False)
            except EpisodeError:
                pass  # kept in `_lost`: the next verb raises it
            finally:
                opened.lock.release()

    def _is_due(self, opened: OpenEpisode, now: float) -> bool:
        if not opened.is_unlanded:
            return self.journal.needs_renewal(opened)
        if len(opened) >= opened.land_at or self._has_full_calls(opened):
            return True
        if opened.noticed_at is None:
            opened.noticed_at = now
        longest = self._settings.flush_seconds
        return bool(longest) and now - opened.noticed_at >= longest * (1 - TICKS)

    @property
    def is_closed(self) -> bool:
        """Returns True once `close` was called."""
        return self._is_closed

    # --- episodes of other processes ---

    def read(self, episode_id: str, namespace: str) -> Episode | None:
        """An open episode of any process as it is stored; `None` if there is none in the namespace."""
        if self.journal.lease_of(episode_id, namespace) is None or not self.journal.batches(episode_id):
            return None
        return self._restored(episode_id, namespace)[0].snapshot()

    def view(self, opened: OpenEpisode) -> Episode | None:
        """An episode of this process as it stands, with the stored steps of others; `None` if it ended elsewhere."""
        if not opened.landed.was_tried:
            return opened.snapshot()
        try:
            _, lease = self.journal.lease_for(opened)
            if lease is None or not opened.is_shared(lease.batches):
                return opened.snapshot()
            batches = [batch for _, batch in self.journal.batches(opened.id)]
            return opened.joined(batches, with_own=True).snapshot()
        except LeaseLostError:
            return None
        except StorageError:
            if opened.is_guest:
                raise
            return opened.snapshot()

    def page(self, namespace: str, limit: int) -> tuple[Episode, ...]:
        """The newest open episodes of the namespace, of every process; unreadable ones are left out."""
        own = {opened.id for opened in tuple(self.by_id.values()) if opened.namespace == namespace}
        found: list[Episode] = []
        for id in sorted(own.union(self.journal.ids(namespace)), reverse=True):
            opened = self.by_id.get(id)
            episode = None if opened is None else self.view(opened)
            if episode is None:
                with suppress(CorruptRecordError):
                    episode = self.read(id, namespace)
            if episode is not None:
                found.append(episode)
            if len(found) == limit:
                break
        return tuple(found)

    def resume(self, episode_id: str, namespace: str, *, force: bool) -> OpenEpisode:
        """Takes over an open episode of another process; see `Memory.resume`."""
        opened = self.find(episode_id, namespace)
        if opened is not None and (self._let_go(opened) if opened.is_guest else self._holds(opened)):
            return opened
        stored = self._store.get_versioned("episode", as_bytes(episode_id))
        if stored is not None and namespace_of(stored[1]) == namespace:
            return self._reopen(episode_id, namespace, *stored)
        self._check_room()
        landed = self.journal.take_over(episode_id, namespace, force=force)
        opened, ids = self._restored(episode_id, namespace)
        landed.batches, landed.steps = ids, len(opened)
        opened.landed = landed
        self._lost.pop(episode_id, None)
        return self._hold(opened)

    def _holds(self, opened: OpenEpisode) -> bool:
        """Returns False if another process owns the episode now, or ended it."""
        try:
            self.journal.lease_for(opened)
        except LeaseLostError as error:
            self.lose(opened, error)
            return False
        return True

    def _let_go(self, guest: OpenEpisode) -> bool:
        """Stores what this process appended to an episode that it is about to own; returns False."""
        with self.held(guest):
            try:
                self.journal.land(guest)
            except LeaseLostError as error:
                raise self.lose(guest, error) from None
            self.by_id.pop(guest.id, None)
        return False

    def _reopen(self, episode_id: str, namespace: str, version: int, record: bytes) -> OpenEpisode:
        """Opens an abandoned episode again. Raises `EpisodeClosedError` for one that ended with an outcome."""
        episode = episode_decoder().decode(record)
        if episode.outcome is None or episode.outcome.kind != "abandoned":
            raise EpisodeClosedError(episode_id)
        self._check_room()
        opened = OpenEpisode(episode, self._limits, namespace)
        opened.take_steps(record)
        batches = max((step.batch or 0 for step in episode.steps), default=0)
        opened.in_flight().restore([], [], set(), batches)
        self.journal.reopen(opened, version)
        self._lost.pop(episode_id, None)
        return self._hold(opened)

    def _restored(self, episode_id: str, namespace: str) -> tuple[OpenEpisode, list[bytes]]:
        """An episode with everything that landed of it, and the ids of its batches."""
        batches = self.journal.batches(episode_id)
        opened = OpenEpisode(self.journal.head(episode_id, batches), self._limits, namespace)
        return opened.joined([batch for _, batch in batches], with_own=False), [id for id, _ in batches]

    def adopt(self, episode_id: str, *namespaces: str) -> OpenEpisode | None:
        """An open episode of another process as a guest of this one; `None` if there is none in the namespaces."""
        found = self.journal.lease_of(episode_id, *namespaces)
        if found is None:
            return None
        self._check_room()
        opened = OpenEpisode(self.journal.guest_head(episode_id), self._limits, is_guest=True)
        landed = opened.landed
        landed.is_there = landed.was_tried = landed.is_shared = True
        landed.known = found[1].batches
        return self._hold(opened)

    def prepare(self, episode_id: str, namespace: str) -> None:
        """Adopts the episode if it belongs to another process, so that the next verb waits for no disk."""
        if episode_id not in self._lost:
            with suppress(UnknownEpisodeError):
                self.adopt(episode_id, namespace)

    # --- the ones of this process ---

    def find(self, episode_id: str, *namespaces: str) -> OpenEpisode | None:
        """The open episode if one of the namespaces may see it, else `None`."""
        opened = self.by_id.get(episode_id)
        if opened is None or not any(map(opened.is_visible_in, namespaces)):
            return None
        return opened

    def reach(self, episode_id: str, *namespaces: str) -> OpenEpisode | None:
        """The open episode of this process or of another one, else `None`. Raises as `check_lost`."""
        opened = self.find(episode_id, *namespaces)
        if opened is None:
            self._check_open()
            self.check_lost(episode_id)
            opened = self.adopt(episode_id, *namespaces)
        return opened

    def require(self, episode_id: str, *namespaces: str) -> OpenEpisode:
        """The open episode. Raises `UnknownEpisodeError`, or `EpisodeClosedError` if it has ended."""
        opened = self.reach(episode_id, *namespaces)
        if opened is None:
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
        from .step_conversion import convert_step

        # Values are read now: a call may change its arguments while it runs.
        fields, _ = convert_step(fields, self._limits, to_json)
        finished = opened.in_flight().begin(fields, call_id, len(opened))
        if finished is not None:
            return self._log_call(opened, finished, False, to_json)
        self._wake_if_full(opened)
        return 0

    def end(
        self,
        episode_id: str,
        namespace: str,
        call_id: str,
        result: CallResult,
        strict: bool,
        to_json: ToJson | None,
    ) -> tuple[OpenEpisode, int, bool]:
        """Appends the step of a call that ends, without waiting for any lock; gives the same as `append`.

        The number is 0 if the result waits for the beginning.
        """
        opened = self.require(episode_id, namespace)
        self._check_not_ending(opened)
        calls = opened.in_flight()
        begun = calls.find(call_id)
        if begun is None:
            result = opened.waiting_result(call_id, result, strict, to_json)
        finished = calls.end(call_id, result, len(opened))
        if finished is None:
            self._wake_if_full(opened)
            return opened, 0, False
        try:
            number = self._log_call(opened, finished, strict, to_json)
        except ValidationError:
            if begun is not None:
                calls.take_back(call_id, begun)
            raise
        return opened, number, opened.is_completing or episode_id not in self.by_id

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

    def _wake_if_full(self, opened: OpenEpisode) -> None:
        """Has the timer store calls and results if there is a batch of them."""
        if self._has_full_calls(opened):
            self.wake()

    def _has_full_calls(self, opened: OpenEpisode) -> bool:
        most = self._settings.flush_steps
        return bool(most) and opened.calls is not None and opened.calls.count_unstored() >= most

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
            is_stored = opened.was_closed_with(number) or number <= opened.landed.steps
            if opened.id not in self.by_id and not is_stored:
                raise EpisodeClosedError(opened.id)

    def take_feedback(self, recall_id: bytes, helped: Mapping[str, bool], namespace: str) -> bool:
        """Keeps feedback with the open episode that has the answer, of this process or of another.

        Returns False if there is none, or if it ended while this call waited for it.
        """
        for opened in tuple(self.by_id.values()):
            if opened.is_visible_in(namespace) and opened.has_answer(recall_id):
                with self.held(opened) as is_open:
                    return is_open and opened.take_feedback(recall_id, helped)
        found = self.journal.answer(recall_id, namespace)
        if found is None:
            return False
        from ..credit.receipts import feedback_of

        feedback = feedback_of(helped, found[2].shown.memories)
        return self.journal.put_feedback(recall_id, feedback, namespace)


_ACTIVE: weakref.WeakSet[OpenEpisodes] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    # A forked child stores nothing of what its parent records.
    os.register_at_fork(after_in_child=_ACTIVE.clear)


@atexit.register
def _store_at_exit() -> None:
    """Runs before the stores are closed: their module was imported first."""
    for opened in list(_ACTIVE):
        with suppress(StorageError):
            opened.close()
