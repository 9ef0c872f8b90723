"""`tacit recall`: similar episodes, patterns, pitfalls and next steps for a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..model.recall import Hit, NextStep, Reason, Recall
from . import console
from .options import AsJson, Database, Namespace, Task, joined, memory_at, note_nothing
from .tables import pattern_table

LOST_IN_WRAPPING = 16
"""Characters kept free in two lines, for a word that does not fit the first."""


def recall(
    task: Task,
    domain: Annotated[str | None, typer.Option("--domain", metavar="NAME", show_default=False)] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="NAME", show_default=False)] = None,
    framework: Annotated[str | None, typer.Option("--framework", metavar="NAME", show_default=False)] = None,
    steps: Annotated[
        list[str] | None,
        typer.Option(
            "--step", metavar="TOOL", help="A tool used so far; once for each, in order.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=100, help="Past episodes at most.")
    ] = 5,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            metavar="N",
            help="Print the answer as text for a prompt, of at most N tokens.",
            show_default=False,
        ),
    ] = None,
    database: Database = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
) -> None:
    """Ask for experience with a task.

    Similar episodes with the reasons for their score, patterns, pitfalls and next steps.
    """
    with memory_at(database, namespace) as memory:
        answer = memory.recall(
            joined(task, "task"),
            domain=domain,
            language=language,
            framework=framework,
            steps=tuple(steps or ()),
            limit=limit,
        )
        prompt = None if max_tokens is None else answer.to_prompt(max_tokens=max_tokens)
        if as_json:
            console.say_json(_as_data(answer, prompt))
        elif prompt is not None:
            typer.echo(prompt)
        else:
            console.say(*_answer(answer))
        if not answer.hits:
            note_nothing(memory)


def _as_data(answer: Recall, prompt: str | None) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(answer)
    return data if prompt is None else {**data, "prompt": prompt}


def _answer(answer: Recall) -> Iterator[Any]:
    for place, hit in enumerate(answer.hits, 1):
        yield from _hit(place, hit)
    if answer.patterns:
        yield from ("", Text("Worked in similar episodes", "bold"), pattern_table(answer.patterns))
    if answer.pitfalls:
        yield from ("", Text("Pitfalls", "bold"), pattern_table(answer.pitfalls))
    if answer.next_steps:
        yield from ("", Text("Next steps", "bold"), _next_steps(answer.next_steps))
    if answer.degraded:
        yield Text(f"\nanswered without: {', '.join(answer.degraded)}", console.QUIET)
    if answer.hits:
        yield Text(f"\n{answer.elapsed_ms:.1f} ms", console.QUIET)


def _hit(place: int, hit: Hit) -> Iterator[Any]:
    if place > 1:
        yield ""
    agent = f" · {console.plain(hit.agent)}" if hit.agent else ""
    yield Text.assemble(
        (f"{place:>2}  ", "bold"),
        (f"{hit.score:.3f}", "bold cyan"),
        "  ",
        (hit.outcome, console.STYLE_OF[hit.outcome]),
        f"  {console.plain(hit.domain)}{agent}",
    )
    yield Padding(_details(hit), (0, 0, 0, 4))


def _details(hit: Hit) -> Table:
    width = console.screen().width - 12
    two_lines = 2 * width - LOST_IN_WRAPPING
    rows = {
        "task": Text(console.cropped(hit.task, two_lines)),
        "why": Text(_sum(hit)),
        "steps": Text(console.cropped(console.chain(hit.tools), two_lines)),
        "errors": Text(console.cropped("; ".join(hit.errors), width)) if hit.errors else None,
        "verdict": Text(console.cropped(hit.verdict, width)) if hit.verdict else None,
        "id": Text(hit.episode_id, console.QUIET),
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style=console.QUIET, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        if text is not None:
            table.add_row(name, text)
    return table


def _sum(hit: Hit) -> str:
    """The reasons as terms, rounded so that they add up to the score that is shown."""
    reasons = sorted(hit.reasons, key=lambda reason: -reason.value * reason.weight)
    shown = zip(reasons, _thousandths(reasons, round(1_000 * hit.score)), strict=True)
    return " + ".join(f"{reason.signal} {share / 1_000:.3f}" for reason, share in shown if share)


def _thousandths(reasons: list[Reason], total: int) -> list[int]:
    exact = [1_000 * reason.value * reason.weight for reason in reasons]
    rounded = [int(each) for each in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: rounded[place] - exact[place])
    for place in by_remainder[: max(0, total - sum(rounded))]:
        rounded[place] += 1
    return rounded


def _next_steps(steps: tuple[NextStep, ...]) -> Text:
    return Text("  ".join(f"{console.plain(step.tool)} {step.share:.0%}" for step in steps))
