"""What episodes have in common, and how often it went well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .._native import Finding, Findings

__all__ = ["Finding", "Findings", "Heuristic", "Pattern", "PatternKind"]

PatternKind: TypeAlias = Literal[
    "tool_sequence", "decision_point", "error_recovery", "context_pattern", "cluster", "heuristic"
]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern with its evidence over the slice that was asked for.

    `id` is the hash of kind and content (32 hexadecimal digits). `trials` counts occurrences, `successes` sums how
    far each did its job; `episodes` and `outcomes` count one trial an episode and its outcome. `mean`, `low` and
    `high` are the mean and the 95% interval of the Beta posterior (Jeffreys prior) of successes in trials;
    confidence is `low`. `last_seen` is in microseconds since 1970, UTC.
    """

    id: str
    kind: str
    content: dict[str, Any]
    trials: int
    successes: float
    mean: float
    low: float
    high: float
    episodes: int
    outcomes: float
    agents: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    last_seen: int = 0
    detail: Any = None


@dataclass(frozen=True, slots=True)
class Heuristic:
    """A rule: when `condition` holds, do `action`; confidence is the lower bound of its 95% interval."""

    id: str
    condition: str
    action: str
    trials: int
    successes: float
    confidence: float
    high: float
    parents: tuple[str, ...] = ()
