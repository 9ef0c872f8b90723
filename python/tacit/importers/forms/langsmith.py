"""Runs of LangSmith: a flat list of runs, one trace an episode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from ...deferred import dataclass
from ...model.episode import Episode, Outcome
from ..base import Entry, Refusal
from ..messages import parsed, text_of
from ..run_builder import RunBuilder, as_text, microseconds_of, says_failure
from ..sample import Sample
from ..source import Source
from .reading import listed, mapping, objects_of, scored

_MOST_RUNS = 500_000
_ASKED = ("input", "question", "query", "task", "prompt", "text")
_VERDICTS = ("correctness", "success", "resolved", "passed", "reward")


class LangSmith:
    """Exports of LangSmith: the root run is the episode, each run of type tool a step.

    The verdict is that of feedback called correctness, success, resolved, passed or reward; a root run with an error
    failed; else the outcome is unknown.
    """

    name = "langsmith"
    grows = False

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for runs with a type and a trace."""
        return sample.any_has("run_type", "trace_id") or sample.any_has("run_type", "dotted_order")

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry for each trace with a run of a tool; refusals for what is no run."""
        traces: dict[str, _Trace] = {}
        count = 0
        for each in objects_of(source):
            if isinstance(each, Refusal):
                yield each
                continue
            count += 1
            if count > _MOST_RUNS:
                yield source.refusal(each[0], f"at most {_MOST_RUNS:,} runs a file, got more")
                break
            key = str(each[1].get("trace_id") or each[1].get("id"))
            traces.setdefault(key, _Trace(each[0])).take(each[1])
        for key, trace in traces.items():
            if trace.tools:
                yield Entry(trace.line, trace.episode(source, key))


@dataclass(slots=True)
class _Trace:
    line: int
    root: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    tools: list[Mapping[str, Any]] = field(default_factory=list)

    def take(self, run: Mapping[str, Any]) -> None:
        """Keeps the root, the tools and the model of a trace."""
        if run.get("parent_run_id") is None:
            self.root = run
        if run.get("run_type") == "tool":
            self.tools.append(run)
        elif run.get("run_type") == "llm" and self.model is None:
            metadata = mapping(mapping(run.get("extra")).get("metadata"))
            named = metadata.get("ls_model_name")
            self.model = named if isinstance(named, str) else None

    def episode(self, source: Source, key: str) -> Episode:
        """The trace as an episode."""
        run = RunBuilder(source.limits)
        for tool in sorted(self.tools, key=lambda each: microseconds_of(each.get("start_time"))):
            _add(run, tool)
        return run.episode(
            _task(self.root),
            external_id=f"{LangSmith.name}:{key}",
            outcome=_outcome(self.root),
            domain=self.root.get("session_name") or self.root.get("name"),
            agent=self.model,
            source=LangSmith.name,
            started_at=microseconds_of(self.root.get("start_time")),
            ended_at=microseconds_of(self.root.get("end_time")),
            metadata={"trace": key},
        )


def _add(run: RunBuilder, tool: Mapping[str, Any]) -> None:
    inputs, id = mapping(tool.get("inputs")), str(tool.get("id"))
    # LangChain wraps a single argument, and writes an object as the text of a Python dictionary.
    parameters = parsed(inputs["input"]) if set(inputs) == {"input"} else dict(inputs)
    run.call(tool.get("name"), parameters, call_id=id, at=microseconds_of(tool.get("start_time")))
    error, outputs = tool.get("error"), mapping(tool.get("outputs"))
    output = _output(outputs.get("output", dict(outputs)))
    if not error and says_failure(output):
        error = output
    run.answer(
        id, output=... if error else output, error=error or None, at=microseconds_of(tool.get("end_time"))
    )


def _output(value: object) -> object:
    message = mapping(value)
    return parsed(text_of(message["content"])) if "content" in message else parsed(value)


def _task(root: Mapping[str, Any]) -> str:
    inputs = mapping(root.get("inputs"))
    for name in _ASKED:
        if isinstance(inputs.get(name), str) and inputs[name]:
            return str(inputs[name])
    for message in listed(inputs.get("messages")):
        said = mapping(message.get("kwargs")) or message
        if said.get("role") in ("user", "human") or said.get("type") in ("user", "human"):
            return text_of(said.get("content"))
    return as_text(dict(inputs)) if inputs else str(root.get("name") or "")


def _outcome(root: Mapping[str, Any]) -> Outcome:
    feedback = mapping(root.get("feedback_stats"))
    for name in _VERDICTS:
        verdict = scored(mapping(feedback.get(name)).get("avg"))
        if verdict.kind != "unknown":
            return verdict
    return Outcome.failure(str(root["error"])[:1_000]) if root.get("error") else Outcome.unknown()
