"""Sessions of Gemini CLI: lines that append to a conversation and rewind it, or a whole one as one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from ...rejections import is_rejection
from ..base import Entry, Refusal
from ..messages import answer, text_of
from ..run_builder import RunBuilder, microseconds_of
from ..sample import Sample
from ..source import Source
from .reading import listed, mapping, objects_of


class GeminiCli:
    """The session files of Gemini CLI: each prompt and what followed until the next one is an episode.

    A message that was written again counts as it was written last, and one that was taken back by a rewind does not
    count. Outcomes are unknown. A session that grew takes the place of its shorter self.
    """

    name = "gemini-cli"
    grows = True

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for the head of a session."""
        return sample.any_has("sessionId", "projectHash")

    @staticmethod
    def folder_of(source: Source) -> str | None:
        """The working folder, which a file beside the folder of the sessions names."""
        for folder in list(Path(source.path).parents)[:3]:
            marker = folder / ".project_root"
            if marker.is_file():
                return marker.read_text(errors="replace").strip() or None
        return None

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """An entry for each prompt that led to a call; refusals for lines that are no objects."""
        session = _Session()
        for each in objects_of(source):
            if isinstance(each, Refusal):
                yield each
            else:
                session.take(each[1])
        id = session.id or PurePath(source.path).stem
        yield from _entries(session.conversation(), id, source, self.folder_of(source))


class _Session:
    """The conversation as its lines leave it."""

    def __init__(self) -> None:
        self.id = ""
        self._messages: dict[str, Mapping[str, Any]] = {}
        self._whole: list[Mapping[str, Any]] = []

    def take(self, record: Mapping[str, Any]) -> None:
        """Reads one record: a message, a rewind, or facts about the session."""
        if isinstance(rewound := record.get("$rewindTo"), str):
            self._rewind(rewound)
        elif isinstance(record.get("id"), str):
            self._messages[record["id"]] = record
        else:
            facts = mapping(record.get("$set")) or record
            if isinstance(facts.get("sessionId"), str):
                self.id = facts["sessionId"]
            if messages := listed(facts.get("messages")):
                self._whole = messages

    def _rewind(self, id: str) -> None:
        """Takes back a message and all behind it; without it, all of them."""
        ids = list(self._messages)
        for each in ids[ids.index(id) if id in ids else 0 :]:
            del self._messages[each]

    def conversation(self) -> list[Mapping[str, Any]]:
        """The messages in their order; those of a snapshot, if there is one."""
        return self._whole or list(self._messages.values())


def _entries(
    messages: list[Mapping[str, Any]], session: str, source: Source, folder: str | None
) -> Iterator[Entry]:
    prompts: list[list[Mapping[str, Any]]] = []
    for message in messages:
        if message.get("type") == "user" and text_of(message.get("content")).strip():
            prompts.append([message])
        elif prompts:
            prompts[-1].append(message)
    for number, (prompt, *rest) in enumerate(prompts, 1):
        run, model = RunBuilder(source.limits), None
        for message in rest:
            model = message.get("model") or model
            _read(run, message)
        if not len(run):
            continue
        ended = max((microseconds_of(each.get("timestamp")) for each in rest), default=0)
        notes = {"session": session, **({"cwd": folder} if folder else {})}
        episode = run.episode(
            text_of(prompt.get("content")),
            external_id=f"{GeminiCli.name}:{session}:{prompt.get('id') or number}",
            domain="coding",
            agent=model,
            source=GeminiCli.name,
            started_at=microseconds_of(prompt.get("timestamp")),
            ended_at=ended,
            metadata=notes,
        )
        yield Entry(number, episode)


def _read(run: RunBuilder, message: Mapping[str, Any]) -> None:
    """Adds the calls of a message, with their results."""
    tokens = mapping(message.get("tokens")).get("output")
    for call in listed(message.get("toolCalls")):
        id = call.get("id") if isinstance(call.get("id"), str) else None
        at = microseconds_of(call.get("timestamp")) or microseconds_of(message.get("timestamp"))
        run.call(
            call.get("name"),
            call.get("args"),
            call_id=id,
            group=str(message.get("id")),
            at=at,
            tokens=tokens,
        )
        tokens = None
        status, output = call.get("status"), _output(call)
        if status == "cancelled" or (isinstance(output, str) and is_rejection(output)):
            run.reject(id)
        elif status == "error":
            answer(run, id, output, failed=True)
        elif status == "success" or call.get("result") is not None:
            run.answer(id, output=output)


def _output(call: Mapping[str, Any]) -> object:
    """The result: the output or the error of its function response, else its texts."""
    result = call.get("result")
    for part in listed(result):
        response = mapping(mapping(part.get("functionResponse")).get("response"))
        for name in ("error", "output"):
            if name in response:
                return response[name]
        if response:
            return dict(response)
    return text_of(result) or text_of(call.get("resultDisplay"))
