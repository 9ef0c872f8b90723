"""The verbs of a store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from ..errors import ReadOnlyError
from ..model.record import Batch, Change, Compaction, DamagedRow, Filters, Kind, Receipt

__all__ = ["Changes", "Store", "require_writable"]

_NO_FILTERS = Filters()


class Changes(Protocol):
    """A stretch of the change log, oldest first."""

    @property
    def last(self) -> int:
        """The number up to which the log was read: the next call asks from here."""
        ...

    @property
    def horizon(self) -> int:
        """The horizon of the log when the stretch was read."""
        ...

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Change]: ...


@runtime_checkable
class Store(Protocol):
    """A commit is all or nothing, durable when it returns, and harmless when repeated.

    A store may be used from many threads. After `close` every other verb raises `StorageError`.
    """

    def commit(self, batch: Batch) -> Receipt:
        """Commits the whole batch or nothing of it.

        An episode whose id or external id is stored already with the same digest is left as it is and counted as
        unchanged; another digest raises `ConflictError`. A side record takes the place of the one with its kind and
        id, and is unchanged if the bytes are equal; one of another namespace is a `ConflictError`.

        A batch with preconditions, or one that replaces an episode, is compared with the store first: if the store
        already holds everything that the batch would write, nothing happens and all of it counts as unchanged.
        Otherwise a precondition that does not hold raises `VersionConflictError`, and nothing is committed.
        """
        ...

    def get(self, kind: Kind, id: bytes, namespace: str | None = None) -> bytes | None:
        """Returns an episode's payload, a pattern's content, an episode's embedding or a side record's bytes.

        A pattern comes with the detail of `namespace`, and without any detail if `namespace` is `None`; the other
        kinds ignore it. A damaged row raises `CorruptRecordError`.
        """
        ...

    def get_many(self, kind: Kind, ids: Sequence[bytes], namespace: str | None = None) -> list[bytes | None]:
        """Returns the values of `ids`, in their order; `None` stands for an absent or damaged row."""
        ...

    def version(self, kind: Kind, id: bytes) -> int | None:
        """Returns the version of an episode or a side record, without reading its record; `None` if it is absent."""
        ...

    def get_versioned(self, kind: Kind, id: bytes) -> tuple[int, bytes] | None:
        """Returns the version and the value of an episode or a side record, read together."""
        ...

    def scan(
        self,
        kind: Kind,
        *,
        after: bytes | None = None,
        limit: int = 100,
        newest_first: bool = False,
        filters: Filters = _NO_FILTERS,
    ) -> list[tuple[bytes, bytes]]:
        """Returns one page of ids and values in the order of ids; `after` is the last id of the page before.

        Damaged rows are left out and do not shorten a page.
        """
        ...

    def changes(self, since: int, limit: int = 1000, *, began: int | None = None) -> Changes:
        """Returns the changes after the one numbered `since`.

        A put that was removed later is left out, and so are a side record that was written again and damaged rows. A
        `since` between 0 and the horizon raises `ResyncRequiredError`. A reader that began at 0 hands on the horizon
        of its first stretch as `began`, and may read on until the horizon moves.
        """
        ...

    def sequence(self) -> int:
        """Returns the number of the newest change, of whichever process."""
        ...

    def pending(self, limit: int = 100) -> list[bytes]:
        """Returns the ids of episodes that wait to be learned from, oldest first."""
        ...

    def damaged(self) -> list[DamagedRow]:
        """Reads every row and returns the unreadable ones."""
        ...

    def damaged_count(self) -> int:
        """Returns the number of unreadable rows that this process met. Reads nothing."""
        ...

    def remove_damaged(self) -> list[DamagedRow]:
        """Removes every unreadable row and returns them.

        An episode is removed as if by a batch, a side record is deleted, and a pattern is absent until an episode
        names it again.
        """
        ...

    def compact(self, keep: int = 100_000) -> Compaction:
        """Prunes the change log but for its newest `keep` numbers, and moves its horizon.

        Removals, replaced entries and deleted side records go; entries of rows that are there stay, so that a reader
        can always begin at 0.
        """
        ...

    def shrink(self) -> int:
        """Gives the space of removed rows back, and returns how many bytes; 0 if there is nothing to give back."""
        ...

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copies the store to a new file, as of one moment, while it is in use. Raises `ValidationError` for a file
        that exists.
        """
        ...

    def stats(self) -> dict[str, int | float | str]:
        """Returns figures of the stored rows and of the cache, by name."""
        ...

    def close(self) -> None:
        """Commits what was handed over and closes the files. Closing a closed store does nothing."""
        ...


def require_writable(store: Store) -> None:
    """Raises `ReadOnlyError` for a store that was opened to be read."""
    if getattr(store, "read_only", False):
        raise ReadOnlyError("the memory was opened with read_only=True: open it without, to write")
