"""OpenTelemetry, both ways: spans of agents become episodes, and a memory emits spans and metrics of its own.

Needs `pip install 'tacit[otel]'`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..aio import AsyncMemory
from ..errors import TacitError, is_failure
from ..importers.forms.spans import Span, episodes_of
from ..memory import Memory
from ..model.episode import Episode, Outcome
from ..model.learned import Learned
from ..model.record import Receipt
from ..observing import Event, Observer
from .frameworks import framework_class, framework_module

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import TracerProvider

    from ..judging import Judge

__all__ = ["EpisodeProcessor", "TelemetryObserver"]

_EXTRA = "otel"
if not TYPE_CHECKING:
    SpanProcessor = framework_class("opentelemetry.sdk.trace", "SpanProcessor", _EXTRA)

_LOGGER = logging.getLogger("tacit")
_MOST_SPANS = 10_000
_MOST_TRACES = 1_000
_MOST_WAITING = 1_000


class EpisodeProcessor(SpanProcessor):
    """A span processor: each `invoke_agent` span of an instrumented agent is an episode, each `execute_tool` a step.

    It reads the GenAI conventions (`gen_ai.tool.name`, `gen_ai.tool.call.arguments`, ...) and OpenInference, as
    `tacit import` does of exported spans. A span with an error is a failed step, or a failed run. Other runs have the
    outcome that `gen_ai.evaluation` attributes or `judge` give, else an unknown one. At most 10,000 spans of a trace
    are kept at a time, and 1,000 traces: those whose spans never end make room. Episodes are stored on a thread of the
    processor's own: `force_flush` waits for them, and a failure is logged to the logger "tacit".

    Raises `ValidationError` without the SDK of OpenTelemetry.

    Example:
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider()
        provider.add_span_processor(EpisodeProcessor(memory))
    """

    def __init__(
        self, memory: Memory | AsyncMemory, *, judge: Judge | None = None, domain: str | None = None
    ) -> None:
        self._memory = memory
        self._judge = judge
        self._domain = domain
        self._lock = threading.Lock()
        self._open: dict[int, dict[int, Any]] = {}
        self._ended: dict[int, list[Span]] = {}
        self._waiting: queue.Queue[Episode | threading.Event | None] = queue.Queue(_MOST_WAITING)
        self._writer: threading.Thread | None = None

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Notes an open span."""
        with self._lock:
            self._open.setdefault(span.context.trace_id, {})[span.context.span_id] = span
            if len(self._open) > _MOST_TRACES:
                oldest = next(iter(self._open))
                del self._open[oldest]
                self._ended.pop(oldest, None)

    def on_end(self, span: Any) -> None:
        """Keeps an ended span until its agent's has ended, whose episode is stored then."""
        try:
            episodes = self._episodes_after(span)
        except Exception:  # a span of an unknown shape must not disturb the agent
            _LOGGER.warning("a span could not be read", exc_info=True)
            return
        for episode in episodes:
            self._store_later(episode)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits until every episode that has ended is stored; returns False if that takes longer."""
        if self._writer is None:
            return True
        done = threading.Event()
        try:
            self._waiting.put(done, timeout=timeout_millis / 1_000)
        except queue.Full:
            return False
        return done.wait(timeout_millis / 1_000)

    def shutdown(self) -> None:
        """Stores what waits, and ends the thread."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self._waiting.put(None)
            writer.join()

    def _episodes_after(self, span: Any) -> list[Episode]:
        """The episodes that the end of this span completes: those of an agent that no other one has called."""
        trace, ended = span.context.trace_id, span_of(span)
        with self._lock:
            open_spans = self._open.get(trace, {})
            open_spans.pop(span.context.span_id, None)
            spans = self._ended.setdefault(trace, [])
            if len(spans) < _MOST_SPANS:
                spans.append(ended)
            is_run = ended.kind == "agent" and not self._has_open_agent(open_spans, span.parent)
            if is_run:
                self._ended[trace] = []
            if not open_spans:
                self._open.pop(trace, None)
                self._ended.pop(trace, None)
        if not is_run:
            return []
        memory = self._opened()
        return [
            self._judged(episode)
            for root, episode in episodes_of(spans, memory.settings.limits)
            if root.kind == "agent"
        ]

    @staticmethod
    def _has_open_agent(open_spans: Mapping[int, Any], parent: Any) -> bool:
        """Returns True if a span above is an agent's that is still at work."""
        while parent is not None and (above := open_spans.get(parent.span_id)) is not None:
            if span_of(above).kind == "agent":
                return True
            parent = above.parent
        return False

    def _judged(self, episode: Episode) -> Episode:
        from dataclasses import replace

        if self._domain is not None:
            episode = replace(episode, context=replace(episode.context, domain=self._domain))
        is_open = episode.outcome is None or episode.outcome.kind == "unknown"
        if is_open and self._judge is not None:
            episode = replace(episode, outcome=self._judge(episode) or Outcome.unknown())
        return episode

    def _store_later(self, episode: Episode) -> None:
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="tacit-otel", daemon=True)
                self._writer.start()
        try:
            self._waiting.put_nowait(episode)
        except queue.Full:
            _LOGGER.warning("an episode was dropped: %d wait to be stored", _MOST_WAITING)

    def _write(self) -> None:
        """Stores what comes, until `None` does."""
        while (waiting := self._waiting.get()) is not None:
            if isinstance(waiting, threading.Event):
                waiting.set()
                continue
            try:
                self._opened().add(waiting)
            except BaseException as error:
                if not is_failure(error):
                    raise
                _LOGGER.warning("an episode could not be stored: %s: %s", type(error).__name__, error)

    def _opened(self) -> Memory:
        return self._memory.memory if isinstance(self._memory, AsyncMemory) else self._memory


