"""The journal of open episodes: their steps land in batches, under a lease, and any process can read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from .._native import new_id
from ..config import RecordingSettings
from ..errors import (
    LeaseHeldError,
    LeaseLostError,
    UnknownEpisodeError,
    ValidationError,
    VersionConflictError,
)
from ..model.ids import as_bytes, as_text
from ..model.record import Batch, Expect, Filters, SideRecord
from ..redaction import Redactor, redact_checked
from ..storage.base import Store

if TYPE_CHECKING:
    from .open_episodes import OpenEpisode

_ATTEMPTS = 5
"""Tries of a conditional commit; each failure means that another process wrote in between."""
_PAGE = 100


class Lease(msgspec.Struct, frozen=True):
    """The stored head of an open episode: its owner, and until when nobody else may take it over."""

    namespace: str
    owner: bytes
    until: int
    """Microseconds since 1970, UTC; 0 after the owner closed its memory."""
    version: int
    """Raised by each `resume`: an owner with an earlier one has lost the lease."""
    batches: int
    """The number of batches that landed."""


class _StepBatch(msgspec.Struct, frozen=True):
    """Some steps of an open episode without secrets; the first batch brings the episode's head too."""

    number: int
    record: bytes


class _Steps(msgspec.Struct):
    steps: list[msgspec.Raw]


_STEPS = msgspec.msgpack.Decoder(_Steps)
_LEASES = msgspec.msgpack.Decoder(Lease)
_BATCHES = msgspec.msgpack.Decoder(_StepBatch)


def step_count(record: bytes) -> int:
    """The number of steps of a record."""
    return len(_STEPS.decode(record).steps)


@dataclass(slots=True)
class Landed:
    """The part of an open episode that is stored."""

    steps: int = 0
    batches: list[bytes] = field(default_factory=list)
    """The ids of the batches."""
    version: int = 1
    until: int = 0
    was_tried: bool = False
    """True from the first attempt on: a commit whose outcome is unknown may have landed."""
    is_there: bool = False
    next_id: bytes | None = None
    """The id of the batch that is being landed: a second attempt replaces it."""


