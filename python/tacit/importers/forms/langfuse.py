"""Traces of Langfuse: one object a trace, with its observations and scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...model.episode import Episode, Outcome
from ..base import Entry, Refusal
from ..messages import parsed
from ..run_builder import RunBuilder, as_text, microseconds_of
from ..sample import Sample
from ..source import Source
from .reading import entries_of, listed, scored

_VERDICTS = ("correctness", "success", "resolved", "passed", "reward", "correct")


class Langfuse:
    """Exports of Langfuse: a trace is an episode, each observation of type TOOL a step, or each SPAN if none is.

    The verdict is that of a score called correctness, success, resolved, passed, correct or reward, else unknown.
    """

    name = "langfuse"
    grows = False

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for a trace with observations."""
        return any(
            isinstance(each.get("observations"), list | Mapping) for each in (*sample.objects, sample.members)
        )

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each trace."""
        yield from entries_of(source, lambda value, line: self._episodes(source, value, line))

    def _episodes(self, source: Source, trace: Mapping[str, Any], line: int) -> Iterable[Episode]:
        observations = listed(trace.get("observations"))
        tools = [each for each in observations if each.get("type") == "TOOL"]
        tools = tools or [each for each in observations if each.get("type") == "SPAN"]
        if not tools:
            raise ValueError("observations must hold one of type TOOL or SPAN; got none")
        run = RunBuilder(source.limits)
        for tool in sorted(tools, key=lambda each: microseconds_of(each.get("startTime"))):
            _add(run, tool)
        models = (each.get("model") for each in observations)
        yield run.episode(
            _task(trace),
            external_id=f"{self.name}:{trace.get('id') or f'{source.path}:{line}'}",
            outcome=_outcome(trace),
            domain=trace.get("name"),
            agent=next((model for model in models if model), None),
            source=self.name,
            started_at=microseconds_of(trace.get("timestamp")),
            metadata={"session": trace["sessionId"]} if trace.get("sessionId") else None,
        )


def _add(run: RunBuilder, tool: Mapping[str, Any]) -> None:
    id = str(tool.get("id"))
    run.call(
        tool.get("name"), parsed(tool.get("input")), call_id=id, at=microseconds_of(tool.get("startTime"))
    )
    failed = tool.get("level") == "ERROR"
    output = parsed(tool.get("output"))
    run.answer(
        id,
        output=... if failed else output,
        error=(tool.get("statusMessage") or output or "failed without a message") if failed else None,
        at=microseconds_of(tool.get("endTime")),
    )


def _task(trace: Mapping[str, Any]) -> str:
    given = parsed(trace.get("input"))
    if isinstance(given, Mapping):
        named = (given.get(name) for name in ("input", "question", "query", "task", "prompt"))
        given = next((each for each in named if isinstance(each, str) and each), given)
    for message in listed(given):
        if message.get("role") == "user":
            return as_text(message.get("content"))
    return as_text(given) if given else str(trace.get("name") or "")


def _outcome(trace: Mapping[str, Any]) -> Outcome:
    scores = {str(each.get("name")).lower(): each.get("value") for each in listed(trace.get("scores"))}
    verdicts = (scored(scores.get(name)) for name in _VERDICTS)
    return next((each for each in verdicts if each.kind != "unknown"), Outcome.unknown())
