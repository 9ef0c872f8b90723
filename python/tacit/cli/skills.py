"""`tacit skill`: a playbook as a skill of coding agents, or heuristics as a section of AGENTS.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ValidationError
from ..host_settings import replace_settings
from ..memory import Memory
from ..model.advice import Fix, Fixes
from . import console
from .options import AsJson, Database, Namespace, memory_at, note_nothing

_LEAST_TRIALS = 3
_NO_RULES = "no heuristic is decided and no fix is sure yet"
_NO_SUCCESS = "no success like it is known yet; `tacit judge` gives episodes a verdict"
_SURE = 0.5
"""The least lower bound of a fix that is written down for every session."""


def skill(
    task: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TASK...]", help="The task in words, quoted or not.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FOLDER",
            help="Write FOLDER/NAME/SKILL.md, say .claude/skills.",
            show_default=False,
        ),
    ] = None,
    agents_md: Annotated[
        Path | None,
        typer.Option(
            "--agents-md",
            metavar="FILE",
            help="Write the heuristics into a section of this file instead, say AGENTS.md.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100, help="Heuristics at most.")
    ] = 10,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Write what is known of a task as a SKILL.md, for coding agents without hooks.

    The playbook of the task with its evidence, pitfalls and fixes. With --agents-md the heuristics that are decided and
    the surest fixes are written into a section of that file: the rest of it stays, and a second call renews the
    section.
    """
    if (agents_md is None) == (not task):
        raise typer.BadParameter("give a task, or --agents-md FILE")
    with memory_at(database, namespace) as memory:
        if agents_md is not None:
            from .skill_text import agents_section, with_section

            text = agents_section(memory.heuristics(limit=1_000), _sure_fixes(memory, limit), limit)
            path: Path | None = agents_md
            if text:
                replace_settings(agents_md, with_section(_read(agents_md), text))
        else:
            from .skill_text import skill_name, skill_text

            words = " ".join(task or ())
            text = skill_text(memory.playbook(words))
            path = None if to is None else to / skill_name(words) / "SKILL.md"
            if text and path is not None:
                replace_settings(path, text)
        if not text:
            note_nothing(memory, _NO_RULES if agents_md else _NO_SUCCESS)
    if as_json:
        console.say_json({"text": text, "path": None if path is None or not text else str(path)})
    elif path is None:
        typer.echo(text, nl=False)
    elif text:
        console.note(f"written: {path}")
    if not text:
        raise typer.Exit(1)


def _sure_fixes(memory: Memory, limit: int) -> Iterator[tuple[Fixes, Fix]]:
    """The surest fixes that name what to change, or another tool."""
    patterns = memory.patterns(kind="error_recovery", min_trials=_LEAST_TRIALS, limit=limit)
    for pattern in patterns:
        if pattern.low < _SURE:
            continue
        answer = memory.recover(str(pattern.content["error"]), tool=str(pattern.content["tool"]))
        for fix in answer.ways:
            says_more = fix.tool != answer.tool or fix.changed is not None
            if fix.tool == pattern.content.get("next") and says_more:
                yield answer, fix


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError("agents-md", "a file of UTF-8", f"{path}: {error}") from error
