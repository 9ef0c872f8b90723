"""`tacit repair`, `tacit backup` and `tacit restore`: work on a memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..errors import StorageError
from ..storage import NativeStore, Store
from . import console
from .options import AsJson, Database, configured, opened_store


def repair(database: Database = None, as_json: AsJson = False) -> None:
    """Remove rows that cannot be read.

    A damaged episode goes with everything it taught, a damaged pattern until an episode names it again. Every other
    row stays as it is.
    """
    with _opened(database) as store:
        rows = store.remove_damaged()
    if as_json:
        removed = [{"kind": row.kind, "id": row.id.hex(), "message": row.message} for row in rows]
        console.say_json({"removed": removed})
        return
    for row in rows:
        console.say(f"{row.kind} {row.id.hex()}")
    console.note(f"{len(rows):,} unreadable rows removed" if rows else "no unreadable rows")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; it must not exist.")],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Copy a memory to a new file while it is in use.

    The copy is as of one moment, readable by its owner alone, and holds no deleted content.
    """
    with _opened(database) as store:
        store.backup(file)
    size = file.expanduser().stat().st_size
    if as_json:
        console.say_json({"path": str(file), "bytes": size})
    else:
        console.note(f"{file}: {size:,} bytes")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup, or any file of a memory.")],
    database: Database = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a memory that exists.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a backup the memory.

    A memory that any process has open is not replaced.
    """
    path = Path(configured(database).database).expanduser()
    NativeStore.restore(file, path, replace=replace)
    if as_json:
        console.say_json({"path": str(path), "restored": str(file)})
    else:
        console.note(f"{path} is the memory of {file} now")


@contextmanager
def _opened(database: str | None) -> Iterator[Store]:
    chosen = configured(database)
    path = Path(chosen.database).expanduser()
    if "://" not in chosen.database and not path.is_file():
        raise StorageError(f"--db must be the file of a memory or the address of a server; got {path}")
    store = opened_store(chosen.database if "://" in chosen.database else str(path), chosen.settings.storage)
    with closing(store):
        yield store
