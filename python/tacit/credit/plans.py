"""How alike two plans are."""

from __future__ import annotations

from collections.abc import Sequence

from .._native import lcs_length


def plan_similarity(one: Sequence[str], other: Sequence[str]) -> float:
    """2 L / (a + b) with L the length of the longest common subsequence; 1 for two empty plans."""
    import numpy as np

    if not one and not other:
        return 1.0
    numbers = {tool: number for number, tool in enumerate(dict.fromkeys((*one, *other)))}
    ours, theirs = (np.array([numbers[tool] for tool in plan], dtype=np.uint64) for plan in (one, other))
    return 2 * lcs_length(ours, theirs) / (len(one) + len(other))
