"""Rollouts of Codex: one JSON object a line, an episode for each prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import PurePath
from typing import Any

from ...deferred import dataclass
from ...rejections import is_rejection
from ..base import Entry, Refusal
from ..messages import parsed, text_of
from ..run_builder import RunBuilder, microseconds_of, says_failure
from ..sample import Sample
from ..source import Source
from .reading import mapping, objects_of, working_folder

_CALLS = ("function_call", "custom_tool_call", "local_shell_call", "web_search_call")
_RESULTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")
_NO_PROMPTS = (
    "<environment_context>",
    "<user_instructions>",
    "<INSTRUCTIONS>",
    "<turn_aborted>",
    "<permissions",
    "<skill",
    "# AGENTS.md instructions",
)
"""How texts begin that the program wrote in the user's name."""


class Codex:
    """The rollout files of Codex: each prompt and what followed until the next one is an episode.

    A command that exited with another status than 0 is an error. Outcomes are unknown. A session that grew takes the
    place of its shorter self.
    """

    name = "codex"
    grows = True

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for lines that wrap items of a response, or that are such items."""
        kinds = {each.get("type") for each in sample.objects if "payload" in each}
        if kinds & {"session_meta", "response_item", "turn_context", "event_msg"}:
            return True
        return any(each.get("type") in _CALLS and "call_id" in each for each in sample.objects)

    @staticmethod
    def folder_of(source: Source) -> str | None:
        """The working folder that the first lines name."""
        return working_folder(source)

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry for each prompt that led to a call; refusals for lines that are no objects."""
        session = _Session(source)
        for each in objects_of(source):
            if isinstance(each, Refusal):
                yield each
            else:
                yield from session.take(each[1], each[0])
        yield from session.entry()


@dataclass(slots=True)
class _Session:
    """The head of the session and the prompt that is open."""

    source: Source
    id: str = ""
    model: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    run: RunBuilder = field(default_factory=RunBuilder)
    task: str = ""
    line: int = 0
    prompts: int = 0
    began: int = 0
    ended: int = 0

    def take(self, value: Mapping[str, Any], line: int) -> Iterator[Entry]:
        """Reads one line; gives the entry of the prompt that it ends."""
        at = microseconds_of(value.get("timestamp"))
        item = mapping(value.get("payload")) or value
        kind = item.get("type")
        if value.get("type") in ("session_meta", "turn_context") or (kind is None and "id" in item):
            self._read_head(item)
        elif kind == "message" and item.get("role") == "user":
            text = text_of(item.get("content")).strip()
            if text and not text.startswith(_NO_PROMPTS):
                yield from self.entry()
                self._open(text, line, at)
        elif kind in _CALLS:
            self._call(item, str(kind), at)
        elif kind in _RESULTS:
            self._answer(item, at)
        self.ended = max(self.ended, at)

    def _read_head(self, head: Mapping[str, Any]) -> None:
        if not self.id and isinstance(head.get("id"), str):
            self.id = head["id"]
        if isinstance(head.get("model"), str):
            self.model = head["model"]
        if isinstance(head.get("cwd"), str):
            self.notes["cwd"] = head["cwd"]
        branch = mapping(head.get("git")).get("branch")
        if isinstance(branch, str):
            self.notes["branch"] = branch

    def _open(self, task: str, line: int, at: int) -> None:
        self.run = RunBuilder(self.source.limits)
        self.task, self.line, self.began, self.ended = task, line, at, at
        self.prompts += 1

    def _call(self, item: Mapping[str, Any], kind: str, at: int) -> None:
        if not self.task:
            return
        tool, parameters = item.get("name"), item.get("arguments", item.get("input"))
        if kind == "local_shell_call":
            tool, parameters = "shell", item.get("action")
        elif kind == "web_search_call":
            tool, parameters = "web_search", item.get("action")
        call_id = item.get("call_id")
        self.run.call(tool, parsed(parameters), call_id=call_id if isinstance(call_id, str) else None, at=at)

    def _answer(self, item: Mapping[str, Any], at: int) -> None:
        if not self.task:
            return
        output, is_failure, seconds = _result(item.get("output"))
        call_id = item.get("call_id")
        if isinstance(output, str) and is_rejection(output):
            self.run.reject(call_id if isinstance(call_id, str) else None)
            return
        self.run.answer(
            call_id if isinstance(call_id, str) else None,
            output=... if is_failure else output,
            error=(output or "failed without a message") if is_failure else None,
            latency_ms=seconds * 1_000 if isinstance(seconds, int | float) else None,
            at=at,
        )

    def entry(self) -> Iterator[Entry]:
        """The episode of the prompt that is open, if it led to a call."""
        if not len(self.run) or not self.task:
            return
        session = self.id or PurePath(self.source.path).stem
        yield Entry(
            self.line,
            self.run.episode(
                self.task,
                external_id=f"{Codex.name}:{session}:{self.prompts}",
                domain="coding",
                agent=self.model,
                source=Codex.name,
                started_at=self.began,
                ended_at=self.ended,
                metadata={"session": session, **self.notes},
            ),
        )


def _result(output: object) -> tuple[object, bool, object]:
    """The text of a result, whether it is a failure, and the seconds that it took."""
    if isinstance(output, list):
        output = text_of(output)
    value = parsed(output)
    if not isinstance(value, Mapping):
        return output, says_failure(output), None
    notes = mapping(value.get("metadata"))
    status = notes.get("exit_code", value.get("exit_code"))
    text = value.get("output", value.get("content", value))
    is_failure = (
        status not in (0, None) or value.get("success") is False or (status is None and says_failure(text))
    )
    return text, is_failure, notes.get("duration_seconds")
