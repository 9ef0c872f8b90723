"""Items of a commit: episodes with their lessons, ready to be stored."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import field
from typing import Literal

from .._native import Findings
from ..deferred import dataclass
from ..model.closed_episode import ClosedEpisode
from ..model.episode import Reflection, Reward
from ..model.ids import as_text
from ..model.learned import Learned
from ..model.record import EpisodeRecord, Receipt


@dataclass(frozen=True, slots=True)
class LearnedRecord:
    """The lessons of an episode, ready to be committed."""

    record: EpisodeRecord
    reward: Reward | None
    """`None` while the outcome is unknown."""
    reflection: Reflection
    findings: Findings


@dataclass(frozen=True, slots=True)
class CommitItem:
    """One episode of a commit; `id` is its stored id, also if it was stored before under another one.

    An episode that is known to be stored has no record to commit.
    """

    state: Literal["learned", "pending", "abandoned", "unchanged"]
    id: bytes
    record: EpisodeRecord | None
    lesson: LearnedRecord | None = None
    redacted: int = 0
    """The number of secrets that redaction replaced in the record."""
    failure: str | None = None
    """The failure for which the episode is pending."""

    def learned(self, receipt: Receipt) -> Learned:
        """The public value, once it is durable."""
        id, lesson = as_text(self.id), self.lesson
        if lesson is None:
            problems = () if self.failure is None else (f"learning: {self.failure}",)
            return Learned(id, self.state, receipt, redacted=self.redacted, problems=problems)
        return Learned(
            id, self.state, receipt, lesson.reward, lesson.reflection, lesson.findings, self.redacted
        )


@dataclass(slots=True)
class Staged:
    """Patterns and ids that will be committed with the next episode of a chunk: they are not new any more."""

    patterns: defaultdict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """By namespace."""
    episodes: dict[tuple[str, str], ClosedEpisode] = field(default_factory=dict)
    """By namespace and external id."""

    def add(self, draft: ClosedEpisode) -> None:
        """Notes the draft by its external id."""
        if draft.head.external_id is not None:
            self.episodes[draft.head.namespace, draft.head.external_id] = draft

    def before(self, draft: ClosedEpisode) -> ClosedEpisode | None:
        """The draft that was staged before under the same external id."""
        external_id = draft.head.external_id
        return None if external_id is None else self.episodes.get((draft.head.namespace, external_id))
