"""Verdicts on ended episodes, and runs that take the place of stored ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from ..credit.receipts import judged_records
from ..errors import UnknownEpisodeError, VersionConflictError
from ..model.closed_episode import ClosedEpisode
from ..model.content import content_of, digest_of, namespace_of
from ..model.episode import Episode, Outcome
from ..model.ids import as_text
from ..model.learned import Learned
from ..model.record import Batch, EpisodeRecord, Expect, Receipt
from ..storage.base import Store
from .commits import CommitItem
from .learner import Learner, ScoringBasis, basis_of
from .open_episodes import ending_fields
from .redacting import with_wide_header

_EPISODES = msgspec.msgpack.Decoder(Episode)
_DERIVED = ("reward", "reflection", "scored_with", "text_version")
"""Fields of a stored record that follow from the others."""


class _Scored(msgspec.Struct):
    scored_with: dict[str, float] | None = None


_SCORED = msgspec.msgpack.Decoder(_Scored)


class Verdicts:
    """Replaces stored episodes, each in one conditional commit with everything that follows from it."""

    def __init__(self, *, store: Store, learner: Learner, commit: Callable[[Batch], Receipt]) -> None:
        self._store = store
        self._learner = learner
        self._commit = commit

    def judge(self, id: bytes, namespace: str, outcome: Outcome, *, by: str, at: int) -> Learned:
        """Gives a stored episode another outcome; the verdict that is committed last holds.

        Facts, sums and credit follow in the same commit. Raises `UnknownEpisodeError`.
        """
        while True:
            version, payload = self._stored(id, namespace)
            stored = _EPISODES.decode(payload)
            if (stored.outcome, stored.judged_by) == (outcome, by):
                return self.unchanged(stored)
            closed = _judged(payload, outcome, by, at)
            learned = self._put(closed, version, basis_in(payload, stored))
            if learned is not None:
                return learned

    def replace(self, id: bytes, namespace: str, close: Callable[[Episode], ClosedEpisode]) -> Learned:
        """Puts another run in the place of a stored one; `close` makes it from the stored one."""
        while True:
            version, payload = self._stored(id, namespace)
            stored = _EPISODES.decode(payload)
            learned = self._put(close(stored), version, basis_in(payload, stored))
            if learned is not None:
                return learned

    def unchanged(self, stored: Episode) -> Learned:
        """The answer for an episode that is stored as it should be."""
        receipt = Receipt(self._store.sequence(), 0, 1, str(self._store.stats().get("durable", "")))
        return Learned(stored.id, "unchanged", receipt, stored.reward, stored.reflection)

    def _stored(self, id: bytes, namespace: str) -> tuple[int, bytes]:
        found = self._store.get_versioned("episode", id)
        if found is None or namespace_of(found[1]) != namespace:
            raise UnknownEpisodeError(as_text(id))
        return found

    def _put(self, closed: ClosedEpisode, version: int, basis: ScoringBasis | None) -> Learned | None:
        """Commits the episode in the place of its stored version; `None` if another process was faster."""
        item = self._item(closed, basis)
        record: EpisodeRecord | None = item.record
        assert record is not None
        credits, expected = judged_records(self._store, closed.id, closed.outcome.share)
        batch = Batch(
            episodes=(record,),
            removed=(closed.id,),
            side_records=credits,
            expect=(Expect("episode", closed.id, version), *expected),
        )
        try:
            return item.learned(self._commit(batch))
        except VersionConflictError:
            return None

    def _item(self, closed: ClosedEpisode, basis: ScoringBasis | None) -> CommitItem:
        if closed.outcome.kind == "abandoned":
            return CommitItem("abandoned", closed.id, closed.stored("abandoned"), redacted=closed.secrets)
        lesson = self._learner.judge(closed, basis)
        return CommitItem("learned", closed.id, lesson.record, lesson, closed.secrets)


def basis_in(payload: bytes, stored: Episode) -> ScoringBasis | None:
    """The figures of the first ending; `None` if the episode was not learned from."""
    if stored.reward is not None:
        return basis_of(stored.reward)
    kept = _SCORED.decode(payload).scored_with
    return None if kept is None else ScoringBasis(**kept)


def _judged(payload: bytes, outcome: Outcome, by: str, at: int) -> ClosedEpisode:
    return closed_again(payload, {"outcome": ending_fields(outcome), "judged_by": by, "judged_at": at})


def closed_again(payload: bytes, changed: dict[str, Any]) -> ClosedEpisode:
    """A stored episode as it was before it was learned from, with other fields."""
    fields = msgspec.msgpack.decode(payload)
    for name in _DERIVED:
        fields.pop(name, None)
    record = with_wide_header(msgspec.msgpack.encode({**fields, **changed}))
    episode = _EPISODES.decode(record)
    assert episode.outcome is not None
    digest = digest_of(content_of(episode, dated=True))
    return ClosedEpisode(replace(episode, steps=()), episode.outcome, record, digest)
