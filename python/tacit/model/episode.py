"""One attempt at a task: its steps, how it ended, how it scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..deferred import dataclass
from ..errors import ValidationError
from .context import TaskContext, TaskType

if TYPE_CHECKING:
    from datetime import datetime

Json: TypeAlias = Any
"""None, bool, int of 64 bits, finite float, str, or a list or dict (with str keys) of these, at most 128 deep."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tool call and its result.

    `status` is "ok", "error", "timeout", or None while there is no result: such a step neither went well nor failed.
    `at` is in microseconds since 1970, UTC; a step for `Memory.add` may have an aware `datetime` there. `number` counts
    from 1.

    Example:
        >>> from tacit import Step
        >>> Step("get_order", parameters={"order_id": 17}, status="ok", output="open").ok
        True
    """

    tool: str
    action: str | None = None
    parameters: Json = None
    status: Literal["ok", "error", "timeout"] | None = None
    output: Json = None
    error: str | None = None
    latency_ms: float | None = None
    tokens: int | None = None
    metadata: dict[str, Json] | None = None
    number: int = 0
    at: int = 0
    state: Json = None
    """The agent's view of its situation when it took the step: a text or a mapping; `None` if it gave none."""
    altered: tuple[str, ...] = ()
    """Changes that recording made to the given values, for example `"output: tuple became a list"`."""
    call_id: str | None = None
    """The id that joins the beginning and the result of the call; `None` for a step that was logged at once."""
    batch: int | None = None
    """The steps of one number were in flight at the same time: they have no order. `None` for a step that was logged
    at once."""

    if TYPE_CHECKING:
        # The fields, with times as `Memory.add` takes them.
        def __init__(
            self,
            tool: str,
            action: str | None = None,
            parameters: Json = None,
            status: Literal["ok", "error", "timeout"] | None = None,
            output: Json = None,
            error: str | None = None,
            latency_ms: float | None = None,
            tokens: int | None = None,
            metadata: dict[str, Json] | None = None,
            number: int = 0,
            at: int | datetime = 0,
            state: Json = None,
            altered: tuple[str, ...] = (),
            call_id: str | None = None,
            batch: int | None = None,
        ) -> None: ...

    @property
    def ok(self) -> bool | None:
        """True if the step went well, False if it failed; `None` means no result yet."""
        return None if self.status is None else self.status == "ok"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an episode ended. Made by `success`, `partial`, `failure`, `unknown` and `abandoned`.

    Example:
        >>> from tacit import Outcome
        >>> Outcome.partial(completed=["cancel"], failed=["refund"]).share
        0.5
    """

    kind: Literal["success", "partial", "failure", "unknown", "abandoned"]
    verdict: str | None = None
    artifacts: tuple[str, ...] = ()
    completed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    reason: str | None = None
    details: str | None = None

    @classmethod
    def success(cls, verdict: str | None = None, *, artifacts: Sequence[str] = ()) -> Outcome:
        """The task was done; `artifacts` are its products (names or texts, at most 1 MB each)."""
        return cls("success", verdict, artifacts=_texts("artifacts", artifacts))

    @classmethod
    def partial(
        cls,
        verdict: str | None = None,
        *,
        completed: Sequence[str] = (),
        failed: Sequence[str] = (),
    ) -> Outcome:
        """Some of the task was done; its share is completed / (completed + failed), a half when both are empty."""
        return cls(
            "partial", verdict, completed=_texts("completed", completed), failed=_texts("failed", failed)
        )

    @classmethod
    def failure(cls, reason: str, details: str | None = None) -> Outcome:
        """The task was not done."""
        return cls("failure", reason=reason, details=details)

    @classmethod
    def unknown(cls) -> Outcome:
        """Nobody has said yet how the episode went: recalled, and learned from as far as its own steps tell."""
        return cls("unknown")

    @classmethod
    def abandoned(cls) -> Outcome:
        """The episode was left open: stored, never learned from."""
        return cls("abandoned")

    @property
    def share(self) -> float | None:
        """The share of the task that was done, within 0..1; `None` means unknown or abandoned."""
        parts = len(self.completed) + len(self.failed)
        partial = len(self.completed) / parts if parts else 0.5
        return {"success": 1.0, "partial": partial, "failure": 0.0}.get(self.kind)


def _texts(field: str, given: Sequence[str]) -> tuple[str, ...]:
    """One text is not a sequence of its characters."""
    if isinstance(given, str):
        raise ValidationError(field, "a sequence of texts", "str")
    return tuple(given)


@dataclass(frozen=True, slots=True)
class Reward:
    """The score of an episode: `total = base * (efficiency * complexity_bonus * quality_multiplier + learning_bonus)`.

    `novelty` (share of patterns never seen before, 0..1), `usual_seconds` and `usual_steps` are the yardsticks
    of the score. Stored with the episode; a later verdict is scored by them too.

    Example:
        >>> from tacit import Memory, Outcome
        >>> memory = Memory()
        >>> memory.complete(memory.start("t"), Outcome.failure("no")).reward.total
        0.0
    """

    total: float
    base: float
    efficiency: float
    complexity_bonus: float
    quality_multiplier: float
    learning_bonus: float
    novelty: float
    usual_seconds: float
    usual_steps: float


@dataclass(frozen=True, slots=True)
class Reflection:
    """Successes, improvements and insights: at most five sentences each, most telling first.

    Example:
        >>> from tacit import Memory, Outcome
        >>> memory = Memory()
        >>> memory.complete(memory.start("t"), Outcome.failure("card expired")).reflection.improvements[0]
        'It failed: card expired.'
    """

    successes: tuple[str, ...] = ()
    improvements: tuple[str, ...] = ()
    insights: tuple[str, ...] = ()
    generated_at: int = 0


@dataclass(frozen=True, slots=True)
class Episode:
    """One attempt at a task, from start to outcome.

    Times are in microseconds since 1970, UTC. `timed` is False if the run came without times of its own: it is
    dated by its import, and its duration is unknown unless its metadata have a `duration_s`. `task_key` is
    shared by several attempts at one task; `external_id` is unique within its namespace and makes an import
    idempotent. An episode for `Memory.add` needs a task; missing ids, times and step numbers are filled in. Its times
    may be aware `datetime` values.

    Example:
        >>> from tacit import Episode, Memory, Outcome, Step
        >>> steps = (Step("cancel_order", status="ok"),)
        >>> run = Episode(task="Cancel order 17", steps=steps, outcome=Outcome.success(), external_id="run-1")
        >>> memory = Memory()
        >>> memory.add(run).state, memory.add(run).state
        ('learned', 'unchanged')
    """

    task: str
    id: str = ""
    namespace: str = "default"
    task_key: str | None = None
    task_type: TaskType = "other"
    context: TaskContext = field(default_factory=TaskContext)
    started_at: int = 0
    ended_at: int | None = None
    timed: bool = True
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None
    reward: Reward | None = None
    reflection: Reflection | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Json] = field(default_factory=dict)
    agent: str | None = None
    source: str | None = None
    external_id: str | None = None
    judged_by: str | None = None
    """The source of a verdict that `Memory.judge` gave; `None` means that the outcome is the one it ended with."""
    judged_at: int | None = None
    """Microseconds since 1970, UTC; `None` without such a verdict."""
    pending: str | None = None
    """The failure because of which the ended episode was not learned from yet; `None` if it does not wait."""

    if TYPE_CHECKING:
        # The fields, with times as `Memory.add` takes them.
        def __init__(
            self,
            task: str,
            id: str = "",
            namespace: str = "default",
            task_key: str | None = None,
            task_type: TaskType = "other",
            context: TaskContext = ...,
            started_at: int | datetime = 0,
            ended_at: int | datetime | None = None,
            timed: bool = True,
            steps: tuple[Step, ...] = (),
            outcome: Outcome | None = None,
            reward: Reward | None = None,
            reflection: Reflection | None = None,
            tags: tuple[str, ...] = (),
            metadata: dict[str, Json] = ...,
            agent: str | None = None,
            source: str | None = None,
            external_id: str | None = None,
            judged_by: str | None = None,
            judged_at: int | datetime | None = None,
            pending: str | None = None,
        ) -> None: ...

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; `None` means open or unknown."""
        if self.ended_at is None or not self.timed:
            return None
        return (self.ended_at - self.started_at) / 1e6
