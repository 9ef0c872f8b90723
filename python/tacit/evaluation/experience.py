"""How much is known while something is asked: the points of a learning curve."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

SHARES = (0.05, 0.1, 0.3, 1.0)
"""Shares of the experience, by task."""


def first_tasks(tasks: Iterable[str], share: float) -> frozenset[str]:
    """That share of the tasks, at least one: those of smallest hash, so that more holds all of less."""
    keys = sorted(set(tasks), key=_hash)
    return frozenset(keys[: max(1, round(share * len(keys)))])


def _hash(task: str) -> str:
    return hashlib.sha1(f"experience {task}".encode(), usedforsecurity=False).hexdigest()
