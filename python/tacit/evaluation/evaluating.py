"""An evaluation: every question on every dataset, then the figures over all datasets together."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence

from ..errors import LeakError, UnknownNameError
from .bench import Bench, Progress
from .dataset import Dataset
from .question import Question, questions
from .replay import MakeMemory
from .rows import (
    POOLED,
    Comparison,
    Curve,
    LeftOut,
    Measured,
    Report,
    Result,
    Row,
    Rule,
    Total,
    comparisons,
    pool,
    row,
)


def evaluate(
    datasets: Iterable[Dataset],
    *,
    ask: Sequence[str] = (),
    seed: int = 0,
    limit: int | None = None,
    make_memory: MakeMemory | None = None,
    progress: Progress | None = None,
) -> Report:
    """Asks a memory about recorded runs, compares it with baselines and controls, and reports both.

    `ask` names the questions; empty means all. `limit` caps the queries of each. `make_memory` makes the empty memory
    that is evaluated; the default is a `Memory` in RAM. Equal arguments give equal reports.

    A question that raises an exception is listed in `Report.left_out` with `failed` set; the other questions are
    reported all the same. Raises `UnknownNameError` for an unknown question, and `LeakError` if a memory knew an
    episode that it was asked about.
    """
    asked = _asked(ask)
    gathered = _Gathered()
    for dataset in datasets:
        bench = Bench(dataset, make_memory=make_memory, seed=seed, limit=limit, progress=progress)
        try:
            for question in asked:
                gathered.take(question, bench)
        finally:
            bench.close()
        gc.collect()
    return gathered.report()


def _asked(names: Sequence[str]) -> list[Question]:
    known = sorted(questions)
    for name in names:
        if name not in known:
            raise UnknownNameError("question", name, known=known)
    return [questions.create(name) for name in known if name in names or not names]


class _Gathered:
    """The answers so far."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.results: list[Result] = []
        self.left_out: list[LeftOut] = []
        self.comparisons: list[Comparison] = []
        self.rules: list[Rule] = []
        self.curves: list[Curve] = []
        self.whole: dict[str, list[tuple[str, Measured]]] = {}

    def take(self, question: Question, bench: Bench) -> None:
        """Keeps the answers to a question; an exception of the question ends this question only."""
        try:
            self._take_answers(question, bench)
        except LeakError:
            raise
        except Exception as error:
            reason = f"failed with {type(error).__name__}: {error}"
            self.left_out.append(LeftOut(question.name, bench.dataset.name, "the rest", reason, failed=True))

    def _take_answers(self, question: Question, bench: Bench) -> None:
        for answer in question.ask(bench):
            if isinstance(answer, LeftOut):
                self.left_out.append(answer)
            elif isinstance(answer, Rule):
                self.rules.append(answer)
            elif isinstance(answer, Curve):
                self.curves.append(answer)
            else:
                self._take_figure(question.name, bench.dataset.name, answer)

    def _take_figure(self, question: str, dataset: str, measured: Measured | Total) -> None:
        self.results.append(Result(question, dataset, measured))
        self.rows.append(row(question, dataset, measured))
        self.comparisons += comparisons(question, dataset, measured)
        if isinstance(measured, Measured) and measured.pool is not None:
            self.whole.setdefault(question, []).append((dataset, measured))

    def report(self) -> Report:
        for question, parts in self.whole.items():
            for measured in pool(parts):
                self.rows.append(row(question, POOLED, measured))
                self.comparisons += comparisons(question, POOLED, measured)
        return Report(
            rows=tuple(sorted(self.rows, key=lambda each: each.question)),
            left_out=tuple(self.left_out),
            comparisons=tuple(self.comparisons),
            rules=tuple(self.rules),
            curves=tuple(self.curves),
            results=tuple(self.results),
        )
