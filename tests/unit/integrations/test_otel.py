"""OpenTelemetry, both ways, with its SDK: spans become episodes, and a memory emits spans and metrics."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from tacit import Episode, Memory, Outcome, ValidationError, judging

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from tacit.integrations.otel import EpisodeProcessor, TelemetryObserver

AGENT = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "shopper",
    "gen_ai.request.model": "m-1",
}


def ask(task: str) -> dict[str, str]:
    message = {"role": "user", "parts": [{"type": "text", "content": task}]}
    return {**AGENT, "gen_ai.input.messages": json.dumps([message])}


def tool(tracer: Any, name: str, *, result: str = '{"status": "open"}', error: str | None = None) -> None:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.arguments": '{"order_id": 17}',
    }
    with tracer.start_as_current_span(f"execute_tool {name}", attributes=attributes) as span:
        if error is None:
            span.set_attribute("gen_ai.tool.call.result", result)
        else:
            span.set_status(Status(StatusCode.ERROR, error))


class Traced:
    """A memory behind a provider of spans."""

    def __init__(self, memory: Memory, **options: Any) -> None:
        self.processor = EpisodeProcessor(memory, **options)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.processor)
        self.provider = provider
        self.tracer = provider.get_tracer("agent")
        self.memory = memory

    def episodes(self) -> tuple[Episode, ...]:
        assert self.provider.force_flush()
        return self.memory.episodes()


def test_a_run_of_an_agent_is_an_episode_and_its_tools_are_steps() -> None:
    with Memory() as memory:
        traced = Traced(memory, domain="retail")
        with traced.tracer.start_as_current_span("invoke_agent shopper", attributes=ask("Cancel order 17")):
            with traced.tracer.start_as_current_span("chat m-1"):
                tool(traced.tracer, "get_order")
            tool(traced.tracer, "cancel_order", error="no card")
        (episode,) = traced.episodes()
        assert (episode.task, episode.agent, episode.context.domain) == ("Cancel order 17", "m-1", "retail")
        look_up, cancel = episode.steps
        assert (look_up.tool, look_up.parameters, look_up.output) == (
            "get_order",
            {"order_id": 17},
            {"status": "open"},
        )
        assert (cancel.status, cancel.error) == ("error", "no card")
        assert episode.outcome == Outcome.unknown()
        traced.provider.shutdown()


def test_an_agent_that_an_agent_calls_is_an_episode_of_its_own() -> None:
    with Memory() as memory:
        traced = Traced(memory)
        with traced.tracer.start_as_current_span("request"):
            with traced.tracer.start_as_current_span("invoke_agent outer", attributes=ask("Cancel order 17")):
                tool(traced.tracer, "get_order")
                with traced.tracer.start_as_current_span(
                    "invoke_agent inner", attributes=ask("Find the card")
                ):
                    tool(traced.tracer, "list_cards")
            assert {episode.task for episode in traced.episodes()} == {"Cancel order 17", "Find the card"}
        tools = {episode.task: [step.tool for step in episode.steps] for episode in traced.episodes()}
        assert tools == {"Cancel order 17": ["get_order"], "Find the card": ["list_cards"]}


def test_runs_at_once_keep_their_steps_apart() -> None:
    with Memory() as memory:
        traced = Traced(memory)
        together = threading.Barrier(2)

        def run(name: str) -> None:
            with traced.tracer.start_as_current_span("invoke_agent", attributes=ask(name)):
                together.wait()
                tool(traced.tracer, name)
                together.wait()

        threads = [threading.Thread(target=run, args=(name,)) for name in ("first", "second")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {(episode.task, episode.steps[0].tool) for episode in traced.episodes()} == {
            ("first", "first"),
            ("second", "second"),
        }


def test_a_run_that_fails_is_a_failure_and_a_judge_decides_the_others() -> None:
    with Memory() as memory:
        traced = Traced(memory, judge=judging.last_step_ok)

        def run_out() -> None:
            with traced.tracer.start_as_current_span("invoke_agent", attributes=ask("Buy a fern")):
                tool(traced.tracer, "find")
                raise ValueError("no stock")

        with pytest.raises(ValueError, match="no stock"):
            run_out()
        with traced.tracer.start_as_current_span("invoke_agent", attributes=ask("Buy a rose")):
            tool(traced.tracer, "find")
        outcomes = {episode.task: episode.outcome for episode in traced.episodes()}
        assert outcomes["Buy a rose"] == Outcome.success()
        assert outcomes["Buy a fern"] == Outcome.failure("ValueError: no stock")


def test_spans_without_an_agent_are_no_episode_and_are_not_kept() -> None:
    with Memory() as memory:
        traced = Traced(memory)
        with traced.tracer.start_as_current_span("request"):
            tool(traced.tracer, "get_order")
        assert traced.episodes() == ()
        assert (traced.processor._ended, traced.processor._open) == ({}, {})


def test_traces_whose_spans_never_end_make_room_for_newer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.integrations.otel._MOST_TRACES", 3)
    with Memory() as memory:
        traced = Traced(memory)
        left_open = [traced.tracer.start_span(f"request {number}") for number in range(5)]
        assert len(traced.processor._open) == 3
        with traced.tracer.start_as_current_span("invoke_agent", attributes=ask("Buy a fern")):
            tool(traced.tracer, "find")
        for span in left_open:
            span.end()
        assert [episode.task for episode in traced.episodes()] == ["Buy a fern"]
        assert traced.processor._ended == {}


def test_a_memory_that_is_closed_never_reaches_the_agent(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory()
    traced = Traced(memory, judge=lambda _: 1 / 0)
    memory.close()
    with caplog.at_level(logging.WARNING, "tacit"):
        with traced.tracer.start_as_current_span("invoke_agent", attributes=ask("Buy a fern")):
            tool(traced.tracer, "find")
        assert traced.provider.force_flush()
    traced.provider.shutdown()
    assert "could not be" in caplog.text


# --- what a memory emits ---


def emitted() -> tuple[TelemetryObserver, InMemorySpanExporter, InMemoryMetricReader]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    return TelemetryObserver(tracer_provider=provider, meter_provider=meters), exporter, reader


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
    return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


def test_a_memory_emits_a_span_for_each_verb_and_counts_events() -> None:
    observer, exporter, reader = emitted()
    with Memory(observers=[observer]) as memory:
        with memory.episode("Cancel order 17") as episode:
            episode.recall()
            episode.succeed()
        with pytest.raises(ValidationError):
            memory.recall("Cancel order 17", limit=0)
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["tacit.recall", "tacit.complete", "tacit.recall"]
    assert [span.status.status_code.name for span in spans] == ["UNSET", "UNSET", "ERROR"]
    assert all((span.end_time or 0) > (span.start_time or 0) for span in spans)
    attributes = spans[1].attributes or {}
    assert (attributes["tacit.state"], attributes["tacit.namespace"]) == ("learned", "default")
    assert "Cancel" not in str([dict(span.attributes or {}) for span in spans])
    found = points(reader)
    assert found["tacit.episodes"][0].value == 1
    assert found["tacit.refused"][0].attributes["error.type"] == "ValidationError"
    assert sum(point.count for point in found["tacit.operation.duration"]) == 3
    assert found["tacit.rows.committed"][0].value > 0
