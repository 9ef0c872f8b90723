"""What a question of the evaluation is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from ..registry import Registry
from .bench import Bench
from .rows import Curve, LeftOut, Measured, Rule, Total

Answer: TypeAlias = Measured | Total | LeftOut | Rule | Curve


class Question(Protocol):
    """Something that can be asked of a memory and checked against what was recorded."""

    name: str
    title: str

    def ask(self, bench: Bench) -> Iterator[Answer]:
        """Figures for the bench's dataset, and whatever of it cannot be had, with the reason."""
        ...


questions: Registry[Question] = Registry("question")
"""The questions that are asked, by name."""
