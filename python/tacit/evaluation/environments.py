"""Environments that act back: the protocol, and the registry that `tacit eval --environment` looks names up in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from ..registry import Registry


@dataclass(frozen=True, slots=True)
class Turn:
    """An answer of an environment: the task's text on `reset`, then the result of the last action.

    `state` holds what the agent can see now, by name (a look around, an inventory). `actions` are those that are
    possible now; `None` means that the environment does not say. `score` is that of the whole attempt so far.
    """

    text: str
    state: Mapping[str, str] = field(default_factory=dict)
    actions: Sequence[str] | None = None
    score: float = 0.0
    done: bool = False


@runtime_checkable
class Environment(Protocol):
    """A world of text in which an agent acts. The same task, seed and split begin in the same way.

    An environment may also have `solution(task, seed, split)`, as `gold` for any split: the ceiling of the report.
    """

    tasks: Sequence[str]
    """The kinds of tasks, for reporting."""

    def reset(self, task: str, seed: int, split: str) -> Turn:
        """Begins a task of this kind; `split` is "train", "dev" or "test"."""
        ...

    def step(self, action: str) -> Turn:
        """Carries an action out."""
        ...

    def gold(self, task: str, seed: int) -> Sequence[str] | None:
        """The actions that solve a task of the split "train"; `None` means that none are known."""
        ...


environments: Registry[Environment] = Registry("environment", Environment)
"""Environments by name; those of other distributions come through the entry points `tacit.environments`."""


@environments.register("textworld_express")
def _textworld_express(*, tasks: str = "") -> Environment:
    from .textworld_express import TextWorldExpress

    return TextWorldExpress(tasks=tasks)
