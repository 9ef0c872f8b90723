"""Options that several commands take, and the memory that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ..config import Configuration, load
from ..memory import Memory
from ..model.episode import Outcome
from .console import fail, note

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="PATH|URL",
        help="The memory. Default: TACIT_DB, else memory.db in the platform's data folder.",
        show_default=False,
    ),
]
Namespace = Annotated[str, typer.Option("--namespace", metavar="NAME", help="The tenant within that memory.")]
Task = Annotated[
    list[str],
    typer.Argument(metavar="TASK...", help="The task in words, quoted or not.", show_default=False),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object on standard output and nothing else there.")
]
Domain = Annotated[
    str | None, typer.Option("--domain", metavar="NAME", help="Only this domain.", show_default=False)
]
Agent = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="Only this agent.", show_default=False)
]


def joined(words: list[str], name: str) -> str:
    """The words of an argument as one text; ends the command if they are empty."""
    text = " ".join(words)
    if not text.strip():
        fail(f"{name} must not be empty")
        raise typer.Exit(1)
    return text


def outcome_named(kind: str, text: str | None, *, no_reason: str) -> Outcome:
    """The outcome of a known kind; `text` is its verdict, or the reason of a failure, else `no_reason`."""
    match kind:
        case "success":
            return Outcome.success(text)
        case "partial":
            return Outcome.partial(text)
        case "failure":
            return Outcome.failure(text or no_reason)
        case "abandoned":
            return Outcome.abandoned()
    return Outcome.unknown()


def configured(database: str | None) -> Configuration:
    """The settings, and the database that the option, the environment or the file names, in this order."""
    found = load()
    return found if database is None else Configuration(found.settings, database)


@contextmanager
def memory_at(database: str | None, namespace: str = "default", *, writes: bool = False) -> Iterator[Memory]:
    """Opens the memory that the options name.

    A command that only reads creates no file: without one it gets an empty memory and says so.
    """
    chosen = configured(database)
    path: str | None = chosen.database
    if not writes and "://" not in chosen.database and not Path(chosen.database).expanduser().exists():
        note(f"no memory at {chosen.database} yet; `tacit import FILE` creates one")
        path = None
    with Memory(path, namespace=namespace, settings=chosen.settings) as memory:
        yield memory


def note_nothing(memory: Memory, otherwise: str = "nothing similar is known yet") -> None:
    """Says why an answer is empty."""
    if memory.stats()["episodes"]:
        note(otherwise)
    else:
        note("no episodes yet; `tacit import FILE` adds recorded runs")
