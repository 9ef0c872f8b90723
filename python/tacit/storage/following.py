"""Followers of a store's change log."""

from __future__ import annotations

import threading
from typing import Protocol, TypeVar

from ..errors import ResyncRequiredError
from .base import Changes, Store

__all__ = ["Follower", "catch_up"]

FollowerT = TypeVar("FollowerT", bound="Follower")


class Follower(Protocol):
    """An index or a model that takes a store's changes in their order."""

    @property
    def sequence(self) -> int:
        """The number of the last change that was applied."""
        ...

    def apply(self, changes: Changes, /) -> int:
        """Applies changes; returns the number of the last one."""
        ...

    def empty(self: FollowerT) -> FollowerT:
        """Returns an empty follower with the same settings."""
        ...

    def swap(self: FollowerT, other: FollowerT, /) -> None:
        """Exchanges the contents of two followers."""
        ...


def catch_up(store: Store, follower: Follower, lock: threading.Lock) -> None:
    """Applies every change of the store, other processes' included; `lock` admits one thread at a time.

    A follower that is older than the log's horizon is rebuilt beside the old contents, which answer meanwhile.
    """
    # The store is asked first: in a forked child it refuses, while the follower's lock could be held for ever.
    if store.sequence() <= follower.sequence:
        return
    with lock:
        try:
            _read_on(store, follower)
        except ResyncRequiredError:
            follower.swap(_rebuilt(store, follower))


def _rebuilt(store: Store, follower: FollowerT) -> FollowerT:
    """Reads the log from its start; again if the horizon moves meanwhile."""
    while True:
        fresh = follower.empty()
        try:
            _read_on(store, fresh)
        except ResyncRequiredError:
            continue
        return fresh


def _read_on(store: Store, follower: Follower) -> None:
    began: int | None = None
    while len(changes := store.changes(follower.sequence, began=began)):
        if follower.sequence == 0:
            began = changes.horizon
        follower.apply(changes)
