"""The inputs of a reflection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from .._native import Trajectory
from ..deferred import dataclass
from ..model.episode import Outcome


@dataclass(frozen=True, slots=True)
class Recovery:
    """The best known fix for an error."""

    next: str
    successes: float
    trials: int


@dataclass(frozen=True, slots=True)
class History:
    """The namespace's knowledge before this episode.

    The usual figures are the medians of the domain's successes, None until there are enough of them.
    """

    episodes: int = 0
    usual_seconds: float | None = None
    usual_steps: float | None = None
    usual_error_rate: float | None = None
    approach_trials: int = 0
    approach_successes: float = 0.0
    new_patterns: int = 0
    failed_attempts: int = 0
    """The number of earlier failures at the same task."""
    last_failed: tuple[str, ...] = ()
    """The tools of the latest of them."""
    succeeded_before: bool = False
    recoveries: Mapping[tuple[str, str], Recovery] = field(default_factory=dict)
    """By tool and error class: the known fixes for the errors of this episode."""


@dataclass(frozen=True, slots=True)
class Reflecting:
    """One ended episode and the history before it."""

    trajectory: Trajectory
    outcome: Outcome
    history: History

    @property
    def share(self) -> float:
        """The outcome's share of success."""
        return self.outcome.share or 0.0

    def errors(self) -> list[tuple[int, str, str]]:
        """Each failed step's place, its tool and the class of its error."""
        tools = self.trajectory.tools
        classes = enumerate(self.trajectory.error_classes)
        return [(place, tools[place], name) for place, name in classes if name is not None]
