"""The three lists of a reflection, put together."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from ..model.episode import Reflection
from . import improvements, insights, successes
from .history import Reflecting

SENTENCES = 5


def reflect(reflecting: Reflecting, *, generated_at: int) -> Reflection:
    """At most five sentences a list, the most telling first; the same episode and history give the same sentences."""
    return Reflection(
        successes=_first(successes.sentences(reflecting)),
        improvements=_first(improvements.sentences(reflecting)),
        insights=_first(insights.sentences(reflecting)),
        generated_at=generated_at,
    )


def _first(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(sentences), SENTENCES))
