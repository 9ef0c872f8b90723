"""Stores: few verbs over records, on disk or in memory."""

from __future__ import annotations

from .base import Changes, Store
from .following import catch_up
from .in_memory import InMemoryStore
from .native import NativeStore

__all__ = ["Changes", "InMemoryStore", "NativeStore", "Store", "catch_up"]
