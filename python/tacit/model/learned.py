"""Everything one episode taught."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..deferred import dataclass
from .episode import Reflection, Reward
from .record import Receipt

if TYPE_CHECKING:
    from .pattern import Findings


@dataclass(frozen=True, slots=True)
class Learned:
    """The lessons of an episode, and the receipt of their commit.

    `state` is "learned"; "pending" if the episode was stored and is learned from later, by a worker or because a part
    (an extractor, an embedder) failed, which `problems` says; "abandoned" if the episode was stored without being
    learned from; "unchanged" if the same episode was there already; "unstored" if the store failed and the episode is
    still open; "open" if an open episode was judged, which takes effect when it ends. `findings` are the findings of
    the extractors.

    Example:
        >>> from tacit import Memory, Outcome
        >>> memory = Memory()
        >>> learned = memory.complete(memory.start("Cancel order 17"), Outcome.success())
        >>> learned.state, learned.receipt.durable
        ('learned', 'memory')
    """

    episode_id: str
    state: Literal["learned", "pending", "abandoned", "unchanged", "unstored", "open"]
    receipt: Receipt
    reward: Reward | None = None
    reflection: Reflection | None = None
    findings: Findings | None = None
    redacted: int = 0
    """The number of secrets that were replaced before the episode was stored."""
    problems: tuple[str, ...] = ()
    """Everything that was altered or dropped on the way, in words."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A pending episode that workers do not try again by themselves, because its attempts kept failing.

    Example:
        >>> from tacit import DeadLetter
        >>> DeadLetter("0190...", "default", 8, "RuntimeError: no vectors", 1_700_000_000_000_000).attempts
        8
    """

    episode_id: str
    namespace: str
    attempts: int
    error: str | None
    """The failure of the last attempt; `None` means that its worker ended in the middle of it."""
    failed_at: int
    """Microseconds since 1970, UTC."""
