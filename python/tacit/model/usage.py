"""How often a memory was put to use, and whether it helped."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What became of one memory (an episode, a pattern or a heuristic) when it was recalled within episodes.

    `retrieved` counts the recalls that showed it, `applied` those after which the episode used it, `helped` those of
    them that ended better than was to be expected, or of which `feedback` said so. `effectiveness` is the share to
    which using it helps, with its 95% interval from `low` to `high`: above 0.5 it helps, below it misleads, at 0.5
    nothing is known or it makes no difference.
    """

    retrieved: int = 0
    applied: int = 0
    helped: int = 0
    effectiveness: float = 0.5
    low: float = 0.0
    high: float = 1.0
