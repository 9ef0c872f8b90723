"""Adherence: an episode took the action of a heuristic under its condition."""

from __future__ import annotations

from typing import Any, Protocol

from .._native import Trajectory


class ConditionedAction(Protocol):
    """The fields of a heuristic that say the same as its text: see `Heuristic`."""

    @property
    def when(self) -> dict[str, Any]:
        """The condition."""
        ...

    @property
    def do(self) -> dict[str, Any]:
        """The action."""
        ...


def matches_action(heuristic: ConditionedAction, taken: Trajectory, agent: str | None, since: int) -> bool:
    """True if the action was taken under the condition after the first `since` steps; False if it names no action."""
    if heuristic.when.get("agent", agent) != agent:
        return False
    choices = _Choices(taken)
    return any(
        choices.holds(heuristic.when, at) and choices.does(heuristic.do, at) for at in choices.since(since)
    )


class _Choices:
    """The choice at each place of an episode; a place is the number of steps taken before it."""

    def __init__(self, taken: Trajectory) -> None:
        self._tools = taken.tools
        self._errors = [
            "ok" if ok else "none" if ok is None else error
            for ok, error in zip(taken.ok, taken.error_classes, strict=True)
        ]

    def since(self, steps: int) -> range:
        """Every place from this one on; the last is that of ending."""
        return range(steps, len(self._tools) + 1)

    def holds(self, when: dict[str, Any], at: int) -> bool:
        """True if the condition is met; a condition about the task alone is met at every place."""
        if "first_error" in when:
            return self._is_first_error(at) and when.get("tool", self._tools[at - 1]) == self._tools[at - 1]
        if "after" not in when:
            return True
        if when["after"] is None:
            return at == 0
        return at > 0 and (self._tools[at - 1], self._errors[at - 1]) == (when["after"], when["result"])

    def does(self, do: dict[str, Any], at: int) -> bool:
        """True if the action came next; an approach must be that of the whole episode."""
        if "tools" in do:
            tools = list(do["tools"])
            return self._tools[at : at + max(1, len(tools))] == tools
        if "respond" in do and at < len(self._tools):
            is_retry: bool = do["respond"] == "retry"
            return (self._tools[at] == self._tools[at - 1]) is is_retry
        return "approach" in do and list(dict.fromkeys(self._tools)) == list(do["approach"])

    def _is_first_error(self, at: int) -> bool:
        failed = [place for place, error in enumerate(self._errors, 1) if error not in ("ok", "none")]
        return failed[:1] == [at]
