"""Every store passes the same public check."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tacit.storage import InMemoryStore, NativeStore, Store
from tacit.testing import check_store


def test_a_store_in_memory_keeps_its_promises() -> None:
    check_store(InMemoryStore)


def test_a_native_store_keeps_its_promises_through_restarts(tmp_path: Path) -> None:
    numbers = count()

    def reopen(store: Store) -> Store:
        assert isinstance(store, NativeStore)
        store.close()
        return NativeStore(store.path)

    check_store(lambda: NativeStore(tmp_path / f"{next(numbers)}.db"), reopen=reopen)
