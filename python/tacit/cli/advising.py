"""`tacit suggest`, `recover`, `predict` and `playbook`: advice for the next step or the whole task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..errors import ValidationError
from ..model.advice import Argument, Fix, Playbook, Prediction, SuggestedStep
from ..model.episode import Step
from ..model.recall import Reason
from . import console
from .options import AsJson, Database, Namespace, Task, joined, memory_at, note_nothing
from .tables import block, facts, heuristic_list, odds, pattern_table, worked

LIKELY = 0.01
"""The least probability of a fix that is shown although it was never tried after this error."""

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
    namespace: Namespace = "default",
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
            console.say(Text(f"{answer.tool}: {console.plain(answer.error_class)}", console.QUIET), "")
            console.say(_fixes(answer.ways))
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
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Ask how a task will go: the odds of success, expected steps and reward."""
    with memory_at(database, namespace) as memory:
        answer = memory.predict(joined(task, "task"), task_key=task_key, domain=domain, agent=agent)
        if as_json:
            console.say_json(answer)
        else:
            console.say(*_odds(answer))
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
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Ask for one plan, merged from the successes most like the task."""
    with memory_at(database, namespace) as memory:
        answer = memory.playbook(joined(task, "task"), domain=domain, agent=agent, limit=limit)
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
                "--step", f"made of the fields of a step ({', '.join(sorted(_FIELDS))})", repr(unknown[0])
            )
        status = "error" if step.get("error") is not None else "ok" if "output" in step else None
        return msgspec.convert({"status": status, **step}, Step)
    except msgspec.MsgspecError as error:
        raise ValidationError("--step", "a tool's name or a JSON object with one", str(error)) from error


def _suggested(steps: Iterable[SuggestedStep]) -> Group:
    """Each tool with its probability, its arguments and the reasons below it."""
    return Group(
        *(
            block(
                Text.assemble((console.plain(step.tool), "bold"), f"  {step.probability:.1%}"),
                *map(_argument, step.arguments),
                facts(_why(step.reasons)),
            )
            for step in steps
        )
    )


def _call(tool: str, arguments: Iterable[Argument]) -> Group:
    """The tool with its arguments below it."""
    return block(Text(console.plain(tool), "bold"), *map(_argument, arguments))


def _argument(argument: Argument) -> Text:
    """A value and its source; an open argument is a question mark."""
    text = Text(f"{console.plain(argument.name)} ", console.QUIET)
    if argument.filled:
        text.append(console.cropped(msgspec.json.encode(argument.value).decode(), 60), "default")
    else:
        text.append("?", "yellow")
    if argument.source:
        text.append(f"  from {console.plain(argument.source)}", console.QUIET)
    return text


def _fixes(fixes: Iterable[Fix]) -> Group:
    """The fixes with their evidence; one that was never tried after this error is shown only if it is likely."""
    shown = (fix for fix in fixes if fix.trials or fix.probability >= LIKELY)
    return Group(
        *(
            block(
                Text.assemble((console.plain(fix.tool), "bold"), f"  {fix.probability:.1%} likely"),
                facts(worked(fix), odds(fix), "weak" if fix.weak else "")
                if fix.trials
                else facts("not tried after this error yet"),
            )
            for fix in shown
        )
    )


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
        steps = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET)
        for name in ("", "step", "taken by"):
            steps.add_column(name, overflow="fold")
        for number, step in enumerate(answer.steps, 1):
            steps.add_row(f"{number:>2}", _call(step.tool, step.arguments), f"{step.share:.0%}")
        yield from (steps, "")
    yield from _odds(answer.success)
    if answer.pitfalls:
        yield from ("", Text("Pitfalls", "bold"), pattern_table(answer.pitfalls))
    if answer.heuristics:
        yield from ("", Text("Heuristics that apply", "bold"), heuristic_list(answer.heuristics))
    if answer.episodes:
        yield Text(f"\nfrom {', '.join(answer.episodes)}", console.QUIET)


def _why(reasons: Iterable[Reason]) -> str:
    terms = ((reason.value * reason.weight, reason.signal) for reason in reasons)
    return " + ".join(f"{signal} {share:.3f}" for share, signal in sorted(terms, reverse=True))
