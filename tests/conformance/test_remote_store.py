"""A store on a server keeps the promises of a local one."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from tacit.storage import Store
from tacit.storage.remote import RemoteStore
from tacit.testing import check_store
from tests.hrana_server import empty_database


def opened(address: str) -> RemoteStore:
    scheme, location = address.split(":", 1)
    return RemoteStore(scheme, location, auth_token=os.environ.get("TACIT_AUTH_TOKEN"))


def test_a_store_on_a_server_keeps_its_promises_through_restarts(tmp_path: Path) -> None:
    numbers = count()

    def reopen(store: Store) -> Store:
        assert isinstance(store, RemoteStore)
        store.close()
        return opened(str(store.address))

    with ExitStack() as databases:

        def make() -> RemoteStore:
            return opened(databases.enter_context(empty_database(tmp_path / f"{next(numbers)}.db")))

        check_store(make, reopen=reopen)
