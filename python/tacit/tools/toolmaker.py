"""Generates the tools of a namespace from its proven patterns, and ranks them for a task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec

from .._native import Index
from ..embedding import Embedder, embedded_or_none
from ..model.episode import Episode
from ..model.maintenance import MaintenanceState
from ..model.pattern import Pattern
from ..model.record import Filters
from ..storage import Store
from .deriving import derived
from .generated import GeneratedTool
from .occurrences import does
from .withdrawing import reason_of

KINDS = ("tool_sequence", "context_pattern")
"""The kinds of patterns that are a plan: steps one after another, and the approach of a whole run."""
_NEWEST_RUNS = 1_000
"""The newest episodes of a namespace that tools are derived from."""
_NEWEST_AUDITS = 200
_NEIGHBOURS = 50
_PAGE = 64
_EPISODES = msgspec.msgpack.Decoder(Episode)


class Toolmaker:
    """Derives tools when they are first asked for, again once episodes or the decisions of maintenance changed."""

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        embedder: Embedder | None,
        state_of: Callable[[str], MaintenanceState],
        patterns: Callable[[str, str, Collection[bytes]], Iterable[Pattern]],
    ) -> None:
        self._store = store
        self._index = index
        self._embedder = embedder
        self._state_of = state_of
        self._patterns = patterns
        self._made: tuple[object, tuple[tuple[GeneratedTool, Pattern], ...]] = (None, ())

    def tools(self, namespace: str, domain: str | None = None) -> tuple[GeneratedTool, ...]:
        """The tools, those of the surest odds first; withdrawn ones are the last."""
        return tuple(tool for tool, _ in self._all(namespace) if domain is None or domain in tool.domains)

    def ranked(self, namespace: str, task: str, domain: str | None = None) -> tuple[GeneratedTool, ...]:
        """The tools that the successes nearest to a task used, by their share of the likeness; others are left out."""
        asked = [each for each in self._all(namespace) if domain is None or domain in each[0].domains]
        if not asked:
            return ()
        nearest = self._nearest(namespace, task, domain)
        scores = [
            (sum(likeness for run, likeness in nearest if does(pattern, run)), tool)
            for tool, pattern in asked
            if tool.state == "proven"
        ]
        found = sorted(enumerate(scores), key=lambda each: (-each[1][0], each[0]))
        return tuple(tool for _, (score, tool) in found if score > 0.0)

    def _nearest(self, namespace: str, task: str, domain: str | None) -> list[tuple[Episode, float]]:
        rows = self._index.similar(
            task,
            limit=_NEIGHBOURS,
            namespace=namespace,
            vector=embedded_or_none(self._embedder, task),
            domain=domain,
            successes_only=True,
        )
        payloads = self._store.get_many("episode", [id for id, _ in rows])
        return [
            (_EPISODES.decode(payload), likeness)
            for payload, (_, likeness) in zip(payloads, rows, strict=True)
            if payload is not None
        ]

    def _all(self, namespace: str) -> tuple[tuple[GeneratedTool, Pattern], ...]:
        state = self._state_of(namespace)
        asked = (namespace, self._index.digest(namespace), state.version)
        known, made = self._made
        if known != asked:
            made = tuple(self._make(namespace, state))
            self._made = asked, made
        return made

    def _make(self, namespace: str, state: MaintenanceState) -> list[tuple[GeneratedTool, Pattern]]:
        proven = {id for id, each in state.states.items() if each == "proven"}
        wanted = proven | self._once_proven(namespace)
        if not wanted:
            return []
        patterns = [each for kind in KINDS for each in self._patterns(namespace, kind, wanted)]
        runs = list(self._newest_runs(namespace)) if patterns else []
        made: dict[tuple[str, ...], tuple[GeneratedTool, Pattern]] = {}
        for pattern in sorted(patterns, key=_by_certainty):
            tool = derived(pattern, runs)
            if tool is None or len(tool.steps) < 2:
                continue
            reason = reason_of(pattern, runs)
            if reason is not None:
                tool = replace(tool, state="withdrawn", reason=reason)
            made.setdefault(tuple(step.tool for step in tool.steps), (tool, pattern))
        return list(made.values())

    def _newest_runs(self, namespace: str) -> Iterator[Episode]:
        after: bytes | None = None
        left = _NEWEST_RUNS
        filters = Filters(namespace=namespace, state="learned")
        while left and (
            rows := self._store.scan(
                "episode", after=after, limit=min(left, _PAGE), newest_first=True, filters=filters
            )
        ):
            yield from (_EPISODES.decode(payload) for _, payload in rows)
            left -= len(rows)
            after = rows[-1][0]

    def _once_proven(self, namespace: str) -> set[bytes]:
        """The patterns that the newest maintenance runs took from the proven ones."""
        rows = self._store.scan(
            "audit", limit=_NEWEST_AUDITS, newest_first=True, filters=Filters(namespace=namespace)
        )
        audits = (msgspec.msgpack.decode(record) for _, record in rows)
        changes: Sequence[tuple[bytes, str, str]] = [
            each for audit in audits for each in audit.get("changed", ())
        ]
        return {pattern for pattern, before, _ in changes if before == "proven"}


def _by_certainty(pattern: Pattern) -> tuple[bool, float, str]:
    return pattern.state != "proven", -(pattern.odds_low or 0.0), pattern.id
