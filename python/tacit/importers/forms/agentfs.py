"""Databases of agentfs: the table `tool_calls` of a SQLite file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..base import Entry, Refusal
from ..messages import parsed
from ..opening import is_sqlite
from ..run_builder import RunBuilder, microseconds_of
from ..sample import Sample
from ..source import Source

_COLUMNS = ("name", "parameters", "result", "error", "started_at", "completed_at")


class AgentFs:
    """An agentfs database: its tool calls, in their order, are one episode. The outcome is unknown."""

    name = "agentfs"
    grows = True

    @staticmethod
    def recognises(sample: Sample) -> bool:
        """Returns True for a SQLite file."""
        return is_sqlite(sample.head)

    def read(self, source: Source) -> Iterator[Entry | Refusal]:
        """The episode of the database, or a refusal."""
        import sqlite3

        try:
            rows = _rows(source.path)
        except sqlite3.Error as error:
            yield source.refusal(1, f"must be an agentfs database with a table tool_calls; got {error}")
            return
        run = RunBuilder(source.limits)
        for row in rows:
            _add(run, row)
        if not len(run):
            yield source.refusal(1, "tool_calls must hold a call; got none")
            return
        name = Path(source.path).stem
        yield Entry(
            1,
            run.episode(f"tool calls of {name}", external_id=f"{self.name}:{name}", source=self.name),
        )


def _rows(path: str) -> list[dict[str, Any]]:
    import sqlite3

    connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        columns = ", ".join(_COLUMNS)
        found = connection.execute(
            f"SELECT {columns} FROM tool_calls ORDER BY started_at, rowid LIMIT 100000"
        )
        return [dict(row) for row in found]
    finally:
        connection.close()


def _add(run: RunBuilder, row: Mapping[str, Any]) -> None:
    run.call(row["name"], parsed(row["parameters"]), at=microseconds_of(row["started_at"]))
    error = row["error"]
    if row["completed_at"] is None and error is None and row["result"] is None:
        return
    ended = microseconds_of(row["completed_at"])
    run.answer(None, output=... if error else parsed(row["result"]), error=error or None, at=ended)
