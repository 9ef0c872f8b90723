"""A store in memory: the same promises while the process lives."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from threading import RLock

from .. import _native
from ..errors import (
    ConflictError,
    ResyncRequiredError,
    StorageError,
    ValidationError,
    VersionConflictError,
)
from ..model.record import (
    SIDE_RECORD_KINDS,
    Batch,
    Change,
    Compaction,
    DamagedRow,
    EpisodeRecord,
    EpisodeStateChange,
    Filters,
    Kind,
    Receipt,
    SideRecord,
)
from .base import Changes
from .checks import check_id, check_kind, check_scan

__all__ = ["InMemoryStore"]

_NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class _Stretch:
    rows: tuple[Change, ...]
    last: int
    horizon: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.rows)


@dataclass(frozen=True, slots=True)
class _LogEntry:
    """An entry of the change log; the kind of a side record stands for its operation."""

    sequence: int
    op: str
    id: bytes


class InMemoryStore:
    """A store in RAM, for tests and for memories that need not outlive the process."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._is_closed = False
        self._log: list[_LogEntry] = []
        self._sequence = 0
        self._horizon = 0
        self._episodes: dict[bytes, tuple[int, EpisodeRecord]] = {}  # with the number of its put
        self._external: dict[tuple[str, str], bytes] = {}
        self._ids: list[bytes] = []  # sorted
        self._patterns: dict[tuple[str, bytes], bytes] = {}  # by namespace and id
        self._facts: Counter[tuple[str, bytes]] = Counter()  # episodes by namespace and pattern
        self._side_records: dict[
            tuple[str, bytes], tuple[int, SideRecord]
        ] = {}  # with its number; deleted ones too
        self._of_kind: dict[str, list[bytes]] = {}  # sorted ids of side records; deleted ones too
        self._of_subject: dict[tuple[str, bytes], list[bytes]] = {}  # likewise; may name what has moved away
        self._undo: list[Callable[[], object]] = []

    # --- commits ---

    def commit(self, batch: Batch) -> Receipt:
        """Commits the whole batch or nothing of it."""
        _native.check_batch(batch)
        given = len(batch.removed) + len(batch.states) + len(batch.episodes) + len(batch.side_records)
        with self._lock:
            self._require_open()
            if self._needs_comparison(batch):
                if self._holds(batch):
                    return Receipt(self._sequence, 0, given, "memory")
                self._check_expectations(batch)
            committed = self._apply_or_undo(batch)
            return Receipt(self._sequence, committed, given - committed, "memory")

    def _needs_comparison(self, batch: Batch) -> bool:
        return bool(batch.expect) or any(record.id in batch.removed for record in batch.episodes)

    def _holds(self, batch: Batch) -> bool:
        """Returns true if the store is already as the batch would leave it."""
        put = {record.id for record in batch.episodes}
        return (
            all(id in put or id not in self._episodes for id in batch.removed)
            and all(self._is_in_state(each) for each in batch.states)
            and all(self._holds_episode(record, record.id in batch.removed) for record in batch.episodes)
            and all(not self._would_write(note) for note in batch.side_records)
        )

    def _is_in_state(self, change: EpisodeStateChange) -> bool:
        return change.id in self._episodes and self._episodes[change.id][1].state == change.state

    def _holds_episode(self, record: EpisodeRecord, is_replacement: bool) -> bool:
        if is_replacement:
            return record.id in self._episodes and self._episodes[record.id][1] == replace(
                record, contents=b""
            )
        stored = self._stored(record)
        return stored is not None and stored.digest == record.digest

    def _check_expectations(self, batch: Batch) -> None:
        for each in batch.expect:
            found = self._version(each.kind, each.id)
            if found != each.version:
                raise VersionConflictError(each.kind, each.id.hex(), each.version, found)

    def _apply_or_undo(self, batch: Batch) -> int:
        """Returns the number of operations that changed something; a conflict takes all of them back."""
        before = self._sequence
        self._undo = [lambda: self._truncate(before)]
        touched: set[tuple[str, bytes]] = set()
        try:
            committed = sum([self._remove(id, touched) for id in batch.removed])
            committed += sum([self._set_state(change) for change in batch.states])
            committed += sum([self._put(record) for record in batch.episodes])
            committed += sum([self._write(note) for note in batch.side_records])
            self._drop_unnamed(touched)
        except (ConflictError, VersionConflictError):
            for step in reversed(self._undo):
                step()
            raise
        finally:
            self._undo = []
        return committed

    def _append(self, op: str, id: bytes) -> int:
        self._sequence += 1
        self._log.append(_LogEntry(self._sequence, op, id))
        return self._sequence

    def _truncate(self, sequence: int) -> None:
        while self._log and self._log[-1].sequence > sequence:
            self._log.pop()
        self._sequence = sequence

    def _remove(self, id: bytes, touched: set[tuple[str, bytes]]) -> bool:
        """Removes an episode; false if there is none."""
        if id not in self._episodes:
            return False
        sequence, record = self._drop(id)
        self._undo.append(lambda: self._keep(sequence, record))
        touched.update((record.namespace, pattern) for pattern, *_ in _native.unpack_facts(record.facts))
        self._append("remove", id)
        return True

    def _set_state(self, change: EpisodeStateChange) -> bool:
        """Moves an episode to another state; false if it is in that state."""
        if change.id not in self._episodes:
            raise VersionConflictError("episode", change.id.hex(), 0, None)
        sequence, record = self._episodes[change.id]
        if record.state == change.state:
            return False
        self._undo.append(lambda: self._episodes.__setitem__(change.id, (sequence, record)))
        self._append("remove", change.id)
        self._episodes[change.id] = self._append("put", change.id), replace(record, state=change.state)
        return True

    def _put(self, record: EpisodeRecord) -> bool:
        """Stores an episode; false if the same content is stored already."""
        stored = self._stored(record)
        if stored is not None and stored.digest != record.digest:
            raise ConflictError(record.external_id or record.id.hex(), record.namespace)
        if stored is not None:
            return False
        self._keep(self._append("put", record.id), replace(record, contents=b""))
        self._undo.append(lambda: self._drop(record.id))
        for pattern, _, content in _native.unpack_contents(record.contents):
            self._add_pattern((record.namespace, pattern), content)
        return True

    def _add_pattern(self, key: tuple[str, bytes], content: bytes) -> None:
        if key not in self._patterns:
            self._patterns[key] = content
            self._undo.append(lambda: self._patterns.pop(key))

    def _drop_unnamed(self, candidates: set[tuple[str, bytes]]) -> None:
        """Removes the patterns that no fact of their namespace names any more."""
        for key in sorted(candidates):
            if not self._facts[key] and self._patterns.pop(key, None) is not None:
                self._append("drop_pattern", key[1])

    def _would_write(self, note: SideRecord) -> bool:
        """Returns false if the side record is stored so already; raises `ConflictError`."""
        stored = self._side_record(note.kind, note.id)
        if stored is not None and stored.namespace != note.namespace and note.record is not None:
            raise ConflictError(note.id.hex(), note.namespace)
        if stored is None or stored.namespace != note.namespace:
            return stored is None and note.record is not None
        return stored != note

    def _write(self, note: SideRecord) -> bool:
        """Writes or deletes a side record; false if it is stored so already."""
        if not self._would_write(note):
            return False
        key = note.kind, note.id
        before = self._side_records.get(key)
        self._side_records[key] = self._append(note.kind, note.id), note
        if note.subject is not None:
            _insert(self._of_subject.setdefault((note.kind, note.subject), []), note.id)
        if before is None:
            _insert(self._of_kind.setdefault(note.kind, []), note.id)
            self._undo.append(lambda: self._drop_side_record(key))
        else:
            self._undo.append(lambda: self._side_records.__setitem__(key, before))
        return True

    def _drop_side_record(self, key: tuple[str, bytes]) -> None:
        _, note = self._side_records.pop(key)
        _discard(self._of_kind[note.kind], note.id)
        if note.subject is not None:
            _discard(self._of_subject[note.kind, note.subject], note.id)

    def _side_record(self, kind: str, id: bytes) -> SideRecord | None:
        _, note = self._side_records.get((kind, id), (0, None))
        return None if note is None or note.record is None else note

    def _stored(self, record: EpisodeRecord) -> EpisodeRecord | None:
        id = record.id
        if id not in self._episodes and record.external_id is not None:
            id = self._external.get((record.namespace, record.external_id), id)
        return self._episodes[id][1] if id in self._episodes else None

    def _keep(self, sequence: int, record: EpisodeRecord) -> None:
        self._episodes[record.id] = (sequence, record)
        _insert(self._ids, record.id)
        self._facts.update((record.namespace, pattern) for pattern, *_ in _native.unpack_facts(record.facts))
        if record.external_id is not None:
            self._external[record.namespace, record.external_id] = record.id

    def _drop(self, id: bytes) -> tuple[int, EpisodeRecord]:
        sequence, record = self._episodes.pop(id)
        _discard(self._ids, id)
        self._facts.subtract(
            (record.namespace, pattern) for pattern, *_ in _native.unpack_facts(record.facts)
        )
        if record.external_id is not None:
            del self._external[record.namespace, record.external_id]
        return sequence, record

    # --- reads ---

    def get(self, kind: Kind, id: bytes, namespace: str | None = None) -> bytes | None:
        """Returns an episode's payload, a pattern's content, an episode's embedding or a side record's bytes."""
        return self.get_many(kind, [id], namespace)[0]

    def get_many(self, kind: Kind, ids: Sequence[bytes], namespace: str | None = None) -> list[bytes | None]:
        """Returns the values of `ids`, in their order; `None` stands for an absent row."""
        check_kind(kind)
        for id in ids:
            check_id(id)
        with self._lock:
            self._require_open()
            return [self._value(kind, id, namespace) for id in ids]

    def _value(self, kind: str, id: bytes, namespace: str | None) -> bytes | None:
        if kind == "pattern":
            return self._pattern(id, namespace)
        if kind in SIDE_RECORD_KINDS:
            note = self._side_record(kind, id)
            return None if note is None else note.record
        if id not in self._episodes:
            return None
        record = self._episodes[id][1]
        return record.payload if kind == "episode" else record.embedding or None

    def _pattern(self, id: bytes, namespace: str | None) -> bytes | None:
        if namespace is not None:
            return self._patterns.get((namespace, id))
        found = next((content for (_, each), content in self._patterns.items() if each == id), None)
        return None if found is None else _native.pattern_without_detail(found)

    def version(self, kind: Kind, id: bytes) -> int | None:
        """Returns the version of an episode or a side record; `None` if it is absent."""
        check_kind(kind)
        check_id(id)
        if kind in ("pattern", "embedding"):
            raise ValidationError("kind", "episode or a kind of side record", kind)
        with self._lock:
            self._require_open()
            return self._version(kind, id)

    def _version(self, kind: str, id: bytes) -> int | None:
        if kind == "episode":
            return self._episodes[id][0] if id in self._episodes else None
        return None if self._side_record(kind, id) is None else self._side_records[kind, id][0]

    def get_versioned(self, kind: Kind, id: bytes) -> tuple[int, bytes] | None:
        """Returns the version and the value of an episode or a side record, read together."""
        with self._lock:
            version, value = self.version(kind, id), self.get(kind, id)
            return None if version is None or value is None else (version, value)

    def scan(
        self,
        kind: Kind,
        *,
        after: bytes | None = None,
        limit: int = 100,
        newest_first: bool = False,
        filters: Filters = _NO_FILTERS,
    ) -> list[tuple[bytes, bytes]]:
        """Returns one page of ids and values in the order of ids."""
        wanted = check_scan(kind, after, filters)
        with self._lock:
            self._require_open()
            ids = _page_of(self._candidates(kind, filters), after, newest_first)
            found = ((id, self._value(kind, id, filters.namespace)) for id in ids)
            rows = ((id, value) for id, value in found if value is not None)
            return list(islice((row for row in rows if self._matches(kind, row[0], wanted)), limit))

    def _candidates(self, kind: str, filters: Filters) -> list[bytes]:
        """Returns the ids that the filters leave, and perhaps more of the kind, in their order."""
        if kind == "pattern":
            return sorted({id for _, id in self._patterns})
        if kind in SIDE_RECORD_KINDS:
            if filters.subject is not None:
                return self._of_subject.get((kind, filters.subject), [])
            return self._of_kind.get(kind, [])
        if filters.namespace is not None and filters.external_id is not None:
            id = self._external.get((filters.namespace, filters.external_id))
            return [] if id is None else [id]
        return self._ids

    def _matches(self, kind: str, id: bytes, wanted: dict[str, object]) -> bool:
        if kind == "pattern":
            return True  # the value was read by namespace
        row = self._side_records[kind, id][1] if kind in SIDE_RECORD_KINDS else self._episodes[id][1]
        return all(getattr(row, name) == value for name, value in wanted.items())

    def changes(self, since: int, limit: int = 1000, *, began: int | None = None) -> Changes:
        """Returns the changes after the one numbered `since`."""
        since = max(since, 0)
        with self._lock:
            self._require_open()
            if 0 < since < self._horizon and began != self._horizon:
                raise ResyncRequiredError(since, self._horizon)
            rows = tuple(islice(self._changes(since), limit))
            if len(rows) == limit:
                return _Stretch(rows, rows[-1].sequence if rows else since, self._horizon)
            return _Stretch(rows, max(since, self._sequence), self._horizon)

    def _changes(self, since: int) -> Iterator[Change]:
        first = bisect_right(self._log, since, key=lambda entry: entry.sequence)
        for entry in islice(self._log, first, None):
            if entry.op == "remove":
                yield Change(entry.sequence, "remove", None, entry.id)
            elif self._is_current(entry):
                if entry.op == "put":
                    yield Change(entry.sequence, "put", self._episodes[entry.id][1], entry.id)
                else:
                    note = self._side_records[entry.op, entry.id][1]
                    yield Change(entry.sequence, "side_record", None, entry.id, note)

    def _is_current(self, entry: _LogEntry) -> bool:
        """Returns true if the row still is as this entry wrote it."""
        if entry.op == "put":
            return entry.id in self._episodes and self._episodes[entry.id][0] == entry.sequence
        return self._side_records.get((entry.op, entry.id), (0, None))[0] == entry.sequence

    def sequence(self) -> int:
        """Returns the number of the newest change."""
        with self._lock:
            self._require_open()
            return self._sequence

    def pending(self, limit: int = 100) -> list[bytes]:
        """Returns the ids of episodes that wait to be learned from, oldest first."""
        return [id for id, _ in self.scan("episode", limit=limit, filters=Filters(state="pending"))]

    # --- upkeep ---

    def damaged(self) -> list[DamagedRow]:
        """Returns an empty list: rows in memory are not damaged."""
        return []

    def damaged_count(self) -> int:
        """Returns 0: rows in memory are not damaged."""
        return 0

    def remove_damaged(self) -> list[DamagedRow]:
        """Returns an empty list: rows in memory are not damaged."""
        return []

    def compact(self, keep: int = 100_000) -> Compaction:
        """Prunes the change log but for its newest `keep` numbers, and moves its horizon."""
        with self._lock:
            self._require_open()
            self._horizon = max(self._horizon, self._sequence - max(keep, 0))
            before = len(self._log)
            self._log = [entry for entry in self._log if self._is_kept(entry)]
            gone = [
                key
                for key, (sequence, note) in self._side_records.items()
                if note.record is None and sequence <= self._horizon
            ]
            for key in gone:
                self._drop_side_record(key)
            return Compaction(self._horizon, before - len(self._log) + len(gone))

    def _is_kept(self, entry: _LogEntry) -> bool:
        """Returns true for the newest entries and for those of rows that are there."""
        if entry.sequence > self._horizon or entry.sequence == self._sequence:
            return True
        if entry.op in ("remove", "drop_pattern") or not self._is_current(entry):
            return False
        return entry.op == "put" or self._side_records[entry.op, entry.id][1].record is not None

    def shrink(self) -> int:
        """Returns 0: rows in memory take no space once they are removed."""
        return 0

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Raises `StorageError`: a store in memory has no file."""
        raise StorageError("a store in memory has no file to copy")

    def stats(self) -> dict[str, int | float | str]:
        """Returns counts of the stored rows, by name."""
        with self._lock:
            self._require_open()
            pending = sum(record.state == "pending" for _, record in self._episodes.values())
            return {
                "durable": "memory",
                "episodes": len(self._episodes),
                "patterns": len({id for _, id in self._patterns}),
                "pending": pending,
                "side_records": sum(each.record is not None for _, each in self._side_records.values()),
                "sequence": self._sequence,
                "horizon": self._horizon,
                "damaged": 0,
            }

    def close(self) -> None:
        """Drops every row. Closing a closed store does nothing."""
        with self._lock:
            self._is_closed = True
            for rows in (
                self._log,
                self._episodes,
                self._external,
                self._ids,
                self._patterns,
                self._facts,
                self._side_records,
                self._of_kind,
                self._of_subject,
            ):
                rows.clear()

    def _require_open(self) -> None:
        if self._is_closed:
            raise StorageError("the store is closed")

    def __repr__(self) -> str:
        return "InMemoryStore()"


def _insert(ids: list[bytes], id: bytes) -> None:
    """Keeps sorted ids sorted, each once."""
    at = bisect_left(ids, id)
    if at == len(ids) or ids[at] != id:
        ids.insert(at, id)


def _discard(ids: list[bytes], id: bytes) -> None:
    at = bisect_left(ids, id)
    if at < len(ids) and ids[at] == id:
        del ids[at]


def _page_of(ids: list[bytes], after: bytes | None, newest_first: bool) -> Iterator[bytes]:
    """Iterates over sorted ids beyond `after`, without a copy of those before it."""
    if newest_first:
        end = len(ids) if after is None else bisect_left(ids, after)
        return (ids[at] for at in range(end - 1, -1, -1))
    start = 0 if after is None else bisect_right(ids, after)
    return (ids[at] for at in range(start, len(ids)))
