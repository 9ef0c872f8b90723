"""Recording an episode without naming its id: a context manager and a decorator."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import EllipsisType, TracebackType
from typing import Any, ParamSpec, TypeVar

from .memory import Memory
from .model.episode import Json, Outcome
from .model.learned import Learned
from .model.recall import Recall

P = ParamSpec("P")
R = TypeVar("R")


class Recorder:
    """One episode while it goes on; `Memory.episode` makes it.

    End it with `succeed`, `fail` or `partial`. Leaving the `with` block by an exception fails it with the exception's
    message and lets the exception pass; leaving without a word closes it as abandoned.
    """

    def __init__(self, memory: Memory, episode_id: str, task: str, asked: dict[str, Any]) -> None:
        self.memory = memory
        self.id = episode_id
        self.learned: Learned | None = None
        self._task = task
        self._asked = asked
        self._tools: list[str] = []

    def log(
        self,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        output: Json | EllipsisType = ...,
        error: str | None = None,
        timed_out: bool = False,
        latency_ms: float | None = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        truncate: str | None = None,
    ) -> int:
        """Appends a step; as `Memory.log`."""
        number = self.memory.log(
            self.id,
            tool,
            action,
            parameters=parameters,
            output=output,
            error=error,
            timed_out=timed_out,
            latency_ms=latency_ms,
            tokens=tokens,
            metadata=metadata,
            truncate=truncate,
        )
        self._tools.append(tool)
        return number

    def recall(self, task: str | None = None, *, limit: int = 5, **asked: Any) -> Recall:
        """`Memory.recall` for this episode's task and context and the steps it has taken."""
        return self.memory.recall(
            self._task if task is None else task, steps=self._tools, limit=limit, **{**self._asked, **asked}
        )

    def succeed(self, verdict: str | None = None, *, artifacts: Sequence[str] = ()) -> Learned:
        """Ends the episode as a success."""
        return self._complete(Outcome.success(verdict, artifacts=tuple(artifacts)))

    def partial(
        self, verdict: str | None = None, *, completed: Sequence[str] = (), failed: Sequence[str] = ()
    ) -> Learned:
        """Ends the episode as a partial success."""
        return self._complete(Outcome.partial(verdict, completed=tuple(completed), failed=tuple(failed)))

    def fail(self, reason: str, details: str | None = None) -> Learned:
        """Ends the episode as a failure."""
        return self._complete(Outcome.failure(reason, details))

    def _complete(self, outcome: Outcome) -> Learned:
        self.learned = self.memory.complete(self.id, outcome)
        return self.learned

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.learned is not None:
            return
        if error is None:
            self._complete(Outcome.abandoned())
        else:
            self._complete(Outcome.failure(_told(error)))


def recorded(
    memory: Memory, task: str | None = None, **head: Any
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that makes each call of a function an episode.

    The task is `task`, else the function's name; the call is one step of the tool that bears the function's name,
    Returning succeeds, raising fails and raises
    again. Takes what `Memory.start` takes.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            with memory.episode(task or function.__name__.replace("_", " "), **head) as episode:
                try:
                    result = function(*arguments, **named)
                except BaseException as error:
                    episode.log(function.__name__, error=_told(error))
                    raise
                episode.log(function.__name__, output=None)
                episode.succeed()
                return result

        return call

    return decorate


def _told(error: BaseException) -> str:
    """The exception in a line that fits where it is kept."""
    return f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()[:10_000]
