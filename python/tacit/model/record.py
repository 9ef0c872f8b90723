"""The values that a store takes and returns: packed records of episodes, and side records beside them."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict, get_args

from ..deferred import dataclass

__all__ = [
    "SIDE_RECORD_KINDS",
    "Batch",
    "Change",
    "Compaction",
    "DamagedRow",
    "EpisodeRecord",
    "EpisodeRecordFields",
    "EpisodeStateChange",
    "Expect",
    "Filters",
    "Kind",
    "Receipt",
    "SideRecord",
    "SideRecordKind",
]

SideRecordKind: TypeAlias = Literal[
    "receipt",
    "credit",
    "heuristic",
    "cluster",
    "audit",
    "merge",
    "retirement",
    "promotion",
    "open_episode",
    "step_batch",
    "claim",
]
Kind: TypeAlias = Literal["episode", "pattern", "embedding"] | SideRecordKind
SIDE_RECORD_KINDS: tuple[str, ...] = get_args(SideRecordKind)


@dataclass(frozen=True, slots=True)
class EpisodeRecord:
    """The record that one commit writes for one episode.

    Times are microseconds since 1970, UTC. `digest` (16 bytes) stands for the content: a record under an id or
    external id that is stored already must have the same one.
    """

    id: bytes
    """16 bytes, a UUIDv7."""
    namespace: str
    external_id: str | None
    """Unique in its namespace; `None` means that the episode has none."""
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
    """The success share of the outcome, 0 to 1; `None` means that there is no outcome."""
    payload: bytes
    """A msgpack map: the episode with its reward and reflection."""
    facts: bytes
    """The facts of the episode about patterns, packed."""
    contents: bytes
    """The contents of those patterns, packed. A change comes without them."""
    embedder: str | None
    embedding: bytes
    """Little-endian float32; empty without an embedding."""


class EpisodeRecordFields(TypedDict, total=False):
    """The fields of an `EpisodeRecord` as keywords."""

    id: bytes
    namespace: str
    external_id: str | None
    digest: bytes
    task_key: str | None
    domain: str
    agent: str | None
    complexity: str
    state: str
    started_at: int
    ended_at: int
    base: float | None
    payload: bytes
    facts: bytes
    contents: bytes
    embedder: str | None
    embedding: bytes


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
    """A msgpack map; `None` deletes the side record."""
    subject: bytes | None = None
    """The episode that it belongs to, by which a scan finds it; `None` means no episode."""


@dataclass(frozen=True, slots=True)
class Expect:
    """A precondition of a batch on an episode or a side record, as it is before the batch.

    The version of a row is the number of the change that wrote it last (`Store.version`). A number is never used
    twice, so a row that was deleted and written again has another version.
    """

    kind: Kind
    id: bytes
    version: int | None
    """`None` means that there must be no such row."""


@dataclass(frozen=True, slots=True)
class EpisodeStateChange:
    """Moves a stored episode to another state. The episode gets a new version."""

    id: bytes
    state: str
    """learned, open, pending or abandoned"""


@dataclass(frozen=True, slots=True)
class Batch:
    """The operations of one commit, and their preconditions.

    They take place in this order: removals, changes of state, episodes, side records. So one batch can replace an
    episode. A pattern that no fact of its namespace names any more is removed last.
    """

    episodes: tuple[EpisodeRecord, ...] = ()
    removed: tuple[bytes, ...] = ()
    side_records: tuple[SideRecord, ...] = ()
    states: tuple[EpisodeStateChange, ...] = ()
    expect: tuple[Expect, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of a commit: `sequence` is the number of the newest change after it."""

    sequence: int
    committed: int
    unchanged: int
    durable: str
    """`libsql:` and the path of the file, the address of a server, or `memory`."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change log: a put has a `record`, a side record that was written or deleted a
    `side_record`.
    """

    sequence: int
    op: Literal["put", "remove", "side_record"]
    record: EpisodeRecord | None
    id: bytes
    side_record: SideRecord | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """The rows that a scan returns. `None` means no filter.

    Patterns can be filtered by namespace, side records by namespace and subject, episodes by everything but subject.
    """

    namespace: str | None = None
    domain: str | None = None
    task_key: str | None = None
    agent: str | None = None
    external_id: str | None = None
    state: str | None = None
    subject: bytes | None = None


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A stored row whose bytes are not those that were written."""

    kind: Kind
    id: bytes
    """Zeros if the id itself is unreadable."""
    message: str


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """The snapshot of the index beside a store."""

    sequence: int | None
    """The number of the newest change in it; `None` means that there is none that this process can use."""
    bytes: int
    used: int | None
    """The number up to which this process read it instead of the log; `None` means that it read the whole log."""
    problem: str | None
    """Why there is no usable snapshot, or why the last one could not be written."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """The result of pruning a change log."""

    horizon: int
    """The change up to which removals and replaced entries are pruned."""
    pruned: int
    """The log entries and deleted side records that the call removed."""
