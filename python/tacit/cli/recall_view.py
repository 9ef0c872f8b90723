"""The answer of `tacit recall` as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..hooks.changed_files import changed_files
from ..model.recall import Hit, NextStep, Reason, Recall
from . import console
from .tables import pattern_table

LOST_IN_WRAPPING = 16
"""Characters kept free in two lines, for a word that does not fit the first."""


def shown(answer: Recall) -> Iterator[Any]:
    """Hits with their reasons, then patterns, pitfalls and next steps."""
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
        (console.outcome_name(hit.outcome), console.STYLE_OF[hit.outcome]),
        f"  {console.plain(hit.domain)}{agent}",
    )
    yield Padding(_details(hit), (0, 0, 0, 4))


def _changed(hit: Hit, width: int) -> Text | None:
    """The files of this repository that the episode touched and that were changed since."""
    try:
        changed, touched = changed_files([hit], Path.cwd())
    except OSError:  # the folder was removed
        return None
    if not changed:
        return None
    said = f"{len(changed)} of {console.count_of(touched, 'file')} since: {', '.join(changed)}"
    return Text(console.cropped(said, width), "yellow")


def _details(hit: Hit) -> Table:
    width = console.screen().width - 12
    two_lines = 2 * width - LOST_IN_WRAPPING
    rows = {
        "task": Text(console.cropped(hit.task, two_lines)),
        "why": Text(_sum(hit)),
        "steps": Text(console.cropped(console.chain(hit.tools), two_lines)),
        "errors": Text(console.cropped("; ".join(hit.errors), width)) if hit.errors else None,
        "verdict": Text(console.cropped(hit.verdict, width)) if hit.verdict else None,
        "changed": _changed(hit, width),
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
