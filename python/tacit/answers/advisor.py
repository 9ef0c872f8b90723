"""Advice of the native models, as public values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from .. import _native
from .._native import TEXT_VERSION, Index, beta_interval, error_class, new_id
from ..model.advice import (
    FINISH,
    Argument,
    ArgumentCandidate,
    ChangedArguments,
    Fix,
    Fixes,
    PlanStep,
    Playbook,
    Prediction,
    SuggestedStep,
    Suggestion,
)
from ..model.episode import Step
from ..model.ids import as_text
from ..model.maintenance import MaintenanceState
from ..model.pattern import is_undecided
from ..model.query import Query
from ..model.recall import NOTHING_COMPARABLE, Reason, Recall
from ..redaction import MARKER
from ..storage import FollowLock, Store, catch_up
from .changes import Change, alike, changes_of, summarised
from .proposing import with_proposals
from .question import json_bytes, record_of
from .rules import is_part_of
from .training import Part, Trainer
from .unjudged import UnjudgedChanges

if TYPE_CHECKING:
    from .._native import PredictionRow, RankedActionRow, SuggestedRow, SummaryRow

FilledRow: TypeAlias = tuple[str, bytes | None, str | None, list[tuple[bytes, float, str]]]
"""A parameter's name, its value as msgpack (`None`: not filled), the source of the value, and its candidates."""


class _Steps(msgspec.Struct, gc=False):
    steps: tuple[Step, ...] = ()


_STEPS = msgspec.msgpack.Decoder(_Steps)
_VALUES = msgspec.msgpack.Decoder()
_REDACTED = MARKER.encode()


