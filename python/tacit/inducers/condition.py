"""A condition that episodes came to, and their actions under it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import _native
from .columns import FEATURES, Columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .._native import ActionEvidence, ConditionEvidence
    from .columns import Integers, Shares

    Mask = NDArray[np.bool_]

_DEVIATIONS = 1.959963984540054
_MOST_NAMES = 100
"""A rule that was seen in more domains than this names so many of them."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action: in fields, in words, and the patterns that contain it."""

    do: dict[str, Any]
    text: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Odds:
    """An odds ratio with its interval and p-value."""

    ratio: float
    low: float
    high: float
    chance: float

    @property
    def compares(self) -> bool:
        """True if there was anything to compare."""
        return not math.isnan(self.ratio)

    def apart_from(self, other: Odds) -> float:
        """The p-value of the difference of two log odds ratios (Wald test: z = difference / spread)."""
        if not (self.compares and other.compares):
            return 1.0
        spread = math.hypot(self._deviation, other._deviation)
        difference = abs(math.log(self.ratio) - math.log(other.ratio))
        return math.erfc(difference / spread / math.sqrt(2)) if spread > 0 else 1.0

    @property
    def _deviation(self) -> float:
        """Of the logarithm."""
        return (math.log(self.high) - math.log(self.low)) / (2 * _DEVIATIONS)


@dataclass(frozen=True, eq=False)
class Condition:
    """One element an occurrence, by episode and step; `describe` says what an action is.

    An episode is one trial: its first action under the condition, and its outcome.
    """

    kind: str
    when: dict[str, Any]
    condition: str
    columns: Columns
    strata: Integers
    """By episode: only those with the same number are compared."""
    episode: Integers
    action: Integers
    success: Shares
    describe: Callable[[int], Action]
    row: Integers | None = None
    """The row of the columns of each occurrence; `None` means that occurrences are no choices."""
    compared_only: frozenset[int] = frozenset()
    """Actions that others are compared with and that are no rules of their own."""

    @cached_property
    def evidence(self) -> ConditionEvidence:
        """The occurrences with the totals that comparisons start from."""
        return _native.ConditionEvidence(
            self.columns.native, self.strata, self.episode, self.action, self.success
        )

    def actions(self, min_trials: int) -> list[tuple[ActionEvidence, Action]]:
        """Each action with at least `min_trials` occurrences, the most frequent first, then by its text."""
        found = [
            (each, self.describe(each.action))
            for each in self.evidence.actions(min_trials)
            if each.action not in self.compared_only
        ]
        return sorted(found, key=lambda pair: (-pair[0].trials, pair[1].text))

    def named(self, feature: str, evidence: ActionEvidence) -> tuple[str, ...]:
        """The names of a feature among the occurrences of an action, sorted; of very many the most frequent ones."""
        places = self.evidence.values_among(evidence, FEATURES.index(feature), _MOST_NAMES)
        return tuple(self.columns.names[place] for place in places)

    def where(self, mask: Mask, feature: str, value: Any, said: str) -> Condition:
        """The occurrences of which something more is true."""
        return replace(
            self,
            when={**self.when, feature: value},
            condition=f"{self.condition}{said}",
            episode=self.episode[mask],
            action=self.action[mask],
            success=self.success[mask],
            row=None if self.row is None else self.row[mask],
        )
