"""A question to a memory, and the keywords that questions and new episodes take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypedDict

from ..deferred import dataclass
from .checks import check_type
from .context import Complexity, TaskContext, TaskType
from .episode import Json, Step

__all__ = ["ASKING", "EPISODE_HEAD", "Asking", "EpisodeHead", "Query", "check_keywords", "context_of"]


class Asking(TypedDict, total=False):
    """Keywords of every question. `None` means not given.

    Example:
        >>> import tacit
        >>> asking: tacit.Asking = {"domain": "retail", "agent": "gpt-4.1"}
        >>> tacit.Memory().recall("Cancel order 17", **asking).hits
        ()
    """

    context: TaskContext | None
    """The circumstances of the task; the next four keywords override its fields."""
    domain: str | None
    language: str | None
    framework: str | None
    complexity: Complexity | None
    agent: str | None
    """The model or agent that works on the task."""
    namespace: str | None
    """The tenant; `None` means the memory's own."""


class EpisodeHead(Asking, total=False):
    """Keywords that start an episode: those of `Asking` and six more.

    Example:
        >>> import tacit
        >>> head: tacit.EpisodeHead = {"domain": "retail", "task_key": "order-17", "tags": ["refund"]}
        >>> memory = tacit.Memory()
        >>> memory.get(memory.start("Cancel order 17", **head)).task_key
        'order-17'
    """

    task_type: TaskType
    task_key: str | None
    """A name that several attempts at one task share."""
    tags: Sequence[str]
    metadata: Mapping[str, Json] | None
    source: str | None
    external_id: str | None
    """A name of the run that is unique in its namespace."""


ASKING: frozenset[str] = frozenset(Asking.__annotations__)
EPISODE_HEAD: frozenset[str] = frozenset(EpisodeHead.__annotations__) | ASKING
_CONTEXT = ("domain", "language", "framework", "complexity")


@dataclass(frozen=True, slots=True)
class Query:
    """A question to a memory. An empty `task` means that no task was named.

    `steps` are those taken so far: steps, or the names of their tools. `state` is the agent's view of its situation;
    `None` means that it gave none.
    """

    task: str
    namespace: str
    context: TaskContext = field(default_factory=TaskContext)
    steps: tuple[Step | str, ...] = ()
    state: Json = None
    agent: str | None = None
    task_key: str | None = None


def context_of(given: Mapping[str, Any]) -> TaskContext:
    """The `context` keyword; `domain`, `language`, `framework` and `complexity` override its fields."""
    context: TaskContext | None = given.get("context")
    changes = {name: given[name] for name in _CONTEXT if given.get(name) is not None}
    if context is None:
        return TaskContext(**changes)
    check_type("context", context, TaskContext)
    return replace(context, **changes) if changes else context


def check_keywords(
    verb: str, given: Mapping[str, Any], known: frozenset[str], others: Iterable[str] = ()
) -> None:
    """Refuses an unknown keyword with a `TypeError` that names the nearest one of `known` and `others`."""
    unknown = given.keys() - known
    if unknown:
        name = min(unknown)
        import difflib

        nearest = difflib.get_close_matches(name, sorted({*known, *others}), n=1, cutoff=0.0)
        message = f"{verb}() got an unexpected keyword argument {name!r}; did you mean {nearest[0]!r}?"
        raise TypeError(message)
