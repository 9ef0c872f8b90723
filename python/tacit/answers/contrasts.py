"""A failure beside a success of the same task, or of the nearest one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import msgspec

from .._native import Index
from ..embedding import Embedder, embedded_or_none
from ..model.context import TaskContext
from ..model.episode import Episode
from ..model.pattern import Contrast
from ..model.record import Filters
from ..storage.base import Store

_EPISODES = msgspec.msgpack.Decoder(Episode)
_PAGE = 64
_NEIGHBOURS = 50


class Contrasts:
    """Finds pairs of a failure and a success that show the difference."""

    def __init__(self, *, store: Store, index: Index, embedder: Embedder | None) -> None:
        self._store = store
        self._index = index
        self._embedder = embedder

    def newest(
        self, namespace: str, *, limit: int, domain: str | None = None, task_key: str | None = None
    ) -> tuple[Contrast, ...]:
        """Of the newest failures; each success is taken once for a task."""
        return self._first(self._failures(namespace, domain, task_key), limit)

    def near(
        self, namespace: str, task: str, *, limit: int, domain: str | None = None
    ) -> tuple[Contrast, ...]:
        """Pairs for the failures nearest to a task."""
        nearest = self._similar(namespace, task, domain or TaskContext().domain, _NEIGHBOURS)
        payloads = self._store.get_many("episode", [id for id, _ in nearest])
        episodes = (_EPISODES.decode(payload) for payload in payloads if payload is not None)
        return self._first((each for each in episodes if _failed(each)), limit)

    def _first(self, failures: Iterator[Episode], limit: int) -> tuple[Contrast, ...]:
        found: dict[tuple[str, str], Contrast] = {}
        for failure in failures:
            contrast = self._of(failure)
            if contrast is not None:
                found.setdefault((failure.task_key or failure.task, contrast.success), contrast)
            if len(found) == limit:
                break
        return tuple(found.values())

    def _failures(self, namespace: str, domain: str | None, task_key: str | None) -> Iterator[Episode]:
        after: bytes | None = None
        while rows := self._store.scan(
            "episode",
            after=after,
            limit=_PAGE,
            newest_first=True,
            filters=Filters(namespace=namespace, domain=domain, task_key=task_key, state="learned"),
        ):
            yield from filter(_failed, (_EPISODES.decode(payload) for _, payload in rows))
            after = rows[-1][0]

    def _of(self, failure: Episode) -> Contrast | None:
        """With the success of the same task that went most like it, else with the success at the nearest task."""
        same = self._same_task(failure)
        if same:
            return contrast_of(failure, max(same, key=lambda each: (_together(failure, each), each.id)), 1.0)
        nearest = self._similar(failure.namespace, failure.task, failure.context.domain, 1, successes=True)
        payload = self._store.get("episode", nearest[0][0]) if nearest else None
        return None if payload is None else contrast_of(failure, _EPISODES.decode(payload), nearest[0][1])

    def _same_task(self, failure: Episode) -> list[Episode]:
        if failure.task_key is None:
            return []
        attempts = self._index.by_task_key(failure.namespace, failure.task_key)
        payloads = self._store.get_many("episode", [id for id, base in attempts if base == 1.0])
        return [_EPISODES.decode(payload) for payload in payloads if payload is not None]

    def _similar(
        self, namespace: str, task: str, domain: str, limit: int, *, successes: bool = False
    ) -> list[tuple[bytes, float]]:
        unspecific = domain == TaskContext().domain
        return self._index.similar(
            task,
            limit=limit,
            namespace=namespace,
            vector=embedded_or_none(self._embedder, task),
            domain=None if unspecific else domain,
            successes_only=successes,
        )


def contrast_of(failure: Episode, success: Episode, similarity: float) -> Contrast:
    """The differences between two runs."""
    failed, succeeded = _plan(failure), _plan(success)
    same_task = (failure.task_key is not None and failure.task_key == success.task_key) or (
        failure.task == success.task
    )
    return Contrast(
        task=failure.task,
        failure=failure.id,
        success=success.id,
        same_task=same_task,
        similarity=1.0 if same_task else similarity,
        together=_together(failure, success),
        failure_plan=failed,
        success_plan=succeeded,
        only_failure=_without(failed, succeeded),
        only_success=_without(succeeded, failed),
        errors=tuple(dict.fromkeys(step.error for step in failure.steps if step.error)),
        reason=failure.outcome.reason if failure.outcome else None,
    )


def _failed(episode: Episode) -> bool:
    return episode.outcome is not None and episode.outcome.share == 0.0


def _plan(episode: Episode) -> tuple[str, ...]:
    return tuple(step.tool for step in episode.steps)


def _together(one: Episode, other: Episode) -> int:
    """How many first steps are the same."""
    pairs = zip(_plan(one), _plan(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _without(plan: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(tool for tool in dict.fromkeys(plan) if tool not in other)
