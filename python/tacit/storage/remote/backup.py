"""The copy of a server's database to a local file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from ...errors import StorageError, UnavailableError, ValidationError
from ..native import NativeStore
from .hrana import SqlText, Value
from .reads import PAGE_BYTES, POSITION

Select: TypeAlias = Callable[[str, Sequence[Value]], list[list[Value]]]

_TRIES = 3
_POSITION = f"SELECT ({POSITION}), horizon, uuid FROM meta"
_TABLES = {
    "namespace": ("number", "name"),
    "change": ("sequence", "op", "id"),
    "episode": (
        *("sequence", "id", "namespace", "external_id", "digest", "task_key", "domain", "agent"),
        *("complexity", "state", "started_at", "ended_at", "base", "embedder", "record"),
    ),
    "pattern": ("number", "namespace", "id", "kind", "record"),
    "note": ("sequence", "kind", "id", "namespace", "is_there", "record", "subject"),
}


def copy_to(path: Path, select: Select) -> None:
    """Copies every table to a new file, readable by its owner alone."""
    path = path.expanduser().absolute()
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise ValidationError("path", "a file that does not exist yet", str(path)) from None
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror}") from error
    try:
        _copy(path, select)
    except BaseException as failure:
        for leftover in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            leftover.unlink(missing_ok=True)
        if isinstance(failure, (sqlite3.Error, OSError)):
            raise UnavailableError(f"cannot write {path}: {failure}") from failure
        raise


def _copy(path: Path, select: Select) -> None:
    NativeStore(path, cache_path=None).close()
    with closing(sqlite3.connect(path)) as copy:
        for _ in range(_TRIES):
            before = select(_POSITION, ())
            with copy:
                for table in reversed(_TABLES):
                    copy.execute(f"DELETE FROM {table}")
                for table, columns in _TABLES.items():
                    _copy_table(copy, table, columns, select)
                copy.execute("UPDATE meta SET horizon = ?, uuid = ?", before[0][1:])
            if select(_POSITION, ()) == before:
                copy.execute("VACUUM")
                return
    raise UnavailableError(
        f"the store was written during each of {_TRIES} copies; repeat it in a quieter moment"
    )


def _copy_table(copy: sqlite3.Connection, table: str, columns: tuple[str, ...], select: Select) -> None:
    """Copies a table page by page: what was written in between is noticed by its change numbers."""
    names, place = ", ".join(columns), columns[0]
    insert = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
    size = "length(record)" if "record" in columns else "0"
    last: Value = -1
    while True:
        text = SqlText()
        rows = select(
            f"SELECT {names} FROM (SELECT *, sum({size}) OVER (ORDER BY {place}) AS upto, "
            f"row_number() OVER (ORDER BY {place}) AS nth FROM (SELECT {names} FROM {table} "
            f"WHERE {place} > {text.bind(last)} ORDER BY {place} LIMIT 5000)) "
            f"WHERE upto <= {text.bind(PAGE_BYTES)} OR nth = 1 ORDER BY {place}",
            text.values,
        )
        if not rows:
            return
        copy.executemany(insert, rows)
        last = rows[-1][0]
