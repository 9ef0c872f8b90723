"""Episodes that are stored although a part failed to learn from them, and are learned from later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

import msgspec

from .._native import Findings, extend_record
from ..credit.usage import Crediting
from ..errors import VersionConflictError, is_failure
from ..model.closed_episode import ClosedEpisode
from ..model.content import content_of, digest_of
from ..model.episode import Episode, Outcome
from ..model.record import Batch, Expect, Filters, Receipt, SideRecord
from ..redaction import Redactor
from ..storage.base import Store
from .claims import claim_removals, is_leased
from .commits import CommitItem, LearnedRecord
from .conversion import cut_middle, error_text
from .failure_streak import FailureStreak
from .learner import Learner, ScoringBasis, basis_of
from .pending_record import QUEUED, pending_in
from .redacting import redacted_outcome, with_wide_header

_CHUNK = 64
_COUNTED = 1_000
"""Pending episodes whose reasons are counted."""
_LONGEST_REASON = 500
_EPISODES = msgspec.msgpack.Decoder(Episode)
_DERIVED = ("reward", "reflection", "scored_with", "text_version", "pending", "queued_at")
"""Fields of a stored record that follow from the others."""


class _Scored(msgspec.Struct):
    scored_with: dict[str, float] | None = None


_SCORED = msgspec.msgpack.Decoder(_Scored)


class EndedItems(Protocol):
    """Makes the item of an episode that ends, and that of an ended one under another verdict."""

    def ended(self, closed: ClosedEpisode, staged: set[bytes] | None = None) -> CommitItem:
        """The item of an episode that ends; `staged` as of `Learner.learn`."""
        ...

    def judged(self, closed: ClosedEpisode, basis: ScoringBasis | None) -> CommitItem:
        """The item of an ended episode under another verdict, or of one that is learned from again."""
        ...

    def findings(self, item: CommitItem, closed: ClosedEpisode) -> Findings | None:
        """The findings of the extractors in the episode of an item; `None` if nothing was learned from it."""
        ...

    def beside(self, item: CommitItem, closed: ClosedEpisode) -> tuple[SideRecord, ...]:
        """The side records that land with the item of an episode that waited."""
        ...


class QueuedItems:
    """Makes items that leave the learning to a worker."""

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now

    def ended(self, closed: ClosedEpisode, staged: set[bytes] | None = None) -> CommitItem:
        """A pending item."""
        return self.judged(closed, None)

    def judged(self, closed: ClosedEpisode, basis: ScoringBasis | None) -> CommitItem:
        """A pending item that keeps the figures by which the episode was scored before."""
        if closed.outcome.kind == "abandoned":
            return abandoned_item(closed)
        return pending_item(closed, basis, QUEUED, self._now())

    def findings(self, item: CommitItem, closed: ClosedEpisode) -> Findings | None:
        """`None`: a worker finds them."""
        return None

    def beside(self, item: CommitItem, closed: ClosedEpisode) -> tuple[SideRecord, ...]:
        """The removal of its claim: after another verdict the attempts are counted from 0."""
        return claim_removals(self._store, item.id)


class CommitItems:
    """Makes the items of commits; an episode from which a part fails to learn becomes pending."""

    def __init__(self, learner: Learner, redactor: Redactor, crediting: Crediting, store: Store) -> None:
        self._learner = learner
        self._redactor = redactor
        self._crediting = crediting
        self._store = store

    def ended(self, closed: ClosedEpisode, staged: set[bytes] | None = None) -> CommitItem:
        """The item of an episode that ends; `staged` as of `Learner.learn`."""
        return self._item(closed, None, lambda: self._learner.learn(closed, staged=staged))

    def judged(self, closed: ClosedEpisode, basis: ScoringBasis | None) -> CommitItem:
        """The item of an ended episode under another verdict, or of one that is learned from again."""
        return self._item(closed, basis, lambda: self._learner.judge(closed, basis))

    def failed(self, payload: bytes, error: BaseException) -> CommitItem:
        """The item of a stored episode from which a part failed to learn again: it is pending."""
        closed, basis = closed_again(payload, {}), basis_in(payload, _EPISODES.decode(payload))
        reason = self.reason(error)
        return pending_item(closed, basis, reason, pending_in(payload).queued_at, failure=reason)

    def again(self, payload: bytes, staged: set[bytes] | None = None) -> tuple[CommitItem, ClosedEpisode]:
        """Another attempt at a pending episode: its item, and the episode as it ended."""
        closed, basis = closed_again(payload, {}), basis_in(payload, _EPISODES.decode(payload))
        queued_at = pending_in(payload).queued_at

        def learn() -> LearnedRecord:
            if basis is None:
                return self._learner.learn(closed, staged=staged)
            return self._learner.judge(closed, basis)

        return self._item(closed, basis, learn, queued_at), closed

    def findings(self, item: CommitItem, closed: ClosedEpisode) -> Findings | None:
        """The findings of the extractors in the episode of an item; `None` if it was abandoned."""
        if item.lesson is not None or item.state == "abandoned":
            return None if item.lesson is None else item.lesson.findings
        return self._learner.hybrid.extract_with(closed.trajectory, lambda: closed.episode)

    def beside(self, item: CommitItem, closed: ClosedEpisode) -> tuple[SideRecord, ...]:
        """The side records of an episode that waits no more: the credit of its answers, and its claim goes."""
        if item.lesson is None:
            return ()
        credit = self._crediting.late_side_records(closed, item.lesson.findings)
        return (*credit, *claim_removals(self._store, item.id))

    def _item(
        self,
        closed: ClosedEpisode,
        basis: ScoringBasis | None,
        learn: Callable[[], LearnedRecord],
        queued_at: int = 0,
    ) -> CommitItem:
        if closed.outcome.kind == "abandoned":
            return abandoned_item(closed)
        try:
            lesson = learn()
        except BaseException as error:
            if not is_failure(error):
                raise
            reason = self.reason(error)
            return pending_item(closed, basis, reason, queued_at, failure=reason)
        return CommitItem("learned", closed.id, lesson.record, lesson, closed.secrets)

    def reason(self, error: BaseException) -> str:
        """The failure in a line without secrets; the newest note says in which part it was."""
        text = cut_middle(error_text(error), _LONGEST_REASON).encode("utf-8", "replace").decode()
        notes = getattr(error, "__notes__", ())
        text = redacted_outcome(Outcome.failure(text), self._redactor).reason or type(error).__name__
        return f"{text} ({notes[-1]})" if notes else text


def abandoned_item(closed: ClosedEpisode) -> CommitItem:
    """The item of an episode that is stored and not learned from."""
    return CommitItem("abandoned", closed.id, closed.stored("abandoned"), redacted=closed.secrets)


def pending_item(
    closed: ClosedEpisode,
    basis: ScoringBasis | None,
    reason: str,
    queued_at: int,
    *,
    failure: str | None = None,
) -> CommitItem:
    """The item of an episode that waits for a reason, with the figures by which it was scored before."""
    ending: dict[str, object] = {"pending": reason}
    if queued_at:
        ending["queued_at"] = queued_at
    if basis is not None:
        ending["scored_with"] = basis._asdict()
    payload = extend_record(closed.record, msgspec.msgpack.encode(ending))
    record = closed.stored("pending", payload=payload)
    return CommitItem("pending", closed.id, record, redacted=closed.secrets, failure=failure)


class PendingEpisodes:
    """Learns from pending episodes on the thread of a caller: each once, whichever process is first."""

    def __init__(
        self,
        *,
        store: Store,
        items: CommitItems,
        commit: Callable[[Batch], Receipt],
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._items = items
        self._commit = commit
        self._now = now

    def learn(self, namespace: str) -> tuple[int, int, str | None]:
        """Tries the pending episodes of the namespace.

        Gives how many were learned from, how many still wait, and the failure for which the rest was not tried. Dead
        letters are tried too; an episode that a worker holds is left to it. A chunk is one conditional commit, so an
        interrupted call is continued by the next one.
        """
        learned, streak = 0, FailureStreak(lambda: self._failure_of_newest(namespace))
        ids = (id for id, _ in self._rows(namespace))
        while streak.reason is None and (chunk := list(islice(ids, _CHUNK))):
            now = self._now()
            free = [id for id in chunk if not is_leased(self._store, id, now)]
            learned += sum(item.state == "learned" for item in self._learn_chunk(free, streak))
        return learned, self.count(namespace), streak.reason

    def _failure_of_newest(self, namespace: str) -> str | None:
        """The failure of an attempt at the newest pending episode, which is not stored."""
        filters = Filters(namespace=namespace, state="pending")
        newest = self._store.scan("episode", limit=1, newest_first=True, filters=filters)
        return self._items.again(newest[0][1])[0].failure if newest else None

    def _learn_chunk(self, ids: Sequence[bytes], streak: FailureStreak) -> list[CommitItem]:
        """The items of a chunk; those of other processes' episodes are left out."""
        found = [(id, *versioned) for id in ids if (versioned := self._store.get_versioned("episode", id))]
        staged: set[bytes] = set()
        items: list[CommitItem] = []
        changed: list[tuple[CommitItem, int]] = []
        beside: list[SideRecord] = []
        for _, version, payload in found:
            reason = pending_in(payload).pending
            if reason is None:
                continue
            if streak.reason is not None:
                break
            item, closed = self._items.again(payload, staged)
            items.append(item)
            streak.note(item.failure)
            if item.failure != reason:
                changed.append((item, version))
                beside += self._items.beside(item, closed)
        try:
            if changed and not self._commit(_replacing(changed, beside)).committed:
                return [item for item in items if item.state == "pending"]  # another process learned the same
        except VersionConflictError:
            if len(ids) == 1:
                return self._learn_chunk(ids, streak)
            return [item for id in ids for item in self._learn_chunk([id], streak)]
        return items

    def _rows(self, namespace: str) -> Iterator[tuple[bytes, bytes]]:
        after: bytes | None = None
        filters = Filters(namespace=namespace, state="pending")
        while page := self._store.scan("episode", after=after, limit=_CHUNK, filters=filters):
            yield from page
            after = page[-1][0]

    def count(self, namespace: str) -> int:
        """How many episodes of the namespace wait."""
        return sum(1 for _ in self._rows(namespace))


def _replacing(items: Sequence[tuple[CommitItem, int]], beside: Sequence[SideRecord]) -> Batch:
    """The batch that puts items in the place of the episodes of these versions."""
    return Batch(
        episodes=tuple(item.record for item, _ in items if item.record is not None),
        removed=tuple(item.id for item, _ in items),
        side_records=tuple(beside),
        expect=tuple(Expect("episode", item.id, version) for item, version in items),
    )


@dataclass(frozen=True, slots=True)
class PendingFigures:
    """Figures of the episodes that wait to be learned from; the oldest 1,000 are looked at."""

    reasons: Counter[str]
    """How many wait for each reason."""
    oldest_at: int | None
    """When the one that waits longest was queued, in microseconds; `None` if none was."""


def pending_figures(store: Store, *, apart_from: Container[bytes] = ()) -> PendingFigures:
    """The figures of every namespace, without some episodes."""
    ids = [id for id in store.pending(_COUNTED) if id not in apart_from]
    payloads = store.get_many("episode", ids)
    found = [pending_in(payload) for payload in payloads if payload is not None]
    queued = [each.queued_at for each in found if each.queued_at and each.pending]
    return PendingFigures(Counter(each.pending or "unknown" for each in found), min(queued, default=None))


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
