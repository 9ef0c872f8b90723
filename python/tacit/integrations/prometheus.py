"""Prometheus: counts of a memory's events and of its contents. Needs `pip install 'tacit[prometheus]'`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import TacitError, is_failure
from ..model.learned import Learned
from ..model.record import Receipt
from ..observing import Event, Observer
from .frameworks import framework_module

if TYPE_CHECKING:
    from ..memory import Memory

__all__ = ["MemoryCollector"]

_EXTRA = "prometheus"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_GAUGES = {
    "episodes": "Stored episodes",
    "patterns": "Stored patterns",
    "open": "Open episodes of this process",
    "pending": "Episodes that wait to be learned from",
    "damaged": "Rows that cannot be read",
    "queued": "Commits that wait for the disk",
    "file_bytes": "Size of the database file",
    "cache_hit_rate": "Share of reads that the cache answered",
}
_COUNTERS = {
    "committed_rows": ("Rows that became durable", ()),
    "ended_episodes": ("Episodes that ended", ("state",)),
    "degraded_answers": ("Answers that lacked a part", ("code",)),
    "refused_calls": ("Calls that were refused", ("error",)),
}


class MemoryCollector(Observer):
    """An observer that is a collector too: counters and durations of events, and gauges of what is stored.

    `tacit_operation_duration_seconds` (by `verb`), `tacit_ended_episodes_total` (by `state`),
    `tacit_committed_rows_total`, `tacit_degraded_answers_total` (by `code`), `tacit_refused_calls_total` (by `error`);
    the gauges `tacit_episodes`, `tacit_patterns`, `tacit_open`, `tacit_pending`, `tacit_damaged`, `tacit_queued`,
    `tacit_file_bytes`, `tacit_cache_hit_rate`. Each counter has the label `namespace`. A memory that cannot be asked
    has no gauges then.

    Raises `ValidationError` without the client of Prometheus.

    Example:
        from prometheus_client import REGISTRY

        collector = MemoryCollector()
        memory = collector.watch(Memory("agent.db", observers=[collector]))
        REGISTRY.register(collector)
    """

    def __init__(self) -> None:
        self._families: Any = framework_module("prometheus_client.core", _EXTRA)
        self._memory: Memory | None = None
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in _COUNTERS}
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}

    def watch(self, memory: Memory) -> Memory:
        """Reads the gauges from this memory, and returns it."""
        self._memory = memory
        return memory

    def committed(self, event: Event[Receipt]) -> None:
        """Counts the rows."""
        self._count("committed_rows", event, by=event.value.committed)

    def recalled(self, event: Event[Any]) -> None:
        """Notes the duration of an answer."""
        self._note_duration(event)

    def learned(self, event: Event[Learned]) -> None:
        """Counts an ended episode, and notes the duration."""
        self._count("ended_episodes", event, event.value.state)
        self._note_duration(event)

    def maintained(self, event: Event[Any]) -> None:
        """Notes the duration of maintenance."""
        self._note_duration(event)

    def degraded(self, event: Event[tuple[str, ...]]) -> None:
        """Counts the codes."""
        for code in event.value:
            self._count("degraded_answers", event, code.partition(":")[0])

    def refused(self, event: Event[TacitError]) -> None:
        """Counts a refusal by its type."""
        self._count("refused_calls", event, type(event.value).__name__)

    def _count(self, name: str, event: Event[Any], *labels: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name][(event.namespace, *labels)] += by

    def _note_duration(self, event: Event[Any]) -> None:
        seconds, key = event.elapsed_ms / 1_000, (event.namespace, event.verb)
        with self._lock:
            buckets = self._buckets.setdefault(key, [0] * (len(_BUCKETS) + 1))
            buckets[bisect_left(_BUCKETS, seconds)] += 1
            self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def describe(self) -> list[Any]:
        """Nothing: the registry then asks the memory only when it is scraped."""
        return []

    def collect(self) -> Iterator[Any]:
        """The metric families, as a registry of Prometheus asks for them."""
        with self._lock:
            counts = {name: dict(counter) for name, counter in self._counts.items()}
            durations = {key: (list(buckets), self._seconds[key]) for key, buckets in self._buckets.items()}
        for name, (text, labels) in _COUNTERS.items():
            family = self._families.CounterMetricFamily(f"tacit_{name}", text, labels=("namespace", *labels))
            for key, count in sorted(counts[name].items()):
                family.add_metric(key, count)
            yield family
        yield self._durations(durations)
        yield from self._gauges()

    def _durations(self, durations: dict[tuple[str, str], tuple[list[int], float]]) -> Any:
        family = self._families.HistogramMetricFamily(
            "tacit_operation_duration_seconds", "Time that a verb took", labels=("namespace", "verb")
        )
        for key, (buckets, seconds) in sorted(durations.items()):
            below, cumulative = 0, []
            for edge, count in zip((*map(str, _BUCKETS), "+Inf"), buckets, strict=True):
                below += count
                cumulative.append((edge, below))
            family.add_metric(key, cumulative, seconds)
        return family

    def _gauges(self) -> Iterator[Any]:
        stats = self._stats()
        for name, text in _GAUGES.items():
            if name in stats:
                yield self._families.GaugeMetricFamily(f"tacit_{name}", text, value=stats[name])

    def _stats(self) -> dict[str, Any]:
        """The memory's counts; none if it is closed or cannot be reached."""
        if self._memory is None:
            return {}
        try:
            return self._memory.stats()
        except BaseException as error:
            if not is_failure(error):
                raise
            return {}
