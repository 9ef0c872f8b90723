"""Addresses of stores: paths, schemes, and schemes of other distributions."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from tacit import Memory
from tacit.config import StorageSettings
from tacit.errors import UnknownNameError, ValidationError
from tacit.storage import InMemoryStore, NativeStore, open_store, stores

SETTINGS = StorageSettings()


@pytest.mark.parametrize(
    "address", ["agent.db", "file:agent.db", "file:./agent.db", "a:2.db", "2026-01-02T10:30.db"]
)
def test_a_path_names_a_file(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(address, SETTINGS)
    assert isinstance(store, NativeStore)
    assert store.path.name == address.removeprefix("file:").removeprefix("./")
    assert store.path.parent == tmp_path
    store.close()


def test_a_file_address_with_slashes_is_an_absolute_path(tmp_path: Path) -> None:
    for address in (f"file://{tmp_path}/a.db", f"file:{tmp_path}/a.db"):
        store = open_store(address, SETTINGS)
        assert isinstance(store, NativeStore)
        assert store.path == tmp_path / "a.db"
        store.close()


def test_memory_keeps_everything_in_ram() -> None:
    assert isinstance(open_store(None, SETTINGS), InMemoryStore)
    assert isinstance(open_store("memory:", SETTINGS), InMemoryStore)
    with pytest.raises(ValidationError, match="without a name"):
        open_store("memory:agent", SETTINGS)


@pytest.mark.parametrize(
    "address", ["libsql://db.example.org", "https://db.example.org", "http://127.0.0.1:8080"]
)
def test_a_server_is_named_by_its_address_and_not_asked_before_the_first_verb(address: str) -> None:
    with Memory(address) as memory:
        assert repr(memory._store).startswith("RemoteStore(")


def test_a_token_is_refused_for_a_store_that_takes_none() -> None:
    with pytest.raises(ValidationError, match="auth_token must be left out"):
        open_store("memory:", SETTINGS, auth_token="token")


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="no store named 'libsqll'; did you mean 'libsql'"):
        Memory("libsqll://db.example.org")


def _ram(*, location: str, settings: StorageSettings) -> InMemoryStore:
    assert (location, settings) == ("//shared", SETTINGS)
    return InMemoryStore()


def test_schemes_of_other_distributions_come_through_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = importlib.metadata.EntryPoint("ram", f"{__name__}:_ram", "tacit.stores")
    found = importlib.metadata.EntryPoints([foreign])
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **group: found.select(**group))
    assert "ram" in stores
    assert isinstance(open_store("ram://shared", SETTINGS), InMemoryStore)
