"""Experience within a store of LangGraph: `graph.compile(store=ExperienceStore(memory))`.

Needs `pip install 'tacit[langchain]'`, which brings LangGraph.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..aio import AsyncMemory
from ..errors import UnknownEpisodeError, ValidationError
from ..memory import Memory
from ..model.episode import Episode
from ..model.query import Asking
from .frameworks import framework_class, framework_module
from .runs import kept_from_the_agent

if TYPE_CHECKING:
    from langgraph.store.base import BaseStore

__all__ = ["EXPERIENCE", "ExperienceStore"]

_EXTRA = "langchain"
if not TYPE_CHECKING:
    BaseStore = framework_class("langgraph.store.base", "BaseStore", _EXTRA)

EXPERIENCE = "experience"
"""The first part of the namespaces that are a memory's; the second is a domain."""
_MOST_HITS = 100
_MOST_DOMAINS_OF = 1_000


class ExperienceStore(BaseStore):
    """A store whose namespaces below "experience" are a memory, read-only; every other item is of the store `items`.

    `search(("experience",), query=task)` is a recall: episodes as items, with their scores. `("experience", domain)`
    asks for a domain; without a query the newest episodes come. `get(("experience", domain), id)` is an episode with
    its steps. `items` is a store of LangGraph, by default one in RAM. Writing below "experience" raises
    `ValidationError`: episodes come from runs. A failure of the memory is logged, and its namespaces are empty then.

    Raises `ValidationError` without LangGraph.

    Example:
        from langchain.agents import create_agent

        agent = create_agent(model, tools, store=ExperienceStore(memory))
    """

    def __init__(self, memory: Memory | AsyncMemory, items: BaseStore | None = None) -> None:
        self._given = memory
        self._base: Any = framework_module("langgraph.store.base", _EXTRA)
        if items is None:
            items = framework_module("langgraph.store.memory", _EXTRA).InMemoryStore()
        self._items: Any = items

    def batch(self, ops: Iterable[Any]) -> list[Any]:
        """Carries out the operations: those on experience by the memory, the others by the store of items."""
        given = list(ops)
        passed = [passed for op in given if (passed := self._passed(op)) is not None]
        return self._answered(given, self._items.batch(passed))

    async def abatch(self, ops: Iterable[Any]) -> list[Any]:
        """As `batch`; the memory is asked on a thread."""
        given = list(ops)
        passed = [passed for op in given if (passed := self._passed(op)) is not None]
        results = await self._items.abatch(passed)
        return await asyncio.to_thread(self._answered, given, results)

    def _passed(self, op: Any) -> Any:
        """The operation for the store of items; `None` for one that only the memory answers."""
        if isinstance(op, self._base.ListNamespacesOp):
            return op._replace(limit=op.limit + op.offset, offset=0)  # the memory's are sorted among them
        namespace = op.namespace_prefix if isinstance(op, self._base.SearchOp) else op.namespace
        if namespace[:1] != (EXPERIENCE,):
            return op
        if isinstance(op, self._base.PutOp):
            rule = f'outside of "{EXPERIENCE}": episodes come from runs, and `memory.forget` removes them'
            raise ValidationError("namespace", rule, repr(namespace))
        return None

    def _answered(self, ops: Sequence[Any], results: Iterable[Any]) -> list[Any]:
        """The results of all operations in their order; `results` are those of the store of items."""
        passed = iter(results)
        answers: list[Any] = []
        for op in ops:
            if isinstance(op, self._base.ListNamespacesOp):
                answers.append(self._namespaces(op, next(passed)))
            elif isinstance(op, self._base.SearchOp) and op.namespace_prefix[:1] == (EXPERIENCE,):
                answers.append(self._search(op))
            elif isinstance(op, self._base.GetOp) and op.namespace[:1] == (EXPERIENCE,):
                answers.append(self._get(op))
            else:
                answers.append(next(passed))
        return answers

    @property
    def _memory(self) -> Memory:
        return self._given.memory if isinstance(self._given, AsyncMemory) else self._given

    def _get(self, op: Any) -> Any:
        with kept_from_the_agent("get"):
            try:
                episode = self._memory.get(op.key)
            except UnknownEpisodeError:
                return None
            if op.namespace in ((EXPERIENCE,), _namespace_of(episode)):
                return self._base.Item(
                    value=value_of(episode) | {"calls": calls_of(episode)},
                    key=episode.id,
                    namespace=_namespace_of(episode),
                    created_at=_time(episode.started_at),
                    updated_at=_time(episode.ended_at),
                )
        return None

    def _search(self, op: Any) -> list[Any]:
        """Episodes like the query, best first; without a query the newest."""
        if len(op.namespace_prefix) > 2:
            return []
        domain = op.namespace_prefix[1] if len(op.namespace_prefix) == 2 else None
        found: list[tuple[Episode, float | None]] = []
        with kept_from_the_agent("search"):
            found = self._recalled(op.query, domain) if op.query else self._newest(op, domain)
        kept = [
            (episode, score)
            for episode, score in found
            if (domain is None or episode.context.domain == domain) and matches(value_of(episode), op.filter)
        ]
        return [self._item(episode, score) for episode, score in kept[op.offset : op.offset + op.limit]]

    def _recalled(self, query: str, domain: str | None) -> list[tuple[Episode, float | None]]:
        memory = self._memory
        asking: Asking = {} if domain is None else {"domain": domain}
        hits = memory.recall(query, limit=_MOST_HITS, **asking).hits
        return [(memory.get(hit.episode_id), hit.score) for hit in hits]

    def _newest(self, op: Any, domain: str | None) -> list[tuple[Episode, float | None]]:
        most = _MOST_DOMAINS_OF if op.filter else op.offset + op.limit
        return [(episode, None) for episode in self._memory.episodes(domain=domain, limit=most)]

    def _item(self, episode: Episode, score: float | None) -> Any:
        return self._base.SearchItem(
            _namespace_of(episode),
            episode.id,
            value_of(episode),
            _time(episode.started_at),
            _time(episode.ended_at),
            score,
        )

    def _namespaces(self, op: Any, others: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """The namespaces of the store of items and those of the memory's domains that match."""
        domains: set[str] = set()
        with kept_from_the_agent("list_namespaces"):
            domains = {each.context.domain for each in self._memory.episodes(limit=_MOST_DOMAINS_OF)}
        own = [(EXPERIENCE, domain) for domain in domains]
        conditions = op.match_conditions or ()
        kept = [name[: op.max_depth] for name in own if all(fits(name, each) for each in conditions)]
        return sorted({*map(tuple, others), *kept})[op.offset : op.offset + op.limit]


def fits(namespace: tuple[str, ...], condition: Any) -> bool:
    """Returns True if a namespace begins, or ends, with the path of a condition; "*" stands for any part."""
    path = condition.path
    part = (
        namespace[: len(path)]
        if condition.match_type == "prefix"
        else namespace[len(namespace) - len(path) :]
    )
    return len(path) <= len(namespace) and all(
        want in ("*", has) for has, want in zip(part, path, strict=True)
    )


def matches(value: dict[str, Any], wanted: dict[str, Any] | None) -> bool:
    """Returns True if the value has the wanted fields. Raises `ValidationError` for a comparison: it knows equality."""
    for name, want in (wanted or {}).items():
        if isinstance(want, dict):
            raise ValidationError(f"filter.{name}", "a value that is equal", repr(want))
        if value.get(name) != want:
            return False
    return True


def value_of(episode: Episode) -> dict[str, Any]:
    """An episode as the value of an item."""
    outcome = episode.outcome
    return {
        "task": episode.task,
        "outcome": "unknown" if outcome is None else outcome.kind,
        "why": "" if outcome is None else outcome.verdict or outcome.reason or "",
        "domain": episode.context.domain,
        "agent": episode.agent,
        "tools": [step.tool for step in episode.steps],
    }


def calls_of(episode: Episode) -> list[dict[str, Any]]:
    """The calls of an episode with their results."""
    return [
        {"tool": step.tool, "parameters": step.parameters}
        | ({"output": step.output} if step.error is None else {"error": step.error})
        for step in episode.steps
    ]


def _namespace_of(episode: Episode) -> tuple[str, str]:
    return EXPERIENCE, episode.context.domain


def _time(microseconds: int | None) -> datetime:
    return datetime.fromtimestamp((microseconds or 0) / 1e6, UTC)
