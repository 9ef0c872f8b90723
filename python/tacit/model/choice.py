"""The ranking of actions that are possible now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from ..deferred import dataclass
from .episode import Json
from .recall import Reason

Action: TypeAlias = str | Mapping[str, Json]
"""A text, as an environment offers it, or a call: `{"tool": ..., "parameters": ...}`."""


@dataclass(frozen=True, slots=True)
class RankedAction:
    """One of the given actions, as it was given.

    The probabilities of all given actions sum to 1, and `probability` is the sum of `value * weight` over `reasons`.
    `episodes` names a few of the episodes in whose nearest situations this action was taken, values aligned.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for fruit in ("apple", "plum", "pear"):
        ...     with memory.episode("Do as you are told") as episode:
        ...         _ = episode.log(f"take {fruit}", state=f"Simon says: take {fruit}.", output="Well done")
        ...         _ = episode.succeed()
        >>> choice = memory.choose(["take fig", "eat fig"], task="Do as you are told", state="Simon says: take fig.")
        >>> choice.actions[0].action
        'take fig'
    """

    action: Action
    probability: float
    reasons: tuple[Reason, ...] = ()
    episodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The given actions, the best first. `id` is the receipt; `degraded` names the missing sources.

    Example:
        >>> from tacit import Memory
        >>> Memory().choose([]).actions
        ()
    """

    id: str
    actions: tuple[RankedAction, ...]
    degraded: tuple[str, ...] = ()
    elapsed_ms: float = 0.0

    def to_prompt(self, *, max_tokens: int = 1_000, count_tokens: Callable[[str], int] | None = None) -> str:
        """The actions as a fenced block of data for a prompt, the best first.

        An empty text means that nothing comparable is known. See `Recall.to_prompt`.

        Example:
            >>> print(Choice("", (RankedAction("open door", 0.8, episodes=("",)),)).to_prompt().splitlines()[1])
            80% open door
        """
        from ..answers.prompt import choice_lines, render

        return render(lambda _: choice_lines(self), max_tokens=max_tokens, count_tokens=count_tokens)
