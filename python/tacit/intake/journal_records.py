"""The stored forms of the journal: the lease of an open episode, and the batches of its writers."""

from __future__ import annotations

from functools import cache

import msgspec

from ..credit.shown_answer import ShownAnswer
from ..model.episode import Episode, Outcome

BEGUN = "begun"
"""The mark of an entry that is a call in flight."""
ENDED = "ended"
"""The mark of an entry that is the result of a call, which another writer began."""


class Lease(msgspec.Struct, frozen=True):
    """The stored head of an open episode: its owner, and until when nobody else may take it over."""

    namespace: str
    owner: bytes
    until: int
    """Microseconds since 1970, UTC; 0 after the owner closed its memory."""
    version: int
    """Raised by each `resume`: an owner with an earlier one has lost the lease."""
    batches: int
    """The number of batches that landed, of every writer: the next one takes it."""
    stepped_at: int = 0
    """When the newest batch with a step, a call or a result landed; 0 means that an earlier version wrote the lease."""


class StoredAnswer(msgspec.Struct, frozen=True):
    """An answer that a writer asked for; it stands under the answer's id."""

    episode: bytes
    shown: ShownAnswer
    namespace: str
    at: int
    steps: int
    """How many steps its writer had taken."""
    known: int
    """How many batches its writer knew."""
    feedback: dict[bytes, bool] | None = None


class StepBatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some entries of an open episode without secrets; the first batch brings the episode's head too."""

    number: int
    """The order of the commits of all writers, from 0."""
    record: bytes = b""
    """The entries as steps of a record: finished ones, and those that `marks` names."""
    writer: bytes = b""
    marks: dict[int, str] = {}
    """The entries that are no finished steps, by their place in the record, from 0."""
    verdict: tuple[Outcome, str, int] | None = None
    """A verdict that came while the episode was open, its source and time."""
    answer: StoredAnswer | None = None


class Entries(msgspec.Struct):
    """The entries of a record."""

    steps: list[msgspec.Raw] = []


class _FirstBatch(msgspec.Struct):
    record: bytes = b""


class _Head(msgspec.Struct):
    id: str
    task: str
    started_at: int
    namespace: str = "default"


LEASES: msgspec.msgpack.Decoder[Lease] = msgspec.msgpack.Decoder(Lease)
_FIRST_BATCHES = msgspec.msgpack.Decoder(_FirstBatch)
_HEADS = msgspec.msgpack.Decoder(_Head)
_ENTRIES = msgspec.msgpack.Decoder(Entries)
_FIELDS = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])


@cache
def episode_decoder() -> msgspec.msgpack.Decoder[Episode]:
    """Made when it is needed first: a process that only appends a step never reads an episode."""
    return msgspec.msgpack.Decoder(Episode)


@cache
def batch_decoder() -> msgspec.msgpack.Decoder[StepBatch]:
    """Made when it is needed first, as `episode_decoder`."""
    return msgspec.msgpack.Decoder(StepBatch)


def guest_head(first_batch: bytes) -> Episode:
    """The identity of an open episode, from its first batch: enough to append to it."""
    head = _HEADS.decode(_FIRST_BATCHES.decode(first_batch).record)
    return Episode(head.task, id=head.id, namespace=head.namespace, started_at=head.started_at)


def entries_of(record: bytes) -> list[msgspec.Raw]:
    """The entries of a record, undecoded."""
    return _ENTRIES.decode(record).steps if record else []


def step_count(record: bytes) -> int:
    """The number of entries of a record."""
    return len(entries_of(record))


def with_entries(record: bytes, entries: list[msgspec.Raw]) -> bytes:
    """The record with other entries."""
    return msgspec.msgpack.encode({**_FIELDS.decode(record), "steps": entries})
