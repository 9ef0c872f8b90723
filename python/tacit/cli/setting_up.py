"""`tacit setup` and `tacit why`: hooks for the coding agents on this machine, and what they said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ..config import named_database
from ..memory import Memory
from . import console
from .options import AsJson, Database, configured

if TYPE_CHECKING:
    from ..hooks.sessions import AgentFolder, SessionCount
    from ..hooks.wiring import Wiring
    from ..model.pattern import Pattern

_NAMES = {"claude-code": "Claude Code", "codex": "Codex"}
_SHOWN_FIXES = 3
_MIN_TRIALS = 3


def setup(
    remove: Annotated[bool, typer.Option("--remove", help="Take the hooks out; the memory stays.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    skip_import: Annotated[
        bool, typer.Option("--no-import", help="Do not read the sessions on the disk.")
    ] = False,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Give the coding agents on this machine a memory.

    Finds Claude Code and Codex, learns from the sessions that are on the disk, one namespace a repository, and enters
    hooks in their settings: they advise at each prompt and after each failure, and learn at the end of each turn. The
    settings keep their other entries; a copy is kept beside them (.bak). Calling it again changes nothing.
    """
    from ..hooks.sessions import agent_folders
    from ..hooks.wiring import settings_path, wired

    home = Path.home()
    chosen = configured(database)
    agents = [agent for agent in agent_folders(home) if agent.folder.parent.is_dir()]
    # The host may run without the variable that names the memory here.
    named = database or named_database()
    if named is not None and "://" not in named:
        named = str(Path(named).expanduser().absolute())
    changes = [
        wired(agent.name, settings_path(agent.name, home), database=named, remove=remove) for agent in agents
    ]
    counts: dict[str, SessionCount] = {}
    fixes: list[Pattern] = []
    if not (remove or dry_run or skip_import):
        Path(chosen.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
        with Memory(chosen.database, settings=chosen.settings) as memory:
            counts = _import(memory, agents, chosen.database, shown=not as_json)
            fixes = _surest_fixes(memory, _namespaces(counts))
    if not dry_run:
        for change in changes:
            change.write()
    if as_json:
        console.say_json(_as_data(agents, changes, counts))
        return
    _say(agents, changes, counts, remove=remove, dry_run=dry_run)
    _say_fixes(fixes)
    if agents and not remove:
        console.note("next: open the agent and give it a task · tacit why · tacit setup --remove")


def _import(
    memory: Memory, agents: Iterable[AgentFolder], database: str, *, shown: bool
) -> dict[str, SessionCount]:
    from ..hooks.entry import seen_path
    from ..hooks.sessions import SeenFiles, import_sessions, session_files

    seen = SeenFiles(seen_path(database))
    terminal = console.aside()
    counts: dict[str, SessionCount] = {}
    for agent in agents:
        files = list(seen.changed(session_files(agent.folder)))
        with terminal.status(f"{_NAMES[agent.name]}: {len(files):,} sessions") as status:

            def tell(count: SessionCount, total: int = len(files), name: str = agent.name) -> None:
                if shown:
                    status.update(f"{_NAMES[name]}: {count.sessions:,} of {total:,} sessions")

            counts[agent.name] = import_sessions(memory, files, progress=tell)
    for namespace in _namespaces(counts):
        memory.maintain(namespace=namespace)
    seen.save()
    return counts


def _namespaces(counts: dict[str, SessionCount]) -> list[str]:
    return sorted({name for count in counts.values() for name in count.namespaces})


def _surest_fixes(memory: Memory, namespaces: Iterable[str]) -> list[Pattern]:
    """The surest recoveries of these repositories."""
    found = [
        pattern
        for namespace in namespaces
        for pattern in memory.patterns(
            kind="error_recovery", min_trials=_MIN_TRIALS, limit=_SHOWN_FIXES, namespace=namespace
        )
    ]
    return sorted(found, key=lambda pattern: -pattern.low)[:_SHOWN_FIXES]


def _say(
    agents: list[AgentFolder],
    changes: list[Wiring],
    counts: dict[str, SessionCount],
    *,
    remove: bool,
    dry_run: bool,
) -> None:
    if not agents:
        console.say("Neither Claude Code (~/.claude) nor Codex (~/.codex) is here: nothing to set up.")
        return
    console.say("")
    for agent, change in zip(agents, changes, strict=True):
        console.say(Text(_NAMES[agent.name], "bold"))
        count = counts.get(agent.name)
        if count is not None:
            console.say(
                f"  sessions  {count.sessions:,} read: {count.imported:,} prompts new, {count.unchanged:,} known"
            )
            if count.namespaces:
                names = ", ".join(sorted(count.namespaces))
                console.say(Text(f"  learned   in the namespaces {names}", overflow="fold"))
        verb = "taken out of" if remove else "entered in"
        done = "unchanged in" if change.text is None else f"would be {verb}" if dry_run else verb
        console.say(Text(f"  hooks     {done} {change.path}", overflow="fold"))
    console.say("")


def _say_fixes(fixes: list[Pattern]) -> None:
    if not fixes:
        return
    console.say("What worked after errors here:")
    for pattern in fixes:
        rate = f"{pattern.successes:g} of {pattern.trials} times"
        console.say(Text(f"  {console.plain(pattern.text)}: {rate}"))
    console.say("")


def _as_data(
    agents: list[AgentFolder], changes: list[Wiring], counts: dict[str, SessionCount]
) -> dict[str, object]:
    return {
        "agents": [
            {
                "name": agent.name,
                "settings": str(change.path),
                "changed": change.text is not None,
                **_counted(counts.get(agent.name)),
            }
            for agent, change in zip(agents, changes, strict=True)
        ]
    }


def _counted(count: SessionCount | None) -> dict[str, int]:
    if count is None:
        return {}
    return {"sessions": count.sessions, "imported": count.imported, "unchanged": count.unchanged}


def why(
    last: Annotated[int, typer.Option("--last", min=1, max=1_000, help="How many answers.")] = 5,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Show the answers that hooks gave a coding agent, newest first."""
    from ..hooks.journal import journal_of

    entries = journal_of(configured(database).database).last(last)
    if as_json:
        console.say_json({"answers": entries})
        return
    if not entries:
        console.note("the hooks have said nothing yet; `tacit setup` enters them")
    for entry in entries:
        at = datetime.fromtimestamp(float(entry.get("at", 0)) / 1e6, UTC).astimezone()
        head = f"{at:%Y-%m-%d %H:%M}  {entry.get('event')}  {entry.get('folder', '')}"
        console.say(Text(console.plain(head), "bold"))
        if entry.get("asked"):
            console.say(Text("  " + console.plain(str(entry["asked"])), "dim"))
        console.say(Text(console.plain(str(entry.get("said", ""))), overflow="fold"), "")
