"""The circumstances of a task."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from ..deferred import dataclass

Complexity: TypeAlias = Literal["simple", "moderate", "complex", "unknown"]
TaskType: TypeAlias = Literal[
    "code_generation", "debugging", "refactoring", "testing", "analysis", "documentation", "other"
]
COMPLEXITIES: tuple[str, ...] = get_args(Complexity)
TASK_TYPES: tuple[str, ...] = get_args(TaskType)


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The circumstances of a task; tasks with the same ones are comparable.

    `complexity` "unknown" counts as moderate in the reward and is a stratum of its own in the evidence. A tag has 2
    to 100 characters of letters, digits, `-` and `_`.

    Example:
        >>> from tacit import TaskContext
        >>> TaskContext(domain="retail", complexity="simple").complexity
        'simple'
    """

    domain: str = "general"
    language: str | None = None
    framework: str | None = None
    complexity: Complexity = "unknown"
    tags: tuple[str, ...] = ()
