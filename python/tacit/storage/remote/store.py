"""A store whose database is on a libSQL server."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from ..._native import read_changes, stored_value
from ...config import RemoteSettings
from ...errors import CorruptRecordError, ResyncRequiredError, StorageError
from ...model.record import Batch, Compaction, DamagedRow, Filters, Kind, Receipt
from ..base import Changes
from ..checks import check_id, check_kind, check_scan
from . import reads, upkeep
from .address import ServerAddress, checked_token
from .calls import Caller
from .commits import BatchPlan, require, sequence_of
from .committer import Committer
from .hrana import IN_TRANSACTION, Script, StepResults, Value, both, ok
from .own_changes import OwnChanges
from .schema import prepare
from .values import ReadValues

T = TypeVar("T")

_NO_FILTERS = Filters()
_NO_ID = bytes(16)


class RemoteStore:
    """A libSQL server (Turso, sqld) that any number of hosts share.

    `scheme` and `location` are the parts of an address such as `libsql://host`. A commit takes one round trip, or two
    if it removes or changes stored episodes; a read takes one. Each call ends within `settings.deadline_s`.
    Nothing is sent before the first verb. A store cannot be carried through a fork: the child opens it again.

    While the server is away every verb raises `UnavailableError`, which is retryable. A commit whose answer was lost
    raises `CommitUnknownError` if no repetition succeeded: repeating it is safe.
    """

    def __init__(
        self,
        scheme: str,
        location: str,
        *,
        auth_token: str | None = None,
        settings: RemoteSettings | None = None,
        cache_entries: int = 1_000,
        cache_bytes: int = 64 << 20,
        cache_ttl_s: float = 3_600.0,
    ) -> None:
        self.address: ServerAddress = ServerAddress.parse(scheme, location)
        settings = RemoteSettings() if settings is None else settings
        self._caller = Caller(self.address, checked_token(auth_token, self.address), settings)
        self._own = OwnChanges()
        self._read_values = ReadValues(entries=cache_entries, size=cache_bytes, ttl_s=cache_ttl_s)
        self._committer = Committer(self._caller, self._own)
        self._damaged: dict[tuple[str, bytes], str] = {}
        self._process = os.getpid()
        self._is_closed = False
        self._preparing = threading.Lock()
        self._is_prepared = False

    # --- commits ---

    def commit(self, batch: Batch) -> Receipt:
        """Commits the whole batch or nothing of it. An interrupt stops the waiting, not a commit that was sent."""
        self._check_open()
        plan = BatchPlan.of(batch)
        self._ready()
        try:
            receipt = self._committer.commit(plan)
        finally:
            if plan.needs_look:
                self._read_values.clear()
        if receipt.committed and self._damaged:
            touched = {*batch.removed, *(each.id for each in batch.states)}
            touched.update(each.id for each in batch.side_records)
            for key in [key for key in self._damaged if key[1] in touched]:
                self._damaged.pop(key, None)
        return Receipt(receipt.sequence, receipt.committed, receipt.unchanged, str(self.address))

    # --- reads ---

    def get(self, kind: Kind, id: bytes, namespace: str | None = None) -> bytes | None:
        """Returns an episode's payload, a pattern's content, an episode's embedding or a side record's bytes.

        A damaged row raises `CorruptRecordError`.
        """
        value = self.get_many(kind, [id], namespace)[0]
        damage = self._damaged.get((kind, id)) if value is None else None
        if damage is not None:
            raise CorruptRecordError(damage)
        return value

    def get_many(self, kind: Kind, ids: Sequence[bytes], namespace: str | None = None) -> list[bytes | None]:
        """Returns the values of `ids`, in their order; `None` stands for an absent or damaged row."""
        check_kind(kind)
        for id in ids:
            check_id(id)
        self._ready()
        position = self._read_values.position
        known = self._read_values.get(kind, ids, namespace)
        found: dict[bytes, bytes | None] = dict(known)
        left = [id for id in dict.fromkeys(ids) if id not in known]
        while left:
            asked = left[: reads.MOST_IDS]
            rows = self._rows(reads.rows_by_id(kind, asked, namespace))
            for row in rows:
                id = _id(row[0])
                found[id] = self._value(kind, id, row[1], namespace is not None)
            # An answer that was cut is continued with the ids that it lacks.
            rest = [id for id in asked if id not in found] if _is_cut(rows) else []
            left = rest + left[reads.MOST_IDS :]
        if len(found) > len(known):
            self._read_values.keep(kind, found, namespace, position)
        return [found.get(id) for id in ids]

    def _value(self, kind: Kind, id: bytes, stored: Value, has_detail: bool = True) -> bytes | None:
        """Returns the value of a stored record; notes a damaged one and returns `None`."""
        try:
            value = stored_value(kind, id, _bytes(stored), has_detail=has_detail)
        except CorruptRecordError as error:
            self._damaged[kind, id] = str(error)
            return None
        return value if value or kind != "embedding" else None

    def version(self, kind: Kind, id: bytes) -> int | None:
        """Returns the version of an episode or a side record, without reading its record; `None` if it is absent."""
        rows = self._row_of(kind, id, "sequence")
        return _number(rows[0][0]) if rows else None

    def get_versioned(self, kind: Kind, id: bytes) -> tuple[int, bytes] | None:
        """Returns the version and the value of an episode or a side record, read together."""
        rows = self._row_of(kind, id, "sequence, record")
        if not rows:
            return None
        return _number(rows[0][0]), stored_value(kind, id, _bytes(rows[0][1]))

    def _row_of(self, kind: Kind, id: bytes, columns: str) -> list[list[Value]]:
        check_kind(kind)
        check_id(id)
        sql, values = reads.version(kind, id, columns)
        self._ready()
        return self._select(sql, values)

    def scan(
        self,
        kind: Kind,
        *,
        after: bytes | None = None,
        limit: int = 100,
        newest_first: bool = False,
        filters: Filters = _NO_FILTERS,
    ) -> list[tuple[bytes, bytes]]:
        """Returns one page of ids and values in the order of ids, without damaged rows."""
        check_scan(kind, after, filters)
        self._ready()
        found: list[tuple[bytes, bytes]] = []
        has_detail = filters.namespace is not None
        while len(found) < limit:
            wanted = limit - len(found)
            rows = self._rows(reads.page(kind, after, wanted, newest_first, filters))
            for row in rows:
                after = _id(row[0])
                value = self._value(kind, after, row[1], has_detail)
                if value is not None:
                    found.append((after, value))
            if len(rows) < wanted and not _is_cut(rows):
                break
        return found

    def changes(self, since: int, limit: int = 1000, *, began: int | None = None) -> Changes:
        """Returns the changes after the one numbered `since`, packed: a native index reads them as they are.

        Raises `ResyncRequiredError` for a `since` between 0 and the horizon.
        """
        self._ready()
        since = last = max(since, 0)
        while True:
            rows = self._select(reads.CHANGES, (last, limit, reads.PAGE_BYTES))
            if not rows:
                raise StorageError("the store on the server has no identity")
            horizon, newest = _number(rows[0][0]), _number(rows[0][1])
            if 0 < since < horizon and began != horizon:
                raise ResyncRequiredError(since, horizon)
            read = [row[2:] for row in rows if row[2] is not None]
            is_all = len(read) < limit and (not read or len(read) == read[0][5])
            last = max(newest, since) if is_all else _number(read[-1][0]) if read else last
            packed = [
                (
                    _number(row[0]),
                    _number(row[1]),
                    _id(row[2]),
                    _optional_bytes(row[3]),
                    _optional_number(row[4]),
                )
                for row in read
            ]
            changes, damaged = read_changes(packed, last=last, horizon=horizon)
            for kind, id, message in damaged:
                self._damaged[kind, id] = message
            # A stretch of damaged rows alone would look like the end of the log.
            if len(changes) or is_all or limit < 1:
                return changes

    def own_changes(self, since: int) -> Changes | None:
        """Returns the changes of the commit that directly follows the one numbered `since`, if this process made it.

        Asks the server nothing.
        """
        return self._own.after(since)

    def sequence(self) -> int:
        """Returns the number of the newest change, of whichever process."""
        self._ready()
        since = self._read_values.position
        newest, has_removal, horizon = map(_number, self._select(reads.REMOVALS, (since,))[0])
        self._read_values.compared(since, newest, is_clean=not has_removal and horizon <= since)
        return newest

    def pending(self, limit: int = 100) -> list[bytes]:
        """Returns the ids of episodes that wait to be learned from, oldest first."""
        self._ready()
        return [_id(row[0]) for row in self._select(reads.PENDING, (limit,))]

    # --- upkeep ---

    def damaged(self) -> list[DamagedRow]:
        """Reads every row and returns the unreadable ones."""
        self._ready()
        rows = [row for _, row in self._unreadable()]
        self._damaged = {(row.kind, row.id): row.message for row in rows}
        return rows

    def _unreadable(self) -> Iterator[tuple[list[Value], DamagedRow]]:
        """The rows that cannot be decoded, as they are stored and as they are listed."""
        for table in range(reads.TABLES):
            place = -1
            while rows := self._rows(reads.every_row(table, place)):
                for row in rows:
                    damaged = _damage(row)
                    if damaged is not None:
                        yield row, damaged
                place = _number(rows[-1][1])

    def damaged_count(self) -> int:
        """Returns the number of unreadable rows that this process met. Reads nothing."""
        self._check_open()
        return len(self._damaged)

    def remove_damaged(self) -> list[DamagedRow]:
        """Removes every unreadable row and returns them. A row that was written again meanwhile stays."""
        self._ready()
        found = list(self._unreadable())
        if found:
            script = Script()
            script.then("BEGIN IMMEDIATE")
            for row, damaged in found:
                upkeep.add_removal(script, row, damaged)
            self._commit_script(script, lambda results: None)
        self._damaged.clear()
        return [damaged for _, damaged in found]

    def compact(self, keep: int = 100_000) -> Compaction:
        """Prunes the change log but for its newest `keep` numbers, and moves its horizon."""
        self._ready()
        script = Script()
        script.then("BEGIN IMMEDIATE")
        horizon, pruned = upkeep.add_pruning(script, keep)

        def read(results: StepResults) -> Compaction:
            return Compaction(sequence_of(results, horizon), sum(results.changed(step) for step in pruned))

        return self._commit_script(script, read)

    def shrink(self) -> int:
        """Returns 0: the server decides when its file is rewritten."""
        return 0

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copies the store to a new local file, as of one moment, while it is in use.

        Raises `ValidationError` for a file that exists, and `UnavailableError` if others wrote during each of several
        tries; neither leaves a file.
        """
        from .backup import copy_to

        self._ready()
        copy_to(Path(path), self._select)

    def stats(self) -> dict[str, int | float | str]:
        """Returns figures of the stored rows, of the connections and of the circuit breaker, by name."""
        self._ready()
        names = ("episodes", "patterns", "pending", "side_records", "sequence", "horizon")
        counts = [_number(value) for value in self._select(reads.STATS)[0]]
        return {
            **dict(zip(names, counts, strict=True)),
            "damaged": len(self._damaged),
            "durable": str(self.address),
            "queued": self._committer.queued(),
            **self._read_values.stats(),
            **self._caller.stats(),
        }

    def connection_stats(self) -> dict[str, int | float | str]:
        """Returns the figures of this process alone. Asks the server nothing."""
        return self._caller.stats()

    def close(self) -> None:
        """Commits what was handed over and closes the connections. Closing a closed store does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._process == os.getpid():
            self._committer.close()
        self._caller.close()

    def __enter__(self) -> RemoteStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RemoteStore({str(self.address)!r})"

    def _check_open(self) -> None:
        if self._is_closed:
            raise StorageError("the store is closed")
        if self._process != os.getpid():
            raise StorageError(
                "the store was opened before this process was forked; open it again in the child"
            )

    def _ready(self) -> None:
        """Checks the schema before the first verb."""
        self._check_open()
        if not self._is_prepared:
            with self._preparing:
                if not self._is_prepared:
                    prepare(self._caller)
                    self._is_prepared = True

    def _rows(self, text: reads.ReadText) -> list[list[Value]]:
        return self._select(text.sql, text.values)

    def _select(self, sql: str, values: Sequence[Value] = ()) -> list[list[Value]]:
        """Runs one statement that reads, as of one moment."""
        script = Script()
        script.then(sql, values)

        def read(results: StepResults) -> list[list[Value]]:
            require(results, 0)
            return results.rows(0)

        return self._caller.call(script, read)

    def _commit_script(self, script: Script, read: Callable[[StepResults], T]) -> T:
        """Ends the transaction that a script began, and runs it."""
        commit = script.add("COMMIT", condition=both(ok(script.last), IN_TRANSACTION))
        script.add("ROLLBACK", condition=IN_TRANSACTION)

        def checked(results: StepResults) -> T:
            for step in range(commit + 1):
                require(results, step)
            return read(results)

        return self._caller.call(script, checked, writes=True)


def _damage(row: list[Value]) -> DamagedRow | None:
    """Returns the fault of a row that cannot be decoded."""
    number, id, stored = row[0], row[2], row[3]
    kind = upkeep.KINDS.get(number) if isinstance(number, int) else None
    is_id = isinstance(id, bytes) and len(id) == 16
    known: Kind = "audit" if kind is None else kind
    if isinstance(id, bytes) and is_id and kind is not None:
        try:
            stored_value(kind, id, _bytes(stored))
        except CorruptRecordError as error:
            return DamagedRow(known, id, str(error))
        return None
    message = f"a record of the unknown kind {number!r}" if kind is None else "the id is damaged"
    return DamagedRow(known, id if isinstance(id, bytes) and is_id else _NO_ID, message)


def _is_cut(rows: list[list[Value]]) -> bool:
    """Returns true if the answer held only a part of the rows."""
    return bool(rows) and len(rows) < _number(rows[0][-1])


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise StorageError("the server returned another type than a number")
    return value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise CorruptRecordError("a column holds another type than it was given")
    return value


def _id(value: Value) -> bytes:
    """An id that is damaged is one of zeros, which no record belongs to."""
    return value if isinstance(value, bytes) and len(value) == 16 else _NO_ID


def _optional_bytes(value: Value) -> bytes | None:
    return None if value is None else _bytes(value)


def _optional_number(value: Value) -> int | None:
    return None if value is None else _number(value)
