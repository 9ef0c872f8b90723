"""Followers of the change log are rebuilt once the log was pruned beyond them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tacit.errors import StorageError
from tacit.model.record import Batch
from tacit.storage import FollowLock, InMemoryStore, catch_up
from tacit.storage.base import Changes
from tacit.testing import episode_record


class Ids:
    """The ids of the stored episodes, as a follower sees them."""

    def __init__(self) -> None:
        self.ids: set[bytes] = set()
        self.sequence = 0

    def apply(self, changes: Changes) -> int:
        for change in changes:
            if change.op == "put":
                self.ids.add(change.id)
            else:
                self.ids.discard(change.id)
        self.sequence = changes.last
        return changes.last

    def empty(self) -> Ids:
        return Ids()

    def swap(self, other: Ids) -> None:
        self.ids, other.ids = other.ids, self.ids
        self.sequence, other.sequence = other.sequence, self.sequence


class PagedStore(InMemoryStore):
    """Reads the log two changes at a time and runs `between` before each page of a rebuild."""

    between: Callable[[], object] | None = None

    def changes(self, since: int, limit: int = 1000, *, began: int | None = None) -> Changes:
        if began is not None and self.between is not None:
            run, self.between = self.between, None
            run()
        return super().changes(since, 2, began=began)


@pytest.fixture
def store() -> PagedStore:
    store = PagedStore()
    for number in range(8):
        store.commit(Batch((episode_record(number),)))
    return store


def remove(store: InMemoryStore, *numbers: int) -> None:
    store.commit(Batch(removed=tuple(episode_record(number).id for number in numbers)))


def ids_in(store: InMemoryStore) -> set[bytes]:
    return {id for id, _ in store.scan("episode")}


def test_a_follower_behind_the_horizon_loses_what_was_removed(store: PagedStore) -> None:
    follower, lock = Ids(), FollowLock()
    catch_up(store, follower, lock)
    remove(store, 0, 1)
    store.commit(Batch((episode_record(20),)))
    store.compact(keep=0)
    store.commit(Batch((episode_record(21),)))
    catch_up(store, follower, lock)
    assert (follower.ids, follower.sequence) == (ids_in(store), store.sequence())


def test_a_follower_at_the_horizon_reads_on(store: PagedStore) -> None:
    follower, lock = Ids(), FollowLock()
    catch_up(store, follower, lock)
    before = follower.ids
    store.compact(keep=0)
    store.commit(Batch((episode_record(21),)))
    catch_up(store, follower, lock)
    assert follower.ids is before
    assert follower.ids == ids_in(store)


def test_a_rebuild_begins_again_if_the_horizon_moves_meanwhile(store: PagedStore) -> None:
    follower, lock = Ids(), FollowLock()

    def prune() -> None:
        remove(store, 0, 1)
        store.commit(Batch((episode_record(20),)))
        store.compact(keep=0)

    store.between = prune
    catch_up(store, follower, lock)
    assert (follower.ids, follower.sequence) == (ids_in(store), store.sequence())


def test_the_old_contents_answer_until_the_rebuild_is_whole(store: PagedStore) -> None:
    follower, lock = Ids(), FollowLock()
    catch_up(store, follower, lock)
    seen = set(follower.ids)
    remove(store, 0)
    store.compact(keep=0)
    store.commit(Batch((episode_record(21),)))
    held: list[set[bytes]] = []
    store.between = lambda: held.append(set(follower.ids))
    catch_up(store, follower, lock)
    assert held == [seen]
    store.close()
    with pytest.raises(StorageError):
        catch_up(store, follower, lock)
