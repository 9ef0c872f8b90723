"""The fields of a stored record that say why its episode waits to be learned from."""

from __future__ import annotations

import msgspec

QUEUED = "waiting for a worker"
"""The reason of an episode that no attempt was made on yet."""


class PendingRecord(msgspec.Struct, frozen=True):
    """The fields of a pending episode's payload; `pending` is `None` once the episode was learned from."""

    namespace: str = "default"
    pending: str | None = None
    queued_at: int = 0
    """Microseconds since 1970, UTC; 0 means that a part failed before the episode was queued."""


_RECORDS = msgspec.msgpack.Decoder(PendingRecord)


def pending_in(payload: bytes) -> PendingRecord:
    """The fields of a stored payload."""
    return _RECORDS.decode(payload)
