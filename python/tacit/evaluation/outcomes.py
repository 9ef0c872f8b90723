"""B6: how likely an attempt is to succeed, at a task that was attempted before and at one that never was."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..model.episode import Episode
from . import texts
from .baselines import Attempts, Figures, Rows, known_task, unseen_task
from .bench import EMPTY, LEARNED, PLACEBO, RANDOM, Arm, Bench
from .dataset import in_slice, is_success, task_of
from .experience import SHARES, first_tasks
from .metrics import calibration, calibration_error, separations, separations_within, squared_errors
from .question import Answer, questions
from .rows import Curve, LeftOut, Measured, Total

DRAWS = 5
"""Shuffles of the outcomes that the placebo is the mean of: one alone says little."""
QUERIES_IN_BIN = "share of the queries"
"""The line of a calibration curve that says how much stands behind each point."""
_PARTS = 10
_CONSTANT = ("empty", "global")
"""Controls that say the same of every attempt: their calibration would say nothing."""
_FIXED = {"unseen task": "logistic", "known task": "task + agent"}
"""The baseline that every dataset is compared with, whichever is the best there."""
_CURVE_QUERIES = 1_000

Chances = Callable[[Arm, int], Figures]
"""The chance of each asked attempt, from a memory filled in some way and for some draw."""

Training = Callable[[int], Sequence[Episode]]
"""The episodes that are known while a fold is asked about."""


@questions.register("B6")
class Outcome:
    """Every attempt is asked about: its task unseen (folds), and its task known from its other attempts."""

    name = "B6"
    title = "knows how likely success is"

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """The area under the ROC curve, the Brier score and the calibration, and the learning curve."""
        if len({is_success(episode) for episode in bench.dataset.episodes}) < 2:
            yield LeftOut(self.name, bench.dataset.name, "all", "all attempts ended alike")
            return
        yield from _unseen(bench)
        yield from _known(bench)
        if not texts.is_available():
            yield LeftOut(self.name, bench.dataset.name, "baselines by text", texts.MISSING)


# --- a task that was never attempted ---


def _unseen(bench: Bench) -> Iterator[Answer]:
    asked = _outside_one_fold(bench)
    if not _both_ends(asked):
        yield LeftOut("B6", bench.dataset.name, "unseen task", "fewer than two folds hold attempts")
        return

    def chances(arm: Arm, draw: int) -> Figures:
        return _of_folds(bench, asked, bench.training, arm, draw)

    baselines = _by_fold(bench, asked, bench.training, unseen_task)
    controls = _controls(chances) | {
        "random": chances(RANDOM, 0),
        "global": _base_rate(bench, asked),
    }
    folds = np.array([bench.dataset.fold(episode) for episode in asked], dtype=np.int64)
    predicted = _Predicted("unseen task", asked, chances(LEARNED, 0), baselines, controls, folds)
    yield from _figures(bench, predicted)
    yield _curve(bench, bench.capped(asked, task_of, _CURVE_QUERIES))


def _outside_one_fold(bench: Bench) -> list[Episode]:
    """The attempts that are asked about: those that something outside their fold is known for."""
    episodes = bench.capped(bench.dataset.episodes, task_of)
    return list(episodes) if len(bench.dataset.folds) > 1 else []


def _of_folds(
    bench: Bench,
    asked: Sequence[Episode],
    training: Training,
    arm: Arm,
    draw: int,
) -> Figures:
    chances = np.zeros(len(asked))
    for fold in bench.dataset.folds:
        rows = [row for row, episode in enumerate(asked) if bench.dataset.fold(episode) == fold]
        if rows:
            with bench.of(training(fold), arm, draw=draw) as replay:
                for row in bench.each(f"B6 unseen task, {arm.name}", rows):
                    chances[row] = replay.predict(asked[row]).success
    return chances


def _by_fold(
    bench: Bench,
    asked: Sequence[Episode],
    training: Training,
    method: Callable[[Attempts, Attempts], dict[str, Figures]],
) -> dict[str, Figures]:
    found: dict[str, Figures] = defaultdict(lambda: np.zeros(len(asked)))
    for fold in bench.dataset.folds:
        rows = [row for row, episode in enumerate(asked) if bench.dataset.fold(episode) == fold]
        if rows:
            here = attempts_of([asked[row] for row in rows])
            for name, chances in method(attempts_of(training(fold)), here).items():
                found[name][rows] = chances
    return dict(found)


def _base_rate(bench: Bench, asked: Sequence[Episode]) -> Figures:
    """The share of success, the same for all: it says of nothing that it is likelier than anything else."""
    return np.full(len(asked), attempts_of(bench.dataset.episodes).successes.mean())


def attempts_of(episodes: Sequence[Episode]) -> Attempts:
    """The fields of the episodes that the baselines get."""
    return Attempts(
        tasks=tuple(task_of(episode) for episode in episodes),
        agents=tuple(episode.agent for episode in episodes),
        domains=tuple(episode.context.domain for episode in episodes),
        texts=tuple(episode.task for episode in episodes),
        successes=np.array([float(is_success(episode)) for episode in episodes]),
    )


# --- a task that was attempted before ---


def _known(bench: Bench) -> Iterator[Answer]:
    """Each attempt is asked about from a memory without it, in parts that hold at most one attempt at a task."""
    episodes = bench.dataset.episodes
    attempts = Counter(task_of(episode) for episode in episodes)
    asked = bench.capped([each for each in episodes if attempts[task_of(each)] > 1], task_of)
    if not _both_ends(asked):
        yield LeftOut("B6", bench.dataset.name, "known task", "no task was attempted twice")
        return
    many, few = parts_of(episodes, _PARTS), parts_of(episodes, 1)

    def chances(arm: Arm, draw: int) -> Figures:
        return _of_parts(bench, asked, many if arm is LEARNED else few, arm, draw)

    baselines = _baselines_of_parts(bench, asked, many)
    controls = _controls(chances) | {"global": _base_rate(bench, asked)}
    folds = np.array([many[episode.id] for episode in asked], dtype=np.int64)
    predicted = _Predicted("known task", asked, chances(LEARNED, 0), baselines, controls, folds)
    yield from _figures(bench, predicted)
    reason = "the task is known by its key, and the text above its attempts is not looked at"
    yield LeftOut("B6", bench.dataset.name, "known task: control random", reason)


def parts_of(episodes: Sequence[Episode], least: int) -> dict[str, int]:
    """The part of each episode by its id: no part holds two attempts at one task, and all are about as large.

    There are at least so many parts: the more, the more is known while each is asked about.
    """
    number = max(least, *Counter(task_of(episode) for episode in episodes).values())
    met: Counter[str] = Counter()
    starts: dict[str, int] = {}
    found = {}
    for episode in episodes:
        key = task_of(episode)
        start = starts.setdefault(key, len(starts))
        found[episode.id] = (start + met[key]) % number
        met[key] += 1
    return found


def _of_parts(
    bench: Bench, asked: Sequence[Episode], parts: Mapping[str, int], arm: Arm, draw: int
) -> Figures:
    chances = np.zeros(len(asked))
    for part in sorted({parts[episode.id] for episode in asked}):
        rows = [row for row, episode in enumerate(asked) if parts[episode.id] == part]
        others = [episode for episode in bench.dataset.episodes if parts[episode.id] != part]
        with bench.of(others, arm, draw=draw) as replay:
            for row in bench.each(f"B6 known task, {arm.name}", rows):
                chances[row] = replay.predict(asked[row], known_task=True).success
    return chances


def _baselines_of_parts(
    bench: Bench, asked: Sequence[Episode], parts: Mapping[str, int]
) -> dict[str, Figures]:
    """The baselines of known tasks, each fitted on what the memory of the same part was given."""
    found: dict[str, Figures] = defaultdict(lambda: np.zeros(len(asked)))
    for part in sorted({parts[episode.id] for episode in asked}):
        rows = [row for row, episode in enumerate(asked) if parts[episode.id] == part]
        others = [episode for episode in bench.dataset.episodes if parts[episode.id] != part]
        here = attempts_of([asked[row] for row in rows])
        for name, chances in known_task(attempts_of(others), here).items():
            found[name][rows] = chances
    return dict(found)


# --- figures ---


@dataclass(frozen=True)
class _Predicted:
    """The predicted chance of each attempt, by method. A control with several draws has a row for each."""

    slice: str
    asked: Sequence[Episode]
    memory: Figures
    baselines: Mapping[str, Figures]
    controls: Mapping[str, Figures]
    folds: Rows
    """The memory that each attempt was asked of: chances are ranked among those of one memory only."""

    def of(self, domain: str) -> _Predicted:
        """The same of one domain."""
        rows = [row for row, episode in enumerate(self.asked) if in_slice(episode, domain)]
        return _Predicted(
            slice=f"{self.slice}, {domain}",
            asked=[self.asked[row] for row in rows],
            memory=self.memory[rows],
            baselines={name: chances[rows] for name, chances in self.baselines.items()},
            controls={name: chances[..., rows] for name, chances in self.controls.items()},
            folds=self.folds[rows],
        )


def _controls(chances: Chances) -> dict[str, Figures]:
    return {
        "empty": chances(EMPTY, 0),
        "placebo": np.array([chances(PLACEBO, draw) for draw in range(DRAWS)]),
    }


def _both_ends(asked: Sequence[Episode]) -> bool:
    return len({is_success(episode) for episode in asked}) == 2


def _figures(bench: Bench, predicted: _Predicted) -> Iterator[Answer]:
    yield from _measured(bench, predicted, pool=predicted.slice)
    yield from _calibrated(bench, predicted)
    for name in bench.dataset.slices():
        part = predicted.of(name)
        if name != "all" and _both_ends(part.asked):
            yield from _measured(bench, part, pool=None)


def _measured(bench: Bench, predicted: _Predicted, pool: str | None) -> Iterator[Measured | Total]:
    came = [is_success(episode) for episode in predicted.asked]

    def each(metric: Callable[[Sequence[bool], Sequence[float]], list[float]], of: Figures) -> list[float]:
        """Of several draws the mean."""
        draws = np.array([metric(came, row.tolist()) for row in np.atleast_2d(of)])
        values: list[float] = draws.mean(axis=0).tolist()
        return values

    folds = predicted.folds.tolist()
    for name, metric, lower, pooled in (
        ("auc_in_folds", partial(separations_within, groups=folds), False, pool),
        ("auc", separations, False, None),
        ("brier", squared_errors, True, pool),
    ):
        yield Measured(
            slice=predicted.slice,
            metric=name,
            tasks=[task_of(episode) for episode in predicted.asked],
            memory=each(metric, predicted.memory),
            baselines={by: each(metric, chances) for by, chances in predicted.baselines.items()},
            controls={by: each(metric, chances) for by, chances in predicted.controls.items()},
            lower_is_better=lower,
            pool=pooled,
            queries=[bench.query_id(episode) for episode in predicted.asked],
            fixed=_FIXED[predicted.slice.split(",")[0]],
        )

    def off(of: Figures) -> float:
        return float(np.mean([calibration_error(came, row.tolist()) for row in np.atleast_2d(of)]))

    yield Total(
        slice=predicted.slice,
        metric="calibration_error",
        queries=len(came),
        memory=off(predicted.memory),
        baselines={by: off(chances) for by, chances in predicted.baselines.items()},
        controls={by: off(chances) for by, chances in predicted.controls.items() if by not in _CONSTANT},
        lower_is_better=True,
    )


def _calibrated(bench: Bench, predicted: _Predicted) -> Iterator[Curve]:
    """Observed against predicted success, of the memory and of the baselines, each with the weight of its points."""
    came = [is_success(episode) for episode in predicted.asked]
    for name, chances in {"memory": predicted.memory, **predicted.baselines}.items():
        bins = calibration(came, chances.tolist())
        lines = {
            name: tuple(share for _, share, _ in bins),
            QUERIES_IN_BIN: tuple(count / len(came) for _, _, count in bins),
        }
        means = tuple(mean for mean, _, _ in bins)
        yield Curve("B6", bench.dataset.name, "calibration", predicted.slice, means, lines)


# --- learning curve ---


def _curve(bench: Bench, asked: Sequence[Episode]) -> Curve:
    """The area under the ROC curve at unseen tasks by how much is known, the same tasks first for all."""
    came = [is_success(episode) for episode in asked]
    folds = [bench.dataset.fold(episode) for episode in asked]
    lines: dict[str, list[float]] = defaultdict(list)
    for share in SHARES:

        def training(fold: int, share: float = share) -> Sequence[Episode]:
            known = bench.training(fold)
            kept = first_tasks([task_of(episode) for episode in known], share)
            return [episode for episode in known if task_of(episode) in kept]

        by_method = {"memory": _of_folds(bench, asked, training, LEARNED, 0)}
        by_method |= _by_fold(bench, asked, training, unseen_task)
        for name, chances in by_method.items():
            lines[name].append(_mean(separations_within(came, chances.tolist(), groups=folds)))
    shown = {name: tuple(values) for name, values in lines.items()}
    return Curve("B6", bench.dataset.name, "learning", "auc_in_folds", SHARES, shown)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
