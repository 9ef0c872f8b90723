"""Relearning: the facts of an older version are replaced, beside the open store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec

from .._native import TEXT_VERSION, extend_record
from ..embedding import Embedder, embed_packed
from ..errors import VersionConflictError, is_failure
from ..extractors import Hybrid
from ..model.maintenance import Relearning
from ..model.record import Batch, Change, EpisodeRecord, Expect, Receipt
from ..storage import Store
from .facts_version import findings_in, is_of_older_version
from .failure_streak import FailureStreak
from .pending import CommitItems

_CHUNK = 64
_MOST_PROBLEMS = 10
_VERSION = msgspec.msgpack.encode({"text_version": TEXT_VERSION})


class _Task(msgspec.Struct):
    task: str


_TASKS = msgspec.msgpack.Decoder(_Task)


class Relearner:
    """Replaces records of an older version chunk by chunk, in the order of the change log.

    A chunk is one conditional commit. Recording continues meanwhile, and the next call continues a relearning that was
    cut short: replaced records are of the new version already.
    """

    def __init__(
        self,
        *,
        store: Store,
        hybrid: Hybrid,
        embedder: Embedder,
        items: CommitItems,
        commit: Callable[[Batch], Receipt],
    ) -> None:
        self._store = store
        self._hybrid = hybrid
        self._embedder = embedder
        self._items = items
        self._commit = commit

    def relearn(self, progress: Callable[[Relearning], None]) -> Relearning:
        """Relearns every record of an older version; calls `progress` after each commit."""
        return _Run(self).relearn(progress)


class _Run:
    """One relearning, with the failures that it met."""

    def __init__(self, relearner: Relearner) -> None:
        self._relearner = relearner
        self._newest: EpisodeRecord | None = None
        self._extracting = FailureStreak(self._failure_of_newest)
        self._embedding = FailureStreak(lambda: self._last_of_embedder)
        self._last_of_embedder: str | None = None
        self._problems: dict[str, None] = {}

    def relearn(self, progress: Callable[[Relearning], None]) -> Relearning:
        """See `Relearner.relearn`."""
        total = 0
        for chunk in self._old_chunks():
            total += len(chunk)
            self._newest = chunk[-1].record
        done = Relearning(0, total, TEXT_VERSION)
        is_complete = False
        while not is_complete:  # Read again after other processes were in between.
            is_complete = True
            for chunk in self._old_chunks():
                is_complete = False
                pending = self._replace(chunk)
                if self._extracting.reason is not None:
                    return replace(done, problems=(*self._problems, self._left(total, done)))
                if pending is not None:
                    relearned = done.relearned + len(chunk) - pending
                    done = replace(done, relearned=relearned, pending=done.pending + pending)
                    done = replace(done, problems=tuple(self._problems))
                    progress(done)
        return replace(done, total=done.relearned + done.pending)

    def _left(self, total: int, done: Relearning) -> str:
        count = total - done.relearned - done.pending
        return f"stopped: {count:,} episodes keep the facts of an earlier version"

    def _old_chunks(self) -> Iterator[list[Change]]:
        since = 0
        while len(changes := self._relearner._store.changes(since, limit=_CHUNK)):
            since = changes.last
            if chunk := [change for change in changes if is_of_older_version(change)]:
                yield chunk

    def _replace(self, chunk: list[Change]) -> int | None:
        """Replaces the records of a chunk, and gives how many of them are pending now.

        `None` means that nothing was replaced: another process changed one of them in the meantime, or a part is down.
        """
        records: list[EpisodeRecord] = []
        for change in chunk:
            assert change.record is not None
            records.append(self._relearned_or_pending(change.record))
            if self._extracting.reason is not None:
                return None
        batch = Batch(
            episodes=tuple(records),
            removed=tuple(record.id for record in records),
            expect=tuple(Expect("episode", change.id, change.sequence) for change in chunk),
        )
        try:
            self._relearner._commit(batch)
        except VersionConflictError:
            return None
        return sum(record.state == "pending" for record in records)

    def _relearned_or_pending(self, record: EpisodeRecord) -> EpisodeRecord:
        try:
            findings = findings_in(TEXT_VERSION, record.payload, self._relearner._hybrid)
            facts, contents = findings.facts(), findings.contents()
        except BaseException as error:
            if not is_failure(error):
                raise
            item = self._relearner._items.failed(record.payload, error)
            self._note(item.failure)
            self._extracting.note(item.failure)
            assert item.record is not None
            return item.record
        self._extracting.note(None)
        record = replace(
            record, payload=extend_record(record.payload, _VERSION), facts=facts, contents=contents
        )
        return self._embedded(record)

    def _embedded(self, record: EpisodeRecord) -> EpisodeRecord:
        """The record with a new vector; it keeps the old one if the embedder fails, or has failed a few times."""
        if self._embedding.reason is not None:
            return record
        try:
            [vector] = embed_packed(self._relearner._embedder, [_TASKS.decode(record.payload).task])
        except BaseException as error:
            if not is_failure(error):
                raise
            error.add_note(f"in embedder {self._relearner._embedder.name}")
            self._last_of_embedder = self._relearner._items.reason(error)
            self._note(f"{self._last_of_embedder}: episodes keep their vectors")
            self._embedding.note(self._last_of_embedder)
            return record
        self._embedding.note(None)
        return replace(record, embedder=self._relearner._embedder.name, embedding=vector)

    def _failure_of_newest(self) -> str | None:
        """The failure of an attempt at the newest record, which is not stored."""
        if self._newest is None:
            return None
        try:
            findings_in(TEXT_VERSION, self._newest.payload, self._relearner._hybrid)
        except BaseException as error:
            if not is_failure(error):
                raise
            return self._relearner._items.reason(error)
        return None

    def _note(self, problem: str | None) -> None:
        if problem is not None and len(self._problems) < _MOST_PROBLEMS:
            self._problems[problem] = None
