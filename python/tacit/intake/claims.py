"""Claims of pending episodes: a worker holds a lease while it learns, and failures are counted beside the episode.

A claim is a side record under the episode's id. Taking one is a conditional commit, so one worker gets it; the lessons
land under the precondition that the claim is still the same, so an episode is learned from once, whoever is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_fields
from random import Random

import msgspec
from msgspec.structs import replace

from ..config import LearningSettings
from ..errors import VersionConflictError
from ..model.ids import as_text
from ..model.learned import DeadLetter
from ..model.record import Batch, Expect, Filters, SideRecord
from ..storage.base import Store
from .pending_record import PendingRecord, pending_in

_LOOKED_AT = 256
"""Pending episodes that a worker looks at first for one that it may take; then it looks at eight times as many."""
_PAGE = 200


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored form: who works on a pending episode, or when it may be tried again."""

    namespace: str
    owner: bytes = b""
    """The worker's 16 bytes; empty while nobody works on the episode."""
    at: int = 0
    """The time at which it was written, in microseconds."""
    until: int = 0
    """The end of the lease, or the time of the next attempt."""
    attempts: int = 0
    error: str | None = None
    """The failure of the last attempt."""
    is_dead: bool = False

    def is_free(self, now: int) -> bool:
        """Returns True for an episode that may be taken; a claim that a clock far ahead wrote does not hold it."""
        wait = self.until - self.at
        return not self.is_dead and not self.at - wait <= now < self.until


