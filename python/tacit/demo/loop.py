"""The closed loop over several databases: the agent with a memory, and with each control in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..evaluation.loop import Attempt, LiveReport, summed_up
from .experiment import SEED, run

ARMS = {"learned": "with", "empty": "without", "random": "random", "placebo": "shuffled"}
"""The evaluation's name of an arm, and the arm of the demo."""
SEEDS = range(SEED, SEED + 5)


def live(
    *,
    seeds: Sequence[int] = SEEDS,
    episodes: int = 300,
    progress: Callable[[str, int, int], None] | None = None,
) -> LiveReport:
    """Success and steps of every arm over all questions of every seed, from an empty memory on.

    Raises `ValidationError` for fewer than two seeds or a number of questions that makes no sense.
    """
    found: dict[str, list[list[Attempt]]] = {}
    for name, arm in ARMS.items():
        found[name] = [_attempts(arm, seed, episodes, name, progress) for seed in seeds]
    return summed_up(found)


def _attempts(
    arm: str, seed: int, episodes: int, name: str, progress: Callable[[str, int, int], None] | None
) -> list[Attempt]:
    def report(_: str, answered: int) -> None:
        if progress is not None:
            progress(f"{name}, seed {seed}", answered, episodes)

    curve = run(episodes=episodes, seed=seed, arms=(arm,), progress=report).curve(arm)
    return [Attempt(trial.accepted, trial.steps) for trial in curve.trials]
