"""Relearning: the facts of an older version are replaced, beside the open store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec

from .._native import TEXT_VERSION, extend_record
from ..embedding import Embedder, embed_packed
from ..errors import VersionConflictError
from ..extractors import Hybrid
from ..model.maintenance import Relearning
from ..model.record import Batch, Change, EpisodeRecord, Expect, Receipt
from ..storage import Store
from .facts_version import findings_in, is_of_older_version

_CHUNK = 64
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
        self, *, store: Store, hybrid: Hybrid, embedder: Embedder, commit: Callable[[Batch], Receipt]
    ) -> None:
        self._store = store
        self._hybrid = hybrid
        self._embedder = embedder
        self._commit = commit

    def relearn(self, progress: Callable[[Relearning], None]) -> Relearning:
        """Relearns every record of an older version; calls `progress` after each commit."""
        total = sum(len(chunk) for chunk in self._old_chunks())
        done = Relearning(0, total, TEXT_VERSION)
        is_complete = False
        while not is_complete:  # Read again after other processes were in between.
            is_complete = True
            for chunk in self._old_chunks():
                is_complete = False
                if self._replace(chunk):
                    done = replace(done, relearned=done.relearned + len(chunk))
                    progress(done)
        return replace(done, total=done.relearned)

    def _old_chunks(self) -> Iterator[list[Change]]:
        since = 0
        while len(changes := self._store.changes(since, limit=_CHUNK)):
            since = changes.last
            if chunk := [change for change in changes if is_of_older_version(change)]:
                yield chunk

    def _replace(self, chunk: list[Change]) -> bool:
        """Replaces the records of a chunk; False if another process changed one of them in the meantime."""
        records = [change.record for change in chunk if change.record is not None]
        batch = Batch(
            episodes=tuple(map(self._relearned, records)),
            removed=tuple(record.id for record in records),
            expect=tuple(Expect("episode", change.id, change.sequence) for change in chunk),
        )
        try:
            self._commit(batch)
        except VersionConflictError:
            return False
        return True

    def _relearned(self, record: EpisodeRecord) -> EpisodeRecord:
        findings = findings_in(TEXT_VERSION, record.payload, self._hybrid)
        task = _TASKS.decode(record.payload).task
        return replace(
            record,
            payload=extend_record(record.payload, _VERSION),
            facts=findings.facts(),
            contents=findings.contents(),
            embedder=self._embedder.name,
            embedding=embed_packed(self._embedder, [task])[0],
        )
