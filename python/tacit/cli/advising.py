"""`tacit suggest`, `recover`, `predict` and `playbook`: what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..errors import ValidationError
from ..model.advice import Argument, Fix, Playbook, Prediction, SuggestedStep
from ..model.episode import Step
from ..model.recall import Reason
from . import console
from .options import AsJson, Database, Namespace, Task, memory_at, note_nothing
from .tables import odds, pattern_table, rule_table

LIKELY = 0.01
"""The least probability with which a way out that was never tried is shown."""

Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100, help="Answers at most.")]
Domain = Annotated[str | None, typer.Option("--domain", metavar="NAME", show_default=False)]
Agent = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="Who is at work.", show_default=False)
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
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Ask what to do next, after the steps so far."""
    with memory_at(database, namespace) as memory:
        answer = memory.suggest(
            _steps(steps), task=" ".join(task or ()) or None, domain=domain, agent=agent, limit=limit
        )
        if as_json:
            console.say_json(answer)
        elif answer.steps:
            console.say(_suggested(answer.steps))
            console.say(Text(f"\n{answer.elapsed_ms:.1f} ms", console.QUIET))
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
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Ask for fixes for an error."""
    with memory_at(database, namespace) as memory:
        answer = memory.recover(
            " ".join(error), tool=tool, steps=_steps(steps), domain=domain, agent=agent, limit=limit
        )
        if as_json:
            console.say_json(answer)
        elif answer.ways:
            console.say(Text(f"{answer.tool}: {console.plain(answer.error_class)}", console.QUIET), "")
            console.say(_ways(answer.ways))
            if "error_class" in answer.degraded:
                console.note("this error is not known yet: these ways worked after others")
        if not answer.ways:
            note_nothing(memory)


def predict(
    task: Task,
    task_key: Annotated[
        str | None,
        typer.Option(
            "--task-key", metavar="KEY", help="What attempts at this task share.", show_default=False
        ),
    ] = None,
    domain: Domain = None,
    agent: Agent = None,
    database: Database = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Ask how a task will go: the odds of success, expected steps and reward."""
    with memory_at(database, namespace) as memory:
        answer = memory.predict(" ".join(task), task_key=task_key, domain=domain, agent=agent)
        if as_json:
            console.say_json(answer)
        else:
            console.say(*_odds(answer))
        if answer.support == 0:
            note_nothing(memory, "no task like it is known yet")


def playbook(
    task: Task,
    domain: Domain = None,
    agent: Agent = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100, help="Episodes named at most.")
    ] = 5,
    database: Database = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Ask for one plan, merged from the successes most like the task."""
    with memory_at(database, namespace) as memory:
        answer = memory.playbook(" ".join(task), domain=domain, agent=agent, limit=limit)
        if as_json:
            console.say_json(answer)
        else:
            console.say(*_plan(answer))
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
                "--step", f"only the fields of a step: {', '.join(sorted(_FIELDS))}", unknown[0]
            )
        status = "error" if step.get("error") is not None else "ok" if "output" in step else None
        return msgspec.convert({"status": status, **step}, Step)
    except msgspec.MsgspecError as error:
        raise ValidationError("--step", "a tool's name or a JSON object with one", str(error)) from error


def _suggested(steps: Iterable[SuggestedStep]) -> Table:
    table = _table("next", "probability", "why")
    for step in steps:
        table.add_row(_call(step.tool, step.arguments), f"{step.probability:.1%}", Text(_why(step.reasons)))
    return table


def _call(tool: str, arguments: Iterable[Argument]) -> RenderableType:
    """The tool with its arguments under it, however narrow the terminal is."""
    below = (Padding(_argument(argument), (0, 0, 0, 2)) for argument in arguments)
    return Group(Text(console.plain(tool), "bold"), *below)


def _argument(argument: Argument) -> Text:
    """Where a value came from stands behind it, an open one is a question mark."""
    text = Text(f"{console.plain(argument.name)} ", console.QUIET)
    if argument.filled:
        text.append(console.cropped(msgspec.json.encode(argument.value).decode(), 60), "default")
    else:
        text.append("?", "yellow")
    if argument.source:
        text.append(f"  from {console.plain(argument.source)}", console.QUIET)
    return text


def _ways(ways: Iterable[Fix]) -> Table:
    """What was never tried after this error is shown only where it is likely all the same."""
    table = _table("way out", "likely", "worked", "95%", "against the others")
    for way in (way for way in ways if way.trials or way.probability >= LIKELY):
        table.add_row(
            Text.assemble((console.plain(way.tool), "bold"), "\n(weak)" if way.weak and way.trials else ""),
            f"{way.probability:.1%}",
            console.evidence(way),
            console.interval(way),
            odds(way),
        )
    return table


def _odds(answer: Prediction) -> Iterator[Any]:
    yield Text.assemble(
        ("success ", "default"),
        (f"{answer.success:.0%}", "bold"),
        (f"  {console.interval(answer)}, base rate {answer.base_rate:.0%}", console.QUIET),
    )
    if answer.steps is not None:
        yield Text(f"steps   {answer.steps:.1f}  ({answer.steps_low:.0f} to {answer.steps_high:.0f})")
    if answer.reward is not None:
        yield Text(f"reward  {answer.reward:.2f}")
    yield Text(f"why     {_why(answer.reasons)}", console.QUIET)


def _plan(answer: Playbook) -> Iterator[Any]:
    if answer.steps:
        table = _table("", "step", "taken by")
        for number, step in enumerate(answer.steps, 1):
            table.add_row(f"{number:>2}", _call(step.tool, step.arguments), f"{step.share:.0%}")
        yield table
        yield ""
    yield from _odds(answer.success)
    if answer.pitfalls:
        yield from ("", Text("What failed in similar episodes", "bold"), pattern_table(answer.pitfalls))
    if answer.heuristics:
        yield from ("", Text("Rules that apply", "bold"), rule_table(answer.heuristics))
    if answer.episodes:
        yield Text(f"\nfrom {', '.join(answer.episodes)}", console.QUIET)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, overflow="fold")
    return table


def _why(reasons: Iterable[Reason]) -> str:
    terms = ((reason.value * reason.weight, reason.signal) for reason in reasons)
    return " + ".join(f"{signal} {share:.3f}" for share, signal in sorted(terms, reverse=True))
