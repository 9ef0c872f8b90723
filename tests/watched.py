"""Stores whose commits a test can wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tacit.model.record import Batch, Receipt
from tacit.storage import InMemoryStore, NativeStore

LONGEST = 60.0


class Watched:
    """Wakes those who wait after each commit, of whatever thread."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._landed = threading.Condition()

    def commit(self, batch: Batch) -> Receipt:
        receipt: Receipt = super().commit(batch)  # type: ignore[misc]
        with self._landed:
            self._landed.notify_all()
        return receipt

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Waits until the condition holds after a commit, or before the first."""
        with self._landed:
            assert self._landed.wait_for(holds, LONGEST)


class WatchedStore(Watched, InMemoryStore):
    """In RAM."""


class WatchedFile(Watched, NativeStore):
    """In a file."""
