"""The situations that episodes come to: errors, steps that went well, the start, the first error, the context.

The use of a tool anywhere in an episode is an action too: a step that helps wherever it is taken is spread over many
choices, and found in none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .._native import Finding
from .columns import FINISH, NOTHING, OK, START, Columns
from .condition import Action, Condition

if TYPE_CHECKING:
    from .columns import Integers

_RETRY, _SWITCH = 0, 1
_UNUSED, _USED = 0, 1
_GAVE_UP = "<gave up>"


def conditions(columns: Columns) -> Iterator[Condition]:
    """All of them, in a fixed order."""
    if len(columns.episode):
        yield from _states(columns)
        yield from _first_errors(columns)
        yield from _contexts(columns)
        yield from _uses(columns)


def _states(columns: Columns) -> Iterator[Condition]:
    """Conditions after each tool and result. Finishing is a fix of an error; elsewhere it is not compared."""
    import numpy as np

    goes_on = (columns.choose != FINISH) | (columns.result >= 0)
    rows = np.flatnonzero(goes_on)
    keys = columns.after[rows] * (len(columns.names) + 3) + columns.result[rows]
    order = np.argsort(keys, kind="stable")
    _, starts = np.unique(keys[order], return_index=True)
    for of_state in np.split(rows[order], starts[1:]):
        after, result = int(columns.after[of_state[0]]), int(columns.result[of_state[0]])
        yield (
            _error(columns, of_state, after, result)
            if result >= 0
            else _state(columns, of_state, after, result)
        )


def _error(columns: Columns, rows: Integers, after: int, result: int) -> Condition:
    tool, error = columns.names[after], columns.names[result]

    def deed(action: int) -> Action:
        next = _GAVE_UP if action == FINISH else columns.names[action]
        parent = Finding("error_recovery", {"tool": tool, "error": error, "next": next}).pattern_id
        if action == FINISH:
            return Action({"tools": []}, "give up", (parent,))
        return Action({"tools": [next]}, f"use {next}" + (" again" if action == after else ""), (parent,))

    return Condition(
        kind="recovery",
        when={"after": tool, "result": error},
        condition=f'{tool} fails with "{error}"',
        columns=columns,
        strata=columns.circumstances,
        episode=columns.episode[rows],
        action=columns.choose[rows],
        success=columns.worked[rows],
        describe=deed,
        row=rows,
    )


def _state(columns: Columns, rows: Integers, after: int, result: int) -> Condition:
    tool = columns.name(after)
    said = None if after == START else {OK: "ok", NOTHING: "none"}[result]

    def deed(action: int) -> Action:
        next = columns.names[action]
        content = {"after": tool, "result": said, "condition": None, "choose": next}
        return Action({"tools": [next]}, f"use {next}", (Finding("decision_point", content).pattern_id,))

    known = {None: "a task begins", "ok": f"{tool} went well", "none": f"{tool} was called"}
    episodes = columns.episode[rows]
    return Condition(
        kind="choice",
        when={"after": tool, "result": said},
        condition=known[said],
        columns=columns,
        strata=columns.circumstances_by_domain,
        episode=episodes,
        action=columns.choose[rows],
        success=columns.outcomes[episodes],
        describe=deed,
        row=rows,
    )


def _first_errors(columns: Columns) -> Iterator[Condition]:
    """The first error of an episode, of whatever tool and of each: try another tool, or the same one again."""
    import numpy as np

    failed = np.flatnonzero(columns.result >= 0)
    yield _first_error(columns, failed, None)
    for after in np.unique(columns.after[failed]):
        yield _first_error(columns, failed[columns.after[failed] == after], columns.names[after])


def _first_error(columns: Columns, failed: Integers, tool: str | None) -> Condition:
    import numpy as np

    _, first = np.unique(columns.episode[failed], return_index=True)
    rows = failed[first][columns.choose[failed[first]] != FINISH]
    episodes = columns.episode[rows]
    when: dict[str, Any] = {"first_error": True} if tool is None else {"first_error": True, "tool": tool}
    return Condition(
        kind="response",
        when=when,
        condition=f"{tool or 'a step'} fails for the first time in an episode",
        columns=columns,
        strata=columns.circumstances,
        episode=episodes,
        action=np.where(columns.choose[rows] == columns.after[rows], _RETRY, _SWITCH),
        success=columns.outcomes[episodes],
        describe={
            _RETRY: Action({"respond": "retry"}, "try the same tool again"),
            _SWITCH: Action({"respond": "switch"}, "try another tool"),
        }.__getitem__,
    )


def _contexts(columns: Columns) -> Iterator[Condition]:
    """Each kind of task, with the tools that episodes got by with."""
    import numpy as np

    names = ("task_type", "language", "framework")
    features = np.stack([columns.feature(name) for name in names], axis=1)
    took_steps = np.array([bool(tools) for tools in columns.approaches], bool)[columns.approach]
    for kind in np.unique(features[took_steps], axis=0):
        episodes = np.flatnonzero((features == kind).all(axis=1) & took_steps)
        context = {name: columns.name(int(place)) for name, place in zip(names, kind, strict=True)}
        yield Condition(
            kind="approach",
            when=context,
            condition=_context_text(context),
            columns=columns,
            strata=columns.circumstances_by_domain,
            episode=episodes,
            action=columns.approach[episodes],
            success=columns.outcomes[episodes],
            describe=_approach(columns, context),
        )


def _context_text(context: dict[str, str | None]) -> str:
    kind = context["task_type"]
    task = "there is a task" if kind == "other" else f"a task is of type {kind}"
    told = [f"{name} {context[name]}" for name in ("language", "framework") if context[name]]
    return " ".join([task, *(f"in {each}" for each in told)])


def _approach(columns: Columns, context: dict[str, str | None]) -> Callable[[int], Action]:
    def deed(action: int) -> Action:
        tools = columns.approaches[action]
        content = {"approach": tools, "context": {**context, "tags": []}}
        parent = Finding("context_pattern", content).pattern_id
        return Action({"approach": tools}, f"get by with {', '.join(tools)}", (parent,))

    return deed


def _uses(columns: Columns) -> Iterator[Condition]:
    """Each tool that some episodes used and others did without; to do without it is no rule of its own."""
    import numpy as np

    approaches = [frozenset(tools) for tools in columns.approaches]
    took_steps = np.array([bool(tools) for tools in approaches], bool)[columns.approach]
    episodes = np.flatnonzero(took_steps)
    for tool in sorted(frozenset().union(*approaches)):
        used = np.array([tool in tools for tools in approaches], bool)[columns.approach[episodes]]
        if used.all() or not used.any():
            continue
        yield Condition(
            kind="use",
            when={"any_time": True},
            condition="there is a task",
            columns=columns,
            strata=columns.circumstances_by_domain,
            episode=episodes,
            action=np.where(used, _USED, _UNUSED),
            success=columns.outcomes[episodes],
            describe={
                _USED: Action({"use": [tool]}, f"use {tool} at some point"),
                _UNUSED: Action({"do_without": [tool]}, f"do without {tool}"),
            }.__getitem__,
            compared_only=frozenset([_UNUSED]),
        )
