"""Recall: encode, find candidates, judge, choose, explain."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import msgspec

from .._native import TEXT_VERSION, HitRow, Index, NextStepRow, SummaryRow, new_id
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


_Attempts: TypeAlias = tuple[int, int, list[bytes], int, int]
"""Attempts at a hit's task, successes, the ids of the best, near-copies of the hit, and those that succeeded."""
_UsedPattern: TypeAlias = tuple[SummaryRow, tuple[int, int, int, float, float, float] | None]
"""The evidence about a pattern, and its usage."""


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
        rows, missing, working, failing, next_steps = self._answer(query, limit)
        hits = self._hits(rows)
        tools = (tool for hit in hits for tool in hit.tools)
        most = self.settings.heuristics if hits or asked.steps else 0
        rules = applicable(state, asked, tools, most, self._read_version())
        worked, failed = self._behind(asked.namespace, working, failing, state)
        worked, rules, failed = reconciled(worked, rules, _uncontradicted(failed, hits))
        return Recall(
            id=new_id(),
            task=asked.task,
            hits=hits,
            patterns=worked,
            heuristics=rules,
            pitfalls=failed,
            next_steps=tuple(
                NextStep(FINISH if row.tool is None else row.tool, row.share, row.seen) for row in next_steps
            ),
            degraded=(*missing, *(() if hits else (NOTHING_COMPARABLE,))),
            elapsed_ms=(time.perf_counter() - started) * 1_000,
        )

    def _encode(self, asked: Query, now: int) -> _EncodedQuery:
        vector = embedded_or_none(self.embedder, asked.task)
        tools = tuple(step if isinstance(step, str) else step.tool for step in asked.steps)
        return _EncodedQuery(asked.task, asked.namespace, asked.context, vector, tools, now)

    def _answer(
        self, query: _EncodedQuery, limit: int
    ) -> tuple[
        list[tuple[HitRow, _Attempts]], list[str], list[_UsedPattern], list[_UsedPattern], list[NextStepRow]
    ]:
        """The comparable hits, the missing sources, the patterns that work and that fail, and the next steps.

        One native call finds candidates from every source, judges them by every signal, diversifies and cuts them.
        """
        settings = self.settings
        return self.index.answer(
            query.task,
            relevance_floor=settings.relevance_floor,
            patterns=settings.patterns,
            pitfalls=settings.pitfalls,
            next_steps=settings.next_steps,
            successes=_SHOWN_RUNS,
            **self._asked(query, limit),
        )

    def _asked(self, query: _EncodedQuery, limit: int) -> dict[str, Any]:
        """The question and the settings of its hits, as the index takes them."""
        settings, context = self.settings, query.context
        unspecific = context.domain == TaskContext().domain
        return {
            "now": query.now,
            "limit": limit,
            "neighbours": settings.neighbours,
            "candidates": settings.candidates,
            "weights": self._weights,
            "half_life_s": self._half_life_s or settings.half_life_days * DAY_S,
            "decay_s": self._half_life_s,
            "per_copy": settings.near_copies,
            "diversity": settings.diversity,
            "namespace": query.namespace,
            "vector": query.vector,
            "domain": None if unspecific else context.domain,
            "language": context.language,
            "tags": context.tags,
            "tools": query.tools,
        }

    def knows_like(self, asked: Query, now: int) -> bool:
        """True if an episode is comparable with the question: by its domain, its task's text, or the steps so far."""
        domain = asked.context.domain
        if not self.settings.relevance_floor:
            return True
        if domain != TaskContext().domain and self.index.medians(asked.namespace, domain)[3]:
            return True
        query = self._encode(asked, now)
        rows, _, _ = self.index.recall(query.task, **self._asked(query, _LOOKED_AT))
        return any(row.is_comparable(self.settings.relevance_floor) for row in rows)

    def _hits(self, rows: Sequence[tuple[HitRow, _Attempts]]) -> tuple[Hit, ...]:
        """The hits with the best successes of their tasks, read from the store together."""
        ids = dict.fromkeys(
            [*(row.id for row, _ in rows), *(id for _, (_, _, best, *_) in rows for id in best)]
        )
        payloads = dict(zip(ids, self.store.get_many("episode", list(ids)), strict=True))
        hits = []
        for row, attempts in rows:
            payload = payloads[row.id]
            if payload is not None:
                hits.append(_hit(row, payload, attempts))
                won = [record for id in attempts[2] if (record := payloads[id]) is not None]
                hits[-1].carry(won or [payload])
        return tuple(hits)

    def _behind(
        self,
        namespace: str,
        worked: list[_UsedPattern],
        failed: list[_UsedPattern],
        state: MaintenanceState,
    ) -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]]:
        """Patterns of the nearest episodes: those that work, and those that surely do not.

        Retired patterns are neither, and pitfalls are not recommended.
        """
        if state.states:
            worked = [each for each in worked if state.state(each[0].id) not in ("retired", "pitfall")]
            failed = [each for each in failed if state.state(each[0].id) != "retired"]
        described = self._described(namespace, [*worked, *failed], state)
        # Every run ends: to end it is no way of working to warn of.
        pitfalls = (each for each in described[len(worked) :] if each is not None and not ends_run(each))
        return tuple(each for each in described[: len(worked)] if each is not None), tuple(pitfalls)

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
        return self._with_usage(namespace, rows, state)

    def chosen_patterns(
        self, namespace: str, kind: str, ids: Collection[bytes], now: int
    ) -> tuple[Pattern, ...]:
        """The patterns of a kind with one of these ids, of those with most trials."""
        state = self._state_of(namespace)
        rows = self.index.patterns(
            namespace, kind=kind, order="trials", limit=_MOST_PATTERNS, now=now, half_life_s=self._half_life_s
        )
        return self._with_usage(namespace, [row for row in rows if row.id in ids], state)

    def _with_usage(
        self, namespace: str, rows: Sequence[SummaryRow], state: MaintenanceState
    ) -> tuple[Pattern, ...]:
        """The patterns that have contents, with their states and usage."""
        used = zip(rows, self.index.usages(namespace, [row.id for row in rows]), strict=True)
        described = self._described(namespace, list(used), state)
        return tuple(each for each in described if each is not None)

    def _described(
        self, namespace: str, rows: Sequence[_UsedPattern], state: MaintenanceState
    ) -> list[Pattern | None]:
        """The patterns with their contents, states and usage; `None` for one without a content."""
        if not rows:
            return []
        contents = self._contents(namespace, [row.id for row, _ in rows], state)
        return [
            None
            if content is None
            else _pattern(row, content, state, Usage() if used is None else Usage(*used))
            for (row, used), content in zip(rows, contents, strict=True)
        ]

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


def _uncontradicted(pitfalls: tuple[Pattern, ...], hits: Sequence[Hit]) -> tuple[Pattern, ...]:
    """The pitfalls that the best hit does not do, if it is a success."""
    if not hits or hits[0].outcome != "success":
        return pitfalls
    return tuple(each for each in pitfalls if not is_part_of(each, hits[0].tools))


def _hit(row: HitRow, payload: bytes, tried: _Attempts) -> Hit:
    episode = _SUMMARIES.decode(payload)
    attempts, successes, _, copies, copies_succeeded = tried
    return Hit(
        episode_id=as_text(row.id),
        task=episode.task,
        score=row.score,
        reasons=tuple(Reason(*reason) for reason in row.reasons),
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
        near_copies=copies,
        near_copies_succeeded=copies_succeeded,
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
