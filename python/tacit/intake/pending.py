"""Episodes that are stored although a part failed to learn from them, and are learned from later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec

from .._native import Findings, extend_record
from ..errors import VersionConflictError, is_failure
from ..model.closed_episode import ClosedEpisode
from ..model.content import content_of, digest_of
from ..model.episode import Episode, Outcome
from ..model.record import Batch, Expect, Filters, Receipt
from ..redaction import Redactor
from ..storage.base import Store
from .commits import CommitItem, LearnedRecord
from .conversion import cut_middle, error_text
from .failure_streak import FailureStreak
from .learner import Learner, ScoringBasis, basis_of
from .redacting import redacted_outcome, with_wide_header

_CHUNK = 64
_COUNTED = 1_000
"""Pending episodes whose reasons are counted."""
_LONGEST_REASON = 500
_EPISODES = msgspec.msgpack.Decoder(Episode)
_DERIVED = ("reward", "reflection", "scored_with", "text_version", "pending")
"""Fields of a stored record that follow from the others."""


class _Scored(msgspec.Struct):
    scored_with: dict[str, float] | None = None


class _Pending(msgspec.Struct):
    namespace: str = "default"
    pending: str | None = None


_SCORED = msgspec.msgpack.Decoder(_Scored)
_PENDING = msgspec.msgpack.Decoder(_Pending)


class CommitItems:
    """Makes the items of commits; an episode from which a part fails to learn becomes pending."""

    def __init__(self, learner: Learner, redactor: Redactor) -> None:
        self._learner = learner
        self._redactor = redactor

    def ended(self, closed: ClosedEpisode, staged: set[bytes] | None = None) -> CommitItem:
        """The item of an episode that ends; `staged` as of `Learner.learn`."""
        return self._item(closed, None, lambda: self._learner.learn(closed, staged=staged))

    def judged(self, closed: ClosedEpisode, basis: ScoringBasis | None) -> CommitItem:
        """The item of an ended episode under another verdict, or of one that is learned from again."""
        return self._item(closed, basis, lambda: self._learner.judge(closed, basis))

    def failed(self, payload: bytes, error: BaseException) -> CommitItem:
        """The item of a stored episode from which a part failed to learn again: it is pending."""
        closed, basis = closed_again(payload, {}), basis_in(payload, _EPISODES.decode(payload))
        return self._pending(closed, basis, error)

    def findings(self, item: CommitItem, closed: ClosedEpisode) -> Findings | None:
        """The findings of the extractors in the episode of an item; `None` if it was abandoned."""
        if item.lesson is not None or item.state == "abandoned":
            return None if item.lesson is None else item.lesson.findings
        return self._learner.hybrid.extract_with(closed.trajectory, lambda: closed.episode)

    def _item(
        self, closed: ClosedEpisode, basis: ScoringBasis | None, learn: Callable[[], LearnedRecord]
    ) -> CommitItem:
        if closed.outcome.kind == "abandoned":
            return CommitItem("abandoned", closed.id, closed.stored("abandoned"), redacted=closed.secrets)
        try:
            lesson = learn()
        except BaseException as error:
            if not is_failure(error):
                raise
            return self._pending(closed, basis, error)
        return CommitItem("learned", closed.id, lesson.record, lesson, closed.secrets)

    def _pending(self, closed: ClosedEpisode, basis: ScoringBasis | None, error: BaseException) -> CommitItem:
        """The record of the episode with its failure, and with the figures by which it was scored before."""
        reason = self.reason(error)
        ending: dict[str, object] = {"pending": reason}
        if basis is not None:
            ending["scored_with"] = basis._asdict()
        payload = extend_record(closed.record, msgspec.msgpack.encode(ending))
        record = closed.stored("pending", payload=payload)
        return CommitItem("pending", closed.id, record, redacted=closed.secrets, failure=reason)

    def reason(self, error: BaseException) -> str:
        """The failure in a line without secrets; the newest note says in which part it was."""
        text = cut_middle(error_text(error), _LONGEST_REASON).encode("utf-8", "replace").decode()
        notes = getattr(error, "__notes__", ())
        text = redacted_outcome(Outcome.failure(text), self._redactor).reason or type(error).__name__
        return f"{text} ({notes[-1]})" if notes else text


class PendingEpisodes:
    """Learns from pending episodes: each once, whichever process is first."""

    def __init__(self, *, store: Store, items: CommitItems, commit: Callable[[Batch], Receipt]) -> None:
        self._store = store
        self._items = items
        self._commit = commit

    def learn(self, namespace: str) -> tuple[int, int, str | None]:
        """Tries the pending episodes of the namespace.

        Gives how many were learned from, how many still wait, and the failure for which the rest was not tried. A chunk
        is one conditional commit, so an interrupted call is continued by the next one.
        """
        learned, streak = 0, FailureStreak(lambda: self._failure_of_newest(namespace))
        ids = (id for id, _ in self._rows(namespace))
        while streak.reason is None and (chunk := list(islice(ids, _CHUNK))):
            learned += sum(item.state == "learned" for item in self._learn_chunk(chunk, streak))
        return learned, self.count(namespace), streak.reason

    def _failure_of_newest(self, namespace: str) -> str | None:
        """The failure of an attempt at the newest pending episode, which is not stored."""
        filters = Filters(namespace=namespace, state="pending")
        newest = self._store.scan("episode", limit=1, newest_first=True, filters=filters)
        return self._again(newest[0][1], set()).failure if newest else None

    def _learn_chunk(self, ids: Sequence[bytes], streak: FailureStreak) -> list[CommitItem]:
        """The items of a chunk; those of other processes' episodes are left out."""
        found = [(id, *versioned) for id in ids if (versioned := self._store.get_versioned("episode", id))]
        staged: set[bytes] = set()
        items: list[CommitItem] = []
        changed: list[tuple[CommitItem, int]] = []
        for _, version, payload in found:
            reason = _PENDING.decode(payload).pending
            if reason is None:
                continue
            if streak.reason is not None:
                break
            items.append(self._again(payload, staged))
            streak.note(items[-1].failure)
            if items[-1].failure != reason:
                changed.append((items[-1], version))
        try:
            if changed and not self._commit(_replacing(changed)).committed:
                return [item for item in items if item.state == "pending"]  # another process learned the same
        except VersionConflictError:
            if len(ids) == 1:
                return self._learn_chunk(ids, streak)
            return [item for id in ids for item in self._learn_chunk([id], streak)]
        return items

    def _again(self, payload: bytes, staged: set[bytes]) -> CommitItem:
        closed, basis = closed_again(payload, {}), basis_in(payload, _EPISODES.decode(payload))
        return self._items.ended(closed, staged) if basis is None else self._items.judged(closed, basis)

    def _rows(self, namespace: str) -> Iterator[tuple[bytes, bytes]]:
        after: bytes | None = None
        filters = Filters(namespace=namespace, state="pending")
        while page := self._store.scan("episode", after=after, limit=_CHUNK, filters=filters):
            yield from page
            after = page[-1][0]

    def count(self, namespace: str) -> int:
        """How many episodes of the namespace wait."""
        return sum(1 for _ in self._rows(namespace))


def _replacing(items: Sequence[tuple[CommitItem, int]]) -> Batch:
    """The batch that puts items in the place of the episodes of these versions."""
    return Batch(
        episodes=tuple(item.record for item, _ in items if item.record is not None),
        removed=tuple(item.id for item, _ in items),
        expect=tuple(Expect("episode", item.id, version) for item, version in items),
    )


def pending_reasons(store: Store) -> Counter[str]:
    """How many episodes wait for each reason, of every namespace; the oldest 1,000 are looked at."""
    payloads = store.get_many("episode", store.pending(_COUNTED))
    return Counter(
        _PENDING.decode(payload).pending or "unknown" for payload in payloads if payload is not None
    )


def basis_in(payload: bytes, stored: Episode) -> ScoringBasis | None:
    """The figures of the first ending; `None` if the episode was not learned from."""
    if stored.reward is not None:
        return basis_of(stored.reward)
    kept = _SCORED.decode(payload).scored_with
    return None if kept is None else ScoringBasis(**kept)


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
