"""Stores: few verbs over records, on disk or in memory."""

from __future__ import annotations

from .base import Changes, Store
from .in_memory import InMemoryStore
from .log_follower import FollowLock, catch_up
from .native import NativeStore
from .schemes import open_store, stores

__all__ = [
    "Changes",
    "FollowLock",
    "InMemoryStore",
    "NativeStore",
    "Store",
    "catch_up",
    "open_store",
    "stores",
]
