"""The namespaces of a store, and when it learned: the id of an episode holds the time at which it was stored."""

from __future__ import annotations

from ..model.content import namespace_of
from ..model.record import Filters
from ..storage.base import Store

_PAGE = 1_000


def last_learned(store: Store) -> int | None:
    """When the newest episode that was learned from was stored, in microseconds since 1970; `None` without one."""
    newest = store.scan("episode", limit=1, newest_first=True, filters=Filters(state="learned"))
    return int.from_bytes(newest[0][0][:6]) * 1_000 if newest else None


def namespace_counts(store: Store) -> dict[str, tuple[int, int]]:
    """See `Memory.namespaces`. Reads the head of every episode."""
    found: dict[str, tuple[int, int]] = {}
    after: bytes | None = None
    while rows := store.scan("episode", after=after, limit=_PAGE):
        for id, payload in rows:
            name = namespace_of(payload)
            found[name] = found.get(name, (0, 0))[0] + 1, int.from_bytes(id[:6]) * 1_000
        after = rows[-1][0]
    return found
