"""`tacit demo`: an agent meets a database that it does not know."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .. import demo as demonstration
from . import console
from .options import AsJson

_ARMS = ("without", "with", "reading")


def demo(
    episodes: Annotated[
        int, typer.Option("--episodes", metavar="N", min=1, max=2_000, help="Questions for each arm.")
    ] = 300,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Which database and which questions.")
    ] = demonstration.SEED,
    database: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="PATH",
            help="Keep the memory there. Default: it is gone afterwards.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch an agent learn an unknown database.

    It answers the same questions without a memory, with one, and with no more of it than the text of `to_prompt`.
    """
    result = _watched(episodes, seed, database)
    if as_json:
        console.say_json(result)
    else:
        demonstration.print_report(result)


def _watched(episodes: int, seed: int, database: str | None) -> demonstration.DemoResult:
    """The result, with a bar for each arm on standard error while it comes about."""
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TextColumn("{task.completed}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console.aside(), transient=True) as progress:
        bars = {
            arm: progress.add_task(demonstration.TITLES[arm], total=episodes, start=False) for arm in _ARMS
        }

        def advance(arm: str, answered: int) -> None:
            if answered == 1:
                progress.start_task(bars[arm])
            progress.update(bars[arm], completed=answered)

        return demonstration.run(
            episodes=episodes, seed=seed, database=database, arms=_ARMS, progress=advance
        )
