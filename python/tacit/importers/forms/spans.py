"""Spans of OpenTelemetry (GenAI conventions) and OpenInference, as OTLP JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from ...config import Limits
from ...deferred import dataclass
from ...model.episode import Episode, Outcome
from ..base import Entry, Refusal
from ..decoding import decoded
from ..messages import parsed, text_of
from ..run_builder import RunBuilder, microseconds_of
from ..sample import Sample
from ..source import Source
from .reading import listed, mapping, scored

_MOST_SPANS = 500_000
"""Spans that are held at a time: those of one trace may stand anywhere in a file."""
_TASKS = ("gen_ai.input.messages", "gen_ai.prompt", "input.value", "gen_ai.task", "traceloop.entity.input")


class Spans:
    """OTLP JSON, a file or a line each export: `invoke_agent` spans are episodes, `execute_tool` spans their steps.

    OpenInference spans of kind AGENT and TOOL likewise. A status of error is an error; `gen_ai.evaluation.*` gives
    the verdict. A trace without a span of an agent is an episode if it has a tool span.
    """

    name = "otlp"
    grows = False

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for objects with spans of a resource."""
        return "resourceSpans" in sample.keys or sample.any_has("resourceSpans")

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry for each run of an agent; refusals for what cannot be read."""
        traces: dict[str, list[Span]] = {}
        count = 0
        for text in source.values(opens_objects=True):
            if isinstance(text, Refusal):
                yield text
                continue
            if text.key != "resourceSpans":
                continue
            try:
                resource = decoded(text.content or b"")
            except ValueError as error:
                yield source.refusal(text.line, str(error))
                continue
            for span in _spans_of(mapping(resource), text.line):
                count += 1
                if count > _MOST_SPANS:
                    yield source.refusal(text.line, f"at most {_MOST_SPANS:,} spans a file, got more")
                    break
                traces.setdefault(span.trace, []).append(span)
        for spans in traces.values():
            for root, episode in episodes_of(spans, source.limits):
                yield Entry(root.line, episode)


@dataclass(slots=True)
class Span:
    """One span with its attributes. Times are microseconds since 1970; `parent` is empty for a root."""

    line: int
    trace: str
    id: str
    parent: str
    name: str
    began: int
    ended: int
    is_error: bool
    message: str
    has: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The role of the span: "agent", "tool", or empty."""
        operation = self.has.get("gen_ai.operation.name")
        kind = str(
            self.has.get("openinference.span.kind") or self.has.get("traceloop.span.kind") or ""
        ).upper()
        if operation == "invoke_agent" or kind == "AGENT":
            return "agent"
        if operation == "execute_tool" or kind == "TOOL" or "gen_ai.tool.name" in self.has:
            return "tool"
        return ""


def _spans_of(resource: Mapping[str, Any], line: int) -> Iterator[Span]:
    shared = _attributes(mapping(resource.get("resource")).get("attributes"))
    scopes = listed(resource.get("scopeSpans")) or listed(resource.get("instrumentationLibrarySpans"))
    for scope in scopes:
        for span in listed(scope.get("spans")):
            status = mapping(span.get("status"))
            yield Span(
                line=line,
                trace=str(span.get("traceId") or ""),
                id=str(span.get("spanId") or ""),
                parent=str(span.get("parentSpanId") or ""),
                name=str(span.get("name") or ""),
                began=microseconds_of(_number(span.get("startTimeUnixNano"))),
                ended=microseconds_of(_number(span.get("endTimeUnixNano"))),
                is_error=status.get("code") in (2, "STATUS_CODE_ERROR", "ERROR"),
                message=str(status.get("message") or ""),
                has=shared | _attributes(span.get("attributes")),
                events=[_attributes(event.get("attributes")) for event in listed(span.get("events"))],
            )


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _attributes(given: object) -> dict[str, Any]:
    """Attributes as OTLP lists them, or as a plain object."""
    if isinstance(given, Mapping):
        return dict(given)
    return {str(each.get("key")): _any_value(each.get("value")) for each in listed(given)}


def _any_value(value: object) -> Any:
    held = mapping(value)
    if "intValue" in held:
        return _number(held["intValue"])
    for name in ("stringValue", "boolValue", "doubleValue"):
        if name in held:
            return held[name]
    if "arrayValue" in held:
        return [_any_value(each) for each in listed(mapping(held["arrayValue"]).get("values"))]
    if "kvlistValue" in held:
        return _attributes(mapping(held["kvlistValue"]).get("values"))
    return value


