"""A store in memory: the same promises while the process lives."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from threading import RLock

from .. import _native
from ..errors import ConflictError, StorageError, ValidationError
from ..model.record import SIDE_RECORD_KINDS, Batch, Change, EpisodeRecord, Kind, Receipt, SideRecord
from .base import Changes

__all__ = ["InMemoryStore"]

_KINDS = ("episode", "pattern", "embedding", *SIDE_RECORD_KINDS)
_STATES = ("learned", "open", "pending", "abandoned")


@dataclass(frozen=True, slots=True)
class _Stretch:
    rows: tuple[Change, ...]
    last: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.rows)


class InMemoryStore:
    """Everything in RAM, for tests and for memories that need not outlive the process."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._is_closed = False
        self._log: list[tuple[str, bytes]] = []  # the change numbered n stands at n - 1
        self._episodes: dict[bytes, tuple[int, EpisodeRecord]] = {}  # with the number of its put
        self._external: dict[tuple[str, str], bytes] = {}
        self._ids: list[bytes] = []  # sorted
        self._patterns: dict[bytes, bytes] = {}
        self._notes: dict[tuple[str, bytes], tuple[int, SideRecord]] = {}  # with its number; deleted ones too

    def commit(self, batch: Batch) -> Receipt:
        """Lands the whole batch or nothing of it."""
        _native.check_batch(batch)
        with self._lock:
            self._require_open()
            before = len(self._log)
            held = [(each.kind, each.id, self._notes.get((each.kind, each.id))) for each in batch.notes]
            removed: list[tuple[int, EpisodeRecord]] = []
            try:
                removed.extend(filter(None, map(self._remove, batch.removed)))
                fresh = sum(map(self._put, batch.episodes)) + sum(map(self._write, batch.notes))
            except ConflictError:
                self._undo(before, removed, held)
                raise
            committed = len(removed) + fresh
            given = len(batch.removed) + len(batch.episodes) + len(batch.notes)
            return Receipt(len(self._log), committed, given - committed, "memory")

    def _remove(self, id: bytes) -> tuple[int, EpisodeRecord] | None:
        """What was there under `id`, with the number of its put."""
        if id not in self._episodes:
            return None
        self._log.append(("remove", id))
        return self._drop(id)

    def _put(self, record: EpisodeRecord) -> bool:
        """False where the same content is stored already."""
        stored = self._stored(record)
        if stored is not None and stored.digest != record.digest:
            raise ConflictError(record.external_id or record.id.hex(), record.namespace)
        if stored is not None:
            return False
        self._log.append(("put", record.id))
        self._keep(len(self._log), replace(record, contents=b""))
        for pattern, _, content in _native.unpack_contents(record.contents):
            self._patterns.setdefault(pattern, content)
        return True

    def _write(self, note: SideRecord) -> bool:
        """False where the note is as it should be already."""
        stored = self._note(note.kind, note.id)
        if stored is not None and stored.namespace != note.namespace and note.record is not None:
            raise ConflictError(note.id.hex(), note.namespace)
        if stored is None and note.record is None:
            return False
        if stored is not None and (stored.namespace != note.namespace or stored.record == note.record):
            return False
        self._log.append((note.kind, note.id))  # its kind stands for its op
        self._notes[note.kind, note.id] = (len(self._log), note)
        return True

    def _note(self, kind: str, id: bytes) -> SideRecord | None:
        _, note = self._notes.get((kind, id), (0, None))
        return None if note is None or note.record is None else note

    def _stored(self, record: EpisodeRecord) -> EpisodeRecord | None:
        id = record.id
        if id not in self._episodes and record.external_id is not None:
            id = self._external.get((record.namespace, record.external_id), id)
        return self._episodes[id][1] if id in self._episodes else None

    def _keep(self, sequence: int, record: EpisodeRecord) -> None:
        self._episodes[record.id] = (sequence, record)
        insort(self._ids, record.id)
        if record.external_id is not None:
            self._external[record.namespace, record.external_id] = record.id

    def _drop(self, id: bytes) -> tuple[int, EpisodeRecord]:
        sequence, record = self._episodes.pop(id)
        del self._ids[bisect_left(self._ids, id)]
        if record.external_id is not None:
            del self._external[record.namespace, record.external_id]
        return sequence, record

    def _undo(
        self,
        before: int,
        removed: list[tuple[int, EpisodeRecord]],
        held: Sequence[tuple[str, bytes, tuple[int, SideRecord] | None]],
    ) -> None:
        for op, id in self._log[before:]:
            if op == "put":
                self._drop(id)
        for sequence, record in removed:
            self._keep(sequence, record)
        for kind, id, note in held:
            if note is None:
                self._notes.pop((kind, id), None)
            else:
                self._notes[kind, id] = note
        del self._log[before:]

    def get(self, kind: Kind, id: bytes) -> bytes | None:
        """An episode's payload, a pattern's content, an episode's embedding or a note's record."""
        return self.get_many(kind, [id])[0]

    def get_many(self, kind: Kind, ids: Sequence[bytes]) -> list[bytes | None]:
        """What `get` gives for each of `ids`, in their order."""
        _check_kind(kind)
        for id in ids:
            _check_id(id)
        with self._lock:
            self._require_open()
            return [self._value(kind, id) for id in ids]

    def _value(self, kind: Kind, id: bytes) -> bytes | None:
        if kind == "pattern":
            return self._patterns.get(id)
        if kind in SIDE_RECORD_KINDS:
            note = self._note(kind, id)
            return None if note is None else note.record
        if id not in self._episodes:
            return None
        record = self._episodes[id][1]
        return record.payload if kind == "episode" else record.embedding or None

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
        """One page of ids and values in the order of ids."""
        given = {
            "namespace": namespace,
            "domain": domain,
            "task_key": task_key,
            "agent": agent,
            "external_id": external_id,
            "state": state,
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        _check_scan(kind, after, wanted)
        with self._lock:
            self._require_open()
            found = ((id, self._value(kind, id)) for id in self._after(kind, after, newest_first))
            rows = ((id, value) for id, value in found if value is not None)
            return list(islice((row for row in rows if self._matches(kind, row[0], wanted)), limit))

    def _after(self, kind: Kind, after: bytes | None, newest_first: bool) -> Iterator[bytes]:
        ids = self._ids_of(kind)
        if newest_first:
            return reversed(ids[: len(ids) if after is None else bisect_left(ids, after)])
        return iter(ids[0 if after is None else bisect_right(ids, after) :])

    def _ids_of(self, kind: str) -> list[bytes]:
        if kind == "pattern":
            return sorted(self._patterns)
        if kind in SIDE_RECORD_KINDS:
            return sorted(id for of, id in self._notes if of == kind)
        return self._ids

    def _matches(self, kind: str, id: bytes, wanted: dict[str, str]) -> bool:
        row = self._notes[kind, id][1] if kind in SIDE_RECORD_KINDS else wanted and self._episodes[id][1]
        return all(getattr(row, name) == value for name, value in wanted.items())

    def changes(self, since: int, limit: int = 1000) -> Changes:
        """What changed after the change numbered `since`."""
        with self._lock:
            self._require_open()
            rows = tuple(islice(self._changes(max(since, 0)), limit))
            if len(rows) == limit:
                return _Stretch(rows, rows[-1].sequence if rows else since)
            return _Stretch(rows, max(since, len(self._log)))

    def _changes(self, since: int) -> Iterator[Change]:
        for sequence, (op, id) in enumerate(self._log[since:], since + 1):
            if op == "remove":
                yield Change(sequence, "remove", None, id)
            elif op == "put":
                if id in self._episodes and self._episodes[id][0] == sequence:
                    yield Change(sequence, "put", self._episodes[id][1], id)
            elif self._notes[op, id][0] == sequence:
                yield Change(sequence, "note", None, id, self._notes[op, id][1])

    def sequence(self) -> int:
        """The newest change's number."""
        with self._lock:
            self._require_open()
            return len(self._log)

    def sums(self) -> tuple[int, bytes]:
        """Nothing is summed ahead: the changes since 0 hold every fact."""
        with self._lock:
            self._require_open()
            return 0, b""

    def pending(self, limit: int = 100) -> list[bytes]:
        """The ids of episodes that wait to be learned from, oldest first."""
        return [id for id, _ in self.scan("episode", limit=limit, state="pending")]

    def stats(self) -> dict[str, int | float | str]:
        """Counts of what is stored, by name."""
        with self._lock:
            self._require_open()
            pending = sum(record.state == "pending" for _, record in self._episodes.values())
            return {
                "durable": "memory",
                "episodes": len(self._episodes),
                "patterns": len(self._patterns),
                "pending": pending,
                "notes": sum(note.record is not None for _, note in self._notes.values()),
                "sequence": len(self._log),
            }

    def close(self) -> None:
        """Forgets everything. Closing twice is once."""
        with self._lock:
            self._is_closed = True
            for held in (self._log, self._episodes, self._external, self._ids, self._patterns, self._notes):
                held.clear()

    def _require_open(self) -> None:
        if self._is_closed:
            raise StorageError("the store is closed")

    def __repr__(self) -> str:
        return "InMemoryStore()"


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        raise ValidationError("kind", "must be episode, pattern, embedding or a kind of note", kind)


def _check_id(id: bytes) -> None:
    if len(id) != 16:
        raise ValidationError("id", "must have 16 bytes", str(len(id)))


def _check_scan(kind: str, after: bytes | None, wanted: dict[str, str]) -> None:
    _check_kind(kind)
    if after is not None:
        _check_id(after)
    if kind == "pattern" and wanted:
        raise ValidationError("kind", "patterns cannot be filtered", kind)
    if kind in SIDE_RECORD_KINDS and wanted.keys() - {"namespace"}:
        raise ValidationError("kind", "notes are filtered by namespace alone", kind)
    if wanted.get("state", "learned") not in _STATES:
        raise ValidationError("state", "must be learned, open, pending or abandoned", wanted["state"])
