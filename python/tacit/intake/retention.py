"""Retention: old episodes are forgotten by age, number, size or tag, and the file gives their space back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice

import msgspec

from ..errors import ValidationError
from ..model.checks import check_count, check_tags, check_type
from ..model.ids import as_bytes, as_text
from ..model.record import Batch, Filters, Receipt
from ..model.transfer import Retention
from ..storage.base import Store
from .intake import forgetting

_PAGE = 64
_CHUNK = 64
"""Episodes that one commit removes."""
_MOST = 2**63 - 1


class _Head(msgspec.Struct):
    started_at: int = 0
    ended_at: int | None = None
    tags: tuple[str, ...] = ()


_HEADS = msgspec.msgpack.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """The episodes that are kept: those of another tag, and of the others the newest within every limit.

    `None` means no limit. A tag without a limit keeps none of its episodes.
    """

    older_than: timedelta | None = None
    max_episodes: int | None = None
    max_bytes: int | None = None
    tag: str | None = None

    def check(self) -> None:
        """Raises `ValidationError` for a limit that makes no sense, or if there is none."""
        if self.older_than is not None:
            check_type("older_than", self.older_than, timedelta)
            if self.older_than < timedelta(0):
                raise ValidationError("older_than", "a time of 0 or more", str(self.older_than))
        for field in ("max_episodes", "max_bytes"):
            if (value := getattr(self, field)) is not None:
                check_count(field, value, 0, _MOST)
        if self.tag is not None:
            check_tags("tag", (self.tag,))
        if self == RetentionLimits():
            rule = "given: older_than, max_episodes, max_bytes or tag"
            raise ValidationError("retain", rule, "none of them")


def retain_episodes(
    store: Store,
    namespace: str,
    limits: RetentionLimits,
    *,
    commit: Callable[[Batch], Receipt],
    now: int,
    dry_run: bool,
) -> Retention:
    """Forgets the episodes of a namespace that no limit keeps; see `Memory.retain`."""
    report = _planned(store, namespace, limits, now)
    if dry_run:
        return replace(report, dry_run=True)
    ids = map(as_bytes, report.removed)
    while chunk := list(islice(ids, _CHUNK)):
        commit(forgetting(store, chunk, {}))  # without marks: they would stay, a row for each run
    if not report.removed:
        return report
    store.compact()
    return replace(report, freed_bytes=store.shrink())


def _planned(store: Store, namespace: str, limits: RetentionLimits, now: int) -> Retention:
    """The report of a dry run: episodes are looked at from the newest to the oldest."""
    room = _Room(limits, now)
    removed: list[str] = []
    removed_bytes = kept = kept_bytes = 0
    for id, payload in _newest_first(store, namespace):
        if room.takes(_HEADS.decode(payload), len(payload)):
            kept, kept_bytes = kept + 1, kept_bytes + len(payload)
        else:
            removed.append(as_text(id))
            removed_bytes += len(payload)
    return Retention(tuple(removed), removed_bytes, kept, kept_bytes)


class _Room:
    """The room that limits leave: the first episode that does not fit leaves none for older ones."""

    def __init__(self, limits: RetentionLimits, now: int) -> None:
        self._limits = limits
        self._keeps_none = limits == RetentionLimits(tag=limits.tag)
        self._oldest = None
        if limits.older_than is not None:
            self._oldest = now - limits.older_than // timedelta(microseconds=1)
        self._episodes = _MOST if limits.max_episodes is None else limits.max_episodes
        self._bytes = _MOST if limits.max_bytes is None else limits.max_bytes

    def takes(self, head: _Head, size: int) -> bool:
        """Returns True if the next older episode is kept."""
        if self._limits.tag is not None and self._limits.tag not in head.tags:
            return True
        ended_at = head.ended_at or head.started_at
        if self._keeps_none or (self._oldest is not None and ended_at < self._oldest):
            return False
        if self._episodes == 0 or size > self._bytes:
            self._episodes = 0
            return False
        self._episodes -= 1
        self._bytes -= size
        return True


def _newest_first(store: Store, namespace: str) -> Iterator[tuple[bytes, bytes]]:
    after: bytes | None = None
    filters = Filters(namespace=namespace)
    while page := store.scan("episode", after=after, limit=_PAGE, newest_first=True, filters=filters):
        yield from page
        after = page[-1][0]
