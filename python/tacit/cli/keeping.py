"""`tacit export` and `tacit retain`: episodes to a file, and how many of them are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ..errors import ValidationError
from ..model.transfer import Retention
from . import console
from .options import AsJson, Database, Namespace, memory_at

_AGE = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZE = re.compile(r"(\d{1,12})([kKMG]?)B?")
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}
_SHOWN = 10
"""Ids that a terminal shows; --json has all."""


def export(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="The new file; .gz and .zst pack it, - is standard output.",
            show_default=False,
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME|AGE",
            help="Only episodes that ended then or later: 2026-01-31, an ISO time, or 12h, 30d, 4w ago.",
            show_default=False,
        ),
    ] = None,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Write the ended episodes of a namespace to a file.

    One JSON line each, as `tacit import` reads it. The file is readable by its owner alone.
    """
    with memory_at(database, namespace) as memory:
        report = memory.export(file, since=None if since is None else _time(since))
    if as_json and file != "-":
        console.say_json(report)
    else:
        count = console.count_of(report.exported, "episode")
        console.note(f"{file}: {count}, {report.bytes:,} bytes of lines")


def retain(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Forget episodes that ended longer ago: 12h, 30d, 4w.",
            show_default=False,
        ),
    ] = None,
    max_episodes: Annotated[
        int | None,
        typer.Option(
            "--max-episodes", metavar="N", min=0, help="Keep the newest N episodes.", show_default=False
        ),
    ] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option(
            "--max-bytes",
            metavar="SIZE",
            help="Keep the newest episodes whose records fit: 500M, 2G.",
            show_default=False,
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            "--tag",
            metavar="TAG",
            help="Count and forget only episodes that carry the tag; without another limit all of them.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the episodes that would go, and keep them.")
    ] = False,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Forget old episodes with everything they taught.

    By age, number, size or tag. The file gives their space back to the disk.
    """
    age = None if older_than is None else _age("older-than", older_than)
    size = None if max_bytes is None else _size(max_bytes)
    with memory_at(database, namespace) as memory:
        report = memory.retain(
            older_than=age, max_episodes=max_episodes, max_bytes=size, tag=tag, dry_run=dry_run
        )
    if as_json:
        console.say_json(report)
    else:
        console.say(*_lines(report))


def _lines(report: Retention) -> Iterator[Any]:
    would = "would be " if report.dry_run else ""
    removed = console.count_of(len(report.removed), "episode")
    yield f"{removed} {would}forgotten ({report.removed_bytes:,} bytes)"
    yield from (console.quiet(f"  {id}") for id in report.removed[:_SHOWN])
    if len(report.removed) > _SHOWN:
        yield console.quiet(f"  and {len(report.removed) - _SHOWN:,} more")
    yield f"{console.count_of(report.kept, 'episode')} kept ({report.kept_bytes:,} bytes)"
    if report.freed_bytes:
        yield f"the file is {report.freed_bytes:,} bytes smaller"


def _age(name: str, text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValidationError(name, "a number and a unit: 90s, 30m, 12h, 30d, 4w", repr(text))
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValidationError("max-bytes", "a number of bytes, with k, M or G: 500M, 2G", repr(text))
    return int(found[1]) * _FACTORS[found[2]]


def _time(text: str) -> datetime:
    """A day or a time of the calendar, UTC unless it says otherwise, or an age."""
    if _AGE.fullmatch(text):
        return datetime.now(UTC) - _age("since", text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        rule = "a date (2026-01-31), an ISO time, or an age (12h, 30d, 4w)"
        raise ValidationError("since", rule, repr(text)) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
