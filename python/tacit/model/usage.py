"""Use of a memory, and its effect."""

from __future__ import annotations

from ..deferred import dataclass

__all__ = ["Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Use of one memory (an episode, a pattern or a heuristic) that was recalled within episodes.

    `retrieved` counts the recalls that showed it, `applied` those after which the episode used it, `helped` those of
    them that ended better than was to be expected, or of which `feedback` said so. `effectiveness` is the share to
    which using it helps, with its 95% interval from `low` to `high`: above 0.5 it helps, below it misleads, at 0.5
    nothing is known or it makes no difference.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> for n in range(3):
        ...     with memory.episode(f"Cancel order {n}", domain="retail") as episode:
        ...         _ = episode.log("get_order", parameters={"order_id": n}, output="open")
        ...         _ = episode.log("cancel_order", parameters={"order_id": n}, output="cancelled")
        ...         _ = episode.succeed()
        >>> with memory.episode("Cancel order 7", domain="retail") as episode:
        ...     shown = episode.recall().hits[0].episode_id
        ...     _ = episode.succeed()
        >>> memory.usage(shown).retrieved
        1
    """

    retrieved: int = 0
    applied: int = 0
    helped: int = 0
    effectiveness: float = 0.5
    low: float = 0.0
    high: float = 1.0
