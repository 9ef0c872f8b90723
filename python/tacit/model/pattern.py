"""What episodes have in common, and how often it went well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .._native import Finding, Findings

__all__ = ["Cluster", "Finding", "Findings", "Heuristic", "Pattern", "PatternKind"]

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

    @property
    def text(self) -> str:
        """What it says, in one sentence; tools and errors stand in it as they were recorded."""
        return _TEXT_OF.get(self.kind, str)(self.content)


def _sequence_text(content: dict[str, Any]) -> str:
    return "steps " + ", ".join(content["tools"])


def _recovery_text(content: dict[str, Any]) -> str:
    return f'after {content["tool"]} fails with "{content["error"]}": {content["next"]}'


def _decision_text(content: dict[str, Any]) -> str:
    if content["after"] is None:
        return f"start with {content['choose']}"
    condition = f" ({content['condition']})" if content["condition"] else ""
    return f"after {content['after']} gave {content['result']}{condition}: {content['choose']}"


def _approach_text(content: dict[str, Any]) -> str:
    return "approach " + ", ".join(content["approach"])


_TEXT_OF: dict[str, Callable[[dict[str, Any]], str]] = {
    "tool_sequence": _sequence_text,
    "error_recovery": _recovery_text,
    "decision_point": _decision_text,
    "context_pattern": _approach_text,
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A group of successes that went about it alike, and their typical plan.

    `plan` is the tools of the steps of `medoid`, the member most similar to all others; `id` is a hash of that plan
    (32 hexadecimal digits). `episodes` counts the members, `share` is theirs of the successes that were looked at;
    `left_out` successes were older than those.
    """

    id: str
    plan: tuple[str, ...]
    episodes: int
    share: float
    medoid: str
    domains: tuple[str, ...]
    looked_at: int
    left_out: int = 0


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
