"""Following a log: one thread at a time, no call from within, and a rebuild beyond the horizon."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tacit.model.record import Batch
from tacit.storage import Changes, InMemoryStore
from tacit.storage.log_follower import FollowLock, catch_up
from tacit.testing import episode_record


def test_a_call_from_within_an_action_does_nothing() -> None:
    lock, done = FollowLock(), []

    def action() -> None:
        lock.run(lambda: done.append("within"))
        done.append("outer")

    lock.run(action)
    assert done == ["outer"]


def test_an_action_that_raised_keeps_nobody_out() -> None:
    lock, done = FollowLock(), []

    def action() -> None:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError):
        lock.run(action)
    lock.run(lambda: done.append("again"))
    assert done == ["again"]


class Counting(InMemoryStore):
    """A store that counts how often its log is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def changes(self, since: int, limit: int = 1000, *, began: int | None = None) -> Changes:
        self.reads += 1
        return super().changes(since, limit, began=began)


class Log:
    """A follower that remembers how far it came."""

    sequence = 0

    def apply(self, changes: Changes, /) -> int:
        self.sequence = changes.last
        return changes.last

    def empty(self) -> Log:
        return Log()

    def swap(self, other: Log, /) -> None:
        self.sequence, other.sequence = other.sequence, self.sequence


def test_a_log_is_read_once_up_to_its_newest_change_and_not_again() -> None:
    store, follower, lock = Counting(), Log(), FollowLock()
    for number in range(3):
        store.commit(Batch((episode_record(number),)))
    catch_up(store, follower, lock)
    catch_up(store, follower, lock)
    assert (store.reads, follower.sequence) == (1, 3)


def test_a_thread_that_waited_for_another_does_not_read_its_changes_again() -> None:
    store, follower = Counting(), Log()
    store.commit(Batch((episode_record(1),)))

    class Late(FollowLock):
        """Lets another thread follow before the one that holds it."""

        def run(self, action: Callable[[], None]) -> None:
            catch_up(store, follower, FollowLock())
            super().run(action)

    catch_up(store, follower, Late())
    assert (store.reads, follower.sequence) == (1, 1)
