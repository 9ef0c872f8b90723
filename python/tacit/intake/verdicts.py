"""Verdicts on ended episodes, and runs that take the place of stored ones."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..credit.receipts import judged_records
from ..errors import UnknownEpisodeError, VersionConflictError
from ..model.closed_episode import ClosedEpisode
from ..model.content import namespace_of
from ..model.episode import Episode, Outcome
from ..model.ids import as_text
from ..model.learned import Learned
from ..model.record import Batch, EpisodeRecord, Expect, Receipt, SideRecord
from ..storage.base import Store
from .commits import CommitItem
from .open_episode import ending_fields
from .pending import EndedItems, basis_in, closed_again
from .pending_record import pending_in

_EPISODES = msgspec.msgpack.Decoder(Episode)


class Verdicts:
    """Replaces stored episodes, each in one conditional commit with everything that follows from it."""

    def __init__(self, *, store: Store, items: EndedItems, commit: Callable[[Batch], Receipt]) -> None:
        self._store = store
        self._items = items
        self._commit = commit

    def judge(self, id: bytes, namespace: str, outcome: Outcome, *, by: str, at: int) -> Learned:
        """Gives a stored episode another outcome; the verdict that is committed last holds.

        Facts, sums and credit follow in the same commit. Raises `UnknownEpisodeError`.
        """
        while True:
            version, payload = self._stored(id, namespace)
            stored = _EPISODES.decode(payload)
            if (stored.outcome, stored.judged_by) == (outcome, by):
                return self.unchanged(stored)
            closed = _judged(payload, outcome, by, at)
            item = self._items.judged(closed, basis_in(payload, stored))
            try:
                return self._put(closed, item, version, self._beside(payload, closed, item))
            except VersionConflictError:
                continue  # another process was faster

    def replace(self, id: bytes, namespace: str, close: Callable[[Episode], ClosedEpisode]) -> Learned:
        """Puts another run in the place of a stored one; `close` makes it from the stored one."""
        while True:
            try:
                return self.replace_once(id, namespace, close)
            except VersionConflictError:
                continue  # another process was faster

    def replace_once(
        self,
        id: bytes,
        namespace: str,
        close: Callable[[Episode], ClosedEpisode],
        *,
        beside: Callable[[ClosedEpisode, CommitItem], tuple[SideRecord, ...]] = lambda *_: (),
        expect: tuple[Expect, ...] = (),
    ) -> Learned:
        """As `replace`, with more side records and preconditions; raises `VersionConflictError` if one fails."""
        version, payload = self._stored(id, namespace)
        stored = _EPISODES.decode(payload)
        closed = close(stored)
        item = self._items.judged(closed, basis_in(payload, stored))
        late = self._beside(payload, closed, item)
        return self._put(closed, item, version, (*late, *beside(closed, item)), expect)

    def _beside(self, payload: bytes, closed: ClosedEpisode, item: CommitItem) -> tuple[SideRecord, ...]:
        """The side records of an episode that waited to be learned from until now."""
        return () if pending_in(payload).pending is None else self._items.beside(item, closed)

    def unchanged(self, stored: Episode) -> Learned:
        """The answer for an episode that is stored as it should be."""
        receipt = Receipt(self._store.sequence(), 0, 1, str(self._store.stats().get("durable", "")))
        return Learned(stored.id, "unchanged", receipt, stored.reward, stored.reflection)

    def _stored(self, id: bytes, namespace: str) -> tuple[int, bytes]:
        found = self._store.get_versioned("episode", id)
        if found is None or namespace_of(found[1]) != namespace:
            raise UnknownEpisodeError(as_text(id))
        return found

    def _put(
        self,
        closed: ClosedEpisode,
        item: CommitItem,
        version: int,
        beside: tuple[SideRecord, ...] = (),
        expect: tuple[Expect, ...] = (),
    ) -> Learned:
        """Commits the episode in the place of its stored version. Raises `VersionConflictError`."""
        record: EpisodeRecord | None = item.record
        assert record is not None
        credits, expected = judged_records(self._store, closed.id, closed.outcome.share)
        batch = Batch(
            episodes=(record,),
            removed=(closed.id,),
            side_records=(*credits, *beside),
            expect=(Expect("episode", closed.id, version), *expected, *expect),
        )
        return item.learned(self._commit(batch))


def _judged(payload: bytes, outcome: Outcome, by: str, at: int) -> ClosedEpisode:
    return closed_again(payload, {"outcome": ending_fields(outcome), "judged_by": by, "judged_at": at})