def span_of(span: Any) -> Span:
    """A span of the SDK as importers read it."""
    status = span.status
    return Span(
        line=0,
        trace=f"{span.context.trace_id:032x}",
        id=f"{span.context.span_id:016x}",
        parent="" if span.parent is None else f"{span.parent.span_id:016x}",
        name=span.name,
        began=(span.start_time or 0) // 1_000,
        ended=(span.end_time or 0) // 1_000,
        is_error=status.status_code.name == "ERROR",
        message=status.description or "",
        has={**span.resource.attributes, **(span.attributes or {})},
        events=[dict(event.attributes or {}) for event in span.events],
    )


class TelemetryObserver(Observer):
    """An observer that emits OpenTelemetry: a span for each verb of the memory, and metrics.

    Spans are named `tacit.VERB`, as long as the verb took, and children of the current span. The metrics:
    `tacit.operation.duration` (seconds, by `tacit.verb`), `tacit.episodes` (ended, by `tacit.state`),
    `tacit.rows.committed`, `tacit.degraded` (by `tacit.code`) and `tacit.refused` (by `error.type`). No task, no
    parameter and no result is in them.

    Without providers it uses the global ones. Raises `ValidationError` without OpenTelemetry.

    Example:
        memory = Memory("agent.db", observers=[TelemetryObserver()])
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        trace: Any = framework_module("opentelemetry.trace", _EXTRA)
        metrics: Any = framework_module("opentelemetry.metrics", _EXTRA)
        self._error: Any = trace.Status(trace.StatusCode.ERROR)
        self._tracer: Any = trace.get_tracer("tacit", tracer_provider=tracer_provider)
        meter = metrics.get_meter("tacit", meter_provider=meter_provider)
        self._duration: Any = meter.create_histogram("tacit.operation.duration", "s", "Time that a verb took")
        self._episodes: Any = meter.create_counter("tacit.episodes", "{episode}", "Episodes that ended")
        self._rows: Any = meter.create_counter("tacit.rows.committed", "{row}", "Rows that became durable")
        self._degraded: Any = meter.create_counter("tacit.degraded", "{answer}", "Answers that lacked a part")
        self._refused: Any = meter.create_counter("tacit.refused", "{call}", "Calls that were refused")

    def committed(self, event: Event[Receipt]) -> None:
        """Counts the rows."""
        self._rows.add(event.value.committed, _about(event))

    def recalled(self, event: Event[Any]) -> None:
        """A span and a duration of an answer."""
        hits = getattr(event.value, "hits", None)
        self._span(event, {} if hits is None else {"tacit.hits": len(hits)})

    def learned(self, event: Event[Learned]) -> None:
        """A span and a duration of an ending; counts the episode."""
        state = {"tacit.state": event.value.state}
        self._episodes.add(1, _about(event) | state)
        self._span(event, state | {"tacit.episode": event.value.episode_id})

    def maintained(self, event: Event[Any]) -> None:
        """A span and a duration of maintenance."""
        self._span(
            event, {"tacit.merges": len(event.value.merges), "tacit.changes": len(event.value.changed)}
        )

    def degraded(self, event: Event[tuple[str, ...]]) -> None:
        """Counts the codes."""
        for code in event.value:
            self._degraded.add(1, _about(event) | {"tacit.code": code.partition(":")[0]})

    def refused(self, event: Event[TacitError]) -> None:
        """A span with an error; counts its type."""
        kind = {"error.type": type(event.value).__name__}
        self._refused.add(1, _about(event) | kind)
        self._span(event, kind, is_error=True)

    def _span(self, event: Event[Any], more: Mapping[str, Any], *, is_error: bool = False) -> None:
        about = _about(event)
        self._duration.record(event.elapsed_ms / 1_000, about)
        ended = time.time_ns()
        began = ended - int(event.elapsed_ms * 1_000_000)
        span = self._tracer.start_span(f"tacit.{event.verb}", attributes=about | dict(more), start_time=began)
        if is_error:
            span.set_status(self._error)
        span.end(end_time=ended)


def _about(event: Event[Any]) -> dict[str, Any]:
    return {"tacit.verb": event.verb, "tacit.namespace": event.namespace}
