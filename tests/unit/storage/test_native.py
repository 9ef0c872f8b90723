"""The native store: its path, its options and its packed values."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest

from tacit import _native
from tacit.errors import TooLargeError, ValidationError
from tacit.model.record import Batch
from tacit.storage import NativeStore, Store
from tacit.testing import episode_record


@pytest.mark.parametrize("place", ["", ":memory:", "libsql://host/db", "https://host", "a\0b"])
def test_a_path_without_a_file_name_is_refused(place: str) -> None:
    with pytest.raises(ValidationError, match="path"):
        NativeStore(place)


def test_a_path_may_begin_at_home_and_its_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with NativeStore("~/deep/er/store.db") as store:
        assert store.path == tmp_path / "deep" / "er" / "store.db"
        assert store.path.exists()
        assert isinstance(store, Store)
        receipt = store.commit(Batch((episode_record(1),)))
        assert receipt.durable == f"libsql:{store.path}" == store.stats()["durable"]


def test_a_relative_path_that_looks_like_an_address_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with NativeStore("file:store.db?mode=memory") as store:
        store.commit(Batch((episode_record(1),)))
    assert "file:store.db?mode=memory" in os.listdir(tmp_path)


def test_the_cache_can_be_elsewhere_or_not_at_all(tmp_path: Path) -> None:
    for cache_path, files in [
        (tmp_path / "c", {"a.db", "c"}),
        (None, {"a.db"}),
        ("auto", {"a.db", "a.db-cache"}),
    ]:
        with NativeStore(tmp_path / "a.db", cache_path=cache_path) as store:
            store.commit(Batch((episode_record(1),)))
            store.get("episode", episode_record(1).id)
        assert set(os.listdir(tmp_path)) == files
        (tmp_path / "c").unlink(missing_ok=True)


def test_an_invalid_setting_is_refused(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [{"durability": "maybe"}, {"cache_ttl_s": -1.0}]
    for settings in wrong:
        with pytest.raises(ValidationError, match=next(iter(settings))):
            NativeStore(tmp_path / "a.db", **settings)


def test_values_beyond_their_limits_are_refused_by_name(tmp_path: Path) -> None:
    too_large: dict[str, dict[str, Any]] = {
        "episode": {"payload": bytes((10 << 20) + 1)},
        "embedding": {"embedding": bytes((1 << 20) + 4)},
        "domain": {"domain": "x" * 10_001},
    }
    with NativeStore(tmp_path / "a.db") as store:
        for field, fields in too_large.items():
            with pytest.raises(TooLargeError) as refused:
                store.commit(Batch((episode_record(1, **fields),)))
            assert refused.value.field == field
        largest = episode_record(2, payload=bytes(10 << 20))
        store.commit(Batch((largest,)))
        assert store.get("episode", largest.id) == largest.payload


def test_a_store_that_is_collected_keeps_its_commits(tmp_path: Path) -> None:
    store = NativeStore(tmp_path / "a.db")
    store.commit(Batch((episode_record(1),)))
    del store
    gc.collect()
    with NativeStore(tmp_path / "a.db") as store:
        assert store.sequence() == 1


def test_changes_are_packed_until_they_are_asked_for(tmp_path: Path) -> None:
    with NativeStore(tmp_path / "a.db") as store:
        store.commit(Batch((episode_record(1), episode_record(2))))
        changes = store.changes(0)
        assert repr(changes) == "Changes(len=2, last=2)"
        assert list(changes) == list(changes)


@pytest.mark.parametrize("unpack", [_native.unpack_facts, _native.unpack_contents])
def test_bytes_that_are_not_packed_are_refused(unpack: Any) -> None:
    with pytest.raises(ValidationError):
        unpack(b"\xff\xff\xff\xff\xff")
    assert unpack(b"") == []
