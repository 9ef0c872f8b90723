"""The queue of pending episodes: room for more of them, attempts to learn from them, and its figures.

The queue itself is the store: a pending episode survives its process, and any worker of any process may learn from it.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NamedTuple

from ..config import LearningSettings
from ..errors import QueueFullError, UnknownEpisodeError, VersionConflictError
from ..model.closed_episode import ClosedEpisode
from ..model.ids import as_bytes
from ..model.learned import DeadLetter, Learned
from ..model.record import Batch, EpisodeRecord, Expect, Receipt, SideRecord
from ..observing import Event, Observers
from ..storage.base import Store
from .claims import Claimed, Claims, claim_record, dead_letters, revival
from .commits import CommitItem
from .committer import Committer
from .pending import CommitItems, pending_figures

_CHUNK = 64
"""Episodes that a worker takes and commits together; each is scored against the knowledge from before its chunk."""
_LEASE_SHARE = 0.25
"""The share of a lease after which a worker commits the lessons so far and prolongs the rest."""
_LOOK_EVERY_S = 0.2
"""The time between two looks at the store, for workers of other processes; it varies by half."""


class Attempt(NamedTuple):
    """An attempt to learn from a claimed episode."""

    claimed: Claimed
    item: CommitItem
    closed: ClosedEpisode


class QueueSignal:
    """The part of a queue that a sleeping worker holds: it keeps no store and no memory alive."""

    def __init__(self) -> None:
        self.changed: threading.Condition = threading.Condition()
        """Is notified when episodes came or were learned from, and when a worker has nothing to do."""
        self.arrivals: int = 0
        """How often episodes arrived: a worker that saw them all may sleep."""
        self.drains: int = 0
        """How many callers wait for the queue to be empty."""
        self.is_closing: bool = False

    @property
    def is_hurried(self) -> bool:
        """True while someone waits for the queue to be empty."""
        return self.is_closing or self.drains > 0

    def wake(self) -> None:
        """Has the workers look for pending episodes."""
        with self.changed:
            self.arrivals += 1
            self.changed.notify_all()


class ExtractionQueue:
    """Takes ended episodes in, and learns from those that workers claim."""

    def __init__(
        self,
        *,
        store: Store,
        settings: LearningSettings,
        claims: Claims,
        items: Callable[[], CommitItems],
        committer: Callable[[], Committer],
        observers: Observers,
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._settings = settings
        self._claims = claims
        self._items = items
        self._committer = committer
        self._observers = observers
        self._now = now
        self._random = Random()
        self.signal: QueueSignal = QueueSignal()
        self.changed: threading.Condition = self.signal.changed
        self.takes_all: bool = False
        """Set by a memory that closes: what it still has to store finds room."""
        self._waiting: int | None = None
        self._reserved: int = 0
        self._counts: dict[str, int] = dict.fromkeys(("enqueued", "learned", "failed", "retried"), 0)

    # --- taking episodes in ---

    @contextmanager
    def room(self, count: int) -> Iterator[list[Learned]]:
        """Waits until `count` more episodes may be pending, and wakes the workers after the block.

        The block appends its answers to the list. Raises `QueueFullError`; a memory that closes takes all.
        """
        self._reserve(count)
        taken: list[Learned] = []
        try:
            yield taken
        finally:
            queued = sum(each.state == "pending" for each in taken)
            with self.changed:
                self._reserved -= count
                if self._waiting is not None:
                    self._waiting += queued
                self._counts["enqueued"] += queued
            if queued:
                self.signal.wake()

    def _reserve(self, count: int) -> None:
        deadline: float | None = None
        with self.changed:
            while not self._has_room(count):
                now = time.monotonic()
                deadline = now + self._settings.wait_seconds if deadline is None else deadline
                if self._settings.when_full == "refuse" or now >= deadline:
                    raise QueueFullError((self._waiting or 0) + self._reserved, self._settings.max_pending)
                self.changed.wait(min(deadline - now, self._look_in()))
            self._reserved += count

    def _has_room(self, count: int) -> bool:
        """Counts the pending episodes of the store if those that this process knows of leave no room."""
        if self.takes_all:
            return True
        if self._waiting is None or not self._fits(count):
            self._waiting = self.pending(self._settings.max_pending + 1)
        return self._fits(count)

    def _fits(self, count: int) -> bool:
        waiting = (self._waiting or 0) + self._reserved
        return not waiting or waiting + count <= self._settings.max_pending

    def _look_in(self) -> float:
        return _LOOK_EVERY_S * self._random.uniform(0.5, 1.5)

    # --- learning ---

    def work(self) -> float | None:
        """Takes some episodes and learns from them; returns 0, or without any the seconds until one may be due.

        `None` means that nothing is known to become due.
        """
        claimed, due_s = self._claims.take(_CHUNK, self._now())
        if not claimed:
            return due_s
        with self.changed:
            self._counts["retried"] += sum(each.claim.attempts > 1 for each in claimed)
        while claimed:
            attempts = self._attempt(claimed)
            self._commit(attempts)
            rest = claimed[len(attempts) :]
            if rest and self.signal.is_closing:
                self._claims.release(rest, self._now())
                break
            claimed = self._claims.renew(rest, self._now()) if rest else []
        return 0.0

    def _attempt(self, claimed: Sequence[Claimed]) -> list[Attempt]:
        """Attempts as many as a part of the lease allows; at least one, and only one of a memory that closes."""
        until = time.monotonic() + _LEASE_SHARE * self._settings.lease_seconds
        staged: defaultdict[str, set[bytes]] = defaultdict(set)
        self._committer().catch_up()
        attempts: list[Attempt] = []
        for each in claimed:
            item, closed = self._items().again(each.payload, staged[each.pending.namespace])
            attempts.append(Attempt(each, item, closed))
            if self.signal.is_closing or time.monotonic() >= until:
                break
        return attempts

    def _commit(self, attempts: Sequence[Attempt]) -> None:
        """Commits attempts together, or one by one if an episode changed in the meantime."""
        try:
            receipt = self._committer().commit_batch(self._batch(attempts))
        except VersionConflictError:
            for each in attempts:
                self._commit_alone(each.claimed)
            return
        self._note(attempts, receipt)

    def _commit_alone(self, claimed: Claimed) -> None:
        """Attempts an episode again, as it is now, until it is committed or another worker has it."""
        while (found := self._claims.reread(claimed)) is not None:
            self._committer().catch_up()
            attempt = Attempt(found, *self._items().again(found.payload))
            try:
                receipt = self._committer().commit_batch(self._batch([attempt]))
            except VersionConflictError:
                continue  # a verdict, say
            self._note([attempt], receipt)
            return

    def _batch(self, attempts: Sequence[Attempt]) -> Batch:
        """Lessons take the place of pending episodes, and claims go; a failure is kept with both."""
        records: list[EpisodeRecord] = []
        beside: list[SideRecord] = []
        expect: list[Expect] = []
        for claimed, item, closed in attempts:
            expect += claimed.expect
            if item.record is not None and item.failure != claimed.pending.pending:
                records.append(item.record)
            if item.failure is None:
                beside += self._items().beside(item, closed)
            else:
                claim = self._claims.failed(claimed, item.failure, self._now())
                beside.append(claim_record(claimed.id, claim))
        removed = tuple(record.id for record in records)
        return Batch(tuple(records), removed, tuple(beside), expect=tuple(expect))

    def _note(self, attempts: Sequence[Attempt], receipt: Receipt) -> None:
        failed = [each for each in attempts if each.item.failure is not None]
        dead = sum(each.claimed.claim.attempts >= self._settings.max_attempts for each in failed)
        learned = len(attempts) - len(failed)
        with self.changed:
            self._counts["learned"] += learned
            self._counts["failed"] += len(failed)
            if self._waiting is not None:
                self._waiting = max(0, self._waiting - learned - dead)
            self.changed.notify_all()
        if self._observers:
            self._tell(attempts, receipt)

    def _tell(self, attempts: Sequence[Attempt], receipt: Receipt) -> None:
        """Reports the commits and the lessons of a worker to the observers."""
        for each in self._observers.take_receipts():
            self._observers.tell("committed", Event("learn", attempts[0].closed.head.namespace, 0.0, each))
        for attempt in attempts:
            event = Event("learn", attempt.closed.head.namespace, 0.0, attempt.item.learned(receipt))
            self._observers.tell("learned", event)

    # --- dead letters ---

    def dead_letters(self, namespace: str | None = None) -> Iterator[DeadLetter]:
        """The dead letters of a namespace, or of all."""
        return dead_letters(self._store, namespace)

    def replay(self, episode_id: str | None, namespace: str | None = None) -> int:
        """Makes a dead letter, or all of a namespace or of the store, pending as if they were new; returns how many.

        Raises `UnknownEpisodeError` for an id that is none.
        """
        letters = {letter.episode_id for letter in dead_letters(self._store, namespace)}
        if episode_id is not None and episode_id not in letters:
            raise UnknownEpisodeError(episode_id)
        replayed = 0
        for id in letters if episode_id is None else [episode_id]:
            batch = revival(self._store, as_bytes(id))
            try:
                replayed += batch is not None and bool(self._store.commit(batch).committed)
            except VersionConflictError:
                continue  # another process was faster
        self.signal.wake()
        return replayed

    # --- figures ---

    def sequence(self) -> int:
        """The number of the store's newest change, of any process."""
        return self._store.sequence()

    def pending(self, most: int) -> int:
        """How many episodes wait, dead letters aside; counts up to `most` and the dead letters."""
        dead = sum(1 for _ in dead_letters(self._store))
        return max(0, len(self._store.pending(most + dead)) - dead)

    def wait_for_none(self, is_idle: Callable[[], bool], timeout: float | None, *, for_due: bool) -> int:
        """Waits until no episode is pending, or for the timeout; returns how many still wait.

        The workers of this process have finished then. Without `for_due` it does not wait for episodes that are due
        later, or that other processes hold.
        """
        with self.changed:
            self.signal.drains += 1
            self.changed.notify_all()
        try:
            return self._wait_for_none(is_idle, timeout, for_due=for_due)
        finally:
            with self.changed:
                self.signal.drains -= 1

    def _wait_for_none(self, is_idle: Callable[[], bool], timeout: float | None, *, for_due: bool) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self.changed:
                idle = is_idle()
            waiting = self.pending(self._settings.max_pending)
            left = None if deadline is None else deadline - time.monotonic()
            if (idle and (not waiting or not for_due)) or (left is not None and left <= 0):
                return waiting
            with self.changed:
                if idle == is_idle():
                    self.changed.wait(self._look_in() if left is None else min(left, self._look_in()))

    def stats(self) -> dict[str, Any]:
        """Figures of the queue: what this process did, and what waits in the store."""
        dead = frozenset(as_bytes(letter.episode_id) for letter in dead_letters(self._store))
        oldest = pending_figures(self._store, apart_from=dead).oldest_at
        lag_s = 0.0 if oldest is None else max(0.0, (self._now() - oldest) / 1e6)
        with self.changed:
            counts = dict(self._counts)
        return {"mode": self._settings.mode, **counts, "dead": len(dead), "lag_s": round(lag_s, 3)}
