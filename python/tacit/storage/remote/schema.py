"""The schema of a server's database: that of a new local file."""

from __future__ import annotations

from uuid import uuid4

from ..._native import newest_schema
from ...errors import SchemaError
from .calls import Caller
from .commits import require
from .hrana import IN_TRANSACTION, REFUSED, Script, StepResults, Value, both, ok, refuse_if

_TABLES = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' "
    "AND name NOT LIKE 'libsql~_%' ESCAPE '~' AND name NOT LIKE '~_litestream%' ESCAPE '~'"
)
_FOUND = "SELECT max((SELECT max(number) FROM migration), min_reader, min_writer) FROM meta"


def prepare(caller: Caller) -> None:
    """Creates the schema in an empty database. Raises `SchemaError` for another program's, or a newer tacit's."""
    found = _found(caller)
    statements, steps = newest_schema()
    while found == 0:
        _create(caller, statements, steps)
        found = _found(caller)
    if found is None:
        raise SchemaError("the database on the server is not a tacit store; name an empty one")
    if found > len(steps):
        raise SchemaError(f"the store has schema {found}; this version of tacit knows up to {len(steps)}")
    if found < len(steps):
        raise SchemaError(
            f"the store on the server has schema {found} and this version of tacit writes {len(steps)}: copy it "
            "with `tacit backup` of the version that wrote it, then import the copy into an empty database"
        )


def _found(caller: Caller) -> int | None:
    """Returns the schema of the database: 0 for an empty one, `None` for one of another program."""
    script = Script()
    tables, found = script.add(_TABLES), script.add(_FOUND)

    def read(results: StepResults) -> int | None:
        require(results, tables)
        if not results.rows(tables):
            return 0
        rows: list[list[Value]] = results.rows(found)
        return rows[0][0] if rows and isinstance(rows[0][0], int) else None

    return caller.call(script, read)


def _create(caller: Caller, statements: list[str], steps: list[str]) -> None:
    """Creates everything in one transaction; another process that is faster leaves nothing to do."""
    script = Script()
    script.then("BEGIN IMMEDIATE")
    claimed = script.then(refuse_if("EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')"))
    for statement in statements:
        script.then(statement)
    for number, name in enumerate(steps, 1):
        script.then("INSERT INTO migration (number, name) VALUES (?1, ?2)", (number, name))
    identity = "INSERT INTO meta (one, uuid, min_reader, min_writer) VALUES (1, ?1, 1, 1)"
    script.then(identity, (uuid4().bytes,))
    commit = script.add("COMMIT", condition=both(ok(script.last), IN_TRANSACTION))
    script.add("ROLLBACK", condition=IN_TRANSACTION)

    def read(results: StepResults) -> None:
        error = results.error(claimed)
        if error is not None and REFUSED in error.message:
            return
        for step in range(commit + 1):
            require(results, step)

    caller.call(script, read)
