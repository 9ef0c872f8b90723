"""A condition that episodes came to, and their actions under it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import _native
from .columns import Columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .columns import Integers, Shares

    Mask = NDArray[np.bool_]

_DEVIATIONS = 1.959963984540054


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


UNKNOWN = Odds(math.nan, 0.0, math.inf, 1.0)


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

    @cached_property
    def first(self) -> Integers:
        """The occurrences that were the first of their episode."""
        import numpy as np

        _, places = np.unique(self.episode, return_index=True)
        return places

    @cached_property
    def actions(self) -> dict[int, int]:
        """How often each action occurred, the most frequent first."""
        import numpy as np

        actions, counts = np.unique(self.action, return_counts=True)
        pairs = zip(actions.tolist(), counts.tolist(), strict=True)
        return dict(sorted(pairs, key=lambda pair: (-pair[1], self.describe(pair[0]).text)))

    def episodes_of(self, own: Mask) -> Integers:
        """The episodes whose first occurrence is among these."""
        return self.episode[self.first[own[self.first]]]

    def odds(self, own: Mask) -> Odds:
        """The success of the episodes that did this first beside that of those that did something else."""
        import numpy as np

        episodes = self.episode[self.first]
        if not len(episodes):
            return UNKNOWN
        did, outcomes = own[self.first], self.columns.outcomes[episodes]
        groups, places = np.unique(self.strata[episodes], return_inverse=True)
        strata = np.empty((len(groups), 4))
        for column, (chosen, share) in enumerate(
            ((did, outcomes), (did, 1 - outcomes), (~did, outcomes), (~did, 1 - outcomes))
        ):
            strata[:, column] = np.bincount(places, np.where(chosen, share, 0.0), len(groups))
        return Odds(*_native.odds_ratio(strata), _native.p_value(strata))

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
