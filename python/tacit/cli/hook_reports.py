"""`tacit why` and `tacit impact`: the answers that hooks gave, and their effect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from . import console
from .options import AsJson, Database, Namespace, configured, memory_at

if TYPE_CHECKING:
    from ..hooks.impact import Ending, Impact, Rate
    from ..hooks.journal import Journal

_FENCE = ("<tacit-memory", "</tacit-memory")
"""The lines around an answer, which say to a model that it is data."""
_VERDICTS = {
    "fewer": "fewer repeated failures with advice",
    "more": "more repeated failures with advice",
    "undecided": "undecided: the interval contains 0",
}


def why(
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, max=1_000, help="Answers at most.")] = 5,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Show the answers that hooks gave a coding agent, newest first.

    Below each stands whether it was used, and how its prompt ended. An answer that was withheld is shown too: the agent
    got nothing then, so that `tacit impact` can compare.
    """
    from ..hooks.journal import journal_of

    journal = journal_of(configured(database).database)
    entries = journal.last(last)
    endings = _endings(database, journal, entries) if entries else {}
    if as_json:
        shown = [{**entry, "ending": endings.get(int(entry.get("at", 0)))} for entry in entries]
        console.say_json({"answers": shown})
        return
    if not entries:
        console.note("the hooks have said nothing yet; `tacit setup` enters them")
    for number, entry in enumerate(entries):
        console.say(*([""] if number else []), *_answer(entry, endings.get(int(entry.get("at", 0)))))


def _endings(database: str | None, journal: Journal, entries: list[dict[str, Any]]) -> dict[int, Ending]:
    """How the prompts of the shown entries ended: each folder has its own namespace."""
    from ..hooks.impact import endings_of
    from ..hooks.repositories import namespace_of

    sessions = {entry.get("session") for entry in entries}
    related = [entry for entry in journal.newest_first() if entry.get("session") in sessions]
    names = {namespace_of(str(entry["folder"])) for entry in entries if entry.get("folder")}
    found: dict[int, Ending] = {}
    with memory_at(database, "default") as memory:
        for name in sorted(names):
            found |= endings_of(memory.within(name), related)
    return found


def _answer(entry: dict[str, Any], ending: Ending | None) -> Iterator[Any]:
    at = datetime.fromtimestamp(float(entry.get("at", 0)) / 1e6, UTC)
    withheld = ("  withheld", "yellow") if entry.get("withheld") is True else ""
    yield Text.assemble((f"{at:%Y-%m-%d %H:%M}  {console.plain(str(entry.get('event')))}", "bold"), withheld)
    if entry.get("folder"):
        yield Padding(Text(console.plain(str(entry["folder"])), console.QUIET, overflow="fold"), (0, 0, 0, 2))
    if entry.get("asked"):
        yield Padding(Text(console.plain(str(entry["asked"])), console.QUIET), (0, 0, 0, 2))
    for line in str(entry.get("said", "")).splitlines():
        if not line.startswith(_FENCE):
            yield Padding(Text(console.plain(line), overflow="fold"), (0, 0, 0, 4))
    if ending is not None:
        yield Padding(Text(_ended(ending), console.QUIET), (0, 0, 0, 2))


def _ended(ending: Ending) -> str:
    used = {True: "used · ", False: "not used · ", None: ""}[ending.used]
    failed = f", {ending.failed:,} failed" if ending.failed else ""
    steps = console.count_of(ending.steps, "step")
    return f"{used}{steps}{failed} · {console.outcome_name(ending.outcome)}"


def impact(
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Measure what the hooks of a coding agent changed.

    Compares prompts that were given advice with those from which it was withheld at random: repeated failures per 100
    steps, the share of the answers that was used, and their tokens.
    """
    from ..hooks.impact import impact_of
    from ..hooks.journal import journal_of

    with memory_at(database, namespace) as memory:
        found = impact_of(memory, journal_of(configured(database).database))
        share = memory.settings.hooks.withheld_share
    if as_json:
        console.say_json({**msgspec.to_builtins(found), "share_used": found.share_used})
    elif not found.prompts:
        console.note("no prompt that a hook was asked about has been learned from yet; see `tacit why`")
    else:
        console.say(*_impact(found, share))


def _impact(found: Impact, share: float) -> Iterator[Any]:
    yield Text(f"{console.count_of(found.prompts, 'prompt')} in {found.namespace}", "bold")
    tokens = f", {found.tokens:,} tokens, {found.tokens / found.answers:.0f} each" if found.answers else ""
    yield Padding(Text(f"{console.count_of(found.answers, 'answer')} given{tokens}"), (0, 0, 0, 2))
    if found.share_used is not None:
        yield Padding(
            Text(f"{found.used:,} of {found.followed:,} used ({found.share_used:.0%})"), (0, 0, 0, 2)
        )
    yield from ("", Text("Repeated failures per 100 steps", "bold"))
    table = Table.grid(padding=(0, 2, 0, 0))
    for justify in ("left", "right", "right", "right"):
        table.add_column(justify=justify)
    for name, rate in (("with advice", found.told), ("withheld", found.withheld)):
        table.add_row(*_row(name, rate))
    yield Padding(table, (0, 0, 0, 2))
    if found.difference is not None:
        between = f"{found.low:+.1f} to {found.high:+.1f}"
        yield Padding(
            Text(f"difference {found.difference:+.1f} ({between}): {_VERDICTS[found.verdict]}"), (0, 0, 0, 2)
        )
    elif not share:
        yield Padding(Text("nothing is withheld (TACIT_HOOKS_WITHHELD_SHARE=0)", "yellow"), (0, 0, 0, 2))
    else:
        yield Padding(
            Text(f"advice is withheld at {share:.0%} of the prompts; none yet", console.QUIET), (0, 0, 0, 2)
        )


def _row(name: str, rate: Rate) -> tuple[str, ...]:
    interval = f"{rate.per_100:.1f} ({rate.low:.1f} to {rate.high:.1f})" if rate.steps else ""
    return name, console.count_of(rate.prompts, "prompt"), console.count_of(rate.steps, "step"), interval
