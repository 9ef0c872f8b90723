"""`tacit doctor`: checks of a memory's file, its rows and its surroundings."""

from __future__ import annotations

import platform
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from .. import __version__
from .._native import TEXT_VERSION
from ..config import StorageSettings
from ..errors import TacitError
from ..hooks.journal import journal_of
from ..hooks.learning import seen_path, unread_sessions
from ..hooks.sessions import SeenFiles
from ..intake.claims import dead_letters
from ..intake.facts_version import oldest_version
from ..intake.namespaces import last_learned
from ..intake.pending import pending_figures
from ..model.episode import Episode
from ..storage import NativeStore, Store, open_store
from ..storage.native import open_readable
from ..storage.remote import RemoteStore
from . import console
from .options import AsJson, Database, configured

StoreT = TypeVar("StoreT", bound=Store)

FREE_BYTES = 200_000_000
"""The least free space of a disk; with less the check fails before the disk is full."""
_EPISODES = msgspec.msgpack.Decoder(Episode)
_PAGE = 200
_WAITING_S = 86_400
"""The age from which a session that no hook has read shows that they do not run."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its finding."""

    name: str
    ok: bool
    detail: str


def doctor(database: Database = None, as_json: AsJson = False) -> None:
    """Check that a memory is sound.

    Versions, file, disk, schema, every row and cache; exit status 1 if a check fails.
    """
    chosen = configured(database)
    path = chosen.database
    checks = []
    for check in _checks(path, chosen.settings.storage):
        checks.append(check)
        if not as_json:
            console.say(_row(check))
    ok = all(check.ok for check in checks)
    if as_json:
        console.say_json({"ok": ok, "database": path, "checks": checks})
    elif ok:
        console.say("", Text("no problems found", "green"))
    if not ok:
        raise typer.Exit(1)


def _row(check: Check) -> Table:
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=5, no_wrap=True)
    row.add_column(width=8, no_wrap=True)
    row.add_column(overflow="fold")
    mark = Text("ok", "green") if check.ok else Text("WRONG", console.ERROR)
    row.add_row(mark, check.name, Text(console.plain(check.detail)))
    return row


def _checks(path: str, settings: StorageSettings) -> Iterator[Check]:
    yield Check("versions", True, _versions())
    if "://" in path:
        yield from _on_server(path, settings)
        return
    file = Path(path).expanduser()
    if not file.is_file():
        yield Check("file", False, f"no memory at {file}; `tacit import FILE` creates one")
        return
    yield Check("file", True, f"{file}, {file.stat().st_size:,} bytes")
    yield _free_space(file)
    yield from _inside(file)
    yield _hooks(path)


def _on_server(address: str, settings: StorageSettings) -> Iterator[Check]:
    """The checks of a store on a server; one failed check if it cannot be asked."""
    try:
        store = open_store(address, settings)
    except TacitError as error:
        yield Check("server", False, str(error))
        return
    with closing(store):
        if not isinstance(store, RemoteStore):
            yield Check("server", False, f"{address} is neither a file nor a libSQL server")
            return
        try:
            began = time.perf_counter()
            sequence = store.sequence()
        except TacitError as error:
            yield Check("server", False, str(error))
            yield _tried("connections", _connections, store)
            return
        took = (time.perf_counter() - began) * 1e3
        yield Check("server", True, f"{store.address} answered within {took:,.0f} ms, {sequence:,} changes")
        for name, look in _CONTENT_CHECKS:
            yield _tried(name, look, store)
        yield _tried("connections", _connections, store)


def _connections(store: RemoteStore) -> tuple[bool, str]:
    """Says how the calls of this command went."""
    stats = store.connection_stats()
    return stats["breaker"] == "closed", (
        f"breaker {stats['breaker']}; {stats['remote_requests']:,} requests for {stats['remote_calls']:,} calls, "
        f"{stats['remote_retries']:,} retries; {stats['connections_opened']:,} connections opened, "
        f"{stats['connections_reused']:,} times one was reused"
    )


def _versions() -> str:
    parts = {
        "tacit": __version__,
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in ("msgspec", "numpy", "typer", "rich")},
    }
    return (
        ", ".join(f"{name} {version}" for name, version in parts.items())
        + f" on {platform.platform(terse=True)}"
    )


def _free_space(file: Path) -> Check:
    free = shutil.disk_usage(file.parent).free
    return Check("disk", free >= FREE_BYTES, f"{free / 1e9:,.1f} GB free")


def _inside(file: Path) -> Iterator[Check]:
    """The checks inside the store; one failed check if it cannot be opened."""
    try:
        store = open_readable(file)
    except TacitError as error:
        yield Check("schema", False, str(error))
        return
    try:
        use = "read, because its place takes no writes" if store.read_only else "readable and writable"
        yield Check("schema", True, f"opened, {use}, by this version")
        yield _tried("access", _access, store)
        for name, look in _CONTENT_CHECKS:
            yield _tried(name, look, store)
        yield _tried("backups", _backups, store)
        yield _tried("cache", _cache, store)
        yield _tried("snapshot", _snapshot, store)
    finally:
        store.close()


def _access(store: NativeStore) -> tuple[bool, str]:
    """A file that others may read is its owner's decision, and no fault."""
    mode = stat.S_IMODE(store.path.stat().st_mode)
    others = "its owner alone" if not mode & 0o077 else "others than its owner too"
    return True, f"mode {mode:04o}: read by {others}"


def _facts(store: Store) -> tuple[bool, str]:
    """Relearning that is due is no fault: answers say so, and `maintain` does it."""
    version = oldest_version(store)
    if version < TEXT_VERSION:
        return True, f"made by text version {version} of {TEXT_VERSION}; `tacit maintain` relearns them"
    return True, f"made by text version {version}"


