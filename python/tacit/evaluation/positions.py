"""Positions in recorded episodes before a next tool, and the score of a ranking of tools there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.advice import FINISH
from ..model.episode import Episode


@dataclass(frozen=True, slots=True)
class Position:
    """An episode with its first `taken` steps known."""

    episode: Episode
    taken: int

    @property
    def tool(self) -> str:
        """The tool that came next, or the end."""
        steps = self.episode.steps
        return steps[self.taken].tool if self.taken < len(steps) else FINISH


@dataclass(frozen=True)
class Scores:
    """How likely each of `tools` is to come next: a row of `values` for each position, in order."""

    tools: tuple[str, ...]
    values: NDArray[np.float64]

    def hits(self, truths: Sequence[str], depth: int) -> list[float]:
        """For each position the chance that the tool that came is among the best `depth`, equal scores in random
        order.

        A tool that is not among `tools` is a miss.
        """
        column = {tool: number for number, tool in enumerate(self.tools)}
        places = np.array([column.get(truth, -1) for truth in truths], dtype=np.int64)
        if not len(self.tools):
            return [0.0] * len(places)
        mine = self.values[np.arange(len(places)), places][:, None]
        better, equal = (self.values > mine).sum(axis=1), (self.values == mine).sum(axis=1)
        chances = np.clip((depth - better) / np.maximum(equal, 1), 0.0, 1.0)
        found: list[float] = np.where(places < 0, 0.0, chances).tolist()
        return found

    def best(self) -> list[str]:
        """The likeliest tool at each position, the first of equals."""
        return [self.tools[column] for column in self.values.argmax(axis=1).tolist()] if self.tools else []


def positions_of(episodes: Iterable[Episode]) -> list[Position]:
    """Every position of the episodes, the one before the end included."""
    return [Position(episode, taken) for episode in episodes for taken in range(len(episode.steps) + 1)]


def tools_after(positions: Iterable[Position]) -> tuple[str, ...]:
    """The different tools that came next, sorted."""
    return tuple(sorted({position.tool for position in positions}))


def columns_of(positions: Iterable[Position], tools: Sequence[str]) -> NDArray[np.int64]:
    """The number of the tool that came next at each position, among `tools`."""
    column = {tool: number for number, tool in enumerate(tools)}
    return np.array([column[position.tool] for position in positions], dtype=np.int64)
