"""Followers of a store's change log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from ..errors import ResyncRequiredError
from .base import Changes, Store

__all__ = ["FollowLock", "Follower", "catch_up"]

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


class FollowLock:
    """Lets one thread at a time follow a log, and turns away a call that is made from within.

    Such a call (of an observer, a signal handler) must not wait for itself: the call that it was made from follows to
    the end afterwards.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._is_held = False

    def run(self, action: Callable[[], None]) -> None:
        """Runs the action once other threads are done; does nothing in a call from within another action."""
        with self._lock:
            if self._is_held:
                return
            self._is_held = True
            try:
                action()
            finally:
                self._is_held = False


def catch_up(store: Store, follower: Follower, lock: FollowLock) -> None:
    """Applies every change of the store, other processes' included; `lock` admits one thread at a time.

    A follower that is older than the log's horizon is rebuilt beside the old contents, which answer meanwhile.
    """

    def follow() -> None:
        try:
            _read_on(store, follower)
        except ResyncRequiredError:
            follower.swap(_rebuilt(store, follower))

    # The store is asked first: in a forked child it refuses, while the follower's lock could be held for ever.
    if store.sequence() > follower.sequence:
        lock.run(follow)


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
