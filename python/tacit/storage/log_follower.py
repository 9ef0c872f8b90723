"""Followers of a store's change log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

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


@runtime_checkable
class RemembersCommits(Protocol):
    """A store that can tell its own last commits without asking its database."""

    def own_changes(self, since: int) -> Changes | None:
        """Returns the changes of the commit that directly follows the one numbered `since`, if they are known."""
        ...


def catch_up(store: Store, follower: Follower, lock: FollowLock, newest: int | None = None) -> None:
    """Applies every change of the store, other processes' included; `lock` admits one thread at a time.

    `newest` is the number of the change to follow to, if the caller knows it; else the store is asked for its newest.
    A follower that is older than the log's horizon is rebuilt beside the old contents, which answer meanwhile.
    """

    def follow() -> None:
        try:
            _read_on(store, follower, target)
        except ResyncRequiredError:
            follower.swap(_rebuilt(store, follower, target))

    # The store is asked first: one that is closed refuses at once.
    target = store.sequence() if newest is None else newest
    if target > follower.sequence:
        lock.run(follow)


def _rebuilt(store: Store, follower: FollowerT, newest: int) -> FollowerT:
    """Reads the log from its start; again if the horizon moves meanwhile."""
    while True:
        fresh = follower.empty()
        try:
            _read_on(store, fresh, newest)
        except ResyncRequiredError:
            continue
        return fresh


def _read_on(store: Store, follower: Follower, newest: int) -> None:
    """Reads up to the change numbered `newest`: another thread may have read it meanwhile."""
    began: int | None = None
    own = store if isinstance(store, RemembersCommits) else None
    while (since := follower.sequence) < newest:
        changes = None if own is None else own.own_changes(since)
        if changes is None:
            changes = store.changes(since, began=began)
            if since == 0:
                began = changes.horizon
        if not len(changes):
            return
        follower.apply(changes)