def episodes_of(spans: list[Span], limits: Limits) -> Iterator[tuple[Span, Episode]]:
    """The episodes of one trace, each with its root: a tool span belongs to the nearest agent above it.

    Without one it belongs to the trace, whose root is the first span without a parent.
    """
    by_id = {span.id: span for span in spans}
    owned: dict[str, list[Span]] = {}
    for span in spans:
        if span.kind == "tool":
            owner = _owner(span, by_id)
            owned.setdefault(owner.id if owner else "", []).append(span)
    for root in (span for span in spans if span.id in owned):
        yield root, _episode(limits, root, owned[root.id], spans)
    if "" in owned:
        root = next((span for span in spans if not span.parent), owned[""][0])
        yield root, _episode(limits, root, owned[""], spans)


def _owner(span: Span, by_id: Mapping[str, Span]) -> Span | None:
    seen = {span.id}
    while (parent := by_id.get(span.parent)) is not None and parent.id not in seen:
        if parent.kind == "agent":
            return parent
        seen.add(parent.id)
        span = parent
    return None


def _episode(limits: Limits, root: Span, tools: list[Span], spans: list[Span]) -> Episode:
    run = RunBuilder(limits)
    for number, tool in enumerate(sorted(tools, key=lambda span: span.began)):
        _add(run, tool, group=_group(tool, tools, number))
    has = root.has
    notes = {
        name: has[key]
        for name, key in (("session", "session.id"), ("conversation", "gen_ai.conversation.id"))
        if key in has
    }
    return run.episode(
        _task(root, spans),
        external_id=f"{Spans.name}:{root.trace}:{root.id}",
        outcome=_outcome(root, spans),
        domain=has.get("service.name") or has.get("gen_ai.agent.name"),
        agent=has.get("gen_ai.request.model") or has.get("llm.model_name") or has.get("gen_ai.agent.name"),
        source=Spans.name,
        started_at=root.began,
        ended_at=root.ended,
        metadata={"trace": root.trace, **notes},
    )


def _group(tool: Span, tools: list[Span], number: int) -> str | None:
    """The group of calls that were in flight at the same time; `None` for one that was alone."""
    overlapping = [
        index
        for index, other in enumerate(sorted(tools, key=lambda span: span.began))
        if other.began < tool.ended and tool.began < other.ended
    ]
    return None if len(overlapping) < 2 else str(min(overlapping))


def _add(run: RunBuilder, span: Span, group: str | None) -> None:
    has = span.has
    name = has.get("gen_ai.tool.name") or has.get("tool.name") or span.name.removeprefix("execute_tool ")
    parameters = has.get("gen_ai.tool.call.arguments", has.get("input.value", has.get("tool.parameters")))
    run.call(name, parsed(parameters), call_id=span.id, group=group, at=span.began)
    output = parsed(has.get("gen_ai.tool.call.result", has.get("output.value")))
    run.answer(
        span.id,
        output=... if span.is_error else output,
        error=_error(span) if span.is_error else None,
        at=span.ended,
    )


def _error(span: Span) -> str:
    told = (
        span.message,
        *(event.get("exception.message") for event in span.events),
        span.has.get("error.type"),
    )
    return next((str(each) for each in told if each), "failed without a message")


def _task(root: Span, spans: list[Span]) -> str:
    """The input of the agent's span, or else of the first span that has one."""
    for span in (root, *sorted(spans, key=lambda span: span.began)):
        for name in _TASKS:
            if (text := _asked(parsed(span.has.get(name)))) != "":
                return text
    return root.name


def _asked(value: object) -> str:
    """The first text of a user among messages, or the text itself."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for name in ("messages", "input", "question", "query", "task", "prompt", "content"):
            if (text := _asked(value.get(name))) != "":
                return text
        return ""
    for message in listed(value):
        if message.get("role") in ("user", "human"):
            parts = message.get("parts", message.get("content"))
            text = text_of([{"text": part.get("content"), **part} for part in listed(parts)] or parts)
            if text:
                return text
    return ""


def _outcome(root: Span, spans: list[Span]) -> Outcome:
    """The verdict of an evaluation, a failure where the agent's span failed, else unknown."""
    for each in (root.has, *root.events, *(event for span in spans for event in (span.has, *span.events))):
        label = str(each.get("gen_ai.evaluation.score.label") or "").lower()
        if label in ("pass", "passed", "correct", "success"):
            return Outcome.success(label)
        if label in ("fail", "failed", "incorrect", "failure"):
            return Outcome.failure(f"the evaluation says {label}")
        verdict = scored(each.get("gen_ai.evaluation.score.value"))
        if verdict.kind != "unknown":
            return verdict
    return Outcome.failure(_error(root)) if root.is_error and root.kind == "agent" else Outcome.unknown()
