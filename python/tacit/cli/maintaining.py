"""`tacit heuristics`, `maintain`, `undo` and `forget`: heuristics, and the upkeep of a memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from ..errors import ValidationError
from ..hooks.known_fixes import KnownFixes
from ..model.maintenance import Maintenance
from . import console
from .options import Agent, AsJson, Database, Domain, Namespace, configured, memory_at, note_nothing
from .tables import heuristic_list

SHOWN = 10
"""Decisions of a kind that a terminal shows; --json has all."""


def heuristics(
    domain: Domain = None,
    agent: Agent = None,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence",
            metavar="P",
            min=0,
            max=1,
            help="The least confidence of a heuristic.",
        ),
    ] = 0.0,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="Heuristics at most.")
    ] = 20,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """List heuristics with their evidence, the most certain first.

    Each says when to do something, how often that worked, and how it compares with the alternatives.
    """
    with memory_at(database, namespace) as memory:
        found = memory.heuristics(domain=domain, agent=agent, min_confidence=min_confidence, limit=limit)
        if as_json:
            console.say_json({"heuristics": found})
        elif found:
            console.say(heuristic_list(found))
        else:
            note_nothing(memory, "no heuristic matches")


def maintain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the decisions without making them.")
    ] = False,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Keep a memory in order.

    Merges near-duplicates, promotes proven patterns, retires unseen ones, renews clusters and heuristics.
    """
    with memory_at(database, namespace, writes=not dry_run) as memory:
        _say(memory.maintain(dry_run=dry_run), as_json)


def undo(
    audit_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id that `tacit maintain` printed.", show_default=False)
    ],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Undo one maintenance run."""
    with memory_at(database, of=audit_id) as memory:
        try:
            report = memory.undo(audit_id)
        except ValidationError as error:
            console.fail(f"no maintenance run {audit_id!r}; `tacit maintain` prints the id")
            raise typer.Exit(1) from error
        _say(report, as_json)


def forget(
    episode_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id of an episode.", show_default=False)
    ],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Remove an episode and everything it taught."""
    with memory_at(database, of=episode_id) as memory:
        memory.forget(episode_id)
        if "://" not in (path := configured(database).database):
            KnownFixes(path, memory.namespace).discard()
        if as_json:
            console.say_json({"forgotten": episode_id})
        else:
            console.note(f"forgotten: {episode_id}")


def _say(report: Maintenance, as_json: bool) -> None:
    if as_json:
        console.say_json(report)
    else:
        console.say(*_report(report))


def _report(report: Maintenance) -> Iterator[Any]:
    would = "would be " if report.dry_run else ""
    yield from _decisions(
        f"{would}merged", [f"{each.merged_text} | into: {each.survivor_text}" for each in report.merges]
    )
    for state in ("proven", "pitfall", "candidate", "retired"):
        changed = [each.text or each.pattern for each in report.changed if each.after == state]
        yield from _decisions(f"{would}{state}", changed)
    yield from _decisions(f"{would}abandoned", list(report.abandoned))
    if report.learned:
        yield f"{console.count_of(report.learned, 'pending episode')} learned from"
    if report.pending:
        waiting = console.count_of(report.pending, "pending episode")
        yield Text(f"{waiting} not learned from yet; `tacit doctor` says why", "yellow")
    if report.given_up:
        yield Text(f"  gave up after a few failures alike: {console.plain(report.given_up)}", "yellow")
    heuristics = console.count_of(len(report.heuristics), "heuristic")
    clusters = console.count_of(len(report.clusters), "cluster")
    yield f"{heuristics} ({report.new_heuristics:,} new), {clusters}"
    if report.unchanged and not report.pending:
        yield Text("no problems found; nothing to do", console.QUIET)
    elif report.id is not None:
        yield Text(f"undo with: tacit undo {report.id}", console.QUIET)


def _decisions(made: str, items: list[str]) -> Iterator[Any]:
    if not items:
        return
    yield Text(f"{len(items):,} {made}", "bold")
    yield from (Text(f"  {console.plain(item)}") for item in items[:SHOWN])
    if len(items) > SHOWN:
        yield Text(f"  and {len(items) - SHOWN:,} more", console.QUIET)