_CLAIMS = msgspec.msgpack.Decoder(Claim)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A pending episode that a worker holds, as it was read."""

    id: bytes
    version: int
    payload: bytes
    pending: PendingRecord
    claim: Claim
    claim_version: int | None
    """`None` while the claim is not written."""

    @property
    def expect(self) -> tuple[Expect, ...]:
        """The preconditions of everything that its worker commits about it."""
        return Expect("episode", self.id, self.version), Expect("claim", self.id, self.claim_version)


class Claims:
    """The claims that one process takes under its name `owner` (16 bytes)."""

    def __init__(self, store: Store, settings: LearningSettings, *, owner: bytes) -> None:
        self.owner = owner
        self._store = store
        self._settings = settings
        self._random = Random(owner)

    # --- taking and giving back ---

    def take(self, most: int, now: int) -> tuple[list[Claimed], float | None]:
        """Takes the oldest free episodes; without any, gives the seconds until one is due, if a claim says so.

        An episode that was tried before is taken alone: it may be the cause of its worker's end.
        """
        rows = self._pending(now)
        free = [(id, claim) for id, claim in rows if claim is None or claim.is_free(now)]
        if not free:
            due = [claim.until for _, claim in rows if claim is not None and not claim.is_dead]
            return [], max(0.0, (min(due) - now) / 1e6) if due else None
        first, tried = free[0]
        chosen = [id for id, claim in free if claim is None][:most] if tried is None else [first]
        return self._take(chosen, now), 0.0

    def _pending(self, now: int) -> list[tuple[bytes, Claim | None]]:
        """The oldest pending episodes with their claims: at least one that is free, or all of them."""
        looked_at = _LOOKED_AT
        while True:
            ids = self._store.pending(looked_at)
            rows = [*zip(ids, map(_decoded, self._store.get_many("claim", ids)), strict=True)]
            if len(ids) < looked_at or any(claim is None or claim.is_free(now) for _, claim in rows):
                return rows
            looked_at *= 8

    def _take(self, ids: Sequence[bytes], now: int) -> list[Claimed]:
        """Takes the episodes that are still free, in one commit, or one by one if another worker was faster."""
        wanted = [found for id in ids if (found := self._read(id, now)) is not None]
        try:
            written = self._write(wanted)
        except VersionConflictError:
            if len(ids) == 1:
                return []
            return [taken for id in ids for taken in self._take([id], now)]
        return [each for each in written if each.claim.owner == self.owner]

    def _read(self, id: bytes, now: int) -> Claimed | None:
        """A free episode with the claim that is to be written; `None` if it is not free, or not pending any more."""
        found, before = self._store.get_versioned("episode", id), self._store.get_versioned("claim", id)
        earlier = None if before is None else _CLAIMS.decode(before[1])
        if found is None or (earlier is not None and not earlier.is_free(now)):
            return None
        version, payload = found
        pending = pending_in(payload)
        if pending.pending is None:
            return None
        claim = self._next(earlier or Claim(pending.namespace), now)
        return Claimed(id, version, payload, pending, claim, None if before is None else before[0])

    def _next(self, earlier: Claim, now: int) -> Claim:
        """The claim of another attempt; a dead letter if the workers of all attempts ended in the middle."""
        if earlier.attempts >= self._settings.max_attempts:
            return replace(earlier, owner=b"", at=now, until=now, is_dead=True)
        until = now + int(self._settings.lease_seconds * 1e6)
        return replace(earlier, owner=self.owner, at=now, until=until, attempts=earlier.attempts + 1)

    def _write(self, wanted: Sequence[Claimed]) -> list[Claimed]:
        """Commits claims of episodes that are as they were read; gives them with their new versions."""
        if not wanted:
            return []
        records = tuple(claim_record(each.id, each.claim) for each in wanted)
        expect = tuple(precondition for each in wanted for precondition in each.expect)
        receipt = self._store.commit(Batch(side_records=records, expect=expect))
        if receipt.committed < len(wanted):  # equal bytes, within one tick of a clock: their versions stay
            return [found for each in wanted if (found := self.reread(each)) is not None]
        first = receipt.sequence - len(wanted) + 1
        return [with_fields(each, claim_version=first + place) for place, each in enumerate(wanted)]

    def renew(self, held: Sequence[Claimed], now: int) -> list[Claimed]:
        """Prolongs leases before they run out; leaves out episodes that changed in the meantime."""
        until = now + int(self._settings.lease_seconds * 1e6)
        return self._change(held, lambda claim: replace(claim, at=now, until=until))

    def release(self, held: Sequence[Claimed], now: int) -> None:
        """Gives episodes back that were not tried: another worker may take them at once."""
        self._change(
            held,
            lambda claim: replace(claim, owner=b"", at=now, until=now, attempts=claim.attempts - 1),
        )

    def _change(self, held: Sequence[Claimed], change: Callable[[Claim], Claim]) -> list[Claimed]:
        try:
            return self._write([with_fields(each, claim=change(each.claim)) for each in held])
        except VersionConflictError:
            if len(held) == 1:
                return []
            return [kept for each in held for kept in self._change([each], change)]

    def reread(self, held: Claimed) -> Claimed | None:
        """The episode as it is now, if this process still holds it; `None` if not.

        The claim of an episode that is not pending any more is deleted.
        """
        found = self._store.get_versioned("claim", held.id)
        if found is None or _CLAIMS.decode(found[1]) != held.claim:
            return None
        episode = self._store.get_versioned("episode", held.id)
        if episode is not None and (pending := pending_in(episode[1])).pending is not None:
            return Claimed(held.id, *episode, pending, held.claim, found[0])
        self._store.commit(Batch(side_records=(claim_removal(held.id, held.claim.namespace),)))
        return None

    # --- failures ---

    def failed(self, held: Claimed, error: str, now: int) -> Claim:
        """The claim after an attempt that failed: due again after a growing, jittered wait, or a dead letter."""
        settings, attempts = self._settings, held.claim.attempts
        wait = min(settings.retry_seconds_most, settings.retry_seconds * 2.0 ** (attempts - 1))
        wait *= self._random.uniform(0.5, 1.0)
        is_dead = attempts >= settings.max_attempts
        return replace(
            held.claim, owner=b"", at=now, until=now + int(wait * 1e6), error=error, is_dead=is_dead
        )


def is_leased(store: Store, id: bytes, now: int) -> bool:
    """Returns True while a worker holds the episode."""
    record = store.get("claim", id)
    claim = _decoded(record)
    return claim is not None and bool(claim.owner) and not claim.is_free(now)


def dead_letters(store: Store, namespace: str | None = None) -> Iterator[DeadLetter]:
    """The dead letters of a namespace, or of all, in the order of their episodes."""
    after: bytes | None = None
    filters = Filters(namespace=namespace)
    while page := store.scan("claim", after=after, limit=_PAGE, filters=filters):
        for id, record in page:
            claim = _CLAIMS.decode(record)
            if claim.is_dead:
                yield DeadLetter(as_text(id), claim.namespace, claim.attempts, claim.error, claim.at)
        after = page[-1][0]


def revival(store: Store, id: bytes) -> Batch | None:
    """The commit that makes a dead letter an ordinary pending episode; `None` if it is none (any more)."""
    found = store.get_versioned("claim", id)
    claim = None if found is None else _CLAIMS.decode(found[1])
    if found is None or claim is None or not claim.is_dead:
        return None
    return Batch(side_records=(claim_removal(id, claim.namespace),), expect=(Expect("claim", id, found[0]),))


def claim_record(id: bytes, claim: Claim) -> SideRecord:
    """The side record of a claim."""
    return SideRecord("claim", id, claim.namespace, msgspec.msgpack.encode(claim), id)


def claim_removal(id: bytes, namespace: str) -> SideRecord:
    """Deletes the claim of an episode."""
    return SideRecord("claim", id, namespace, None)


def claim_removals(store: Store, id: bytes) -> tuple[SideRecord, ...]:
    """Deletes the claim of an episode that is learned from or forgotten, if it has one."""
    claim = _decoded(store.get("claim", id))
    return () if claim is None else (claim_removal(id, claim.namespace),)


def _decoded(record: bytes | None) -> Claim | None:
    return None if record is None else _CLAIMS.decode(record)
