"""Sessions of Claude Code: one JSON object a line, an episode for each prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import PurePath
from typing import Any

from ...deferred import dataclass
from ...model.episode import Episode
from ..base import Entry, Refusal
from ..messages import answer, text_of
from ..run_builder import RunBuilder, microseconds_of
from ..sample import Sample
from ..source import Source
from .reading import listed, mapping, objects_of, working_folder

_NO_PROMPTS = (
    "<command-",
    "<local-command",
    "<system-reminder>",
    "<bash-",
    "<user-memory-input>",
    "<task-notification>",
    "Caveat:",
    "[Request interrupted",
    "This session is being continued from a previous conversation",
)
"""How texts begin that the program wrote in the user's name."""


class ClaudeCode:
    """The transcripts of Claude Code: each prompt and what followed until the next one is an episode.

    A subagent's work (a sidechain) is an episode of its own. Calls of one message are a batch. Outcomes are
    unknown: nothing in a session says how a prompt ended. A session that grew takes the place of its shorter self.
    """

    name = "claude-code"
    grows = True

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for lines with a session id and a place in the tree of messages."""
        return sample.any_has("sessionId", "parentUuid") or sample.any_has("leafUuid", "summary")

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
                continue
            line, value = each
            prompt = session.take(value, line)
            if prompt is not None:
                yield from prompt.entry(source)
        for prompt in session.prompts.values():
            yield from prompt.entry(source)


@dataclass(slots=True)
class _Prompt:
    """One prompt of the user, or one task of a subagent, and the calls since."""

    line: int
    task: str
    id: str
    run: RunBuilder
    notes: dict[str, Any]
    began: int = 0
    ended: int = 0
    model: str | None = None
    where: dict[str, Any] = field(default_factory=dict)

    def entry(self, source: Source) -> Iterator[Entry]:
        """The episode, if there was a call."""
        if len(self.run):
            yield Entry(self.line, self._episode(source))

    def _episode(self, source: Source) -> Episode:
        return self.run.episode(
            self.task,
            external_id=self.id,
            domain="coding",
            agent=self.model,
            source=ClaudeCode.name,
            started_at=self.began,
            ended_at=self.ended,
            metadata=self.notes,
        )


class _Session:
    """The prompts that are open: the user's, and one for each sidechain."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._sidechain_of: dict[str, str] = {}
        self.prompts: dict[str, _Prompt] = {}

    def take(self, value: Mapping[str, Any], line: int) -> _Prompt | None:
        """Reads one line; returns the prompt that it ends."""
        message = mapping(value.get("message"))
        if value.get("type") not in ("user", "assistant") or not message:
            return None
        chain = self._chain(value)
        at = microseconds_of(value.get("timestamp"))
        ended = None
        if value["type"] == "user" and (task := _prompt_of(value, message)):
            ended = self.prompts.get(chain)
            self.prompts[chain] = self._opened(value, task, line, at, chain)
        prompt = self.prompts.get(chain)
        if prompt is not None:
            prompt.ended = max(prompt.ended, at)
            _read(prompt, value, message, at)
        return ended

    def _chain(self, value: Mapping[str, Any]) -> str:
        """The sidechain that a line belongs to; the empty text for the user's own conversation."""
        if not value.get("isSidechain"):
            return ""
        uuid, parent = str(value.get("uuid")), value.get("parentUuid")
        named = value.get("agentId")
        chain = str(named) if named else self._sidechain_of.get(str(parent), uuid)
        self._sidechain_of[uuid] = chain
        return chain

    def _opened(self, value: Mapping[str, Any], task: str, line: int, at: int, chain: str) -> _Prompt:
        session = str(value.get("sessionId") or PurePath(self._source.path).stem)
        # A session that is resumed in a new file begins with copies of earlier lines, which keep their ids.
        identity = f"{ClaudeCode.name}:{value.get('uuid') or f'{session}:{line}'}"
        notes: dict[str, Any] = {"session": session}
        for name, note in (("cwd", "cwd"), ("gitBranch", "branch")):
            if isinstance(value.get(name), str) and value[name]:
                notes[note] = value[name]
        if chain:
            notes["subagent"] = chain
        return _Prompt(line, task, identity, RunBuilder(self._source.limits), notes, began=at, ended=at)


def _prompt_of(value: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """The text that a user typed; empty for results of tools and for what the program wrote."""
    content = message.get("content")
    if value.get("isMeta") or value.get("isCompactSummary"):
        return ""
    if any(block.get("type") == "tool_result" for block in listed(content)):
        return ""
    text = text_of(content).strip()
    return "" if text.startswith(_NO_PROMPTS) else text


def _read(prompt: _Prompt, value: Mapping[str, Any], message: Mapping[str, Any], at: int) -> None:
    """Adds the calls and the results of one line."""
    model = message.get("model")
    if isinstance(model, str) and model and not model.startswith("<"):
        prompt.model = model
    tokens = mapping(message.get("usage")).get("output_tokens")
    group = str(message.get("id") or value.get("uuid"))
    for block in listed(message.get("content")):
        if block.get("type") == "tool_use":
            prompt.run.call(
                block.get("name"),
                block.get("input"),
                call_id=_text(block.get("id")),
                group=group,
                at=at,
                tokens=tokens,
                state=_moved(prompt, value),
            )
            tokens = None
        elif block.get("type") == "tool_result":
            result = text_of(block.get("content"))
            answer(prompt.run, block.get("tool_use_id"), result, failed=block.get("is_error", False), at=at)


def _moved(prompt: _Prompt, value: Mapping[str, Any]) -> dict[str, Any] | None:
    """The folder and the branch, if they are others than at the call before."""
    where = {
        note: value[name]
        for name, note in (("cwd", "cwd"), ("gitBranch", "branch"))
        if isinstance(value.get(name), str) and value[name]
    }
    if where == prompt.where:
        return None
    prompt.where = where
    return where or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
