"""Choices of episodes, as columns that can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import _native
from .base import History

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .._native import EpisodeColumns

    Integers = NDArray[np.int64]
    Shares = NDArray[np.float64]

FEATURES = ("domain", "language", "framework", "task_type", "agent", "complexity")
COMPLEXITIES = ("simple", "moderate", "complex", "unknown")
OK, NOTHING, FINISH, START = -2, -1, -1, -1


@dataclass(frozen=True, eq=False)
class Columns:
    """One element a choice; `of` looks a feature of its episode up."""

    names: list[str]
    approaches: list[list[str]]
    episode: Integers
    after: Integers
    result: Integers
    errors: Integers
    choose: Integers
    worked: Shares
    """1 for a choice whose step went well and whose error did not come back; for one that ended the run, the share of
    its outcome."""
    features: NDArray[np.int64]
    """One row an episode: `FEATURES`, then its approach and its task."""
    outcomes: Shares

    @classmethod
    def of_history(cls, history: History) -> Columns:
        """The choices of the history's episodes, by episode and step."""
        import numpy as np

        choices = history.index.choices(history.namespace, history.domain)
        rows, features, outcomes = choices.rows.astype(np.int64), choices.episodes, choices.outcomes
        names = choices.names
        if history.agent is not None:
            agent = names.index(history.agent) if history.agent in names else -2
            chosen = features[:, FEATURES.index("agent")] == agent
            rows = rows[chosen[rows[:, 0]]]
            rows[:, 0] = (np.cumsum(chosen) - 1)[rows[:, 0]]
            features, outcomes = features[chosen], outcomes[chosen]
        episode, _, after, result, errors, _, choose, ok, came_back = rows.T
        worked = ((ok == 1) & (came_back == 0)).astype(float)
        # The last choice of an episode is to finish, so a step before it ended the run.
        ends = np.append(choose[1:] == FINISH, False) & (choose != FINISH)
        worked[ends] *= outcomes[episode[ends]]
        return cls(
            names,
            choices.approaches,
            episode,
            after,
            result,
            errors,
            choose,
            worked,
            features.astype(np.int64),
            outcomes,
        )

    def ended_well(self, rows: Integers) -> NDArray[np.bool_]:
        """True for each choice after a step that went well."""
        ended: NDArray[np.bool_] = self.result[rows] == OK
        return ended

    def feature(self, name: str) -> Integers:
        """A feature of each episode, as the place of its name."""
        return self.features[:, FEATURES.index(name)]

    @property
    def approach(self) -> Integers:
        """The approach of each episode."""
        return self.features[:, len(FEATURES)]

    @property
    def task(self) -> Integers:
        """The task of each episode; -1 for tasks that their agent tried once."""
        return self.features[:, len(FEATURES) + 1]

    @cached_property
    def circumstances(self) -> Integers:
        """A number for each episode: equal for one agent and difficulty, and one task that was tried repeatedly."""
        return _codes(self.feature("agent"), self.feature("complexity"), self.task)

    @cached_property
    def circumstances_by_domain(self) -> Integers:
        """The same within one domain."""
        return _codes(self.circumstances, self.feature("domain"))

    def name(self, place: int) -> str | None:
        """The name at a place; None for none."""
        return None if place < 0 else self.names[place]

    def value(self, feature: str, place: int) -> Any:
        """The value of a feature in words."""
        return COMPLEXITIES[place] if feature == "complexity" else self.name(place)

    @cached_property
    def native(self) -> EpisodeColumns:
        """The outcomes and features, as the native comparisons read them."""
        import numpy as np

        return _native.EpisodeColumns(self.outcomes, np.ascontiguousarray(self.features))


def _codes(*columns: Integers) -> Integers:
    """One number for each combination."""
    import numpy as np

    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        _, places = np.unique(column, return_inverse=True)
        codes = codes * (int(places.max(initial=0)) + 1) + places
    return codes
