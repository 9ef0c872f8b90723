"""bench_lru.py: 1,000 look-ups and insertions of 2 KB values in a cache with an age limit, beside other packages."""

from __future__ import annotations

from typing import Any, ClassVar

import cachetools
import lru
import moka_py

from benchmarks import workloads
from tacit._native import Lru

RECORDS = workloads.records(1_000, 2_048, seed=7)
ENTRIES, TTL_S = 2_000, 3_600.0


class Cached:
    """Every key that is looked up is there, but for `time_misses`. `lru-dict` has no age limit: it marks the floor."""

    params: ClassVar = [["native", "cachetools", "moka", "lru-dict"]]
    param_names: ClassVar = ["implementation"]

    def setup(self, implementation: str) -> None:
        caches: dict[str, Any] = {
            "native": lambda: Lru(entries=ENTRIES, ttl_s=TTL_S),
            "cachetools": lambda: cachetools.TTLCache(ENTRIES, TTL_S),
            "moka": lambda: moka_py.Moka(ENTRIES, ttl=TTL_S),
            "lru-dict": lambda: lru.LRU(ENTRIES),
        }
        self.cache = caches[implementation]()
        insertions = {"native": "insert", "moka": "set"}
        self.insert = getattr(self.cache, insertions.get(implementation, "__setitem__"))
        self.keys = list(RECORDS)
        self.time_insertions(implementation)
        assert all(self.cache.get(key) == value for key, value in RECORDS.items())
        assert self.cache.get(b"") is None

    def time_hits(self, implementation: str) -> None:
        get = self.cache.get
        for key in self.keys:
            get(key)

    def time_misses(self, implementation: str) -> None:
        get = self.cache.get
        for _ in self.keys:
            get(b"another key here")

    def time_insertions(self, implementation: str) -> None:
        insert = self.insert
        for key, value in RECORDS.items():
            insert(key, value)
