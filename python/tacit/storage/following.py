"""Keeping up with a store's log of changes."""

from __future__ import annotations

import threading
from typing import Protocol

from .base import Changes, Store


class Follower(Protocol):
    """Something that takes a store's changes in their order."""

    @property
    def sequence(self) -> int:
        """The number of the last change that it took."""
        ...

    def apply(self, changes: Changes, /) -> int:
        """Takes changes; returns the number of the last one."""
        ...


def catch_up(store: Store, follower: Follower, lock: threading.Lock) -> None:
    """Makes the follower know every commit there is, other processes' included; one thread at a time, by the lock."""
    # The store is asked first: in a forked child it refuses, where the follower could wait for a lock for ever.
    if store.sequence() <= follower.sequence:
        return
    with lock:
        while len(changes := store.changes(follower.sequence)):
            follower.apply(changes)
