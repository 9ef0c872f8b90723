"""What a store takes and gives back: one packed record an episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Batch", "Change", "EpisodeRecord", "Kind", "Receipt"]

Kind = Literal["episode", "pattern", "embedding"]


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """What one commit lands for one episode.

    Times are microseconds since 1970, UTC. `digest` (16 bytes) stands for the content: what is put again
    under the same id or external id must have the same one.
    """

    id: bytes
    """16 bytes, a UUIDv7."""
    namespace: str
    external_id: str | None
    """Unique in its namespace, where given."""
    digest: bytes
    task_key: str | None
    domain: str
    agent: str | None
    complexity: str
    """simple, moderate, complex or unknown"""
    state: str
    """learned, open, pending or abandoned"""
    started_at: int
    ended_at: int
    base: float | None
    """The outcome's share, 0 to 1; `None` while there is no outcome."""
    payload: bytes
    """A msgpack map: the episode with its reward and reflection."""
    facts: bytes
    """What the episode says about patterns, packed."""
    contents: bytes
    """The contents of those patterns, packed. Stored once a pattern, so a change gives back none of it."""
    embedder: str | None
    embedding: bytes
    """Little-endian float32; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What lands together. Removals take place first, so that one batch can replace an episode."""

    episodes: tuple[EpisodeRecord, ...] = ()
    removed: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a commit did: `sequence` is the newest change's number once it had landed."""

    sequence: int
    committed: int
    unchanged: int
    durable: str
    """`libsql:` and the path of the file, or `memory`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change log; `record` is there for a put."""

    sequence: int
    op: Literal["put", "remove"]
    record: EpisodeRecord | None
    id: bytes