class Advisor:
    """Follows the store beside the index; a `Trainer` fits its models when they are first needed.

    A part of the models is fitted at the first question that needs it, again once a namespace's episodes have grown by
    a sixteenth, and again once one of those that it was fitted on is gone. The models of a forgotten episode are
    forgotten with it. Until a fit has ended, counts or the last models answer.
    Everything else depends on which episodes are stored, not on the time of the question.
    """

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        state_of: Callable[[str], MaintenanceState],
        min_episodes: int,
        knows_like: Callable[[Query, int], bool],
        training: str,
        half_life_s: float | None = None,
        read_version: Callable[[], int] = lambda: TEXT_VERSION,
    ) -> None:
        self._store = store
        self._index = index
        self._state_of = state_of
        self._read_version = read_version
        self._min_episodes = min_episodes
        self._knows_like = knows_like
        self._half_life_s = half_life_s
        self._models = _native.Advisor()
        self._following = FollowLock()
        self.trainer: Trainer = Trainer(store, self._models, training)
        self._unjudged = UnjudgedChanges(store)

    def suggest(self, query: Query, *, limit: int, now: int) -> Suggestion:
        """See `Memory.suggest`. Without a comparable episode there are no steps."""
        started = time.perf_counter()
        record = record_of(query)
        pending = self._pending_of_steps(query.namespace)
        rows = self._models.suggest(record, limit)
        if not self._is_comparable(query, rows, now):
            rows = []
        tools = [row.tool for row in rows if row.tool is not None]
        filled = dict(zip(tools, self._models.arguments(record, tools), strict=True))
        steps = [_suggested(row, filled.get(row.tool or "", [])) for row in rows]
        state = json_bytes("state", query.state)
        proposed = self._models.propose(record, state, limit) if rows else []
        return Suggestion(
            id=new_id(),
            steps=with_proposals(steps, proposed, limit),
            degraded=pending if rows else (NOTHING_COMPARABLE, *pending),
            elapsed_ms=(time.perf_counter() - started) * 1_000,
        )

    def _is_comparable(self, query: Query, rows: Sequence[SuggestedRow], now: int) -> bool:
        """True if a run took a step after the same last tool, or if the task or the start alone is like a known one."""
        if query.steps and any(row.episodes for row in rows):
            return True
        return self._knows_like(query, now) if query.task else not query.steps

    def ranked(
        self,
        namespace: str,
        record: bytes,
        state: bytes | None,
        calls: Sequence[tuple[str, bytes | None]],
        limit: int,
    ) -> tuple[Sequence[RankedActionRow], tuple[str, ...]]:
        """The calls, best first, and the codes of the models that are missing; see `Chooser`."""
        pending = self._pending(namespace, ("ranking",))
        return self._models.choose(record, state, calls, limit), pending

    def recover(self, query: Query, failed: Step, *, limit: int) -> Fixes:
        """See `Memory.recover`; `failed` is the last step of `query`."""
        namespace = query.namespace
        timed_out, error = failed.status == "timeout", failed.error or ""
        named = "timeout" if timed_out else error_class(error)
        version = self._read_version()
        named_in_facts = named if timed_out or version == TEXT_VERSION else error_class(error, version)
        pending = self._pending(namespace, ("fixes",))
        self._state_of(namespace)  # the index counts merged patterns as one once their state is loaded
        known = dict(self._index.recoveries(namespace, failed.tool, named_in_facts))
        enough = self._min_episodes  # with fewer tries "never helped" may be chance
        in_vain = {tool for tool, row in known.items() if row.successes == 0 and row.episodes >= enough}
        found = self._models.recover(record_of(query), failed.tool, named, limit + len(in_vain))
        rows = [row for row in found if row.support and row.tool not in in_vain][:limit]
        return Fixes(
            error_class=named,
            tool=failed.tool,
            ways=tuple(
                replace(
                    _way(row.tool, row.probability, known.get(row.tool), self._min_episodes),
                    changed=self._changed(namespace, row.episodes, failed.tool, named)
                    if row.tool == failed.tool
                    else None,
                )
                for row in rows
                if row.tool
            ),
            degraded=pending if known else ("error_class", *pending),
        )

    def predict(self, query: Query, *, now: int) -> Prediction:
        """See `Memory.predict`. A task that is like no known one says nothing: its text is left out."""
        pending = self._pending(query.namespace, ("outcomes",))
        answer = self._predicted(query, now)
        return replace(answer, degraded=(*answer.degraded, *pending)) if pending else answer

    def _predicted(self, query: Query, now: int) -> Prediction:
        is_known = query.task_key is not None and bool(
            self._index.by_task_key(query.namespace, query.task_key)
        )
        if not is_known and not self._knows_like(query, now):
            query = replace(query, task="", task_key=None)
            return self._base_rate(query)
        return self._prediction(self._models.predict(record_of(query)))

    def _base_rate(self, query: Query) -> Prediction:
        """The odds of a task of which nothing is known: those of the agent, or else the base rate."""
        found = self._prediction(self._models.predict(record_of(query)))
        if query.agent is not None:
            return found
        rate = found.base_rate
        reasons = (Reason("base", rate, 1.0),)
        return replace(
            found, success=rate, low=min(found.low, rate), high=max(found.high, rate), reasons=reasons
        )

    def _prediction(self, row: PredictionRow) -> Prediction:
        success, low, high = row.success
        steps, steps_low, steps_high = row.steps or (None, None, None)
        return Prediction(
            success=success,
            low=low,
            high=high,
            base_rate=row.base_rate,
            steps=steps,
            steps_low=steps_low,
            steps_high=steps_high,
            reward=row.reward,
            support=row.support or 0.0,  # an empty sum is -0.0
            reasons=_reasons(row.reasons),
            degraded=() if row.support else (NOTHING_COMPARABLE,),
        )

    def playbook(self, query: Query, recalled: Recall, *, limit: int, arguments: bool, now: int) -> Playbook:
        """See `Memory.playbook`; pitfalls and rules are those that were recalled for the task.

        A pitfall that the plan itself does is left out. Without a comparable episode there is no plan.
        """
        record = record_of(query)
        success = self.predict(query, now=now)
        plan = self._models.plan(record, limit, now=now, half_life_s=self._half_life_s)
        planned = plan.steps if recalled.hits else []
        tools = [tool for tool, _ in planned]
        pending = self._pending(query.namespace, ("steps",)) if arguments and tools else ()
        filled = self._models.plan_arguments(record, tools) if arguments else [[] for _ in tools]
        steps = zip(planned, filled, strict=True)
        return Playbook(
            id=recalled.id,
            task=query.task,
            steps=tuple(PlanStep(tool, share, _arguments(row)) for (tool, share), row in steps),
            success=success,
            pitfalls=tuple(each for each in recalled.pitfalls if not is_part_of(each, tools)),
            heuristics=recalled.heuristics,
            episodes=tuple(as_text(id) for id in plan.episodes) if recalled.hits else (),
            degraded=tuple(dict.fromkeys((*recalled.degraded, *success.degraded, *pending))),
            changed=tuple(
                summarised(group) for group in alike(self._changes(plan.episodes if tools else []))
            ),
        )

    def _changes(self, episodes: Sequence[bytes]) -> Iterator[Change]:
        for payload in self._store.get_many("episode", list(episodes)):
            if payload is not None:
                yield from changes_of(_STEPS.decode(payload).steps)

    def _changed(
        self, namespace: str, episodes: Sequence[bytes], tool: str, named: str
    ) -> ChangedArguments | None:
        """The arguments that most of these episodes changed when the tool failed with an error of this class.

        Without a success that shows it, the newest episodes of unknown outcome are asked.
        """
        of_error = [
            each
            for each in self._changes(episodes)
            if each.tool == tool and error_class(each.error) in (named, each.error)
        ] or self._unjudged.after(namespace, tool, named)
        groups = alike(of_error)
        return summarised(groups[0]) if groups else None

    def train(self, namespace: str) -> None:
        """Follows the store and fits everything that is due, on this thread."""
        catch_up(self._store, self._models, self._following)
        self.trainer.fit_all(namespace)

    def _pending(self, namespace: str, wanted: Iterable[Part]) -> tuple[str, ...]:
        """Follows the store; see `Trainer.pending`."""
        catch_up(self._store, self._models, self._following)
        return self.trainer.pending(namespace, wanted)

    def _pending_of_steps(self, namespace: str) -> tuple[str, ...]:
        """As `_pending` of what suggests steps; the ranking is for proposed actions, which recorded calls are not."""
        catch_up(self._store, self._models, self._following)
        wanted: tuple[Part, ...] = ("steps", "ranking") if self._models.proposes(namespace) else ("steps",)
        return self.trainer.pending(namespace, wanted)


