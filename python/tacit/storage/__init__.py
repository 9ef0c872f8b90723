"""Stores: few verbs over records, on disk or in memory."""

from __future__ import annotations

from tacit.storage.base import Changes, Store
from tacit.storage.in_memory import InMemoryStore
from tacit.storage.native import NativeStore

__all__ = ["Changes", "InMemoryStore", "NativeStore", "Store"]
