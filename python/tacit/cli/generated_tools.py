"""`tacit tools`: lists, shows and exports the tools that a memory generated from proven patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from ..errors import ValidationError
from . import console
from .options import AsJson, Database, Domain, Namespace, memory_at, note_nothing

if TYPE_CHECKING:
    from rich.text import Text

    from ..memory import Memory
    from ..tools.generated import GeneratedTool, ToolParameter

_ACTIONS = ("list", "show", "export")
_FORMS = ("mcp", "openai", "anthropic", "skill")
_NO_TOOLS = "no pattern is proven yet: `tacit maintain` proves patterns that go with success beyond chance"
_MOST_TOOLS = 1_000


def tools(
    action: Annotated[
        str,
        typer.Argument(
            metavar="list|show|export",
            help="What to do.",
            show_default=False,
        ),
    ] = "list",
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Tools by name; none means all.", show_default=False),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="TEXT", help="Only tools for tasks like this one, the best first."),
    ] = None,
    withdrawn: Annotated[
        bool, typer.Option("--withdrawn", help="Withdrawn tools too, each with its reason.")
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORM",
            help="The form of an export: mcp, openai, anthropic, or skill for a SKILL.md of each tool.",
        ),
    ] = "mcp",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FOLDER",
            help="Write FOLDER/NAME/SKILL.md, say .claude/skills.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="Tools at most.")] = 20,
    domain: Domain = None,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """List, show or export the tools that were generated from proven patterns.

    A tool has parameters and a plan with the source of each argument. An export is one JSON object with the schemas, or
    a SKILL.md for each tool.
    """
    _check("list|show|export", action, _ACTIONS)
    _check("--format", form, _FORMS)
    if to is not None and (action, form) != ("export", "skill"):
        raise typer.BadParameter("--to goes with export --format skill")
    with memory_at(database, namespace) as memory:
        if names or action == "show":
            found = _named(memory, names or ())
        else:
            found = memory.tools(task, domain=domain, withdrawn=withdrawn, limit=limit)
        if not found:
            note_nothing(memory, _NO_TOOLS)
    if action == "export":
        _export([each for each in found if each.state == "proven" or withdrawn], form, to, as_json=as_json)
    elif as_json:
        console.say_json({"tools": found})
    else:
        for tool in found:
            console.say(*(_shown(tool) if action == "show" else _line(tool)))


def _check(hint: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise typer.BadParameter(f"must be one of {', '.join(known)}", param_hint=hint)


def _named(memory: Memory, names: Sequence[str]) -> tuple[GeneratedTool, ...]:
    """The tools of these names, withdrawn ones too; all of them for no name."""
    known = {each.name: each for each in memory.tools(withdrawn=True, limit=_MOST_TOOLS)}
    for name in names:
        if name not in known:
            raise ValidationError(
                "name", "that of a tool; `tacit tools list --withdrawn` shows them", repr(name)
            )
    return tuple(known[name] for name in names or known)


def _export(tools: Sequence[GeneratedTool], form: str, to: Path | None, *, as_json: bool) -> None:
    if form != "skill":
        console.say_json({"tools": [each.schema(form) for each in tools]})  # type: ignore[arg-type]
        return
    from ..host_settings import replace_settings
    from .skill_text import skill_name, tool_skill_text

    written: list[dict[str, Any]] = []
    for tool in tools:
        text = tool_skill_text(tool)
        path = None if to is None else to / skill_name(tool.name) / "SKILL.md"
        written.append({"name": tool.name, "text": text, "path": None if path is None else str(path)})
        if path is not None:
            replace_settings(path, text)
        if not as_json:
            typer.echo(text) if path is None else console.note(f"written: {path}")
    if as_json:
        console.say_json({"skills": written})


def _line(tool: GeneratedTool) -> Iterator[Text]:
    from rich.text import Text

    state = "" if tool.reason is None else f"  withdrawn: {tool.reason}"
    yield Text.assemble((tool.name, "bold"), (console.plain(state), console.ERROR))
    yield Text(f"  {console.plain(tool.description)}", console.QUIET)


def _shown(tool: GeneratedTool) -> Iterator[Text | str]:
    from rich.text import Text

    yield from _line(tool)
    yield ""
    yield Text("Parameters" if tool.parameters else "No parameters", "bold")
    for parameter in tool.parameters:
        yield Text(f"  {_parameter(parameter)}")
    yield ""
    yield Text("Plan", "bold")
    for number, step in enumerate(tool.steps, 1):
        sources = (f"{console.plain(each.name)} {console.plain(each.text)}" for each in step.arguments)
        yield Text(f"  {number}. {console.plain(step.tool)}: {'; '.join(sources) or 'no arguments'}")
    yield ""
    yield Text(f"version {tool.version} · pattern {tool.pattern_id}", console.QUIET)


def _parameter(parameter: ToolParameter) -> str:
    need = "required" if parameter.required else "optional"
    said = f"{parameter.name}: {' or '.join(parameter.types)}, {need}"
    values = parameter.enum or parameter.examples
    if not values:
        return said
    listed = ", ".join(msgspec.json.encode(each).decode() for each in values)
    return f"{said}, {'one of' if parameter.enum else 'such as'} {listed}"
