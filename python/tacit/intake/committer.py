"""Commits: durable first, then the index."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .._native import TEXT_VERSION
from ..errors import is_failure
from ..model.record import Batch, Change, EpisodeRecord, Expect, Receipt, SideRecord
from ..storage import FollowLock, Store, catch_up
from .facts_version import FactsReader


class Committer:
    """Commits to the store and keeps the index up with it."""

    def __init__(self, store: Store, reader: FactsReader, *, on_commit: Callable[[Receipt], None]) -> None:
        self._store = store
        self._reader = reader
        self._index = reader.index
        self._following = FollowLock()
        self._on_commit = on_commit
        self.late_catch_ups: int = 0
        """How many commits landed while the index could not follow."""

    def catch_up(self) -> None:
        """Brings every commit into the index, those of other processes included."""
        catch_up(self._store, self._reader, self._following)
        if self._reader.version != TEXT_VERSION:
            self._following.run(self._read_newer)

    def _read_newer(self) -> None:
        fresh = self._reader.newer()
        if fresh is not None:
            catch_up(self._store, fresh, FollowLock())
            self._reader.swap(fresh)

    def commit(
        self,
        records: Sequence[EpisodeRecord],
        side_records: Sequence[SideRecord] = (),
        expect: tuple[Expect, ...] = (),
    ) -> Receipt:
        """Commits episodes and side records; the index takes them as they are unless others committed in between."""
        receipt = self._store.commit(Batch(tuple(records), side_records=tuple(side_records), expect=expect))
        self._on_commit(receipt)
        landed = len(records) + len(side_records)
        before = receipt.sequence - landed

        def apply() -> None:
            if self._index.sequence == before:
                self._reader.apply_own(_changes(before, records, side_records))

        try:
            if receipt.committed == landed:
                self._following.run(apply)
            catch_up(self._store, self._reader, self._following, receipt.sequence)
        except BaseException as error:  # what is durable was committed: the index follows with the next verb
            self._note_lag(error)
        return receipt

    def commit_batch(self, batch: Batch) -> Receipt:
        """Commits a batch and catches up with it."""
        receipt = self._store.commit(batch)
        self._on_commit(receipt)
        try:
            self.catch_up()
        except BaseException as error:
            self._note_lag(error)
        return receipt

    def lag(self, receipt: Receipt) -> tuple[str, ...]:
        """A problem to report with a receipt if the index could not follow its commit; empty if it did."""
        if not receipt.committed or self._index.sequence >= receipt.sequence:
            return ()
        return ("index: behind this commit until the next verb",)

    def _note_lag(self, error: BaseException) -> None:
        """Counts and logs a failure of the index; raises an interrupt."""
        if not is_failure(error):
            raise error
        self.late_catch_ups += 1
        logging.getLogger("tacit").warning("the index lags behind a commit until the next verb: %s", error)


class QueueCommitter:
    """Commits episodes that a worker learns from: the caller waits for the store alone, and the index follows later."""

    def __init__(self, store: Store, *, on_commit: Callable[[Receipt], None]) -> None:
        self._store = store
        self._on_commit = on_commit

    def catch_up(self) -> None:
        """Does nothing: no answer is made on the way."""
        return None

    def commit(
        self,
        records: Sequence[EpisodeRecord],
        side_records: Sequence[SideRecord] = (),
        expect: tuple[Expect, ...] = (),
    ) -> Receipt:
        """Commits episodes and side records."""
        return self.commit_batch(Batch(tuple(records), side_records=tuple(side_records), expect=expect))

    def commit_batch(self, batch: Batch) -> Receipt:
        """Commits a batch."""
        receipt = self._store.commit(batch)
        self._on_commit(receipt)
        return receipt

    def lag(self, receipt: Receipt) -> tuple[str, ...]:
        """No problem: the index is not expected to follow at once."""
        return ()


def _changes(
    before: int, records: Sequence[EpisodeRecord], side_records: Sequence[SideRecord]
) -> list[Change]:
    """The entries of the change log that a commit after the change numbered `before` wrote."""
    puts = [Change(number, "put", each, each.id) for number, each in enumerate(records, before + 1)]
    first = before + 1 + len(records)
    noted = [
        Change(number, "side_record", None, each.id, each) for number, each in enumerate(side_records, first)
    ]
    return [*puts, *noted]
