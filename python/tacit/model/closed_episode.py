"""A closed episode that waits to be learned from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import msgspec

from .._native import Trajectory
from .episode import Episode, Outcome
from .ids import as_bytes
from .record import EpisodeRecord

_EPISODES = msgspec.msgpack.Decoder(Episode)


@dataclass(frozen=True)
class ClosedEpisode:
    """A closed episode that was not learned from yet: its record, decoded only if someone needs the steps."""

    head: Episode
    """The episode without its steps."""
    outcome: Outcome
    record: bytes
    digest: bytes
    secrets: int = 0
    """The number of secrets that redaction replaced in the record."""

    @cached_property
    def id(self) -> bytes:
        """The 16 bytes of the episode's id."""
        return as_bytes(self.head.id)

    @cached_property
    def trajectory(self) -> Trajectory:
        """The columns."""
        return Trajectory(self.record)

    @cached_property
    def episode(self) -> Episode:
        """The whole value."""
        return _EPISODES.decode(self.record)

    def stored(
        self,
        state: str,
        *,
        payload: bytes | None = None,
        base: float | None = None,
        facts: bytes = b"",
        contents: bytes = b"",
        embedder: str | None = None,
        embedding: bytes = b"",
    ) -> EpisodeRecord:
        """The record that the store keeps: the episode as it is, without lessons, unless they are given."""
        head = self.head
        return EpisodeRecord(
            id=self.id,
            namespace=head.namespace,
            external_id=head.external_id,
            digest=self.digest,
            task_key=head.task_key,
            domain=head.context.domain,
            agent=head.agent,
            complexity=head.context.complexity,
            state=state,
            started_at=head.started_at,
            ended_at=head.ended_at or head.started_at,
            base=base,
            payload=self.record if payload is None else payload,
            facts=facts,
            contents=contents,
            embedder=embedder,
            embedding=embedding,
        )
