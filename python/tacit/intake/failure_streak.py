"""A few failures of one kind in a row: a part is down, and trying every episode would only wait for it."""

from __future__ import annotations

import re
from collections.abc import Callable

MOST_FAILURES = 3
"""So many episodes in a row fail in one way before the others are left for later."""
_PART = re.compile(r" \(in [^()]*\)$")


class FailureStreak:
    """Counts the failures of one kind (the same exception of the same part) in a row.

    `probe` tries one episode from the other end and gives its failure. If that one is learned from, the failures
    were those of single episodes and the count begins again.
    """

    def __init__(self, probe: Callable[[], str | None]) -> None:
        self._probe = probe
        self._kind: tuple[str, str] | None = None
        self._count = 0
        self.reason: str | None = None
        """The failure for which the others are left for later; `None` means that there is no reason to."""

    def note(self, failure: str | None) -> None:
        """Notes how an attempt ended; `None` means that it went well."""
        kind = None if failure is None else _kind_of(failure)
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind
        if kind is None or self._count < MOST_FAILURES:
            return
        other = self._probe()
        if other is not None and _kind_of(other) == kind:
            self.reason = failure
        else:
            self._kind, self._count = None, 0


def _kind_of(failure: str) -> tuple[str, str]:
    """The exception's type and the part, of a failure like "TimeoutError: after 30 s (in embedder remote)"."""
    part = _PART.search(failure)
    return failure.partition(":")[0].removesuffix(part[0] if part else ""), part[0] if part else ""
