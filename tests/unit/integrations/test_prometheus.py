"""A memory as metrics of Prometheus, with its client."""

from __future__ import annotations

import pytest

from tacit import Memory, ValidationError

pytest.importorskip("prometheus_client", reason="needs the extra prometheus")

from prometheus_client import CollectorRegistry, generate_latest

from tacit.integrations.prometheus import MemoryCollector


def watched() -> tuple[Memory, CollectorRegistry]:
    collector, registry = MemoryCollector(), CollectorRegistry()
    registry.register(collector)
    return collector.watch(Memory(observers=[collector])), registry


def test_events_are_counted_and_contents_are_gauges() -> None:
    memory, registry = watched()
    with memory:
        for task in ("Cancel order 17", "Cancel order 18"):
            with memory.episode(task) as episode:
                episode.log("cancel_order", output="cancelled")
                episode.succeed()
        memory.recall("Cancel order 19")
        with pytest.raises(ValidationError):
            memory.recall("Cancel order 19", limit=0)
        default = {"namespace": "default"}
        assert registry.get_sample_value("tacit_ended_episodes_total", default | {"state": "learned"}) == 2
        assert (
            registry.get_sample_value("tacit_refused_calls_total", default | {"error": "ValidationError"})
            == 1
        )
        assert (registry.get_sample_value("tacit_committed_rows_total", default) or 0) > 0
        assert registry.get_sample_value("tacit_episodes") == 2
        recalls = default | {"verb": "recall"}
        assert registry.get_sample_value("tacit_operation_duration_seconds_count", recalls) == 1
        assert (
            registry.get_sample_value("tacit_operation_duration_seconds_bucket", recalls | {"le": "+Inf"})
            == 1
        )
        assert (registry.get_sample_value("tacit_operation_duration_seconds_sum", recalls) or 0) > 0
        text = generate_latest(registry).decode()
        assert 'tacit_ended_episodes_total{namespace="default",state="learned"} 2.0' in text


def test_a_closed_memory_has_no_gauges_and_keeps_its_counts() -> None:
    memory, registry = watched()
    memory.recall("Cancel order 17")
    memory.close()
    names = {family.name for family in registry.collect()}
    assert "tacit_operation_duration_seconds" in names
    assert "tacit_episodes" not in names
