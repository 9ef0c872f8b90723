"""Whether what a store has summed up is what its facts add up to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TypeAlias

from .. import _native
from ..model.record import Change, EpisodeRecord
from .base import Store

__all__ = ["Sums", "every_change", "expected_sums", "held_sums", "wrong_sums"]

Stratum: TypeAlias = tuple[str, str, str | None, str, int]
"""Namespace, domain, agent, complexity, and the month as YYYYMM in UTC."""
Totals: TypeAlias = tuple[float, float, float, float]
"""Trials, successes, episodes, outcomes."""
Sums: TypeAlias = dict[tuple[Stratum, bytes], Totals]
"""By stratum and pattern; what the stratum itself comes to stands under a pattern of zeros."""
_WHOLE_STRATUM = bytes(16)


def wrong_sums(store: Store) -> int:
    """How many sums of a store are not those of its facts. Reads everything there is."""
    held, expected = held_sums(store), expected_sums(every_change(store))
    return sum(not _agree(held.get(key), expected.get(key)) for key in held.keys() | expected.keys())


def held_sums(store: Store) -> Sums:
    """What the store has summed, with the facts that were put since."""
    watermark, packed = store.sums()
    sums = expected_sums(every_change(store, since=watermark))
    for stratum, pattern, _, totals, _ in _native.unpack_sums(packed):
        _add(sums, (stratum, pattern), totals)
    return sums


def expected_sums(changes: Iterable[Change]) -> Sums:
    """What the facts of the changes add up to."""
    sums: Sums = {}
    for record in (change.record for change in changes):
        if record is not None and record.state == "learned" and record.base is not None:
            _add_record(sums, record, record.base)
    return sums


def every_change(store: Store, since: int = 0) -> Iterator[Change]:
    """The change log from one number on."""
    while len(stretch := store.changes(since)):
        yield from stretch
        since = stretch.last


def _add_record(sums: Sums, record: EpisodeRecord, base: float) -> None:
    ended = datetime.fromtimestamp(record.ended_at / 1e6, UTC)
    month = ended.year * 100 + ended.month
    stratum = (record.namespace, record.domain, record.agent, record.complexity, month)
    _add(sums, (stratum, _WHOLE_STRATUM), (0, 0, 1, base))
    for pattern, _, occurrences, successes in _native.unpack_facts(record.facts):
        _add(sums, (stratum, pattern), (occurrences, successes, 1, base))


def _add(sums: Sums, key: tuple[Stratum, bytes], totals: Totals) -> None:
    held = sums.get(key, (0, 0, 0, 0))
    sums[key] = (held[0] + totals[0], held[1] + totals[1], held[2] + totals[2], held[3] + totals[3])


def _agree(one: Totals | None, other: Totals | None) -> bool:
    nothing = (0.0, 0.0, 0.0, 0.0)
    pairs = zip(one or nothing, other or nothing, strict=True)
    return all(math.isclose(a, b, abs_tol=1e-4) for a, b in pairs)
