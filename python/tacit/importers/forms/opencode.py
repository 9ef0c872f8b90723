"""Sessions of opencode: an export of one, or its head in the storage folder, beside messages and parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...rejections import is_rejection
from ..base import Entry, Refusal
from ..decoding import decoded_object
from ..messages import answer
from ..run_builder import RunBuilder, microseconds_of
from ..sample import Sample
from ..source import Source
from .reading import listed, mapping, objects_of


class OpenCode:
    """Sessions of opencode: each prompt and what followed until the next one is an episode.

    Read are what `opencode export` prints, and `storage/session/PROJECT/SESSION.json` together with the folders
    `message` and `part` beside `session`. Outcomes are unknown. A session that grew takes the place of its shorter
    self.
    """

    name = "opencode"
    grows = True

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for an export, and for the head of a session."""
        members = sample.members
        if "info" in members and isinstance(members.get("messages"), list):
            return any("parts" in each for each in listed(members["messages"]))
        return str(members.get("id", "")).startswith("ses_") and "directory" in members

    @staticmethod
    def folder_of(source: Source) -> str | None:
        """The working folder that a session names."""
        for value in Sample(source.path, source.head()).objects:
            directory = mapping(value.get("info")).get("directory") or value.get("directory")
            if isinstance(directory, str):
                return directory
        return None

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry for each prompt that led to a call; a refusal for anything but a session."""
        for each in objects_of(source):
            if isinstance(each, Refusal):
                yield each
                continue
            line, value = each
            head = mapping(value.get("info")) or value
            messages = listed(value.get("messages")) or list(_stored_messages(source, str(head.get("id"))))
            yield from _entries(head, messages, source, line)


def _stored_messages(source: Source, session: str) -> Iterator[dict[str, Any]]:
    """The messages of a session in the storage folder, in the order of their ids, each with its parts."""
    storage = Path(source.path).parent.parent.parent
    for file in sorted((storage / "message" / session).glob("*.json")):
        info = _object_in(file)
        parts = [_object_in(part) for part in sorted((storage / "part" / file.stem).glob("*.json"))]
        yield {"info": info, "parts": parts}


def _object_in(file: Path) -> dict[str, Any]:
    """The object in a file; an empty one if it cannot be read, for opencode may be writing it."""
    try:
        return decoded_object(file.read_bytes())
    except (OSError, ValueError):
        return {}


def _entries(head: Mapping[str, Any], messages: list[Any], source: Source, line: int) -> Iterator[Entry]:
    session = str(head.get("id"))
    notes: dict[str, Any] = {"session": session}
    if isinstance(head.get("directory"), str):
        notes["cwd"] = head["directory"]
    if isinstance(head.get("parentID"), str):
        notes["subagent"] = session
    prompt: _Prompt | None = None
    for message in messages:
        info, parts = mapping(message.get("info")), listed(message.get("parts"))
        if info.get("role") == "user":
            if text := _text_of(parts):
                if prompt is not None:
                    yield from prompt.entry(line, notes)
                prompt = _Prompt(text, str(info.get("id")), info, source)
        elif prompt is not None:
            prompt.read(info, parts)
    if prompt is not None:
        yield from prompt.entry(line, notes)


def _text_of(parts: list[Mapping[str, Any]]) -> str:
    """The texts that the user typed; opencode marks those that it added itself."""
    texts = (part.get("text") for part in parts if part.get("type") == "text" and not part.get("synthetic"))
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


class _Prompt:
    def __init__(self, task: str, id: str, info: Mapping[str, Any], source: Source) -> None:
        self._task = task
        self._id = id
        self._run = RunBuilder(source.limits)
        self._model: object = None
        self._began = self._ended = microseconds_of(mapping(info.get("time")).get("created"))

    def read(self, info: Mapping[str, Any], parts: list[Mapping[str, Any]]) -> None:
        """Adds the calls of a message of the model."""
        self._model = info.get("modelID") or self._model
        time = mapping(info.get("time"))
        self._ended = max(
            self._ended, microseconds_of(time.get("created")), microseconds_of(time.get("completed"))
        )
        tokens = mapping(info.get("tokens")).get("output")
        for part in parts:
            if part.get("type") == "tool":
                self._call(part, str(info.get("id")), tokens)
                tokens = None

    def _call(self, part: Mapping[str, Any], group: str, tokens: object) -> None:
        state = mapping(part.get("state"))
        time = mapping(state.get("time"))
        id = part.get("callID") if isinstance(part.get("callID"), str) else None
        self._run.call(
            part.get("tool"),
            state.get("input"),
            call_id=id,
            group=group,
            at=microseconds_of(time.get("start")),
            tokens=tokens,
        )
        ended, status = microseconds_of(time.get("end")), state.get("status")
        if status == "completed":
            answer(self._run, id, state.get("output"), at=ended)
        elif status == "error":
            error = str(state.get("error") or "failed without a message")
            if is_rejection(error):
                self._run.reject(id)
            else:
                answer(self._run, id, error, failed=True, at=ended)

    def entry(self, line: int, notes: Mapping[str, Any]) -> Iterator[Entry]:
        """The episode, if there was a call."""
        if not len(self._run):
            return
        episode = self._run.episode(
            self._task,
            external_id=f"{OpenCode.name}:{self._id}",
            domain="coding",
            agent=self._model,
            source=OpenCode.name,
            started_at=self._began,
            ended_at=self._ended,
            metadata=notes,
        )
        yield Entry(line, episode)
