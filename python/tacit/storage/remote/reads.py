"""The statements that read a server's tables, each one round trip and as of one moment."""

from __future__ import annotations

from collections.abc import Sequence

from ..._native import kind_number, state_number
from ...errors import ValidationError
from ...model.record import SIDE_RECORD_KINDS, Filters, Kind
from .commits import NEWEST
from .hrana import SqlText

PAGE_BYTES = 4 << 20
"""The bytes of records that one answer holds; a larger record comes alone. sqld refuses answers beyond 10 MB."""
MOST_IDS = 5_000
"""The ids that one statement asks for; SQLite takes 32,766 values."""

POSITION = f"SELECT {NEWEST}"
REMOVALS = (
    f"SELECT {NEWEST}, EXISTS (SELECT 1 FROM change WHERE sequence > ?1 AND op IN (1, 3)), "
    "(SELECT horizon FROM meta)"
)
PENDING = "SELECT id FROM episode WHERE state = 2 ORDER BY id LIMIT ?1"
STATS = (
    "SELECT (SELECT count(*) FROM episode), (SELECT count(DISTINCT id) FROM pattern), "
    "(SELECT count(*) FROM episode WHERE state = 2), (SELECT count(*) FROM note WHERE is_there = 1), "
    f"{NEWEST}, (SELECT horizon FROM meta)"
)
CHANGES = (
    f"SELECT meta.horizon, {NEWEST}, found.sequence, found.op, found.id, found.record, found.kind, found.total "
    "FROM meta LEFT JOIN (SELECT *, sum(coalesce(length(record), 0)) OVER (ORDER BY sequence) AS upto, "
    "row_number() OVER (ORDER BY sequence) AS nth, count(*) OVER () AS total FROM ("
    "SELECT change.sequence AS sequence, change.op AS op, coalesce(episode.id, note.id, change.id) AS id, "
    "coalesce(episode.record, note.record) AS record, note.kind AS kind FROM change "
    "LEFT JOIN episode ON episode.sequence = change.sequence AND change.op = 0 "
    "LEFT JOIN note ON note.sequence = change.sequence AND change.op = 2 "
    "WHERE change.sequence > ?1 "
    "AND (change.op = 1 OR episode.sequence IS NOT NULL OR note.sequence IS NOT NULL) "
    "ORDER BY change.sequence LIMIT ?2)) AS found ON found.upto <= ?3 OR found.nth = 1 "
    "ORDER BY found.sequence"
)
_NAMESPACE = "namespace = (SELECT number FROM namespace WHERE name = {})"
_ONE_FOR_ALL = "namespace = (SELECT min(other.namespace) FROM pattern other WHERE other.id = pattern.id)"
_EVERY_ROW = (
    "SELECT 1 AS kind, sequence AS place, id, record, NULL AS name FROM episode "
    "WHERE sequence > {} ORDER BY sequence LIMIT 1000",
    "SELECT 2 AS kind, pattern.number AS place, pattern.id AS id, pattern.record AS record, name FROM pattern "
    "LEFT JOIN namespace ON namespace.number = pattern.namespace "
    "WHERE pattern.number > {} ORDER BY pattern.number LIMIT 1000",
    "SELECT kind, sequence AS place, id, record, name FROM note "
    "LEFT JOIN namespace ON namespace.number = note.namespace "
    "WHERE sequence > {} ORDER BY sequence LIMIT 1000",
)
TABLES = len(_EVERY_ROW)


class ReadText(SqlText):
    """A statement that reads, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.sql: str = ""

    def bounded(self, inner: str, order: str) -> ReadText:
        """Cuts the rows of a query, which have a column `record`, to those that fit into one answer.

        Each row ends with its number and with the number of rows that the query alone would return.
        """
        self.sql = (
            f"SELECT * FROM (SELECT *, sum(length(record)) OVER (ORDER BY {order}) AS upto, "
            f"row_number() OVER (ORDER BY {order}) AS nth, count(*) OVER () AS total FROM ({inner})) "
            f"WHERE upto <= {self.bind(PAGE_BYTES)} OR nth = 1 ORDER BY nth"
        )
        return self


def rows_by_id(kind: Kind, ids: Sequence[bytes], namespace: str | None) -> ReadText:
    """Reads ids and records of rows by their ids."""
    text = ReadText()
    conditions = [*_of_kind(kind, namespace, text), f"id IN ({', '.join(map(text.bind, ids))})"]
    return text.bounded(f"SELECT id, record FROM {_table(kind)} WHERE {' AND '.join(conditions)}", "id")


def page(kind: Kind, after: bytes | None, limit: int, newest_first: bool, filters: Filters) -> ReadText:
    """Reads ids and records of one page in the order of ids."""
    text = ReadText()
    conditions = _of_kind(kind, filters.namespace, text)
    for name in ("domain", "task_key", "agent", "external_id", "subject"):
        value = getattr(filters, name)
        if value is not None:
            conditions.append(f"{name} = {text.bind(value)}")
    if filters.state is not None:
        conditions.append(f"state = {text.bind(state_number(filters.state))}")
    if kind == "embedding":
        conditions.append("embedder IS NOT NULL")
    if after is not None:
        conditions.append(f"id {'<' if newest_first else '>'} {text.bind(after)}")
    order = "id DESC" if newest_first else "id"
    return text.bounded(
        f"SELECT id, record FROM {_table(kind)} WHERE {' AND '.join(conditions) or '1'} "
        f"ORDER BY {order} LIMIT {text.bind(limit)}",
        order,
    )


def every_row(table: int, after: int) -> ReadText:
    """Reads kind, place, id, record and namespace of the rows of a table beyond a place."""
    text = ReadText()
    return text.bounded(_EVERY_ROW[table].format(text.bind(after)), "place")


def version(kind: Kind, id: bytes, columns: str) -> tuple[str, tuple[bytes | int, ...]]:
    """Reads columns of an episode or a side record."""
    if kind == "episode":
        return f"SELECT {columns} FROM episode WHERE id = ?1", (id,)
    if kind not in SIDE_RECORD_KINDS:
        raise ValidationError("kind", "episode or a kind of side record", kind)
    return (
        f"SELECT {columns} FROM note WHERE id = ?1 AND kind = ?2 AND is_there = 1",
        (id, kind_number(kind)),
    )


def _table(kind: Kind) -> str:
    if kind in ("episode", "embedding"):
        return "episode"
    return "pattern" if kind == "pattern" else "note"


def _of_kind(kind: Kind, namespace: str | None, text: ReadText) -> list[str]:
    """The conditions that the rows of a kind, and of a namespace if one is given, meet."""
    conditions = []
    if _table(kind) == "note":
        conditions += [f"kind = {text.bind(kind_number(kind))}", "is_there = 1"]
    if namespace is not None:
        conditions.append(_NAMESPACE.format(text.bind(namespace)))
    elif kind == "pattern":
        conditions.append(_ONE_FOR_ALL)
    return conditions
