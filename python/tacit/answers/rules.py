"""Heuristics that apply to a task; no answer both recommends and warns of the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import TypeVar

from .._native import TEXT_VERSION, error_class
from ..model.advice import FINISH
from ..model.context import TaskContext
from ..model.episode import Step
from ..model.maintenance import ANY_ERROR, FIRST_ERROR, MaintenanceState
from ..model.pattern import Heuristic, Pattern
from ..model.query import Query

StepSymbol = tuple[str | None, str | None, str]
"""The last tool, the class of its error (`None`: it went well), and the next tool."""
START: tuple[str | None, str | None] = (None, None)
"""The key of the start, before any step."""
_Advice = TypeVar("_Advice", Pattern, Heuristic)


def applicable(
    state: MaintenanceState, query: Query, tools: Iterable[str], limit: int, version: int = TEXT_VERSION
) -> tuple[Heuristic, ...]:
    """The surest heuristics after the steps so far; before any step, for the start and for errors of `tools`.

    A start with other tools than `tools`, if there are any, belongs to another kind of task.
    """
    if not state.rules or not limit:
        return ()
    used = frozenset(tools)
    found: list[Heuristic] = []
    for key in _keys_after(query.steps, version) if query.steps else _keys_before(used):
        rules = state.rules.get(key, ())
        fitting = (
            rule for rule in rules if _holds(rule, query.context) and (key != START or _within(rule, used))
        )
        found += islice(fitting, limit)
    found.sort(key=lambda rule: (-rule.confidence, -rule.trials, rule.id))
    return tuple(found[:limit])


def _keys_after(steps: Sequence[Step | str], version: int) -> Iterator[tuple[str | None, str | None]]:
    last = steps[-1]
    if isinstance(last, str):
        yield last, "ok"
        return
    if last.ok is not False:
        yield last.tool, "none" if last.ok is None else "ok"
        return
    yield last.tool, error_class(last.error or "", version)
    if not any(isinstance(step, Step) and step.ok is False for step in steps[:-1]):
        yield last.tool, FIRST_ERROR
        yield None, FIRST_ERROR


def _keys_before(tools: Iterable[str]) -> Iterator[tuple[str | None, str | None]]:
    yield START
    yield from ((tool, ANY_ERROR) for tool in tools)


def _within(rule: Heuristic, tools: frozenset[str]) -> bool:
    return not tools or tools.issuperset(rule.do.get("tools", ()))


def _holds(rule: Heuristic, context: TaskContext) -> bool:
    """True if the rule speaks of such tasks."""
    when = rule.when
    return (
        when.get("domain", context.domain) == context.domain
        and when.get("language", context.language) == context.language
        and when.get("complexity", context.complexity) == context.complexity
    )


def reconciled(
    patterns: tuple[Pattern, ...], heuristics: tuple[Heuristic, ...], pitfalls: tuple[Pattern, ...]
) -> tuple[tuple[Pattern, ...], tuple[Heuristic, ...], tuple[Pattern, ...]]:
    """The advice without contradictions: if a pitfall is part of a recommendation, the surer of the two stays."""
    if not pitfalls:
        return patterns, heuristics, pitfalls
    recommended: list[Pattern | Heuristic] = [*patterns, *heuristics]
    dropped: set[str] = set()
    for pitfall in pitfalls:
        moves = moves_of(pitfall)
        against = [each for each in recommended if moves and moves <= moves_of(each)]
        surest = max((each.low for each in against), default=0.0)
        if surest - 0.5 > 0.5 - pitfall.high:
            dropped.add(pitfall.id)
        else:
            dropped.update(each.id for each in against)
    return _left(patterns, dropped), _left(heuristics, dropped), _left(pitfalls, dropped)


def _left(advice: tuple[_Advice, ...], dropped: set[str]) -> tuple[_Advice, ...]:
    return tuple(each for each in advice if each.id not in dropped)


def ends_run(pattern: Pattern) -> bool:
    """True if the pattern says to end the run, after an error or without one."""
    return {"<gave up>", FINISH} & {pattern.content.get("choose"), pattern.content.get("next")} != set()


def is_part_of(advice: Pattern | Heuristic, tools: Sequence[str]) -> bool:
    """True if a run of these tools does as the advice says: such a pitfall contradicts the run."""
    moves = moves_of(advice)
    if moves:
        return moves <= frozenset(_moves_of_run(tools))
    if isinstance(advice, Pattern) and advice.kind == "context_pattern":
        return bool(tools) and frozenset(tools) >= frozenset(advice.content["approach"])
    return False


def _moves_of_run(tools: Sequence[str]) -> Iterator[StepSymbol]:
    """Each tool after the one before it, the first after nothing, and the end after the last."""
    yield from ((before, None, tool) for before, tool in zip((None, *tools), (*tools, FINISH), strict=True))


def moves_of(advice: Pattern | Heuristic) -> frozenset[StepSymbol]:
    """The moves that the advice names: tool before, class of its error, next tool. An approach names none."""
    if isinstance(advice, Heuristic):
        when, tools = advice.when, advice.do.get("tools", [])
        if "after" not in when or not tools:
            return frozenset()
        first = (when["after"], _error(when["result"]), tools[0])
        return frozenset([first, *((one, None, other) for one, other in pairwise(tools))])
    content = advice.content
    if advice.kind == "tool_sequence":
        return frozenset((one, None, other) for one, other in pairwise(content["tools"]))
    if advice.kind == "decision_point" and content["condition"] is None:
        return frozenset([(content["after"], _error(content["result"]), content["choose"])])
    if advice.kind == "error_recovery":
        return frozenset([(content["tool"], content["error"], content["next"])])
    return frozenset()


def _error(result: str | None) -> str | None:
    return None if result in (None, "ok", "none") else result
