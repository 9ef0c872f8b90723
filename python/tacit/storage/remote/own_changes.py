"""The change log's entries that this process wrote last: its own followers need not ask the server for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...model.record import Batch, Change, Receipt

_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class OwnStretch:
    """The entries of one commit."""

    rows: tuple[Change, ...]
    last: int
    horizon: int
    size: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.rows)


class OwnChanges:
    """The newest commits of this process by the change before them, within a limit of bytes.

    A commit that removes or changes an episode, or that found a part of its work done, is not among them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stretches: OrderedDict[int, OwnStretch] = OrderedDict()
        self._size = 0

    def note(self, before: int, batches: Sequence[Batch], outcomes: Sequence[object]) -> None:
        """Notes batches that one transaction committed after the change numbered `before`."""
        for batch, outcome in zip(batches, outcomes, strict=True):
            if not isinstance(outcome, Receipt) or not outcome.committed:
                continue
            written = len(batch.episodes) + len(batch.side_records)
            if batch.removed or batch.states or outcome.sequence != before + written:
                return  # the numbers of its entries are not known
            self._keep(before, batch, outcome.sequence)
            before = outcome.sequence

    def _keep(self, before: int, batch: Batch, last: int) -> None:
        numbers = iter(range(before + 1, last + 1))
        puts = [Change(next(numbers), "put", replace(each, contents=b""), each.id) for each in batch.episodes]
        noted = [Change(next(numbers), "side_record", None, each.id, each) for each in batch.side_records]
        size = sum(len(each.payload) + len(each.facts) + len(each.embedding) for each in batch.episodes)
        size += sum(len(each.record or b"") for each in batch.side_records)
        with self._lock:
            self._stretches[before] = OwnStretch((*puts, *noted), last, 0, size)
            self._size += size
            while self._size > _MOST_BYTES:
                _, dropped = self._stretches.popitem(last=False)
                self._size -= dropped.size

    def after(self, since: int) -> OwnStretch | None:
        """Returns the commit that directly follows the change numbered `since`, if it was this process's."""
        with self._lock:
            return self._stretches.get(since)
