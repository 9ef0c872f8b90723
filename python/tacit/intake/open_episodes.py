"""Open episodes: their heads, their growing records, and the answers that they were given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec

from .._native import RecordBuilder
from ..config import Limits
from ..credit.receipts import RecallReceipt, feedback_of
from ..errors import EpisodeClosedError, TooLargeError, UnknownEpisodeError, ValidationError
from ..model.checks import check_count, check_step
from ..model.closed_episode import ClosedEpisode
from ..model.content import digest_of, namespace_of
from ..model.episode import Episode, Outcome, Step
from ..model.ids import as_bytes
from ..model.record import SideRecord
from ..redaction import Redactor
from ..storage.base import Store
from .redacting import redacted_episode

_EPISODES = msgspec.msgpack.Decoder(Episode)
_MOST_TOKENS = 2**63 - 1
_COMPLETING = "is being completed by the call that this one was made from"


class OpenEpisode:
    """An open episode: its head, and a record that grows with each step.

    `started_in` is the namespace of the memory that started it; `None` means the episode's own.
    """

    __slots__ = (
        "_closed", "_credited", "_episode", "_limits", "_record",
        "dropped_answers", "is_completing", "lock", "namespace", "receipts", "started_in",
    )  # fmt: skip

    def __init__(self, episode: Episode, limits: Limits, started_in: str | None = None) -> None:
        self.lock = threading.RLock()
        """Held while the episode is completed or forgotten."""
        self.is_completing = False
        """Set by the holder of the lock: the same thread is not let in a second time."""
        self.namespace = episode.namespace
        self.started_in = episode.namespace if started_in is None else started_in
        self.receipts: list[RecallReceipt] = []
        """The answers that the episode was given, oldest first."""
        self.dropped_answers = 0
        self._episode = replace(episode, steps=())
        self._limits = limits
        self._closed: tuple[int, Outcome, ClosedEpisode] | None = None
        self._credited: tuple[ClosedEpisode, tuple[SideRecord, ...]] | None = None
        self._record = RecordBuilder(
            _head(episode),
            max_steps=limits.steps,
            max_bytes=limits.episode_bytes,
            max_observation=limits.observation_characters,
        )

    @property
    def id(self) -> str:
        """The episode's id."""
        return self._episode.id

    @property
    def started_at(self) -> int:
        """Microseconds since 1970, UTC."""
        return self._episode.started_at

    def is_visible_in(self, namespace: str) -> bool:
        """Returns True for its own namespace, and for that of the memory that started it."""
        return namespace in (self.namespace, self.started_in)

    def log(self, *step: object) -> int:
        """Appends a step, its fields in the order of `RecordBuilder.log`; returns its number."""
        try:
            return self._record.log(*step)  # type: ignore[arg-type]
        except (TypeError, OverflowError) as error:
            raise _mistyped(error) from error

    def snapshot(self) -> Episode:
        """The episode as it stands."""
        return _EPISODES.decode(self._record.record({}))

    def add(self, step: Step) -> None:
        """Appends a step that was taken elsewhere, with its own time."""
        check_step(step)
        failed = step.status == "error" or (step.status is None and step.error is not None)
        has_result = step.status is not None or step.output is not None
        self.log(
            step.at or self.started_at,
            step.tool,
            step.action,
            step.parameters,
            step.output if has_result else ...,
            (step.error or "") if failed else step.error,
            step.status == "timeout",
            step.latency_ms,
            step.tokens,
            step.metadata,
        )

    def close(
        self, outcome: Outcome, *, ended_at: int, redactor: Redactor, content: bytes | None = None
    ) -> ClosedEpisode:
        """The closed episode without secrets. The open one stays as it is.

        Its digest stands for `content`, by default for the record.

        A second call with the same outcome and no step in between returns the same value: committing it again
        changes nothing, even if the first attempt landed.
        """
        steps = len(self._record)
        if self._closed is not None and self._closed[:2] == (steps, outcome):
            return self._closed[2]
        record = self._record.record({"outcome": _ending(outcome), "ended_at": ended_at})
        episode = replace(self._episode, ended_at=ended_at, outcome=outcome)
        digest = digest_of(record if content is None else content)
        closed = redacted_episode(ClosedEpisode(episode, outcome, record, digest), redactor, content)
        self._closed = steps, outcome, closed
        return closed

    def __len__(self) -> int:
        return len(self._record)

    def side_records(
        self, closed: ClosedEpisode, make: Callable[[], tuple[SideRecord, ...]]
    ) -> tuple[SideRecord, ...]:
        """Receipts and credit of a closed episode, made once: committing them again changes nothing."""
        if self._credited is None or self._credited[0] is not closed:
            self._credited = closed, make()
        return self._credited[1]

    def keep_answer(self, receipt: RecallReceipt) -> None:
        """Adds an answer; beyond `Limits.answers` the oldest is dropped and counted."""
        self.receipts.append(receipt)
        if len(self.receipts) > self._limits.answers:
            del self.receipts[0]
            self.dropped_answers += 1

    @property
    def problems(self) -> tuple[str, ...]:
        """The answers that were dropped, in words."""
        if not self.dropped_answers:
            return ()
        answers = self.dropped_answers + len(self.receipts)
        return (f"answers: kept the newest {len(self.receipts):,} of {answers:,}",)

    def has_answer(self, recall_id: bytes) -> bool:
        """Returns True if the answer with this id was given to the episode and is still kept."""
        return any(receipt.id == recall_id for receipt in tuple(self.receipts))

    def take_feedback(self, recall_id: bytes, helped: Mapping[str, bool]) -> bool:
        """Keeps feedback on an answer; returns False if this episode has no such answer."""
        for receipt in self.receipts:
            if receipt.id == recall_id:
                receipt.feedback = feedback_of(helped, receipt.memories)
                self._credited = None
                return True
        return False

    def was_closed_with(self, number: int) -> bool:
        """Returns True if the record that was closed last holds the step of this number."""
        return self._closed is not None and number <= len(self._closed[2].trajectory)


