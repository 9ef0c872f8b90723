"""A store whose commits go wrong in the ways that real ones do."""

from __future__ import annotations

from collections.abc import Callable

from ..model.record import Batch, Receipt
from ..storage import InMemoryStore


class FaultyStore(InMemoryStore):
    """Runs `before` and `after` around its next commit, each once.

    An exception of `before` keeps the commit from landing; one of `after` hides that it landed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] | None = None
        self.after: Callable[[], object] | None = None

    def commit(self, batch: Batch) -> Receipt:
        """As `InMemoryStore.commit`, between the two."""
        self._run("before")
        receipt = super().commit(batch)
        self._run("after")
        return receipt

    def _run(self, name: str) -> None:
        prepared = getattr(self, name)
        setattr(self, name, None)
        if prepared is not None:
            prepared()
