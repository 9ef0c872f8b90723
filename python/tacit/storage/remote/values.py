"""Values that were read lately: a recall that follows the log needs to read only those that it has not seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from ..._native import Lru, kind_number, pattern_key
from ...model.record import Kind

FRESH_S = 0.01
"""A value is served without a look at the server for so long after a look found no removal."""


class ReadValues:
    """Episodes, embeddings and patterns of a namespace, which are never rewritten under the same change number.

    They are served only right after `compared` said that nothing was removed since they were read. Side records are
    replaced without a trace that this would notice, so they are not held.
    """

    def __init__(
        self, *, entries: int, size: int, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lru = Lru(entries=entries, bytes=size, ttl_s=ttl_s)
        self._clock = clock
        self._lock = threading.Lock()
        self._position = 0
        self._fresh_until = 0.0

    @property
    def position(self) -> int:
        """The change up to which removals were carried out."""
        with self._lock:
            return self._position

    def compared(self, since: int, newest: int, *, is_clean: bool) -> None:
        """Notes that the log was read from `since` to `newest`, and whether it held no removal."""
        with self._lock:
            if since != self._position:
                return  # another thread compared meanwhile
            if not is_clean:
                self._lru.clear()
            self._position = newest
            self._fresh_until = self._clock() + FRESH_S

    def clear(self) -> None:
        """Drops everything: this process removed an episode, or may have."""
        with self._lock:
            self._lru.clear()
            self._fresh_until = 0.0
            # Values that are being read now must not be kept: their position is none.
            self._position = -1

    def get(self, kind: Kind, ids: Sequence[bytes], namespace: str | None) -> dict[bytes, bytes]:
        """Returns the values that are known and fresh, by id."""
        if not _is_held(kind, namespace):
            return {}
        with self._lock:
            if self._clock() >= self._fresh_until:
                return {}
            found = ((id, self._lru.get(_key(kind, id, namespace))) for id in ids)
            return {id: value for id, value in found if value is not None}

    def keep(
        self, kind: Kind, values: Mapping[bytes, bytes | None], namespace: str | None, position: int
    ) -> None:
        """Holds values that were read while the position was `position`, unless it moved meanwhile."""
        if not _is_held(kind, namespace):
            return
        with self._lock:
            if position != self._position or position < 0:
                return
            for id, value in values.items():
                if value is not None:
                    self._lru.insert(_key(kind, id, namespace), value)

    def stats(self) -> dict[str, int | float]:
        """Returns the figures of the cache, named as those of a local store."""
        with self._lock:
            metrics = self._lru.metrics()
        return {f"cache_{name}": value for name, value in metrics.items()}


def _is_held(kind: Kind, namespace: str | None) -> bool:
    return kind in ("episode", "embedding") or (kind == "pattern" and namespace is not None)


def _key(kind: Kind, id: bytes, namespace: str | None) -> bytes:
    own = pattern_key(namespace, id) if kind == "pattern" and namespace is not None else id
    return bytes([kind_number(kind)]) + own
