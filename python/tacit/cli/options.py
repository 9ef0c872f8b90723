"""Options that several commands take, and the memory that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..config import Configuration, StorageSettings, check_settings, load, with_caller_training
from ..errors import ReadOnlyError, TacitError
from ..memory import Memory
from ..model.episode import Outcome
from ..model.ids import as_bytes
from ..model.record import Kind
from ..storage import Store, open_store
from .console import fail, note

DEFAULT_NAMESPACE = "default"
"""The namespace of everything that names none."""

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="PATH|URL",
        help="The memory. Default: TACIT_DB, else memory.db in the platform's data folder.",
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="The tenant within that memory. Default: this repository's, if it has memories, else default.",
        show_default=False,
    ),
]
IdNamespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="The tenant within that memory. Default: that of the id.",
        show_default=False,
    ),
]
WrittenNamespace = Annotated[
    str, typer.Option("--namespace", metavar="NAME", help="The tenant within that memory.")
]
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
def memory_at(
    database: str | None, namespace: str | None = None, *, of: str | None = None, writes: bool = False
) -> Iterator[Memory]:
    """Opens the memory that the options name.

    Without a namespace it is that of the id `of`, or else that of `namespace_here`. A command that only reads
    creates no file: without one it gets an empty memory and says so. A command asks once: it waits for the models of
    its answer.
    """
    chosen = configured(database)
    path: str | None = chosen.database
    if not writes and "://" not in chosen.database and not Path(chosen.database).expanduser().exists():
        note(f"no memory at {chosen.database} yet; `tacit import FILE` creates one")
        path = None
    check_settings(chosen.settings)
    settings = chosen.settings
    if settings.advice.training == "background":
        settings = with_caller_training(settings)
    store = opened_store(path, settings.storage)
    try:
        memory = Memory(store=store, settings=settings)
    except BaseException:
        store.close()
        raise
    with memory:
        if namespace is None:
            namespace = namespace_here(memory) if of is None else _namespace_of_id(store, of)
        yield memory.within(namespace)


def opened_store(path: str | None, settings: StorageSettings) -> Store:
    """The store; one in a place that takes no writes is opened to be read."""
    try:
        return open_store(path, settings)
    except ReadOnlyError:
        store = open_store(path, replace(settings, read_only=True))
    note(f"{path} is in a place that takes no writes: it is only read")
    return store


def namespace_here(memory: Memory) -> str:
    """The namespace of `own_namespace`, and a line on standard error that names it; else "default"."""
    name = own_namespace(memory)
    if name is None:
        return DEFAULT_NAMESPACE
    note(f"in the namespace {name}, which is this folder's; --namespace default means the common one")
    return name


def own_namespace(memory: Memory) -> str | None:
    """The namespace of the repository that the shell stands in; `None` if the memory holds no episode of it.

    Hooks of coding agents store there, under a name that a newcomer cannot guess.
    """
    from ..hooks.repositories import namespace_of

    try:
        name = namespace_of(Path.cwd())
    except OSError:  # the folder was removed
        return None
    return name if memory.episodes(limit=1, namespace=name) else None


class _Owned(msgspec.Struct):
    namespace: str = DEFAULT_NAMESPACE


_OWNED = msgspec.msgpack.Decoder(_Owned)


def _namespace_of_id(store: Store, text: str) -> str:
    """The namespace of an episode, open or ended, or of a maintenance run; the default one for an unknown id."""
    try:
        id = as_bytes(text)
    except TacitError:  # the verb refuses it
        return DEFAULT_NAMESPACE
    kinds: tuple[Kind, ...] = ("episode", "open_episode", "audit")
    for kind in kinds:
        if (record := store.get(kind, id)) is not None:
            return _OWNED.decode(record).namespace
    return DEFAULT_NAMESPACE


def note_nothing(memory: Memory, otherwise: str = "nothing similar is known yet") -> None:
    """Says why an answer is empty."""
    if not memory.stats()["episodes"]:
        note("no episodes yet; `tacit import FILE` adds recorded runs")
    elif not memory.episodes(limit=1):
        note(f"no episodes in the namespace {memory.namespace}; --namespace names another one")
    else:
        note(otherwise)
