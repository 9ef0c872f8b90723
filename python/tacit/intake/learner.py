"""Learning from one ended episode: extract, judge novelty, score, reflect, pack."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .._native import TEXT_VERSION, Findings, Index, Trajectory, extend_record
from ..config import RewardWeights
from ..embedding import Embedder, embed_packed
from ..extractors.hybrid import Hybrid
from ..model.closed_episode import ClosedEpisode
from ..model.episode import Reflection, Reward
from ..model.record import EpisodeRecord
from ..reflection import History, Recovery, Reflecting, reflect
from ..scoring import Scoring
from .commits import LearnedRecord


class ScoringBasis(NamedTuple):
    """The figures of an episode's first ending that its reward depends on, beside the outcome."""

    novelty: float
    usual_seconds: float
    usual_steps: float


def basis_of(reward: Reward) -> ScoringBasis:
    """The figures that a reward was computed with."""
    return ScoringBasis(reward.novelty, reward.usual_seconds, reward.usual_steps)


class Learner:
    """Turns closed episodes into learned records, against the index."""

    def __init__(
        self,
        *,
        hybrid: Hybrid,
        weights: RewardWeights,
        embedder: Embedder | None,
        index: Index,
        read_version: Callable[[], int] = lambda: TEXT_VERSION,
    ) -> None:
        self.hybrid = hybrid
        self.embedder = embedder
        self.index = index
        self._read_version = read_version
        self._scoring = Scoring(weights)
        self._usual_after = weights.usual_after

    def learn(self, draft: ClosedEpisode, *, staged: set[bytes] | None = None) -> LearnedRecord:
        """The lesson of one draft.

        `staged` holds the patterns of lessons in the draft's namespace that will be committed with this one: they are
        not new any more, and this lesson's are added to them.
        """
        version = self._read_version()
        is_current = version == TEXT_VERSION
        trajectory = draft.trajectory if is_current else Trajectory(draft.record, version)
        findings = self.hybrid.extract_with(trajectory, lambda: draft.episode)
        facts = findings.facts()
        known = staged if draft.outcome.share is not None else None
        new = self._unseen(draft.head.namespace, facts, known)
        history = self._history(draft, trajectory, findings, len(new))
        novelty = len(new) / max(1, len(findings.pattern_ids))
        scored = self._score(draft, novelty, history)
        # Until the store is relearned it is read in the previous version and written in the newest.
        is_same = is_current and draft.outcome.share is not None
        lesson = self._lesson(draft, scored, history, findings, findings if is_same else None)
        if known is not None:
            known |= new
        return lesson

    def judge(self, draft: ClosedEpisode, basis: ScoringBasis | None) -> LearnedRecord:
        """The lesson of a draft under a later verdict: it is scored with the figures of its first ending.

        Its reflection is made from the episode alone. Without a basis the draft was not learned from before.
        """
        if basis is None:
            return self.learn(draft)
        scored = self._scoring.score(draft.trajectory, **basis._asdict())
        findings = self.hybrid.extract_with(draft.trajectory, lambda: draft.episode)
        return self._lesson(draft, scored, History(), findings, None)

    def _lesson(
        self,
        draft: ClosedEpisode,
        scored: Reward,
        history: History,
        findings: Findings,
        taught: Findings | None,
    ) -> LearnedRecord:
        """Packs a lesson; `taught` are the findings to store, if they were made already."""
        if taught is None:
            taught = self.hybrid.teach_with(draft.trajectory, lambda: draft.episode)
        reflecting = Reflecting(draft.trajectory, draft.outcome, history)
        reflection = reflect(reflecting, generated_at=draft.head.ended_at or 0)
        reward = None if draft.outcome.share is None else scored
        return LearnedRecord(self._pack(draft, taught, scored, reflection), reward, reflection, findings)

    def _unseen(self, namespace: str, facts: bytes, staged: set[bytes] | None) -> set[bytes]:
        unseen = set(self.index.unseen(namespace, facts))
        return unseen if staged is None else unseen - staged

    def _history(self, draft: ClosedEpisode, trajectory: Trajectory, findings: Findings, new: int) -> History:
        head = draft.head
        seconds, steps, error_rate, episodes = self.index.medians(head.namespace, head.context.domain)
        enough = episodes >= self._usual_after
        trials, successes = self.index.approach(head.namespace, findings.facts())
        earlier: tuple[int, bool, list[str]] = 0, False, []
        if head.task_key is not None:
            earlier = self.index.earlier_attempts(head.namespace, head.task_key)
        failed, succeeded, last_failed = earlier
        return History(
            episodes=episodes,
            usual_seconds=seconds if enough else None,
            usual_steps=steps if enough else None,
            usual_error_rate=error_rate if enough else None,
            approach_trials=trials,
            approach_successes=successes,
            new_patterns=new,
            failed_attempts=failed,
            last_failed=tuple(last_failed),
            succeeded_before=succeeded,
            recoveries=self._recoveries(head.namespace, trajectory),
        )

    def _recoveries(self, namespace: str, trajectory: Trajectory) -> dict[tuple[str, str], Recovery]:
        pairs = zip(trajectory.tools, trajectory.error_classes, strict=True)
        errors = list(dict.fromkeys((tool, error) for tool, error in pairs if error is not None))
        if not errors:
            return {}
        best = zip(errors, self.index.best_recoveries(namespace, errors), strict=True)
        return {error: Recovery(*found) for error, found in best if found is not None}

    def _score(self, draft: ClosedEpisode, novelty: float, history: History) -> Reward:
        return self._scoring.score(
            draft.trajectory,
            novelty=novelty,
            usual_seconds=history.usual_seconds,
            usual_steps=history.usual_steps,
        )

    def _pack(
        self, draft: ClosedEpisode, findings: Findings, scored: Reward, reflection: Reflection
    ) -> EpisodeRecord:
        if draft.outcome.share is None:
            result: dict[str, object] = {"scored_with": basis_of(scored)._asdict()}
        else:
            result = {"reward": scored}
        ending = msgspec.msgpack.encode({**result, "reflection": reflection, "text_version": TEXT_VERSION})
        return draft.stored(
            "learned",
            base=draft.outcome.share,
            payload=extend_record(draft.record, ending),
            facts=findings.facts(),
            contents=findings.contents(),
            embedder=self.embedder.name if self.embedder else None,
            embedding=self._embed(draft.head.task),
        )

    def _embed(self, task: str) -> bytes:
        if self.embedder is None:
            return b""
        try:
            return embed_packed(self.embedder, [task])[0]
        except Exception as error:
            error.add_note(f"in embedder {self.embedder.name}")
            raise
