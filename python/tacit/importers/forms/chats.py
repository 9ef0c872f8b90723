"""Chats with tools: one list of messages a line, an item, or a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...model.episode import Episode, Outcome
from ..base import Entry, Refusal
from ..messages import model_of, read_messages
from ..run_builder import RunBuilder
from ..sample import Sample
from ..source import Source
from .reading import entries_of, listed, mapping, objects_of, scored

_LISTS = ("messages", "conversation", "conversations", "history", "trajectory", "traj")
_OUTCOMES = ("success", "resolved", "reward", "passed", "correct", "is_success")
_KEYS = ("id", "uuid", "conversation_id", "session_id", "run_id", "request_id")


class Chats:
    """OpenAI and Anthropic messages: `{"messages": [...]}` a line or a file, or a file that is one list of messages.

    A chat without a tool call is refused: there is nothing to learn from. The outcome is that of a member called
    `success`, `resolved`, `passed`, `correct` or `reward` (true and 1 or false and 0), else unknown.
    """

    name = "messages"
    grows = False

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for objects with a list of messages, or for messages themselves."""
        if any(_messages_of(each) for each in (*sample.objects, sample.members)):
            return True
        if _is_message(sample.members):
            return True
        return any(
            _is_message(item) or (isinstance(item, Mapping) and "role" in item)
            for name in _LISTS
            for item in (sample.members.get(name),)
        )

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry or a refusal for each chat."""
        if _is_list_of_messages(Sample(source.path, source.head())):
            yield from self._one_chat(source)
            return
        yield from entries_of(source, lambda value, line: [_episode(source, value, line)])

    def _one_chat(self, source: Source) -> Iterator[Entry | Refusal]:
        messages: list[dict[str, Any]] = []
        for each in objects_of(source):
            if isinstance(each, Refusal):
                yield each
            else:
                messages.append(each[1])
        try:
            yield Entry(1, _episode(source, {"messages": messages}, 1))
        except ValueError as error:
            yield source.refusal(1, str(error))


def _is_message(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("role"), str)
        and ("content" in value or "tool_calls" in value)
    )


def _is_list_of_messages(sample: Sample) -> bool:
    return _is_message(sample.members) and not _messages_of(sample.members)


def _messages_of(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    for name in _LISTS:
        found = listed(value.get(name))
        if found and any("role" in each for each in found):
            return found
    # The body of a request, as gateways log it.
    return _messages_of(mapping(value["request"])) if "request" in value else []


def _episode(source: Source, value: Mapping[str, Any], line: int) -> Episode:
    messages = _messages_of(value)
    if not messages:
        raise ValueError("messages must be a list of messages with a role; got none")
    run = RunBuilder(source.limits)
    task = read_messages(run, messages)
    if not len(run):
        raise ValueError("messages must hold a tool call; got none")
    metadata = mapping(value.get("metadata"))
    return run.episode(
        task,
        external_id=_identity(source, value, line),
        outcome=_outcome((value, metadata)),
        agent=value.get("model") or model_of(messages),
        domain=value.get("domain"),
        source=self_named(value),
        metadata=metadata,
    )


def self_named(value: Mapping[str, Any]) -> str:
    """The source that a run names, else this form's name."""
    named = value.get("source")
    return named if isinstance(named, str) and named else Chats.name


def _identity(source: Source, value: Mapping[str, Any], line: int) -> str:
    id = next((value[name] for name in _KEYS if isinstance(value.get(name), str | int)), None)
    return f"{source.path}:{line}" if id is None else f"{Chats.name}:{id}"


def _outcome(places: Iterable[Mapping[str, Any]]) -> Outcome:
    for place in places:
        for name in _OUTCOMES:
            if isinstance(place.get(name), bool | int | float):
                return scored(place[name])
    return Outcome.unknown()
