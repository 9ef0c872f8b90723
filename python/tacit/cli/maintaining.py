"""`tacit heuristics`, `maintain`, `undo` and `forget`: the rules, and how a memory is kept in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from ..model.maintenance import Maintenance
from . import console
from .options import Agent, AsJson, Database, Domain, Namespace, memory_at, note_nothing
from .tables import rule_table

SHOWN = 10
"""How many decisions of a kind a terminal shows; --json has all."""


def heuristics(
    domain: Domain = None,
    agent: Agent = None,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", metavar="P", min=0, max=1, help="Only rules that work that surely."),
    ] = 0.0,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=10_000, help="Rules at most.")
    ] = 20,
    database: Database = None,
    namespace: Namespace = "default",
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
            console.say(rule_table(found))
        else:
            note_nothing(memory, "nothing matches")


def maintain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    database: Database = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Keep a memory in order.

    Merges near-duplicates, promotes what is proven, retires what is not seen any more, renews groups and rules.
    """
    with memory_at(database, namespace, writes=not dry_run) as memory:
        _say(memory.maintain(dry_run=dry_run), as_json)


def undo(
    audit_id: Annotated[
        str, typer.Argument(metavar="ID", help="What `maintain` called itself.", show_default=False)
    ],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Undo one maintenance run."""
    with memory_at(database) as memory:
        _say(memory.undo(audit_id), as_json)


def forget(
    episode_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id of an episode.", show_default=False)
    ],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Remove an episode and everything it taught."""
    with memory_at(database) as memory:
        memory.forget(episode_id)
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
    rules, groups = len(report.heuristics), len(report.clusters)
    yield f"{console.count_of(rules, 'rule')} ({report.new_heuristics:,} new), {console.count_of(groups, 'group')}"
    if report.unchanged:
        yield Text("all is as it should be", console.QUIET)
    elif report.id is not None:
        yield Text(f"tacit undo {report.id} takes the decisions back", console.QUIET)


def _decisions(what: str, items: list[str]) -> Iterator[Any]:
    if not items:
        return
    yield Text(f"{len(items):,} {what}", "bold")
    yield from (Text(f"  {console.plain(item)}") for item in items[:SHOWN])
    if len(items) > SHOWN:
        yield Text(f"  and {len(items) - SHOWN:,} more", console.QUIET)
