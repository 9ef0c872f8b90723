"""Recall: encode, find candidates, judge, choose, explain."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec

from .._native import TEXT_VERSION, HitRow, Index, SummaryRow, new_id
from ..config import RecallSettings
from ..deferred import dataclass
from ..embedding import Embedder, embedded_or_none
from ..errors import ValidationError
from ..model.advice import FINISH
from ..model.context import TaskContext
from ..model.ids import as_text
from ..model.maintenance import MaintenanceState
from ..model.pattern import Pattern, is_undecided
from ..model.query import Query
from ..model.recall import NOTHING_COMPARABLE, Hit, NextStep, Reason, Recall
from ..model.usage import Usage
from ..storage.base import Store
from .rules import applicable, ends_run, is_part_of, reconciled

DAY_S = 86_400.0
_SAME = 0.5
"""The least value of the context for the same domain, and of the steps so far for the same beginning."""
_LEXICAL_SHARE = 0.3
"""The share of the floor that holds for words alone: their values are smaller than those of vectors."""
_LOOKED_AT = 5
"""Hits that are looked at to see if anything is comparable."""
_MOST_PATTERNS = 10_000
_SHOWN_RUNS = 3
"""Successes of a hit's task that the answer carries."""


@dataclass(frozen=True, slots=True)
class _EncodedQuery:
    """A query as the index takes it."""

    task: str
    namespace: str
    context: TaskContext
    vector: bytes | None
    tools: tuple[str, ...]
    now: int


Reasons: TypeAlias = list[tuple[str, float, float]]
"""Signal, value and weight of every signal that a hit has."""


class _StepSummary(msgspec.Struct, gc=False):
    """The fields of a step that a hit shows."""

    tool: str
    error: str | None = None


class _OutcomeSummary(msgspec.Struct, gc=False):
    kind: str
    verdict: str | None = None
    reason: str | None = None


class _ContextSummary(msgspec.Struct, gc=False):
    domain: str = TaskContext().domain


class _RewardSummary(msgspec.Struct, gc=False):
    total: float


class _Summary(msgspec.Struct):
    """The fields of an episode that a hit shows, decoded without the rest of its record."""

    task: str
    context: _ContextSummary
    outcome: _OutcomeSummary
    steps: list[_StepSummary] = []
    agent: str | None = None
    ended_at: int = 0
    reward: _RewardSummary | None = None


@dataclass(frozen=True, slots=True)
class _PatternContent:
    """The stored record of a pattern."""

    kind: str
    content: dict[str, Any]
    detail: Any = None


_SUMMARIES = msgspec.msgpack.Decoder(_Summary)
_CONTENTS = msgspec.msgpack.Decoder(_PatternContent)


