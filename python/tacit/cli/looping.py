"""`tacit eval --environment`: agents act in an environment, with the memory and without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from ..config import Settings
from ..memory import Memory
from . import console

if TYPE_CHECKING:
    from ..evaluation.bench import Progress
    from ..evaluation.closed_loop import LoopReport

SPLITS = ("train", "dev", "test")
FIRST_SEED = {"train": 1, "dev": 10_000, "test": 20_000}
"""The first seed of each split, unless --seeds says otherwise."""


def evaluate_environment(
    name: str,
    split: str,
    seeds: str,
    settings: Settings,
    watched: Callable[[], AbstractContextManager[Progress | None]],
    *,
    as_json: bool,
) -> None:
    """Runs every arm on every kind of task of the environment, and prints the means."""
    from .. import evaluation

    chosen = _seeds(split, seeds)

    def make_memory() -> Memory:
        return evaluation.memory_at_rest(settings)

    environment = evaluation.environments.create(name)
    try:
        with watched() as progress:
            report = evaluation.run_loop(
                name, environment, split=split, seeds=chosen, make_memory=make_memory, progress=progress
            )
    finally:
        getattr(environment, "close", lambda: None)()
    if as_json:
        console.say_json(report.to_json())
    else:
        console.say(_table(report), "", Text(report.verdict(), "bold"))


def _seeds(split: str, seeds: str) -> Sequence[int]:
    """A count of seeds from the first of the split, or a range FIRST:BEYOND."""
    if split not in SPLITS:
        raise typer.BadParameter(f"one of {', '.join(SPLITS)}", param_hint="--split")
    first, colon, beyond = seeds.partition(":")
    try:
        chosen = (
            range(int(first), int(beyond))
            if colon
            else range(FIRST_SEED[split], FIRST_SEED[split] + int(first))
        )
    except ValueError:
        chosen = range(0)
    if not chosen:
        raise typer.BadParameter("a count, or a range FIRST:BEYOND", param_hint="--seeds")
    return chosen


def _table(report: LoopReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=console.QUIET)
    for column in ("arm", *report.tasks, "all", "choose is above it by"):
        table.add_column(column, no_wrap=True)
    means = {(mean.arm, mean.task): mean for mean in report.means()}
    for arm in report.arms:
        whole = means[arm, "all"]
        scores = (f"{means[arm, task].score:.2f}" for task in report.tasks)
        table.add_row(
            arm,
            *scores,
            f"{whole.score:.3f} ({whole.error:.3f})",
            f"{whole.behind:+.3f} ({whole.behind_error:.3f})",
        )
    return table
