"""Marks of forgotten runs: an import does not bring them back."""

from __future__ import annotations

import hashlib

import msgspec

from ..model.record import SideRecord
from ..storage.base import Store

_RECORD = msgspec.msgpack.encode({"forgotten": True})


def forgotten_mark(namespace: str, external_id: str) -> SideRecord:
    """The mark of a run: a keyed hash of its external id, and nothing of its contents."""
    return SideRecord("audit", _id(namespace, external_id), namespace, _RECORD)


def is_forgotten(store: Store, namespace: str, external_id: str) -> bool:
    """True if the run with this external id was forgotten."""
    return store.get("audit", _id(namespace, external_id)) == _RECORD


def _id(namespace: str, external_id: str) -> bytes:
    key = hashlib.blake2b(namespace.encode()).digest()
    return hashlib.blake2b(f"forgotten\0{external_id}".encode(), digest_size=16, key=key).digest()
