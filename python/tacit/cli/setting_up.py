"""`tacit setup`: hooks for the coding agents on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..environment import named_database
from ..memory import Memory
from ..storage import open_store
from . import console
from .advice_view import changed_text
from .options import AsJson, Database, configured

if TYPE_CHECKING:
    from ..hooks.sessions import AgentFolder, SessionCount
    from ..hooks.wiring import Wiring
    from ..model.advice import Fix
    from ..model.pattern import Pattern

_NAMES = {
    "claude-code": "Claude Code",
    "codex": "Codex",
    "gemini-cli": "Gemini CLI",
    "opencode": "opencode",
}
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

    Finds Claude Code, Codex, Gemini CLI and opencode, learns from the sessions that are on the disk, one namespace a
    repository, and enters hooks in their settings: they advise at each prompt and after each failure, and learn at the
    end of each turn. The settings keep their other entries; a copy is kept beside them (.bak). Calling it again changes
    nothing.
    """
    from ..hooks.known_fixes import KnownFixes
    from ..hooks.sessions import agent_folders
    from ..hooks.wiring import has_hooks, settings_path, wired

    home = Path.home()
    chosen = configured(database)
    agents = [agent for agent in agent_folders(home) if agent.is_there]
    # The host may run without the variable that names the memory here.
    named = database or named_database()
    if named is not None and "://" not in named:
        named = str(Path(named).expanduser().absolute())
    changes = {
        agent.name: wired(agent.name, settings_path(agent.name, home), database=named, remove=remove)
        for agent in agents
        if has_hooks(agent.name)
    }
    counts: dict[str, SessionCount] = {}
    fixes: list[tuple[Pattern, Fix | None]] = []
    if not (remove or dry_run or skip_import):
        if "://" not in chosen.database:
            Path(chosen.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
        store = open_store(chosen.database, chosen.settings.storage)
        with Memory(store=store, settings=chosen.settings) as memory:
            counts = _import(memory, agents, chosen.database, shown=not as_json)
            for namespace in _namespaces(counts):
                KnownFixes.renew(chosen.database, store, memory.within(namespace))
            fixes = _surest_fixes(memory, _namespaces(counts))
    if not dry_run:
        for change in changes.values():
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
    from ..hooks.learning import seen_path
    from ..hooks.sessions import SeenFiles, import_sessions

    seen = SeenFiles(seen_path(database))
    terminal = console.aside()
    counts: dict[str, SessionCount] = {}
    for agent in agents:
        files = list(seen.changed(agent.session_files()))
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


def _surest_fixes(memory: Memory, namespaces: Iterable[str]) -> list[tuple[Pattern, Fix | None]]:
    """The surest recoveries of these repositories, each with the arguments that it took."""
    found = [
        (pattern, namespace)
        for namespace in namespaces
        for pattern in memory.patterns(
            kind="error_recovery", min_trials=_MIN_TRIALS, limit=_SHOWN_FIXES, namespace=namespace
        )
    ]
    found.sort(key=lambda each: -each[0].low)
    return [(pattern, _fix_of(memory, pattern, namespace)) for pattern, namespace in found[:_SHOWN_FIXES]]


def _fix_of(memory: Memory, pattern: Pattern, namespace: str) -> Fix | None:
    content = pattern.content
    fixes = memory.recover(str(content["error"]), tool=str(content["tool"]), namespace=namespace)
    return next((fix for fix in fixes.ways if fix.tool == content.get("next")), None)


def _say(
    agents: list[AgentFolder],
    changes: Mapping[str, Wiring],
    counts: dict[str, SessionCount],
    *,
    remove: bool,
    dry_run: bool,
) -> None:
    if not agents:
        console.say(f"None of {', '.join(_NAMES.values())} was used here: nothing to set up.")
        return
    console.say("")
    for agent in agents:
        console.say(Text(_NAMES[agent.name], "bold"))
        rows = Table.grid(padding=(0, 2, 0, 0))
        rows.add_column(width=8, no_wrap=True)
        rows.add_column(overflow="fold")
        if (count := counts.get(agent.name)) is not None:
            rows.add_row("sessions", _sessions(count))
            if count.namespaces:
                rows.add_row("learned", f"in the namespaces {', '.join(sorted(count.namespaces))}")
        rows.add_row("hooks", _hooks(changes.get(agent.name), remove=remove, dry_run=dry_run))
        console.say(Padding(rows, (0, 0, 0, 2)))
    console.say("")


def _sessions(count: SessionCount) -> str:
    others = "".join(
        f", {number:,} {name}"
        for name, number in (("excluded", count.excluded), ("unreadable", count.refused))
        if number
    )
    return f"{count.sessions:,} read: {count.imported:,} prompts new, {count.unchanged:,} known{others}"


def _hooks(change: Wiring | None, *, remove: bool, dry_run: bool) -> str:
    if change is None:
        return "none in this host; `tacit serve` gives it tools"
    verb = "taken out of" if remove else "entered in"
    done = "unchanged in" if change.text is None else f"would be {verb}" if dry_run else verb
    return f"{done} {change.path}"


def _say_fixes(fixes: list[tuple[Pattern, Fix | None]]) -> None:
    if not fixes:
        return
    console.say("What worked after errors here:")
    for pattern, fix in fixes:
        rate = f"{pattern.successes:g} of {pattern.trials} times"
        again = "" if fix is None else changed_text(fix.changed)
        console.say(Padding(Text(f"{console.plain(pattern.text)}{again}: {rate}"), (0, 0, 0, 2)))
    console.say("")


def _as_data(
    agents: list[AgentFolder], changes: Mapping[str, Wiring], counts: dict[str, SessionCount]
) -> dict[str, object]:
    return {
        "agents": [
            {
                "name": agent.name,
                "settings": str(changes[agent.name].path) if agent.name in changes else None,
                "changed": agent.name in changes and changes[agent.name].text is not None,
                **_counted(counts.get(agent.name)),
            }
            for agent in agents
        ]
    }


def _counted(count: SessionCount | None) -> dict[str, int]:
    if count is None:
        return {}
    return {"sessions": count.sessions, "imported": count.imported, "unchanged": count.unchanged}
