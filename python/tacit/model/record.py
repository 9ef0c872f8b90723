"""What a store takes and gives back: one packed record an episode, and notes beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = [
    "SIDE_RECORD_KINDS",
    "Batch",
    "Change",
    "EpisodeRecord",
    "Kind",
    "Receipt",
    "SideRecord",
    "SideRecordKind",
]

SideRecordKind: TypeAlias = Literal[
    "receipt", "credit", "heuristic", "cluster", "audit", "merge", "retirement", "promotion"
]
Kind: TypeAlias = Literal["episode", "pattern", "embedding"] | SideRecordKind
SIDE_RECORD_KINDS: tuple[str, ...] = get_args(SideRecordKind)


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
class SideRecord:
    """A small record beside the episodes, which may be replaced and deleted.

    Kind and id name it: another one with both takes its place. It belongs to one namespace, so an id must not be
    the same in two of them.
    """

    kind: SideRecordKind
    id: bytes
    """16 bytes."""
    namespace: str
    record: bytes | None
    """A msgpack map; `None` deletes the note."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What lands together. Removals take place first, so that one batch can replace an episode; notes last."""

    episodes: tuple[EpisodeRecord, ...] = ()
    removed: tuple[bytes, ...] = ()
    notes: tuple[SideRecord, ...] = ()


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
    """One entry of the change log; `record` is there for a put, `note` for a note."""

    sequence: int
    op: Literal["put", "remove", "note"]
    record: EpisodeRecord | None
    id: bytes
    note: SideRecord | None = None
