"""The protocol of a question of the evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from ..registry import Registry
from .bench import Bench
from .rows import Curve, LeftOut, Measured, Rule, Total

Answer: TypeAlias = Measured | Total | LeftOut | Rule | Curve


class Question(Protocol):
    """A question that a memory can be asked, checked against recorded runs."""

    name: str
    title: str

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """Yields figures for the bench's dataset, and a `LeftOut` with its reason for each figure that cannot be
        had.
        """
        ...


questions: Registry[Question] = Registry("question")
"""The questions that are asked, by name."""
