"""The version of the text functions that a store's facts were made by, and an index that reads one version.

A record says in its payload which version made its facts (`text_version`; absent in stores of earlier releases, which
means 1). Records are written in the newest version only. So in the order of the change log every record of an older
version stands before every one of a newer version, and the oldest record that is left tells the version that answers
read. Replacing the last old record is the switch: one commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from .._native import TEXT_VERSION, Findings, Index, Trajectory
from ..deferred import dataclass
from ..extractors import Hybrid
from ..model.episode import Episode
from ..model.record import Change, EpisodeRecord
from ..storage import Changes, Store

OLDEST_VERSION = 1
_EPISODES = msgspec.msgpack.Decoder(Episode)


class _Versioned(msgspec.Struct):
    text_version: int = OLDEST_VERSION


_VERSIONS = msgspec.msgpack.Decoder(_Versioned)


def version_of(payload: bytes) -> int:
    """The version that made the facts of a record."""
    return _VERSIONS.decode(payload).text_version


def findings_in(version: int, payload: bytes, hybrid: Hybrid) -> Findings:
    """The findings that a record teaches, by the text functions of a version."""
    return hybrid.teach_with(Trajectory(payload, version), lambda: _EPISODES.decode(payload))


def oldest_version(store: Store) -> int:
    """The version that answers read: that of the oldest learned record in the change log."""
    since = 0
    while len(changes := store.changes(since, limit=8)):
        for change in changes:
            if change.record is not None and change.record.state == "learned":
                return version_of(change.record.payload)
        since = changes.last
    return TEXT_VERSION


@dataclass(frozen=True, slots=True)
class _Converted:
    """A stretch of the change log with other facts."""

    rows: tuple[Change, ...]
    last: int
    horizon: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.rows)


class FactsReader:
    """Follows a store and gives its index the facts of one version.

    Records of another version are extracted again on the way. Once the store is relearned the index is rebuilt beside
    the old contents, which answer meanwhile.
    """

    def __init__(self, store: Store, index: Index, hybrid: Hybrid, version: int | None = None) -> None:
        self._store = store
        self._hybrid = hybrid
        self.index = index
        self._version = version

    @property
    def version(self) -> int:
        """The version that answers read."""
        if self._version is None:
            self._version = oldest_version(self._store)
        return self._version

    def read_version(self) -> int:
        """The version that answers read."""
        return self.version

    @property
    def is_behind(self) -> bool:
        """True until a store of an earlier version is relearned."""
        return self.version < TEXT_VERSION

    @property
    def sequence(self) -> int:
        """The number of the last change that was applied."""
        return self.index.sequence

    def apply(self, changes: Changes) -> int:
        """Applies changes, in the version that is read; returns the number of the last one."""
        if self.version == TEXT_VERSION:
            return self.index.apply(changes)
        rows = tuple(self._converted(change) for change in changes)
        return self.index.apply(_Converted(rows, changes.last, changes.horizon))

    def apply_own(self, changes: Sequence[Change]) -> None:
        """Applies changes that this process committed itself."""
        self.index.apply([self._converted(change) for change in changes])

    def _converted(self, change: Change) -> Change:
        if self.version == TEXT_VERSION:
            return change
        if change.record is None or change.record.state != "learned":
            return change
        return replace(change, record=self._in_version(change.record))

    def _in_version(self, record: EpisodeRecord) -> EpisodeRecord:
        if version_of(record.payload) == self.version:
            return record
        return replace(record, facts=findings_in(self.version, record.payload, self._hybrid).facts())

    def empty(self) -> FactsReader:
        """An empty reader of the same version."""
        return FactsReader(self._store, self.index.empty(), self._hybrid, self._version)

    def swap(self, other: FactsReader) -> None:
        """Exchanges the contents and the version with another reader."""
        self.index.swap(other.index)
        self._version, other._version = other._version, self._version

    def newer(self) -> FactsReader | None:
        """An empty reader of the version that the store holds now; `None` if that is the version that is read."""
        if self.version == TEXT_VERSION or (version := oldest_version(self._store)) == self.version:
            return None
        return FactsReader(self._store, self.index.empty(), self._hybrid, version)


def is_of_older_version(change: Change) -> bool:
    """Returns true for a record that is to be learned from again."""
    record = change.record
    return record is not None and record.state == "learned" and version_of(record.payload) < TEXT_VERSION
