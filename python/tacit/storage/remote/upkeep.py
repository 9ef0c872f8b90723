"""Work on the whole database of a server: unreadable rows, and the pruning of the change log."""

from __future__ import annotations

from typing import cast, get_args

from ..._native import batch_rows, kind_number, pattern_key
from ...model.record import Batch, DamagedRow, Kind, SideRecord, SideRecordKind
from .commits import NEWEST
from .hrana import Script, Value

_ALL_KINDS: tuple[Kind, ...] = ("episode", "pattern", *get_args(SideRecordKind))
KINDS: dict[int, Kind] = {kind_number(kind): kind for kind in _ALL_KINDS}
"""The kinds of records by their numbers in the tables."""

_NEXT = "(SELECT coalesce(max(sequence), 0) + 1 FROM change)"
_PRUNE_CHANGES = (
    f"DELETE FROM change WHERE sequence <= (SELECT horizon FROM meta) AND sequence < {NEWEST} "
    "AND NOT (op = 0 AND EXISTS (SELECT 1 FROM episode WHERE episode.sequence = change.sequence)) "
    "AND NOT (op = 2 AND EXISTS "
    "(SELECT 1 FROM note WHERE note.sequence = change.sequence AND note.is_there = 1))"
)
_PRUNE_SIDE_RECORDS = "DELETE FROM note WHERE is_there = 0 AND sequence <= (SELECT horizon FROM meta)"


def add_pruning(script: Script, keep: int) -> tuple[int, tuple[int, int]]:
    """Adds the pruning of the log; returns the step that reads the horizon, and those that count as pruned."""
    script.then(f"UPDATE meta SET horizon = max(horizon, {NEWEST} - ?1)", (min(max(keep, 0), 2**62),))
    pruned = script.then(_PRUNE_CHANGES), script.then(_PRUNE_SIDE_RECORDS)
    return script.then("SELECT horizon FROM meta"), pruned


def add_removal(script: Script, row: list[Value], damaged: DamagedRow) -> None:
    """Adds the removal of an unreadable row under a change number of its own.

    An episode is removed as by a batch, a side record is deleted, and a pattern leaves its namespace until an episode
    names it again.
    """
    place, name = row[1], row[4]
    if damaged.kind == "episode":
        _add_log(script, 1, damaged.id, "episode", "sequence", place)
        script.then("DELETE FROM episode WHERE sequence = ?1", (place,))
    elif damaged.kind == "pattern":
        key = pattern_key(name if isinstance(name, str) else "", damaged.id)
        _add_log(script, 3, key, "pattern", "number", place)
        script.then("DELETE FROM pattern WHERE number = ?1", (place,))
    elif isinstance(name, str):
        _add_log(script, 2, damaged.id, "note", "sequence", place)
        script.then(
            f"UPDATE note SET sequence = {NEWEST}, is_there = 0, subject = NULL, record = ?1 WHERE sequence = ?2",
            (_deleted(damaged, name), place),
        )
    else:
        _add_log(script, 2, damaged.id, "note", "sequence", place)
        script.then("DELETE FROM note WHERE sequence = ?1", (place,))


def _add_log(script: Script, op: int, id: bytes, table: str, column: str, place: Value) -> None:
    script.then(
        f"INSERT INTO change (sequence, op, id) SELECT {_NEXT}, ?1, ?2 FROM {table} WHERE {column} = ?3",
        (op, id, place),
    )


def _deleted(damaged: DamagedRow, namespace: str) -> bytes:
    """The record of a deleted side record."""
    kind = cast(SideRecordKind, damaged.kind)
    return batch_rows(Batch(side_records=(SideRecord(kind, damaged.id, namespace, None),)))[1][0].record
