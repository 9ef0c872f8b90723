"""The snapshot of the index: read by the next process instead of the whole log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, TypeVar

from .._native import TEXT_VERSION, Index
from ..errors import TacitError
from ..storage import NativeStore, Store
from .facts_version import FactsReader, oldest_version

T = TypeVar("T")
FEWEST_CHANGES = 200
"""Fewer changes are read from the log in less time than a snapshot takes to write."""
CHANGED_SHARE = 1 / 16
"""A snapshot is written again once so many of its episodes changed: a change is written a bounded number of times."""


def load_snapshot(store: Store, index: Index) -> bool:
    """Fills an empty index from the snapshot beside a store; returns False if the log has to be read.

    The facts of an earlier version are converted on the way into the index, so its snapshot holds none of them.
    """
    if not isinstance(store, NativeStore):
        return False
    try:
        return oldest_version(store) == TEXT_VERSION and store.read_snapshot(index)
    except TacitError as error:
        logging.getLogger("tacit").debug("the snapshot was not read: %s", error)
        return False


class Snapshots:
    """Writes the snapshot of the index that a reader fills."""

    def __init__(self, store: Store, reader: FactsReader) -> None:
        self._store = store
        self._reader = reader

    def save(self) -> bool:
        """Writes a snapshot unless the one beside the store is as new; returns True if it did.

        An index that lacks rows, because they are damaged or of an earlier version, has none.
        """
        return self._save(lambda _: 1)

    def save_if_due(self) -> bool:
        """Writes a snapshot if enough changed since the last one; returns True if it did."""
        return self._save(lambda episodes: max(FEWEST_CHANGES, int(episodes * CHANGED_SHARE)))

    def saved_after(self, items: Iterator[T]) -> Iterator[T]:
        """The items; writes a snapshot if it is due once the last one was taken."""
        yield from items
        self.save_if_due()

    def stats(self) -> dict[str, Any] | None:
        """The state of the snapshot beside the store; `None` for a store that keeps none."""
        return asdict(self._store.snapshot()) if isinstance(self._store, NativeStore) else None

    def _save(self, fewest: Callable[[int], int]) -> bool:
        """`fewest` gives the number of changes that are enough, from that of the episodes."""
        store, index = self._store, self._reader.index
        if not isinstance(store, NativeStore):
            return False
        try:
            # The store is asked first: in a forked child it refuses, while the index could be locked for ever.
            written = store.snapshot().sequence or 0
            if store.damaged_count() or self._reader.is_behind:
                return False
            return index.sequence - written >= fewest(len(index)) and store.write_snapshot(index)
        except TacitError as error:
            logging.getLogger("tacit").debug("no snapshot was written: %s", error)
            return False
