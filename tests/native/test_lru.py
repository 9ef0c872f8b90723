"""The cache of bytes, held to an ordered dict."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tacit._native import Lru
from tacit.errors import ValidationError

KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b""])
ENTRIES, BYTES, TTL_S = 4, 40, 10.0


class Cache(RuleBasedStateMachine):
    """Any sequence of calls, beside the same cache as an ordered dict, the newest last."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.lru = Lru(
            entries=ENTRIES, bytes=BYTES, ttl_s=TTL_S, cleanup_every_s=float("inf"), clock=lambda: self.now
        )
        self.model: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self.hits = self.misses = 0

    @rule(seconds=st.integers(0, 6))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        value, inserted = self.model.pop(key, (None, self.now))
        if value is None or self.now - inserted >= TTL_S:
            self.misses += 1
            assert self.lru.get(key) is None
        else:
            self.hits += 1
            self.model[key] = (value, inserted)
            assert self.lru.get(key) == value

    @rule(key=KEYS, value=st.binary(max_size=50))
    def insert(self, key: bytes, value: bytes) -> None:
        self.model.pop(key, None)
        fits = len(key) + len(value) <= BYTES
        assert self.lru.insert(key, value) == fits
        if fits:
            self.model[key] = (value, self.now)
        while len(self.model) > ENTRIES or self.weight() > BYTES:
            self.model.popitem(last=False)

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        assert self.lru.remove(key) == self.model.pop(key, (None,))[0]

    @rule()
    def cleanup(self) -> None:
        expired = [key for key, (_, inserted) in self.model.items() if self.now - inserted >= TTL_S]
        for key in expired:
            del self.model[key]
        assert self.lru.cleanup() == len(expired)

    @rule()
    def clear(self) -> None:
        self.lru.clear()
        self.model.clear()

    @invariant()
    def figures_agree(self) -> None:
        metrics = self.lru.metrics()
        assert len(self.lru) == metrics["len"] == len(self.model)
        assert metrics["bytes"] == self.weight()
        assert (metrics["hits"], metrics["misses"]) == (self.hits, self.misses)

    def weight(self) -> int:
        return sum(len(key) + len(value) for key, (value, _) in self.model.items())


test_any_sequence_of_calls_agrees_with_an_ordered_dict = Cache.TestCase


def test_a_value_is_held_and_not_copied() -> None:
    lru, value = Lru(), bytes(100)
    lru.insert(b"key", value)
    assert lru.get(b"key") is value


def test_what_a_subclass_does_when_it_is_dropped_may_use_the_cache() -> None:
    lru = Lru(entries=1)

    class Meddling(bytes):
        def __del__(self) -> None:
            lru.get(b"other")

    lru.insert(b"key", Meddling(b"value"))
    lru.insert(b"other", b"")
    assert lru.get(b"other") == b""


def test_the_hit_rate_is_that_of_all_look_ups() -> None:
    lru = Lru()
    assert lru.metrics()["hit_rate"] == 0.0
    lru.insert(b"key", b"")
    lru.get(b"key")
    lru.get(b"none")
    assert lru.metrics()["hit_rate"] == 0.5


def test_a_negative_age_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="ttl_s"):
        Lru(ttl_s=-1.0)
