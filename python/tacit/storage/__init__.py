"""Stores: few verbs over records, on disk or in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Changes, Store, require_writable
from .log_follower import FollowLock, catch_up
from .native import NativeStore
from .schemes import open_store, stores

if TYPE_CHECKING:
    from .in_memory import InMemoryStore

__all__ = [
    "Changes",
    "FollowLock",
    "InMemoryStore",
    "NativeStore",
    "Store",
    "catch_up",
    "open_store",
    "require_writable",
    "stores",
]


def __getattr__(name: str) -> object:
    """Imports the store in RAM when it is asked for: a process that only appends a step never needs it."""
    if name == "InMemoryStore":
        from .in_memory import InMemoryStore

        return InMemoryStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
