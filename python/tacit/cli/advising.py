"""`tacit suggest`, `recover`, `predict` and `playbook`: advice for the next step or the whole task."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

import msgspec
import typer

from ..errors import ValidationError
from ..model.episode import Step
from . import console
from .options import AsJson, Database, Namespace, Task, joined, memory_at, note_nothing

Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="Answers at most.")]
Domain = Annotated[str | None, typer.Option("--domain", metavar="NAME", show_default=False)]
Agent = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="The agent at work.", show_default=False)
]
Steps = Annotated[
    list[str] | None,
    typer.Option(
        "--step",
        metavar="TOOL|JSON",
        help='A step so far; once for each, in order. A tool\'s name, or {"tool", "parameters", "output", "error"}.',
        show_default=False,
    ),
]

_FIELDS = frozenset(field.name for field in fields(Step))


def suggest(
    task: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TASK...]", help="The task in words, quoted or not.", show_default=False),
    ] = None,
    steps: Steps = None,
    domain: Domain = None,
    agent: Agent = None,
    limit: Limit = 5,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Ask for the next step, after the steps so far."""
    with memory_at(database, namespace) as memory:
        answer = memory.suggest(
            _steps(steps), task=" ".join(task or ()) or None, domain=domain, agent=agent, limit=limit
        )
        if as_json:
            console.say_json(answer)
        elif answer.steps:
            from .advice_view import suggested

            console.say(suggested(answer.steps))
            console.say(console.quiet(f"\n{answer.elapsed_ms:.1f} ms"))
        if not answer.steps:
            note_nothing(memory)


def recover(
    error: Annotated[
        list[str],
        typer.Argument(metavar="ERROR...", help="The error's message, quoted or not.", show_default=False),
    ],
    tool: Annotated[
        str | None,
        typer.Option("--tool", metavar="NAME", help="The tool that failed.", show_default=False),
    ] = None,
    steps: Steps = None,
    domain: Domain = None,
    agent: Agent = None,
    limit: Limit = 5,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Ask for fixes for an error."""
    if tool is None and not steps:
        console.fail("pass --tool NAME, the tool that failed")
        raise typer.Exit(1)
    with memory_at(database, namespace) as memory:
        answer = memory.recover(
            joined(error, "error"), tool=tool, steps=_steps(steps), domain=domain, agent=agent, limit=limit
        )
        if as_json:
            console.say_json(answer)
        elif answer.ways:
            from .advice_view import fixes

            console.say(console.quiet(f"{answer.tool}: {console.plain(answer.error_class)}"), "")
            console.say(fixes(answer.ways))
            if "error_class" in answer.degraded:
                console.note("this error is not known yet; these fixes worked after other errors")
        if not answer.ways:
            note_nothing(memory)


def predict(
    task: Task,
    task_key: Annotated[
        str | None,
        typer.Option(
            "--task-key", metavar="KEY", help="The key that attempts at this task share.", show_default=False
        ),
    ] = None,
    domain: Domain = None,
    agent: Agent = None,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Ask how a task will go: the odds of success, expected steps and reward."""
    with memory_at(database, namespace) as memory:
        answer = memory.predict(joined(task, "task"), task_key=task_key, domain=domain, agent=agent)
        if as_json:
            console.say_json(answer)
        else:
            from .advice_view import predicted

            console.say(*predicted(answer))
        if answer.support == 0:
            note_nothing(memory, "no similar task is known yet")


def playbook(
    task: Task,
    domain: Domain = None,
    agent: Agent = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100, help="Episodes named at most.")
    ] = 5,
    database: Database = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Ask for one plan, merged from the successes most like the task."""
    with memory_at(database, namespace) as memory:
        answer = memory.playbook(joined(task, "task"), domain=domain, agent=agent, limit=limit)
        if as_json:
            console.say_json(answer)
        else:
            from .advice_view import planned

            console.say(*planned(answer))
        if not answer.steps:
            note_nothing(memory)


def _steps(given: list[str] | None) -> tuple[Step | str, ...]:
    return tuple(_step(text) if text.lstrip().startswith("{") else text for text in given or ())


def _step(text: str) -> Step:
    try:
        step = msgspec.json.decode(text, type=dict[str, Any])
        unknown = sorted(step.keys() - _FIELDS)
        if unknown:
            raise ValidationError(
                "--step", f"made of the fields of a step ({', '.join(sorted(_FIELDS))})", repr(unknown[0])
            )
        status = "error" if step.get("error") is not None else "ok" if "output" in step else None
        return msgspec.convert({"status": status, **step}, Step)
    except msgspec.MsgspecError as error:
        raise ValidationError("--step", "a tool's name or a JSON object with one", str(error)) from error
