"""Endings of open episodes: with the steps of every process, by a verdict, or because nobody works on them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..config import RecordingSettings
from ..errors import CorruptRecordError, LeaseLostError
from ..model.episode import Outcome
from ..model.ids import as_bytes
from ..model.record import Expect, SideRecord
from ..storage.base import Store
from .journal_records import Lease
from .open_episode import OpenEpisode
from .open_episodes import OpenEpisodes


class Ending(msgspec.Struct, frozen=True):
    """An open episode that is about to end: its steps by all processes, and the removal of what landed of it."""

    episode: OpenEpisode
    removed: tuple[SideRecord, ...] = ()
    expect: tuple[Expect, ...] = ()


class Endings:
    """Prepares endings; the caller commits them."""

    def __init__(
        self, opened: OpenEpisodes, store: Store, settings: RecordingSettings, now: Callable[[], int]
    ) -> None:
        self._opened = opened
        self._journal = opened.journal
        self._store = store
        self._settings = settings
        self._now = now

    def stale(self, namespace: str) -> tuple[str, ...]:
        """The ids of stored open episodes that nobody works on: the lease has run out, and the steps are old."""
        if not self._settings.abandon_after_hours:
            return ()
        leases = self._journal.leases(namespace)
        return tuple(id for id, lease in leases if self._is_stale(id, lease))

    def is_stale(self, episode_id: str, namespace: str) -> bool:
        """As `stale`, for one episode as it is now."""
        found = self._journal.lease_of(episode_id, namespace)
        return found is not None and self._is_stale(episode_id, found[1])

    def _is_stale(self, episode_id: str, lease: Lease) -> bool:
        now = self._now()
        own = self._opened.by_id.get(episode_id)
        if lease.until > now or (own is not None and own.is_unlanded):
            return False
        # An earlier version kept no time of the newest step: that of the lease is later.
        last = lease.stepped_at or lease.until or self._started_at(episode_id)
        return last + self._settings.abandon_after_hours * 3_600_000_000 <= now

    def _started_at(self, episode_id: str) -> int:
        """When an episode started; now if its head is damaged: it is not ended without one."""
        try:
            return self._journal.guest_head(episode_id).started_at
        except CorruptRecordError:
            return self._now()

    def ending(self, opened: OpenEpisode) -> Ending:
        """The episode with the steps of every process. Raises `LeaseLostError`, or `StorageError`.

        The steps of this process are stored first if others have appended too.
        """
        if not opened.landed.was_tried:
            return Ending(opened)
        try:
            version, lease = self._journal.lease_for(opened)
        except LeaseLostError:
            if opened.was_closed and self._store.version("episode", as_bytes(opened.id)) is not None:
                return Ending(opened)  # this call repeats one that landed: committing again changes nothing
            raise
        if version is None or lease is None:
            return Ending(opened)
        if not opened.is_shared(lease.batches):
            return Ending(opened, *self._journal.removal(opened, version, opened.landed.batches))
        return self._joined_ending(opened)

    def _joined_ending(self, opened: OpenEpisode) -> Ending:
        self._journal.land(opened)
        version, _ = self._journal.lease_for(opened)
        assert version is not None
        batches = self._journal.batches(opened.id)
        whole = opened.joined([batch for _, batch in batches], with_own=False)
        return Ending(whole, *self._journal.removal(opened, version, [id for id, _ in batches]))

    def take_verdict(self, opened: OpenEpisode, verdict: tuple[Outcome, str, int]) -> bool:
        """Keeps a verdict that takes effect at the end. It is stored at once if anything of the episode is.

        Returns False if the episode ended elsewhere. The caller holds it. Raises `StorageError`; the verdict is not
        kept then.
        """
        before = opened.verdict
        opened.verdict = verdict
        try:
            if opened.landed.is_there:
                self._journal.land(opened)
        except LeaseLostError as error:
            refusal = self._opened.lose(opened, error)
            if not error.dropped and self._store.version("episode", as_bytes(opened.id)) is not None:
                return False
            raise refusal from None
        except BaseException:
            opened.verdict = before
            raise
        return True

    def verdict_of(self, opened: OpenEpisode) -> tuple[Outcome, str, int] | None:
        """The newest verdict that any process gave an open episode of this one.

        Of an episode that ended elsewhere it is the one that this process knows: the ending finds out.
        """
        if not opened.landed.is_there:
            return opened.verdict
        try:
            _, lease = self._journal.lease_for(opened)
        except LeaseLostError:
            return opened.verdict
        if lease is None or not opened.is_shared(lease.batches):
            return opened.verdict
        batches = [batch for _, batch in self._journal.batches(opened.id)]
        return opened.joined(batches, with_own=False).verdict
