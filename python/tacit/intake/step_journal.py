"""The journal of open episodes: the batches of all their writers, under a lease, which any process can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .._native import new_id
from ..config import RecordingSettings
from ..errors import (
    CorruptRecordError,
    LeaseHeldError,
    LeaseLostError,
    UnknownEpisodeError,
    ValidationError,
    VersionConflictError,
)
from ..model.episode import Episode
from ..model.ids import as_bytes, as_text
from ..model.record import Batch, Expect, Filters, SideRecord
from ..redaction import Redactor, redact_checked
from ..storage.base import Store
from .journal_records import (
    LEASES,
    Lease,
    StepBatch,
    StoredAnswer,
    batch_decoder,
    episode_decoder,
    guest_head,
    step_count,
)
from .open_episode import Landed, OpenEpisode, Unlanded

_ATTEMPTS = 1_000
"""Tries of a conditional commit; each failure means that another process wrote in between."""
_PAGE = 100


class StepJournal:
    """Lands the steps of open episodes, takes episodes over, and reads those of every process.

    Each commit has the precondition that the lease is as it was read, and writes the lease: so the batches of all
    writers have one order, and none lands beside the commit that ends the episode.
    """

    def __init__(
        self, store: Store, redactor: Redactor, settings: RecordingSettings, now: Callable[[], int]
    ) -> None:
        self._store = store
        self._redactor = redactor
        self._now = now
        self._lease_us = int(settings.lease_seconds * 1_000_000)
        self._owner = as_bytes(new_id())

    # --- a writer appends ---

    def needs_renewal(self, opened: OpenEpisode) -> bool:
        """Returns True for an owner if half of the lease has passed."""
        landed = opened.landed
        return not opened.is_guest and landed.is_there and landed.until - self._now() < self._lease_us // 2

    def land(self, opened: OpenEpisode, *, release: bool = False) -> None:
        """Stores everything that is not stored yet, with one commit. The owner renews its lease or gives it up.

        The caller holds the episode's lock. Raises `LeaseLostError`, or `StorageError`; the steps are kept then.
        """
        release = release and not opened.is_guest
        if not release and not opened.is_unlanded and not self.needs_renewal(opened):
            return
        for attempt in range(_ATTEMPTS):
            stored, lease = self.lease_for(opened)
            try:
                self._land_once(opened, stored, lease, release)
            except VersionConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _land_once(self, opened: OpenEpisode, stored: int | None, lease: Lease | None, release: bool) -> None:
        landed, id, unlanded = opened.landed, as_bytes(opened.id), opened.unlanded()
        before = 0 if lease is None else lease.batches
        written = self._batches(opened, unlanded, before)
        renewed = self._renewed(opened, lease, before + len(written), bool(unlanded.record), release)
        side_records = (SideRecord("open_episode", id, opened.namespace, _encoded(renewed), id), *written)
        landed.was_tried = True
        expect = (Expect("open_episode", id, stored), Expect("episode", id, None))
        self._store.commit(Batch(side_records=side_records, expect=expect))
        opened.note_landed(unlanded)
        landed.is_shared |= landed.known != before
        landed.known, landed.until = renewed.batches, renewed.until
        landed.batches += [each.id for each in written if each.id not in landed.batches]
        landed.next_id = None

    def _batches(self, opened: OpenEpisode, unlanded: Unlanded, number: int) -> list[SideRecord]:
        """The side records of one commit: entries and a verdict, then the answers."""
        landed, id = opened.landed, as_bytes(opened.id)
        batches: list[tuple[bytes, StepBatch]] = []
        if unlanded.record or unlanded.verdict is not None:
            landed.next_id = landed.next_id or (as_bytes(new_id()) if landed.is_there else id)
            record = self._redacted(unlanded.record) if unlanded.record else b""
            batch = StepBatch(number, record, opened.writer, unlanded.marks, unlanded.verdict)
            batches.append((landed.next_id, batch))
        for receipt in unlanded.answers:
            stored = StoredAnswer(
                id,
                receipt.answer,
                receipt.namespace,
                receipt.at,
                receipt.steps,
                receipt.known,
                receipt.feedback,
            )
            batch = StepBatch(number + len(batches), writer=opened.writer, answer=stored)
            batches.append((receipt.id, batch))
        return [
            SideRecord("step_batch", each, opened.namespace, _encoded(batch), id) for each, batch in batches
        ]

    def _renewed(
        self, opened: OpenEpisode, lease: Lease | None, batches: int, has_entries: bool, release: bool
    ) -> Lease:
        """The lease after a commit: a guest leaves its owner as it is."""
        now = self._now()
        stepped_at = now if has_entries or lease is None else lease.stepped_at
        if opened.is_guest:
            assert lease is not None
            return msgspec.structs.replace(lease, batches=batches, stepped_at=stepped_at)
        until = 0 if release else now + self._lease_us
        return Lease(opened.namespace, self._owner, until, opened.landed.version, batches, stepped_at)

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

    def lease_for(self, opened: OpenEpisode) -> tuple[int | None, Lease | None]:
        """The version of the stored lease and the lease; `None` before the first commit.

        Raises `LeaseLostError` if the episode has ended, was forgotten, or belongs to another owner now.
        """
        found = self._store.get_versioned("open_episode", as_bytes(opened.id))
        if found is None:
            was_stored = self._store.version("episode", as_bytes(opened.id)) is not None
            if opened.landed.is_there or was_stored:
                raise self._lost(opened)
            return None, None
        lease = LEASES.decode(found[1])
        is_mine = (lease.owner, lease.version) == (self._owner, opened.landed.version)
        if not is_mine and not opened.is_guest:
            raise self._lost(opened)
        return found[0], lease

    def _lost(self, opened: OpenEpisode) -> LeaseLostError:
        return LeaseLostError(opened.id, opened.dropped_with(opened.unlanded()))

    def removal(
        self, opened: OpenEpisode, version: int, ids: Sequence[bytes]
    ) -> tuple[tuple[SideRecord, ...], tuple[Expect, ...]]:
        """Deletes what landed of an episode, in the commit that ends it, if its lease still has this version."""
        id = as_bytes(opened.id)
        return _deletions(id, opened.namespace, ids), (Expect("open_episode", id, version),)

    # --- any process reads, takes over, gives feedback, and forgets ---

    def lease_of(self, episode_id: str, *namespaces: str) -> tuple[int, Lease] | None:
        """The version of the stored lease and the lease of an open episode of a namespace, else `None`."""
        found = self._store.get_versioned("open_episode", as_bytes(episode_id))
        if found is None:
            return None
        lease = LEASES.decode(found[1])
        return (found[0], lease) if lease.namespace in namespaces else None

    def ids(self, namespace: str) -> list[str]:
        """The ids of the open episodes of the namespace that are stored."""
        return [as_text(id) for id, _ in self._all("open_episode", Filters(namespace=namespace))]

    def leases(self, namespace: str) -> list[tuple[str, Lease]]:
        """The ids and leases of the open episodes of the namespace that are stored."""
        rows = self._all("open_episode", Filters(namespace=namespace))
        return [(as_text(id), LEASES.decode(value)) for id, value in rows]

    def guest_head(self, episode_id: str) -> Episode:
        """The identity of an open episode, read from its first batch alone."""
        first = self._store.get("step_batch", as_bytes(episode_id))
        if first is not None:
            return guest_head(first)
        return self.head(episode_id, self.batches(episode_id))  # an earlier version gave the batch another id

    def head(self, episode_id: str, batches: list[tuple[bytes, StepBatch]]) -> Episode:
        """The head of an open episode. Raises `CorruptRecordError` if its first batch is damaged."""
        try:
            return episode_decoder().decode(batches[0][1].record)
        except (IndexError, msgspec.DecodeError):
            raise CorruptRecordError(f"the head of the open episode {episode_id} is damaged") from None

    def batches(self, episode_id: str) -> list[tuple[bytes, StepBatch]]:
        """The ids and the batches of an open episode, in the order of their commits."""
        rows = self._all("step_batch", Filters(subject=as_bytes(episode_id)))
        found = [(id, batch_decoder().decode(value)) for id, value in rows]
        return sorted(found, key=lambda pair: pair[1].number)

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
            taken = msgspec.structs.replace(lease, owner=self._owner, until=until, version=lease.version + 1)
            record = SideRecord("open_episode", id, namespace, _encoded(taken), id)
            try:
                self._store.commit(
                    Batch(side_records=(record,), expect=(Expect("open_episode", id, stored),))
                )
            except VersionConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return Landed(
                    version=taken.version, until=until, known=taken.batches, was_tried=True, is_there=True
                )
        raise AssertionError("unreachable")

    def reopen(self, opened: OpenEpisode, stored: int) -> None:
        """Opens an ended episode again, in the place of its record of this version; this process is the owner.

        Raises `VersionConflictError` if another process changed the record.
        """
        id, now = as_bytes(opened.id), self._now()
        landed = opened.landed
        landed.version, landed.known, landed.until = 2, 1, now + self._lease_us
        lease = Lease(opened.namespace, self._owner, landed.until, landed.version, landed.known, now)
        unlanded = opened.unlanded()
        batch = StepBatch(0, unlanded.record, opened.writer)
        side_records = (
            SideRecord("open_episode", id, opened.namespace, _encoded(lease), id),
            SideRecord("step_batch", id, opened.namespace, _encoded(batch), id),
        )
        expect = (Expect("episode", id, stored), Expect("open_episode", id, None))
        self._store.commit(Batch(removed=(id,), side_records=side_records, expect=expect))
        landed.was_tried, landed.batches = True, [id]
        opened.note_landed(unlanded)

    def answer(self, recall_id: bytes, namespace: str) -> tuple[int, StepBatch, StoredAnswer] | None:
        """An answer to an open episode with its batch and the version of that; `None` if none is stored."""
        found = self._store.get_versioned("step_batch", recall_id)
        if found is None:
            return None
        batch = batch_decoder().decode(found[1])
        if batch.answer is None or batch.answer.namespace != namespace:
            return None
        return found[0], batch, batch.answer

    def put_feedback(self, recall_id: bytes, feedback: dict[bytes, bool], namespace: str) -> bool:
        """Stores feedback with an answer to an open episode; returns False if none is stored."""
        for _ in range(_ATTEMPTS):
            found = self.answer(recall_id, namespace)
            lease = None if found is None else self._store.get_versioned("open_episode", found[2].episode)
            if found is None or lease is None:
                return False
            try:
                self._put_feedback(recall_id, feedback, found, lease)
            except VersionConflictError:
                continue
            return True
        return False

    def _put_feedback(
        self,
        recall_id: bytes,
        feedback: dict[bytes, bool],
        found: tuple[int, StepBatch, StoredAnswer],
        lease: tuple[int, bytes],
    ) -> None:
        version, batch, answer = found
        held = LEASES.decode(lease[1])
        batch = msgspec.structs.replace(
            batch, number=held.batches, answer=msgspec.structs.replace(answer, feedback=feedback)
        )
        renewed = msgspec.structs.replace(held, batches=held.batches + 1)
        id = answer.episode
        side_records = (
            SideRecord("open_episode", id, held.namespace, _encoded(renewed), id),
            SideRecord("step_batch", recall_id, held.namespace, _encoded(batch), id),
        )
        expect = (Expect("open_episode", id, lease[0]), Expect("step_batch", recall_id, version))
        self._store.commit(Batch(side_records=side_records, expect=expect))

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


def _encoded(record: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(record)


def _deletions(id: bytes, namespace: str, batches: Sequence[bytes]) -> tuple[SideRecord, ...]:
    lease = SideRecord("open_episode", id, namespace, None, id)
    return (lease, *(SideRecord("step_batch", batch, namespace, None, id) for batch in batches))
