"""`tacit fix`: fixes for an error, whichever tool gave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import _native
from . import console
from .options import AsJson, Database, Namespace, joined, memory_at, note_nothing

if TYPE_CHECKING:
    from ..memory import Memory
    from ..model.advice import Fixes

_MOST_PATTERNS = 10_000


def fix(
    error: Annotated[
        list[str],
        typer.Argument(metavar="ERROR...", help="The error's message, quoted or not.", show_default=False),
    ],
    tool: Annotated[
        str | None,
        typer.Option(
            "--tool", metavar="NAME", help="The tool that failed; else every one.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100, help="Fixes of a tool at most.")
    ] = 3,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Look an error up: what was done after it, and how often that worked.

    The error is known by its class: numbers, paths and names in it may be others. `tacit recover` ranks the fixes of
    one tool for a situation.
    """
    with memory_at(database, namespace) as memory:
        found = _found(memory, joined(error, "error"), tool, limit)
        if as_json:
            console.say_json({"fixes": found})
        elif found:
            from .advice_view import fixes_of_tools

            console.say(*fixes_of_tools(found))
        if not found:
            note_nothing(memory, "no fix is known for this error")


def _found(memory: Memory, error: str, tool: str | None, limit: int) -> list[Fixes]:
    """The fixes of each tool that gave such an error, the surest first."""
    tools = [tool] if tool is not None else _tools_that_gave(memory, error)
    answers = [memory.recover(error, tool=each, limit=limit) for each in tools]
    known = [answer for answer in answers if any(fix.trials for fix in answer.ways)]
    return sorted(known, key=lambda answer: -max(fix.low for fix in answer.ways if fix.trials))


def _tools_that_gave(memory: Memory, error: str) -> list[str]:
    """The tools after which an error of this class was recovered from."""
    named = _native.error_class(error)
    patterns = memory.patterns(kind="error_recovery", limit=_MOST_PATTERNS)
    contents: list[dict[str, Any]] = [pattern.content for pattern in patterns]
    return sorted({str(content["tool"]) for content in contents if content.get("error") == named})
