"""The ways in: an open episode is completed, a finished one is added, a stored one is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import msgspec

from .._native import Findings
from ..config import Limits
from ..credit.receipts import receipts_of, revocation_records, waiting_records
from ..credit.usage import Crediting
from ..errors import (
    ConflictError,
    CorruptRecordError,
    EpisodeClosedError,
    EpisodeError,
    LeaseLostError,
    UnknownEpisodeError,
    ValidationError,
    VersionConflictError,
    is_failure,
)
from ..model.checks import check_name, check_outcome
from ..model.closed_episode import ClosedEpisode
from ..model.content import is_same_run, namespace_of
from ..model.episode import Episode, Outcome, Step
from ..model.ids import as_bytes
from ..model.learned import Learned
from ..model.record import Batch, Filters, Receipt, SideRecord
from ..redaction import Redactor
from ..storage.base import Store
from .claims import claim_removals
from .commits import CommitItem, Staged
from .committer import Committer, QueueCommitter
from .conversion import error_text
from .endings import Ending, Endings
from .forgotten import forgotten_mark
from .open_episode import OpenEpisode, ending_fields
from .open_episodes import OpenEpisodes
from .pending import EndedItems, closed_again
from .redacting import redacted_outcome, redacted_value
from .values import closed_episode
from .verdicts import Verdicts

_EPISODES = msgspec.msgpack.Decoder(Episode)


class _WithExternalId(msgspec.Struct):
    external_id: str | None = None


_EXTERNAL_IDS = msgspec.msgpack.Decoder(_WithExternalId)
_UNJUDGED = ("unknown", "abandoned")
_CHUNK = 64
"""Episodes that `add_many` commits together; each is scored against the knowledge from before its chunk."""
_CHUNK_BYTES = 8 << 20
"""The bytes of texts and values after which a chunk is committed before it is full."""

_PLAIN = frozenset((int, float, bool, type(None), list, tuple))
"""Types of values that are no mappings."""


def no_queue(count: int) -> AbstractContextManager[list[Learned]]:
    """The room of a memory that learns on the thread of its callers."""
    return nullcontext([])


class Intake:
    """Learns from episodes that end and commits their lessons.

    An episode from which a part fails to learn is stored all the same, as pending.
    """

    def __init__(
        self,
        *,
        store: Store,
        committer: Committer | QueueCommitter,
        items: EndedItems,
        crediting: Crediting,
        opened: OpenEpisodes,
        endings: Endings,
        limits: Limits,
        redactor: Redactor,
        now: Callable[[], int],
        room: Callable[[int], AbstractContextManager[list[Learned]]],
    ) -> None:
        self._room = room
        self._store = store
        self._committer = committer
        self._items = items
        self._crediting = crediting
        self._opened = opened
        self._endings = endings
        self._limits = limits
        self._redactor = redactor
        self._now = now
        self._verdicts = Verdicts(store=store, items=items, commit=committer.commit_batch)
        self._unstored: dict[str, tuple[Outcome, str, bool, bool]] = {}

    # --- an open episode ends ---

    def complete(
        self,
        episode_id: str,
        outcome: Outcome | None,
        namespace: str,
        *,
        replaces: bool = False,
        only_open: bool = False,
    ) -> Learned:
        """See `Memory.complete`; with `only_open` an ended episode stays as it is, whatever the outcome.

        Episodes that the store refused before are tried again after it.
        """
        learned = self._complete_one(episode_id, outcome, namespace, replaces=replaces, only_open=only_open)
        if self._unstored:
            self._unstored.pop(episode_id, None)
            self.retry_unstored()
        return learned

    def keep_unstored(
        self,
        episode_id: str,
        outcome: Outcome,
        namespace: str,
        *,
        replaces: bool = False,
        only_open: bool = False,
    ) -> None:
        """Keeps a verdict whose commit failed; the next commit that lands tries it again."""
        self._unstored[episode_id] = outcome, namespace, replaces, only_open

    def retry_unstored(self) -> dict[str, BaseException]:
        """Completes episodes that failed before; gives the failures of those that fail still."""
        for episode_id, (outcome, namespace, replaces, only_open) in tuple(self._unstored.items()):
            try:
                self._complete_one(episode_id, outcome, namespace, replaces=replaces, only_open=only_open)
            except EpisodeError:
                pass  # ended or forgotten in the meantime
            except BaseException as error:
                if not is_failure(error):
                    raise
                # The cause persists: the others would wait for the same refusal.
                return dict.fromkeys(self._unstored, error)
            self._unstored.pop(episode_id, None)
        return {}

    def _complete_one(
        self, episode_id: str, given: Outcome | None, namespace: str, *, replaces: bool, only_open: bool
    ) -> Learned:
        outcome = Outcome.unknown() if given is None else given
        check_outcome(outcome, self._limits)
        with self._room(1) as taken:
            learned = self._complete_in_room(
                episode_id, outcome, namespace, replaces=replaces, only_open=only_open
            )
            taken.append(learned)
            return learned

    def _complete_in_room(
        self, episode_id: str, outcome: Outcome, namespace: str, *, replaces: bool, only_open: bool
    ) -> Learned:
        opened = self._opened.reach(episode_id, namespace)
        if opened is None:
            return self._completed_before(episode_id, outcome, namespace, only_open=only_open)
        with self._opened.held(opened) as is_open:
            if not is_open:
                return self._completed_before(episode_id, outcome, opened.namespace, only_open=only_open)
            try:
                return self._end(opened, outcome, replaces=replaces, only_open=only_open)
            except LeaseLostError as error:
                refusal = self._opened.lose(opened, error)
                if error.dropped or self._store.version("episode", as_bytes(episode_id)) is None:
                    raise refusal from None
                return self._completed_before(episode_id, outcome, opened.namespace, only_open=only_open)

    def abandon_stale(self, namespace: str, *, dry_run: bool) -> tuple[str, ...]:
        """Ends the open episodes that nobody works on, as `judge` said or else abandoned; gives their ids."""
        found = self._endings.stale(namespace)
        return found if dry_run else tuple(id for id in found if self._abandon(id, namespace))

    def _abandon(self, episode_id: str, namespace: str) -> bool:
        """Ends one of them; returns False if it is no longer stale, or cannot end."""
        try:
            opened = self._opened.reach(episode_id, namespace)
            if opened is None:
                return False
            with self._opened.held(opened) as is_open:
                if is_open:
                    self._end(opened, Outcome.abandoned(), is_stale=True)
                return is_open
        except (EpisodeError, ConflictError, CorruptRecordError):
            return False

    def _end(
        self,
        opened: OpenEpisode,
        given: Outcome,
        *,
        is_stale: bool = False,
        replaces: bool = False,
        only_open: bool = False,
    ) -> Learned:
        """Ends an episode that this call holds; steps that others append meanwhile are part of it.

        Raises `EpisodeClosedError` for a stale one on which a process works again.
        """
        while True:
            ending = self._endings.ending(opened)
            if is_stale and not self._endings.is_stale(opened.id, opened.namespace):
                raise EpisodeClosedError(opened.id, "is being recorded")
            closed = self._close(ending.episode, given, is_stale)
            other = self._other_run(closed) if replaces and closed.outcome.kind != "abandoned" else None
            if other is None and (same := self._same_run(closed)) is not None:
                return self._drop_repeated(opened, same)
            try:
                if other is None:
                    learned = self._learn_and_commit(ending, closed)
                else:
                    learned = self._take_place(other, ending, closed)
            except VersionConflictError:
                continue  # another process has appended, or ended the episode: `ending` finds out
            except ConflictError as error:
                return self._conflicting(opened, closed, error)
            del self._opened.by_id[opened.id]
            if learned.receipt.committed:
                return replace(learned, problems=(*ending.episode.problems, *learned.problems))
            return self._completed_before(
                learned.episode_id, closed.outcome, opened.namespace, only_open=only_open
            )

    def _close(self, whole: OpenEpisode, outcome: Outcome, is_stale: bool) -> ClosedEpisode:
        """The closed episode: a verdict that was given before decides where there is no outcome.

        A stale episode ended with its last step.
        """
        if whole.verdict is not None and (is_stale or outcome.kind == "unknown"):
            outcome = whole.verdict[0]
        ended_at = self._now()
        if is_stale:
            ended_at = max((step.at for step in whole.snapshot().steps), default=0)
        whole.log_unfinished()
        return whole.close(outcome, ended_at=max(ended_at, whole.started_at), redactor=self._redactor)

    def _conflicting(self, opened: OpenEpisode, closed: ClosedEpisode, error: ConflictError) -> Learned:
        """An episode whose id or external id the store holds already: unchanged if the run is the same, else raises.

        If another tenant took the id, the episode stays open.
        """
        stored = self._store.get("episode", closed.id)
        if stored is None:
            if (same := self._same_run(closed)) is None:
                raise error
            return self._drop_repeated(opened, same)
        if namespace_of(stored) != opened.namespace:
            raise error
        del self._opened.by_id[opened.id]
        raise EpisodeClosedError(opened.id, "was stored before, as it stood then") from error

    def _learn_and_commit(self, ending: Ending, closed: ClosedEpisode) -> Learned:
        self._committer.catch_up()
        whole = ending.episode
        item = self._learn(closed, Staged())
        side_records, problems = self._credits(whole, closed, item)
        assert item.record is not None
        receipt = self._committer.commit([item.record], [*side_records, *ending.removed], ending.expect)
        learned = item.learned(receipt)
        return self._with_problems(learned, problems)

    def _with_problems(self, learned: Learned, problems: tuple[str, ...] = ()) -> Learned:
        """The answer with further problems; a lagging index is one."""
        problems += self._committer.lag(learned.receipt)
        return replace(learned, problems=(*learned.problems, *problems)) if problems else learned

    def _credits(
        self, opened: OpenEpisode, closed: ClosedEpisode, item: CommitItem
    ) -> tuple[tuple[SideRecord, ...], tuple[str, ...]]:
        """Receipts and credit of the answers, and problems: if a part fails, no memory is found to be used."""

        def credited(findings: Findings | None) -> tuple[SideRecord, ...]:
            return self._crediting.side_records(closed, opened.receipts, findings)

        if not opened.receipts:
            return (), ()
        if item.state == "pending" and item.failure is None:
            waiting = opened.side_records(closed, lambda: tuple(waiting_records(opened.receipts, closed.id)))
            return waiting, ()
        try:
            found = self._items.findings(item, closed)
            return opened.side_records(closed, lambda: credited(found)), ()
        except BaseException as error:
            if not is_failure(error):
                raise
            problem = f"credit: not given, {error_text(error)}"
            return opened.side_records(closed, lambda: credited(None)), (problem,)

    def _take_place(self, id: bytes, ending: Ending, closed: ClosedEpisode) -> Learned:
        """Puts the run of an open episode in the place of a stored one. Raises `VersionConflictError`."""
        self._committer.catch_up()
        problems: tuple[str, ...] = ()

        def beside(placed: ClosedEpisode, item: CommitItem) -> tuple[SideRecord, ...]:
            nonlocal problems
            credits, problems = self._credits(ending.episode, placed, item)
            return (*credits, *ending.removed)

        learned = self._verdicts.replace_once(
            id,
            closed.head.namespace,
            lambda stored: _in_place_of(stored, closed),
            beside=beside,
            expect=ending.expect,
        )
        return self._with_problems(learned, problems)

    def _drop_repeated(self, opened: OpenEpisode, stored: Episode) -> Learned:
        """Ends an open episode whose run is stored already: nothing of its own is kept."""
        self._forget_open(opened.id, opened.namespace)
        del self._opened.by_id[opened.id]
        return self._verdicts.unchanged(stored)

    def _same_run(self, closed: ClosedEpisode) -> Episode | None:
        """The same run if it is stored under the external id; `None` if there is none.

        Raises `ConflictError` for another run.
        """
        if closed.head.external_id is None:
            return None
        id = self._id_under(closed.head.namespace, closed.head.external_id)
        payload = None if id is None or id == closed.id else self._store.get("episode", id)
        if payload is None:
            return None
        stored = _EPISODES.decode(payload)
        _check_same(redacted_value(stored, self._redactor), closed)
        return stored

    def _completed_before(
        self, episode_id: str, outcome: Outcome, namespace: str, *, only_open: bool
    ) -> Learned:
        """The answer for an ended episode: a verdict closes the question of an unknown or an abandoned one."""
        stored = self.stored(episode_id, namespace)
        kind = stored.outcome.kind if stored.outcome else "unknown"
        redacted = redacted_outcome(outcome, self._redactor)
        if only_open or outcome.kind == "unknown" or stored.outcome in (outcome, redacted):
            return self._verdicts.unchanged(stored)
        if kind not in _UNJUDGED:
            message = f"was completed as {kind} before, with another outcome or verdict"
            raise EpisodeClosedError(episode_id, message)
        if outcome.kind in _UNJUDGED:
            return self._verdicts.unchanged(stored)
        return self._judge_stored(episode_id, redacted, namespace, "agent")

    # --- a verdict is given ---

    def judge(self, episode_id: str, outcome: Outcome, namespace: str, by: str) -> Learned:
        """See `Memory.judge`."""
        check_outcome(outcome, self._limits)
        if outcome.kind == "abandoned":
            raise ValidationError("outcome", "a success, partial, failure or unknown outcome", "abandoned")
        check_name("by", by, self._limits)
        outcome = redacted_outcome(outcome, self._redactor)
        opened = self._opened.reach(episode_id, namespace)
        if opened is not None:
            with self._opened.held(opened) as is_open:
                if is_open and self._endings.take_verdict(opened, (outcome, by, self._now())):
                    return Learned(episode_id, "open", Receipt(self._store.sequence(), 0, 0, ""))
        return self._judge_ended(episode_id, outcome, namespace, by)

    def _judge_ended(self, episode_id: str, outcome: Outcome, namespace: str, by: str) -> Learned:
        with self._room(1) as taken:
            taken.append(self._judge_stored(episode_id, outcome, namespace, by))
            return taken[0]

    def _judge_stored(self, episode_id: str, outcome: Outcome, namespace: str, by: str) -> Learned:
        self._committer.catch_up()
        learned = self._verdicts.judge(as_bytes(episode_id), namespace, outcome, by=by, at=self._now())
        return self._with_problems(learned)

    def find(self, external_id: str, namespace: str) -> Episode | None:
        """See `Memory.find`."""
        id = self._id_under(namespace, external_id)
        payload = None if id is None else self._store.get("episode", id)
        return None if payload is None else _EPISODES.decode(payload)

    def stored(self, episode_id: str, namespace: str) -> Episode:
        """The stored episode. Raises `UnknownEpisodeError`, also if it belongs to another namespace."""
        return _EPISODES.decode(self._stored_payload(episode_id, namespace)[1])

    def _stored_payload(self, episode_id: str, namespace: str) -> tuple[bytes, bytes]:
        id = as_bytes(episode_id)
        payload = self._store.get("episode", id)
        if payload is None or namespace_of(payload) != namespace:
            raise UnknownEpisodeError(episode_id)
        return id, payload

    # --- a finished episode is added ---

    def add_many(
        self, episodes: Iterable[Episode], namespace: str, *, replaces: bool = False
    ) -> Iterator[Learned]:
        """See `Memory.add_many`."""
        chunk: list[Episode] = []
        room = _CHUNK_BYTES
        for episode in episodes:
            if replaces and any(_is_attempt_of(episode, each) for each in chunk):
                yield from self.add_chunk(chunk, namespace)
                chunk = []
            stored = self._other_run(self._closed(_placed(episode, namespace))) if replaces else None
            if stored is not None:
                yield from self.add_chunk(chunk, namespace)
                chunk = []
                yield self._replace_run(stored, _placed(episode, namespace))
                continue
            chunk.append(episode)
            room -= _rough_bytes(episode)
            if len(chunk) == _CHUNK or room <= 0:
                yield from self.add_chunk(chunk, namespace)
                chunk, room = [], _CHUNK_BYTES
        yield from self.add_chunk(chunk, namespace)

    def _other_run(self, closed: ClosedEpisode) -> bytes | None:
        """The id of another run that is stored under the external id; `None` if there is none."""
        try:
            self._same_run(closed)
        except ConflictError:
            return self._stored_id(closed)
        return None

    def _replace_run(self, id: bytes, given: Episode) -> Learned:
        """Puts a run in the place of a stored one, whose verdict holds unless the new run has one."""

        def close(stored: Episode) -> ClosedEpisode:
            return _in_place_of(stored, self._closed(replace(given, id=stored.id)))

        with self._room(1) as taken:
            self._committer.catch_up()
            taken.append(self._verdicts.replace(id, given.namespace, close))
            return self._with_problems(taken[0])

    def _closed(self, given: Episode) -> ClosedEpisode:
        return closed_episode(given, now=self._now(), limits=self._limits, redactor=self._redactor)

    def add_chunk(self, episodes: Sequence[Episode], namespace: str) -> list[Learned]:
        """Adds a few episodes with one commit."""
        if not episodes:
            return []
        with self._room(len(episodes)) as taken:
            self._committer.catch_up()
            staged = Staged()
            items = [self._learn_once(_placed(each, namespace), staged) for each in episodes]
            taken += self._commit_chunk(items)
            return taken

    def _learn_once(self, given: Episode, staged: Staged) -> CommitItem:
        """As `_learn`; the same run is learned from once. Raises `ConflictError` for another run of its id."""
        closed = self._closed(given)
        if closed.head.id in self._opened.by_id:
            raise ConflictError(closed.head.id, closed.head.namespace)
        before = staged.before(closed)
        if before is not None:
            _check_same(before.episode, closed)
            return CommitItem("unchanged", before.id, None)
        stored = self._stored_id(closed)
        payload = None if stored is None else self._store.get("episode", stored)
        if stored is None or payload is None:
            staged.add(closed)
            return self._learn(closed, staged)
        _check_same(redacted_value(_EPISODES.decode(payload), self._redactor), closed)
        return CommitItem("unchanged", stored, None)

    def _learn(self, closed: ClosedEpisode, staged: Staged) -> CommitItem:
        """Learns from an episode, against the index and the items that will be committed with it."""
        return self._items.ended(closed, staged.patterns[closed.head.namespace])

    def _stored_id(self, closed: ClosedEpisode) -> bytes | None:
        """The id under which the same episode is stored, by its external id or its own."""
        if closed.head.external_id is not None:
            return self._id_under(closed.head.namespace, closed.head.external_id)
        return closed.id if self._store.get("episode", closed.id) is not None else None

    def _id_under(self, namespace: str, external_id: str) -> bytes | None:
        filters = Filters(namespace=namespace, external_id=external_id)
        found = self._store.scan("episode", limit=1, filters=filters)
        return found[0][0] if found else None

    def _commit_chunk(self, items: Sequence[CommitItem]) -> list[Learned]:
        receipt = self._committer.commit([each.record for each in items if each.record is not None])
        if receipt.committed < sum(each.state != "unchanged" for each in items):
            items = [self._as_stored(each) for each in items]
        stored_before = sum(each.record is None for each in items)
        receipt = replace(receipt, unchanged=receipt.unchanged + stored_before)
        return [self._with_problems(each.learned(receipt)) for each in items]

    def _as_stored(self, item: CommitItem) -> CommitItem:
        """The item as unchanged if another process stored the same content under its own id in the meantime."""
        record = item.record
        if record is None or record.external_id is None:
            return item
        stored = self._id_under(record.namespace, record.external_id)
        return item if stored in (None, item.id) else CommitItem("unchanged", stored, record)

    # --- an episode is forgotten ---

    def forget(self, episode_id: str, namespace: str) -> None:
        """See `Memory.forget`."""
        opened = self._opened.find(episode_id, namespace)
        if opened is not None:
            with self._opened.held(opened) as is_open:
                if is_open:
                    del self._opened.by_id[episode_id]
                    if self._forget_open(episode_id, opened.namespace) or not opened.landed.is_there:
                        return  # else it has ended elsewhere
        if self._forget_open(episode_id, namespace):
            return
        id, external_id = self._forgettable(episode_id, namespace)
        marks = {} if external_id is None else {id: forgotten_mark(namespace, external_id)}
        self._committer.commit_batch(forgetting(self._store, [id], marks))

    def _forget_open(self, episode_id: str, namespace: str) -> bool:
        """Removes what is stored of an open episode, whoever owns it; returns False if nothing is."""
        while batch := self._opened.journal.forgetting(episode_id, namespace):
            try:
                self._committer.commit_batch(batch)
            except VersionConflictError:
                continue  # another process has appended a step
            return True
        return False

    def _forgettable(self, episode_id: str, namespace: str) -> tuple[bytes, str | None]:
        """The id of an episode of the namespace, or of one whose row is unreadable: nothing tells its namespace.

        Beside it stands its external id, if it has one that can be read.
        """
        try:
            id, payload = self._stored_payload(episode_id, namespace)
        except CorruptRecordError:
            return as_bytes(episode_id), None
        return id, _EXTERNAL_IDS.decode(payload).external_id


def forgetting(store: Store, ids: Sequence[bytes], marks: Mapping[bytes, SideRecord]) -> Batch:
    """The commit that removes ended episodes with everything that stands beside them.

    `marks` say which runs with an external id were forgotten on purpose.
    """
    beside: list[SideRecord] = []
    for id in ids:
        beside += revocation_records(store, receipts_of(store, id))
        beside += claim_removals(store, id)
        if id in marks:
            beside.append(marks[id])
    return Batch(removed=tuple(ids), side_records=tuple(beside))


def _check_same(stored: Episode, closed: ClosedEpisode) -> None:
    """Raises `ConflictError` unless both are records of one run."""
    if not is_same_run(stored, closed.episode):
        raise ConflictError(closed.head.external_id or closed.head.id, closed.head.namespace)


def _in_place_of(stored: Episode, closed: ClosedEpisode) -> ClosedEpisode:
    """A run under the id of a stored one, whose verdict holds unless the new run has one."""
    changed: dict[str, Any] = {"id": stored.id}
    if closed.outcome.kind == "unknown" and stored.outcome is not None:
        changed["outcome"] = ending_fields(stored.outcome)
        if stored.judged_by is not None:
            changed |= {"judged_by": stored.judged_by, "judged_at": stored.judged_at}
    return replace(closed_again(closed.record, changed), digest=closed.digest, secrets=closed.secrets)


def _is_attempt_of(one: Episode, other: Episode) -> bool:
    """Returns True if two episodes share an external id."""
    ids = getattr(one, "external_id", None), getattr(other, "external_id", None)
    return ids[0] is not None and ids[0] == ids[1]


def _placed(given: Episode, namespace: str) -> Episode:
    """The episode in the memory's namespace, unless it names one of its own."""
    if not isinstance(given, Episode) or given.namespace != "default" or namespace == "default":
        return given
    return replace(given, namespace=namespace)


def _rough_bytes(episode: object) -> int:
    """About the bytes that the values of an episode's steps take; 0 for a value that is refused later."""
    steps = getattr(episode, "steps", ())
    texts = (
        (step.output, step.parameters, step.error, step.action)
        for step in (steps if isinstance(steps, tuple | list) else ())
        if isinstance(step, Step)
    )
    return sum(_rough_length(value) for each in texts for value in each)


def _rough_length(value: object) -> int:
    """The length of a text, of a collection with everything in it, and 8 for other values."""
    if isinstance(value, str):
        return len(value)
    # Most values are plain: to ask of each if it is a `Mapping` would cost as much as to learn from the episode.
    if isinstance(value, dict) or (type(value) not in _PLAIN and isinstance(value, Mapping)):
        return sum(len(str(name)) + _rough_length(each) for name, each in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_rough_length, value))
    return 8
