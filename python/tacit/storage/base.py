"""The verbs of a store: what every place that keeps experience must do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from ..model.record import Batch, Change, Kind, Receipt

__all__ = ["Changes", "Store"]


class Changes(Protocol):
    """A stretch of the change log, oldest first."""

    @property
    def last(self) -> int:
        """Up to which number the log was read: what to ask from next."""
        ...

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Change]: ...


@runtime_checkable
class Store(Protocol):
    """A commit is all or nothing, durable when it returns, and harmless when repeated.

    A store may be used from many threads. After `close` every other verb raises `StorageError`.
    """

    def commit(self, batch: Batch) -> Receipt:
        """Lands the whole batch or nothing of it.

        What is stored already under the same id or external id and with the same digest is left as it is and
        counted as unchanged; with another digest it raises `ConflictError`. A note takes the place of the one with
        its kind and id, and is unchanged where that says the same; one of another namespace is a `ConflictError`.
        """
        ...

    def get(self, kind: Kind, id: bytes) -> bytes | None:
        """An episode's payload, a pattern's content, an episode's embedding or a note's record."""
        ...

    def get_many(self, kind: Kind, ids: Sequence[bytes]) -> list[bytes | None]:
        """What `get` gives for each of `ids`, in their order."""
        ...

    def scan(
        self,
        kind: Kind,
        *,
        after: bytes | None = None,
        limit: int = 100,
        newest_first: bool = False,
        namespace: str | None = None,
        domain: str | None = None,
        task_key: str | None = None,
        agent: str | None = None,
        external_id: str | None = None,
        state: str | None = None,
    ) -> list[tuple[bytes, bytes]]:
        """One page of ids and values in the order of ids; `after` is the last id of the page before.

        Episodes and embeddings can be filtered, notes by namespace alone, patterns not at all.
        """
        ...

    def changes(self, since: int, limit: int = 1000) -> Changes:
        """What changed after the change numbered `since`.

        A put that was removed later is left out, and so is a note that was written again.
        """
        ...

    def sequence(self) -> int:
        """The newest change's number, whichever process made it."""
        ...

    def sums(self) -> tuple[int, bytes]:
        """A change's number and the packed sums of the facts of everything up to it.

        What they lack are the facts of what was put since that number.
        """
        ...

    def pending(self, limit: int = 100) -> list[bytes]:
        """The ids of episodes that wait to be learned from, oldest first."""
        ...

    def stats(self) -> dict[str, int | float | str]:
        """Counts of what is stored and how it is held, by name."""
        ...

    def close(self) -> None:
        """Lands what was handed over and lets go of the files. Closing twice is once."""
        ...
