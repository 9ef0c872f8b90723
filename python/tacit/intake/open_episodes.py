"""From the first step to the closed episode that waits to be learned from."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from .._native import RecordBuilder
from ..config import Limits
from ..credit.receipts import RecallReceipt, feedback_of
from ..errors import ValidationError
from ..model.checks import check_step
from ..model.closed_episode import ClosedEpisode
from ..model.episode import Episode, Outcome, Step
from ..model.record import SideRecord

_EPISODES = msgspec.msgpack.Decoder(Episode)


class OpenEpisode:
    """An open episode: its head, and a record that grows with each step."""

    def __init__(self, episode: Episode, limits: Limits) -> None:
        self.lock: threading.Lock = threading.Lock()
        """Held while the episode is being completed."""
        self._episode = replace(episode, steps=())
        self.receipts: list[RecallReceipt] = []
        """What memory answered while the episode was open."""
        self._closed: tuple[int, ClosedEpisode] | None = None
        self._noted: tuple[ClosedEpisode, tuple[SideRecord, ...]] | None = None
        self._record = RecordBuilder(
            _head(episode),
            max_steps=limits.steps,
            max_bytes=limits.episode_bytes,
            max_observation=limits.observation_characters,
        )

    @property
    def started_at(self) -> int:
        """Microseconds since 1970, UTC."""
        return self._episode.started_at

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
        """A step that was taken elsewhere, at the time it carries."""
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

    def close(self, outcome: Outcome, *, ended_at: int, digest: bytes | None = None) -> ClosedEpisode:
        """The closed episode; the recording itself stays as it is. The digest is the record's where none is given.

        Closed once more with the same outcome and no step since, it is the same draft: committing it again changes
        nothing, whatever became of the first attempt.
        """
        steps = len(self._record)
        if self._closed is not None and (self._closed[0], self._closed[1].outcome) == (steps, outcome):
            return self._closed[1]
        record = self._record.record({"outcome": _ending(outcome), "ended_at": ended_at})
        episode = replace(self._episode, ended_at=ended_at, outcome=outcome)
        draft = ClosedEpisode(episode, outcome, record, digest or digest_of(record))
        self._closed = steps, draft
        return draft

    def __len__(self) -> int:
        return len(self._record)

    def notes(
        self, draft: ClosedEpisode, make: Callable[[], tuple[SideRecord, ...]]
    ) -> tuple[SideRecord, ...]:
        """What is stored of the receipts: made once for a draft, so that committing it again changes nothing."""
        if self._noted is None or self._noted[0] is not draft:
            self._noted = draft, make()
        return self._noted[1]

    def was_given(self, recall_id: bytes) -> bool:
        """Whether the answer of this id was given to the episode."""
        return any(receipt.id == recall_id for receipt in tuple(self.receipts))

    def tell(self, recall_id: bytes, helped: Mapping[str, bool]) -> bool:
        """Takes down what feedback says of an answer; False where this episode did not get it."""
        for receipt in self.receipts:
            if receipt.id == recall_id:
                receipt.told = feedback_of(helped, receipt.memories)
                self._noted = None
                return True
        return False

    def was_closed_with(self, number: int) -> bool:
        """Whether the step of this number is part of the record that was closed last."""
        return self._closed is not None and number <= len(self._closed[1].trajectory)


def _mistyped(error: Exception) -> ValidationError:
    """What the boundary says of an argument's type, as every other refusal is said: its note names the argument."""
    named = [note.split("'")[1] for note in getattr(error, "__notes__", ()) if "'" in note]
    return ValidationError(named[0] if named else "step", "of its field's type and range", str(error))


def digest_of(content: bytes) -> bytes:
    """16 bytes that stand for the content: BLAKE2b."""
    return hashlib.blake2b(content, digest_size=16).digest()


def content_of(episode: Episode, *, dated: bool) -> bytes:
    """What an episode says, whatever its id and what was learned from it: equal bytes are the same content.

    Where it was not `dated` by whoever recorded it, its times are none of its content.
    """
    said = replace(episode, id="", reward=None, reflection=None)
    if not dated:
        steps = tuple(replace(step, at=0) for step in episode.steps)
        said = replace(said, steps=steps, started_at=0, ended_at=None, timed=True)
    return msgspec.msgpack.encode(said, order="deterministic")


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