class Retriever:
    """Answers recalls from the index, and fetches from the store only the shown episodes and patterns."""

    def __init__(
        self,
        *,
        settings: RecallSettings,
        embedder: Embedder | None,
        index: Index,
        store: Store,
        state_of: Callable[[str], MaintenanceState],
        decay_half_life_days: float = 0.0,
        read_version: Callable[[], int] = lambda: TEXT_VERSION,
    ) -> None:
        self.settings = settings
        self._read_version = read_version
        self._state_of = state_of
        self._half_life_s = decay_half_life_days * DAY_S or None
        self.embedder = embedder
        self.index = index
        self.store = store
        weights = settings.weights
        self._weights = [
            weights.lexical,
            weights.vector,
            weights.context,
            weights.steps,
            weights.outcome,
            weights.evidence,
            weights.recency,
            weights.effectiveness,
        ]

    def recall(self, asked: Query, *, limit: int, now: int) -> Recall:
        """The whole answer; see `Memory.recall`."""
        started = time.perf_counter()
        query = self._encode(asked, now)
        # The state comes first: the index then counts merged patterns as one, in a process just started too.
        state = self._state_of(asked.namespace)
        rows, missing, nearest = self._choose(query, limit)
        judged = [(row, row.reasons) for row in rows]
        comparable = [each for each in judged if self._is_comparable(each[1])]
        nearest = nearest if comparable else []
        hits = self._hits(asked.namespace, comparable)
        tools = (tool for hit in hits for tool in hit.tools)
        most = self.settings.heuristics if hits or asked.steps else 0
        rules = applicable(state, asked, tools, most, self._read_version())
        worked, failed = self._behind(query, nearest, state)
        worked, rules, failed = reconciled(worked, rules, _uncontradicted(failed, hits))
        return Recall(
            id=new_id(),
            task=asked.task,
            hits=hits,
            patterns=worked,
            heuristics=rules,
            pitfalls=failed,
            next_steps=self._next_steps(query, nearest),
            degraded=(*missing, *(() if hits else (NOTHING_COMPARABLE,))),
            elapsed_ms=(time.perf_counter() - started) * 1_000,
        )

    def _encode(self, asked: Query, now: int) -> _EncodedQuery:
        vector = embedded_or_none(self.embedder, asked.task)
        tools = tuple(step if isinstance(step, str) else step.tool for step in asked.steps)
        return _EncodedQuery(asked.task, asked.namespace, asked.context, vector, tools, now)

    def _choose(
        self, query: _EncodedQuery, limit: int
    ) -> tuple[list[HitRow], list[str], list[tuple[bytes, float]]]:
        """Candidates from every source, judged by every signal, diversified and cut: one native call.

        Beside the hits: the missing sources, and the nearest episodes, however they went.
        """
        return self.index.recall(
            query.task,
            now=query.now,
            limit=limit,
            neighbours=self.settings.neighbours,
            candidates=self.settings.candidates,
            weights=self._weights,
            half_life_s=self._half_life_s or self.settings.half_life_days * DAY_S,
            decay_s=self._half_life_s,
            per_copy=self.settings.near_copies,
            diversity=self.settings.diversity,
            **_asked(query),
        )

    def knows_like(self, asked: Query, now: int) -> bool:
        """True if an episode is comparable with the question: by its domain, its task's text, or the steps so far."""
        domain = asked.context.domain
        if not self.settings.relevance_floor:
            return True
        if domain != TaskContext().domain and self.index.medians(asked.namespace, domain)[3]:
            return True
        rows, _, _ = self._choose(self._encode(asked, now), _LOOKED_AT)
        return any(self._is_comparable(row.reasons) for row in rows)

    def _is_comparable(self, reasons: Reasons) -> bool:
        """True if the texts are alike, or else the domain or the steps so far."""
        values = {signal: value for signal, value, _ in reasons}
        floor = self.settings.relevance_floor * (1.0 if "vector" in values else _LEXICAL_SHARE)
        alike = max(values.get("lexical", 0.0), values.get("vector", 0.0)) >= floor
        return alike or max(values.get("context", 0.0), values.get("steps", 0.0)) >= _SAME

    def _hits(self, namespace: str, rows: Sequence[tuple[HitRow, Reasons]]) -> tuple[Hit, ...]:
        """The hits with the best successes of their tasks, read from the store together."""
        tasks = self.index.task_attempts(namespace, [row.id for row, _ in rows], _SHOWN_RUNS)
        ids = dict.fromkeys([*(row.id for row, _ in rows), *(id for _, _, best, *_ in tasks for id in best)])
        payloads = dict(zip(ids, self.store.get_many("episode", list(ids)), strict=True))
        hits = []
        for (row, reasons), (attempts, successes, best, *copies) in zip(rows, tasks, strict=True):
            payload = payloads[row.id]
            if payload is not None:
                hit = _hit(row, reasons, payload, attempts, successes)
                hits.append(replace(hit, near_copies=copies[0], near_copies_succeeded=copies[1]))
                won = [record for id in best if (record := payloads[id]) is not None]
                hits[-1].carry(won or [payload])
        return tuple(hits)

    def _behind(
        self, query: _EncodedQuery, nearest: list[tuple[bytes, float]], state: MaintenanceState
    ) -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]]:
        """Patterns of the nearest episodes: those that work, and those that surely do not.

        Retired patterns are neither, and pitfalls are not recommended.
        """
        worked, failed = self.index.supporting_patterns(
            query.namespace,
            nearest,
            patterns=self.settings.patterns,
            pitfalls=self.settings.pitfalls,
            now=query.now,
            half_life_s=self._half_life_s,
        )
        if state.states:
            worked = [row for row in worked if state.state(row.id) not in ("retired", "pitfall")]
            failed = [row for row in failed if state.state(row.id) != "retired"]
        namespace = query.namespace
        pitfalls = self._described(namespace, failed, state)
        # Every run ends: to end it is no way of working to warn of.
        return self._described(namespace, worked, state), tuple(
            each for each in pitfalls if not ends_run(each)
        )

    def _next_steps(self, query: _EncodedQuery, nearest: list[tuple[bytes, float]]) -> tuple[NextStep, ...]:
        ranked = self.index.next_steps(list(query.tools), nearest)
        return tuple(
            NextStep(FINISH if row.tool is None else row.tool, row.share, row.seen)
            for row in ranked[: self.settings.next_steps]
        )

    def patterns(
        self,
        *,
        namespace: str,
        order: str,
        limit: int,
        min_trials: int,
        now: int,
        kind: str | None = None,
        domain: str | None = None,
        agent: str | None = None,
        complexity: str | None = None,
    ) -> tuple[Pattern, ...]:
        """Patterns of a slice with their evidence; see `Memory.patterns`."""
        if order not in ("confidence", "trials", "recent"):
            raise ValidationError("order", "one of confidence, trials, recent", repr(order))
        state = self._state_of(namespace)
        rows = self.index.patterns(
            namespace,
            order=order,
            limit=limit,
            min_trials=min_trials,
            now=now,
            half_life_s=self._half_life_s,
            kind=kind,
            domain=domain,
            agent=agent,
            complexity=complexity,
        )
        return self._described(namespace, rows, state)

    def chosen_patterns(
        self, namespace: str, kind: str, ids: Collection[bytes], now: int
    ) -> tuple[Pattern, ...]:
        """The patterns of a kind with one of these ids, of those with most trials."""
        state = self._state_of(namespace)
        rows = self.index.patterns(
            namespace, kind=kind, order="trials", limit=_MOST_PATTERNS, now=now, half_life_s=self._half_life_s
        )
        return self._described(namespace, [row for row in rows if row.id in ids], state)

    def _described(
        self, namespace: str, rows: Sequence[SummaryRow], state: MaintenanceState
    ) -> tuple[Pattern, ...]:
        """The patterns with their contents, states and usage."""
        if not rows:
            return ()
        ids = [row.id for row in rows]
        contents, usages = self._contents(namespace, ids, state), self.index.usages(namespace, ids)
        found = zip(rows, contents, usages, strict=True)
        return tuple(
            _pattern(row, content, state, Usage() if used is None else Usage(*used))
            for row, content, used in found
            if content is not None
        )

    def _contents(self, namespace: str, ids: list[bytes], state: MaintenanceState) -> list[bytes | None]:
        """The content of each pattern.

        A pattern whose own episodes are gone may still stand for merged ones: the content is then that of one of them.
        """
        contents = self.store.get_many("pattern", ids, namespace)
        for place, id in enumerate(ids):
            if contents[place] is None and (merged := state.merged.get(id)):
                members = self.store.get_many("pattern", [bytes.fromhex(each) for each in merged], namespace)
                contents[place] = next((each for each in members if each is not None), None)
        return contents