def _pending(store: Store) -> tuple[bool, str]:
    """Pending episodes are no fault of the file: their reasons are named, and a worker or `maintain` tries again."""
    figures = pending_figures(store)
    if not figures.reasons:
        return True, "every ended episode was learned from"
    named = "; ".join(f"{count:,} for {reason}" for reason, count in figures.reasons.most_common(3))
    lag = "" if figures.oldest_at is None else f", the oldest for {_seconds_since(figures.oldest_at):,.0f} s"
    waiting = f"{store.stats()['pending']:,} wait to be learned from{lag}: {named}"
    return True, f"{waiting}; `tacit worker --once` or `tacit maintain` learns from them"


def _dead(store: Store) -> tuple[bool, str]:
    """Nobody tries a dead letter again without being asked, so it is a fault that someone has to look at."""
    letters = tuple(dead_letters(store))
    if not letters:
        return True, "no dead letters"
    newest = max(letters, key=lambda letter: letter.failed_at)
    reason = newest.error or "its worker ended in the middle of it"
    count = console.count_of(len(letters), "dead letter")
    hint = "`tacit worker --dead` lists them, `tacit worker --replay` tries again"
    return False, f"{count}; {newest.episode_id} failed {newest.attempts:,} times: {reason}; {hint}"


def _seconds_since(at: int) -> float:
    return max(0.0, time.time() - at / 1e6)


def _learned(store: Store) -> tuple[bool, str]:
    """A memory that stopped to learn looks sound in every other way."""
    learned = last_learned(store)
    return True, "nothing yet" if learned is None else f"last at {console.moment_and_age(learned)}"


def _hooks(database: str) -> Check:
    """Checks that the hooks of coding agents work: no session waits for a day, and the last one asked did not fail."""
    seen = SeenFiles(seen_path(database))
    last = next(journal_of(database).newest_first(), None)
    if not seen and last is None:
        return Check("hooks", True, "not used; `tacit setup` enters them")
    waiting = unread_sessions(seen, older_than_s=_WAITING_S)
    if waiting:
        sessions = console.count_of(waiting, "session")
        return Check(
            "hooks", False, f"{sessions} older than a day not learned from: `tacit setup` reads them"
        )
    if last is not None and last.get("event") == "error":
        return Check("hooks", False, f"the last one failed: {console.plain(str(last.get('said')))}")
    asked = "not asked yet" if last is None else f"last asked at {console.moment_and_age(int(last['at']))}"
    return Check("hooks", True, f"{asked}; every session was learned from")


def _tried(name: str, look: Callable[[StoreT], tuple[bool, str]], store: StoreT) -> Check:
    try:
        return Check(name, *look(store))
    except (TacitError, msgspec.DecodeError) as error:
        return Check(name, False, str(error))


def _rows(store: Store) -> tuple[bool, str]:
    """Reading a row compares it with its hash."""
    count = sum(isinstance(_EPISODES.decode(payload), Episode) for payload in _values(store, "episode"))
    known = store.stats()["episodes"]
    return count == known, f"{count:,} episodes read, each as it was written" + (
        "" if count == known else f"; {known:,} are counted"
    )


def _patterns(store: Store) -> tuple[bool, str]:
    count = sum(1 for _ in _values(store, "pattern"))
    return True, f"{count:,} patterns read, each as it was written"


def _values(store: Store, kind: Any) -> Iterator[bytes]:
    after: bytes | None = None
    while page := store.scan(kind, after=after, limit=_PAGE):
        yield from (value for _, value in page)
        after = page[-1][0]


def _damage(store: Store) -> tuple[bool, str]:
    """Lists the rows that cannot be read; every other row can be used."""
    rows = store.damaged()
    if not rows:
        return True, "no unreadable rows"
    named = ", ".join(f"{row.kind} {row.id.hex()}" for row in rows[:5])
    more = f" and {len(rows) - 5:,} more" if len(rows) > 5 else ""
    return False, f"{len(rows):,} unreadable: {named}{more}; `tacit repair` removes them"


def _backups(store: NativeStore) -> tuple[bool, str]:
    """Lists the backups of migrations, which can be deleted once this version has proved itself."""
    names = ", ".join(backup.name for backup in store.schema_backups())
    return True, f"{names} from before a migration" if names else "none from migrations"


def _snapshot(store: NativeStore) -> tuple[bool, str]:
    """Checks the snapshot of the index, which is disposable: without it a process reads the whole log."""
    found, newest = store.snapshot(), store.sequence()
    if found.sequence is None:
        return True, f"none is used: {found.problem}; a process reads all {newest:,} changes"
    return True, f"used up to change {found.sequence:,} of {newest:,}, {found.bytes:,} bytes"


def _cache(store: NativeStore) -> tuple[bool, str]:
    """Checks the cache, which is disposable: without it answers are slower, not wrong."""
    stats = store.stats()
    breakers = {name: stats[name] for name in ("reads_breaker", "writes_breaker")}
    opened = [name.replace("_", " ") for name, state in breakers.items() if state != "closed"]
    return not opened, f"kept in {stats['cache']}" + "".join(f"; {name} is open" for name in opened)


_CONTENT_CHECKS: tuple[tuple[str, Callable[[Store], tuple[bool, str]]], ...] = (
    ("damage", _damage),
    ("rows", _rows),
    ("patterns", _patterns),
    ("facts", _facts),
    ("dead", _dead),
    ("pending", _pending),
    ("learned", _learned),
)