def _suggested(row: SuggestedRow, filled: Sequence[FilledRow]) -> SuggestedStep:
    return SuggestedStep(
        tool=FINISH if row.tool is None else row.tool,
        probability=row.probability,
        support=row.support,
        reasons=_reasons(row.reasons),
        arguments=_arguments(filled),
        episodes=tuple(as_text(id) for id in row.episodes),
    )


def _way(tool: str, probability: float, known: SummaryRow | None, min_episodes: int) -> Fix:
    if known is None:
        mean, low, high = beta_interval(0.0, 0.0)
        return Fix(tool, probability, 0, 0.0, mean, low, high)
    ratio, odds_low, odds_high = known.odds or (None, None, None)
    return Fix(
        tool=tool,
        probability=probability,
        trials=known.trials,
        successes=known.successes,
        mean=known.mean,
        low=known.low,
        high=known.high,
        odds_ratio=ratio,
        odds_low=odds_low,
        odds_high=odds_high,
        undecided=is_undecided(odds_low, odds_high),
        weak=known.episodes < min_episodes,
    )


def _reasons(rows: Iterable[tuple[str, float, float]]) -> tuple[Reason, ...]:
    return tuple(Reason(*row) for row in rows)


def _arguments(rows: Iterable[FilledRow]) -> tuple[Argument, ...]:
    """The arguments of a step; a tool cannot use a redacted value, so its parameter stays open."""
    return tuple(
        Argument(name, source=source, candidates=_candidates(candidates))
        if value is None or _REDACTED in value
        else Argument(name, _VALUES.decode(value), True, source, _candidates(candidates))
        for name, value, source, candidates in rows
    )


def _candidates(rows: Iterable[tuple[bytes, float, str]]) -> tuple[ArgumentCandidate, ...]:
    return tuple(
        ArgumentCandidate(_VALUES.decode(value), probability, source)
        for value, probability, source in rows
        if _REDACTED not in value
    )