class OpenEpisodes:
    """The open episodes of this process, by id."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self.by_id: dict[str, OpenEpisode] = {}
        self._store = store
        self._limits = limits

    def start(self, episode: Episode, started_in: str) -> str:
        """Opens the episode and returns its id. Raises `TooLargeError` beyond `Limits.open_episodes`."""
        if len(self.by_id) >= self._limits.open_episodes:
            rule = f"at most {self._limits.open_episodes:,}; complete or forget some first"
            raise TooLargeError("open episodes", rule, f"{len(self.by_id) + 1:,}")
        self.by_id[episode.id] = OpenEpisode(episode, self._limits, started_in)
        return episode.id

    def find(self, episode_id: str, *namespaces: str) -> OpenEpisode | None:
        """The open episode if one of the namespaces may see it, else `None`."""
        opened = self.by_id.get(episode_id)
        if opened is None or not any(map(opened.is_visible_in, namespaces)):
            return None
        return opened

    def require(self, episode_id: str, *namespaces: str) -> OpenEpisode:
        """The open episode. Raises `UnknownEpisodeError`, or `EpisodeClosedError` if it has ended."""
        opened = self.find(episode_id, *namespaces)
        if opened is None:
            payload = self._store.get("episode", as_bytes(episode_id))
            if payload is not None and namespace_of(payload) in namespaces:
                raise EpisodeClosedError(episode_id)
            raise UnknownEpisodeError(episode_id)
        return opened

    def log(
        self, episode_id: str, namespace: str, truncate: str | None, tokens: int | None, *step: object
    ) -> int:
        """See `Memory.log`; `step` holds the fields in the order of `RecordBuilder.log`, but for the last."""
        if truncate not in (None, "observation"):
            raise ValidationError("truncate", "None or 'observation'", repr(truncate))
        if tokens is not None:
            check_count("tokens", tokens, 0, _MOST_TOKENS)
        opened = self.by_id.get(episode_id)
        if opened is None or not (opened.namespace == namespace or opened.started_in == namespace):
            opened = self.require(episode_id, namespace)
        if opened.is_completing:
            self.refuse_from_within(opened)
        number = opened.log(*step, truncate is not None)
        if opened.is_completing or episode_id not in self.by_id:
            self.refuse_late(opened, number)
        return number

    @contextmanager
    def held(self, opened: OpenEpisode) -> Iterator[bool]:
        """Keeps other threads out while the episode ends; gives False if it has ended in the meantime.

        Raises `EpisodeClosedError` in a call that was made from within, as an embedder or a signal handler may.
        """
        with opened.lock:
            if opened.is_completing:
                raise EpisodeClosedError(opened.id, _COMPLETING)
            opened.is_completing = True
            try:
                yield opened.id in self.by_id
            finally:
                opened.is_completing = False

    def refuse_from_within(self, opened: OpenEpisode) -> None:
        """Raises `EpisodeClosedError` if the thread that completes the episode logs to it."""
        if opened.lock.acquire(blocking=False):
            try:
                if opened.is_completing:
                    raise EpisodeClosedError(opened.id, _COMPLETING)
            finally:
                opened.lock.release()

    def refuse_late(self, opened: OpenEpisode, number: int) -> None:
        """Raises `EpisodeClosedError` if the episode ended without the step of this number."""
        with opened.lock:
            if opened.id not in self.by_id and not opened.was_closed_with(number):
                raise EpisodeClosedError(opened.id)

    def take_feedback(self, recall_id: bytes, helped: Mapping[str, bool], namespace: str) -> bool:
        """Keeps feedback with the open episode that has the answer.

        Returns False if there is none, or if it ended while this call waited for it.
        """
        for opened in tuple(self.by_id.values()):
            if opened.is_visible_in(namespace) and opened.has_answer(recall_id):
                with self.held(opened) as is_open:
                    return is_open and opened.take_feedback(recall_id, helped)
        return False


def _mistyped(error: Exception) -> ValidationError:
    """A type error of the boundary as a refusal of ours: its note names the argument."""
    named = [note.split("'")[1] for note in getattr(error, "__notes__", ()) if "'" in note]
    field = named[0] if named else "step"
    return ValidationError(field, _TYPES.get(field, "of its field's type and range"), _got(error))


_TYPES = {
    "latency_ms": "a number",
    "tokens": "a whole number",
    "error": "a text",
    "action": "a text",
    "tool": "a text",
    "timed_out": "True or False",
}


def _got(error: Exception) -> str:
    """The given type: "str" of the message "must be real number, not str"."""
    text = str(error)
    for before in (", not ", "'"):
        if before in text:
            return text.split(before)[1].split("'")[0]
    return text


def _head(episode: Episode) -> dict[str, Any]:
    """Everything that is known before the first step; what is None is left out."""
    context = episode.context
    fields: dict[str, Any] = {
        "id": episode.id,
        "namespace": episode.namespace,
        "task": episode.task,
        "task_key": episode.task_key,
        "task_type": episode.task_type,
        "context": {
            "domain": context.domain,
            "language": context.language,
            "framework": context.framework,
            "complexity": context.complexity,
            "tags": list(context.tags),
        },
        "started_at": episode.started_at,
        "timed": episode.timed,
        "tags": list(episode.tags),
        "metadata": episode.metadata,
        "agent": episode.agent,
        "source": episode.source,
        "external_id": episode.external_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _ending(outcome: Outcome) -> dict[str, Any]:
    fields = {
        "kind": outcome.kind,
        "verdict": outcome.verdict,
        "artifacts": list(outcome.artifacts),
        "completed": list(outcome.completed),
        "failed": list(outcome.failed),
        "reason": outcome.reason,
        "details": outcome.details,
    }
    return {name: value for name, value in fields.items() if value is not None and value != []}
