"""Markov chains of tools: the next one by the last few, counted."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from .positions import Position, Scores, columns_of, tools_after

Columns = NDArray[np.int64]
Group = Callable[[Position], Hashable]
"""The property that positions share if they are counted together."""

_LONGEST = 3
_TIE = 1e-3
"""A shorter history decides only between tools that the longer one has seen equally often."""


def everywhere(position: Position) -> Hashable:
    """One chain for all."""
    return None


def by_domain(position: Position) -> Hashable:
    """A chain for each domain."""
    return position.episode.context.domain


def by_domain_and_agent(position: Position) -> Hashable:
    """A chain for each agent in each domain."""
    return position.episode.context.domain, position.episode.agent


def markov(known: Sequence[Position], asked: Sequence[Position], *, order: int = 2) -> Scores:
    """The shares of the tools that followed the last `order` tools, or fewer if those never came."""
    tools = tools_after(known)
    came = columns_of(known, tools)
    histories = _histories([*known, *asked], order)
    values = np.zeros((len(asked), len(tools)))
    for length in range(order + 1):
        counts = _followers(_codes(histories, length), came, len(tools))
        total = counts.sum(axis=1, keepdims=True)
        values = np.where(total > 0, counts / np.maximum(total, 1) + _TIE * values, values)
    return Scores(tools, values)


def interpolated(known: Sequence[Position], asked: Sequence[Position], groups: Sequence[Group]) -> Scores:
    """Shares after the last 0 to 3 tools, of each group in turn, each smoothed with those before it.

    With c the counts of a history, n their sum and u the number of their tools: p = (c + u p') / (n + u), p' the
    shares so far, at first all equal (Witten and Bell 1991).
    """
    tools = tools_after(known)
    came = columns_of(known, tools)
    every = [*known, *asked]
    histories = _histories(every, _LONGEST)
    values = np.full((len(asked), len(tools)), 1 / max(1, len(tools)))
    for group in groups:
        alike = _numbered([group(position) for position in every])
        for length in range(_LONGEST + 1):
            counts = _followers(_codes(histories, length, alike), came, len(tools))
            total, different = counts.sum(axis=1, keepdims=True), (counts > 0).sum(axis=1, keepdims=True)
            values = np.where(
                total > 0, (counts + different * values) / np.maximum(total + different, 1), values
            )
    return Scores(tools, values)


def _histories(positions: Sequence[Position], length: int) -> Columns:
    """The last `length` tools before each position as numbers, the newest first, 0 before the beginning."""
    numbers: dict[str, int] = {}
    rows = np.zeros((len(positions), length), dtype=np.int64)
    for row, position in enumerate(positions):
        last = position.episode.steps[max(0, position.taken - length) : position.taken]
        for place, step in enumerate(reversed(last)):
            rows[row, place] = numbers.setdefault(step.tool, len(numbers) + 1)
    return rows


def _codes(histories: Columns, length: int, alike: Columns | None = None) -> Columns:
    """One number for each different history of a length, within each group."""
    codes = np.zeros(len(histories), dtype=np.int64) if alike is None else alike
    for place in range(length):
        codes = _dense(codes * (int(histories.max(initial=0)) + 1) + histories[:, place])
    return codes


def _dense(codes: Columns) -> Columns:
    """The same distinctions in small numbers."""
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _numbered(values: Sequence[Hashable]) -> Columns:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def _followers(codes: Columns, came: Columns, width: int) -> NDArray[np.float64]:
    """The counts of the tools that followed each asked history; the known codes come first, one for each of
    `came`.
    """
    known, asked = codes[: len(came)], codes[len(came) :]
    there, rows = np.unique(known, return_inverse=True)
    counts = np.bincount(rows * width + came, minlength=len(there) * width).reshape(len(there), width)
    place = np.minimum(np.searchsorted(there, asked), max(0, len(there) - 1))
    if not len(there):
        return np.zeros((len(asked), width))
    return np.where((there[place] == asked)[:, None], counts[place], 0).astype(np.float64)