class StepJournal:
    """Lands the steps of open episodes, takes episodes over, and reads those of every process."""

    def __init__(
        self, store: Store, redactor: Redactor, settings: RecordingSettings, now: Callable[[], int]
    ) -> None:
        self._store = store
        self._redactor = redactor
        self._now = now
        self._lease_us = int(settings.lease_seconds * 1_000_000)
        self._owner = as_bytes(new_id())

    # --- the owner writes ---

    def needs_renewal(self, landed: Landed) -> bool:
        """Returns True if half of the lease has passed."""
        return landed.is_there and landed.until - self._now() < self._lease_us // 2

    def land(self, opened: OpenEpisode, *, release: bool = False) -> None:
        """Stores the steps that are not stored yet, with one commit, and renews the lease or gives it up.

        The caller holds the episode's lock. Raises `LeaseLostError`, or `StorageError`; the steps are kept then.
        """
        landed = opened.landed
        if not release and landed.is_there and len(opened) == landed.steps and not self.needs_renewal(landed):
            return
        for attempt in range(_ATTEMPTS):
            stored, lease = self._own_lease(opened)
            try:
                self._land_once(opened, stored, lease, release)
            except VersionConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _land_once(self, opened: OpenEpisode, stored: int | None, lease: Lease | None, release: bool) -> None:
        landed, id = opened.landed, as_bytes(opened.id)
        until = 0 if release else self._now() + self._lease_us
        number = 0 if lease is None else lease.batches
        steps, record = opened.unlanded()
        has_batch = steps > landed.steps or not landed.is_there
        renewed = Lease(opened.namespace, self._owner, until, landed.version, number + has_batch)
        side_records = [SideRecord("open_episode", id, opened.namespace, msgspec.msgpack.encode(renewed), id)]
        if has_batch:
            landed.next_id = landed.next_id or as_bytes(new_id())
            batch = _StepBatch(number, self._redacted(record))
            encoded = msgspec.msgpack.encode(batch)
            side_records.append(SideRecord("step_batch", landed.next_id, opened.namespace, encoded, id))
        landed.was_tried = True
        expect = (Expect("open_episode", id, stored), Expect("episode", id, None))
        self._store.commit(Batch(side_records=tuple(side_records), expect=expect))
        landed.is_there, landed.steps, landed.until = True, steps, until
        if landed.next_id is not None:
            landed.batches.append(landed.next_id)
            landed.next_id = None

    def _redacted(self, record: bytes) -> bytes:
        """The record without secrets. Raises `ValidationError` for a redactor that drops steps."""
        redacted, secrets = redact_checked(self._redactor, record)
        if not secrets:
            return record
        try:
            kept = step_count(redacted)
        except msgspec.DecodeError as error:
            raise ValidationError(
                "redact", "a method that returns an episode's record", str(error)
            ) from error
        if kept != step_count(record):
            raise ValidationError("redact", "a method that keeps the steps", f"{kept:,} steps")
        return redacted

    def _own_lease(self, opened: OpenEpisode) -> tuple[int | None, Lease | None]:
        """The version of the stored lease and the lease; `None` before the first commit. Raises `LeaseLostError`."""
        found = self._store.get_versioned("open_episode", as_bytes(opened.id))
        if found is None:
            was_stored = self._store.version("episode", as_bytes(opened.id)) is not None
            if opened.landed.is_there or was_stored:
                raise LeaseLostError(opened.id, len(opened) - opened.landed.steps)
            return None, None
        lease = _LEASES.decode(found[1])
        if (lease.owner, lease.version) != (self._owner, opened.landed.version):
            raise LeaseLostError(opened.id, len(opened) - opened.landed.steps)
        return found[0], lease

    def removal(self, opened: OpenEpisode) -> tuple[tuple[SideRecord, ...], tuple[Expect, ...]]:
        """Deletes everything that landed of an episode, in the commit that completes it.

        Nothing if nothing landed, or if that commit took place before. Raises `LeaseLostError`.
        """
        landed, id = opened.landed, as_bytes(opened.id)
        if not landed.was_tried:
            return (), ()
        try:
            stored, lease = self._own_lease(opened)
        except LeaseLostError:
            if self._store.version("episode", id) is None:
                raise
            return (), ()
        if lease is None:
            return (), ()
        batches = landed.batches if landed.next_id is None else [*landed.batches, landed.next_id]
        return _deletions(id, opened.namespace, batches), (Expect("open_episode", id, stored),)

    # --- any process reads, takes over, and forgets ---

    def lease_of(self, episode_id: str, namespace: str) -> tuple[int, Lease] | None:
        """The version of the stored lease and the lease of an open episode of the namespace, else `None`."""
        found = self._store.get_versioned("open_episode", as_bytes(episode_id))
        if found is None:
            return None
        lease = _LEASES.decode(found[1])
        return (found[0], lease) if lease.namespace == namespace else None

    def ids(self, namespace: str) -> list[str]:
        """The ids of the open episodes of the namespace that are stored."""
        return [as_text(id) for id, _ in self._all("open_episode", Filters(namespace=namespace))]

    def batches(self, episode_id: str) -> list[tuple[bytes, bytes]]:
        """The ids and the records of the batches of an open episode, in the order of their commits."""
        found = [
            (_BATCHES.decode(value), id)
            for id, value in self._all("step_batch", Filters(subject=as_bytes(episode_id)))
        ]
        return [(id, batch.record) for batch, id in sorted(found, key=lambda pair: pair[0].number)]

    def _all(self, kind: str, filters: Filters) -> list[tuple[bytes, bytes]]:
        rows: list[tuple[bytes, bytes]] = []
        while page := self._store.scan(
            kind,  # type: ignore[arg-type]
            after=rows[-1][0] if rows else None,
            limit=_PAGE,
            filters=filters,
        ):
            rows += page
        return rows

    def take_over(self, episode_id: str, namespace: str, *, force: bool) -> Landed:
        """Makes this process the owner. Raises `UnknownEpisodeError`, `LeaseHeldError` unless `force`."""
        id = as_bytes(episode_id)
        for attempt in range(_ATTEMPTS):
            found = self.lease_of(episode_id, namespace)
            if found is None:
                raise UnknownEpisodeError(episode_id)
            stored, lease = found
            if lease.until > self._now() and not force:
                raise LeaseHeldError(episode_id, lease.until)
            until = self._now() + self._lease_us
            taken = Lease(namespace, self._owner, until, lease.version + 1, lease.batches)
            record = SideRecord("open_episode", id, namespace, msgspec.msgpack.encode(taken), id)
            try:
                self._store.commit(
                    Batch(side_records=(record,), expect=(Expect("open_episode", id, stored),))
                )
            except VersionConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return Landed(version=taken.version, until=until, was_tried=True, is_there=True)
        raise AssertionError("unreachable")

    def forgetting(self, episode_id: str, namespace: str) -> Batch | None:
        """The commit that removes an open episode, whoever owns it; `None` if nothing of it is stored."""
        found = self.lease_of(episode_id, namespace)
        if found is None:
            return None
        id = as_bytes(episode_id)
        batches = [batch for batch, _ in self.batches(episode_id)]
        return Batch(
            side_records=_deletions(id, namespace, batches), expect=(Expect("open_episode", id, found[0]),)
        )


def _deletions(id: bytes, namespace: str, batches: Sequence[bytes]) -> tuple[SideRecord, ...]:
    lease = SideRecord("open_episode", id, namespace, None, id)
    return (lease, *(SideRecord("step_batch", batch, namespace, None, id) for batch in batches))