def _asked(query: _EncodedQuery) -> dict[str, Any]:
    context = query.context
    unspecific = context.domain == TaskContext().domain
    return {
        "namespace": query.namespace,
        "vector": query.vector,
        "domain": None if unspecific else context.domain,
        "language": context.language,
        "tags": list(context.tags),
        "tools": list(query.tools),
    }


def _uncontradicted(pitfalls: tuple[Pattern, ...], hits: Sequence[Hit]) -> tuple[Pattern, ...]:
    """The pitfalls that the best hit does not do, if it is a success."""
    if not hits or hits[0].outcome != "success":
        return pitfalls
    return tuple(each for each in pitfalls if not is_part_of(each, hits[0].tools))


def _hit(row: HitRow, reasons: Reasons, payload: bytes, attempts: int, successes: int) -> Hit:
    episode = _SUMMARIES.decode(payload)
    return Hit(
        episode_id=as_text(row.id),
        task=episode.task,
        score=row.score,
        reasons=tuple(Reason(*reason) for reason in reasons),
        outcome=episode.outcome.kind,
        verdict=episode.outcome.verdict or episode.outcome.reason,
        domain=episode.context.domain,
        agent=episode.agent,
        tools=tuple(step.tool for step in episode.steps),
        errors=tuple(dict.fromkeys(step.error for step in episode.steps if step.error)),
        reward=episode.reward.total if episode.reward else None,
        ended_at=episode.ended_at,
        attempts=attempts,
        successes=successes,
    )


def _pattern(row: SummaryRow, content: bytes, state: MaintenanceState, usage: Usage) -> Pattern:
    stored, odds = _CONTENTS.decode(content), row.odds or (None, None, None)
    return Pattern(
        id=row.id.hex(),
        kind=stored.kind,
        content=stored.content,
        trials=row.trials,
        successes=row.successes,
        mean=row.mean,
        low=row.low,
        high=row.high,
        episodes=row.episodes,
        outcomes=row.outcomes,
        agents=tuple(row.agents),
        domains=tuple(row.domains),
        last_seen=row.last_seen,
        detail=stored.detail,
        odds_ratio=odds[0],
        odds_low=odds[1],
        odds_high=odds[2],
        undecided=is_undecided(odds[1], odds[2]),
        state=state.state(row.id),
        merged=state.merged.get(row.id, ()),
        usage=usage,
    )
