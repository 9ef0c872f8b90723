"""Recording an episode without naming its id: a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import EllipsisType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from .errors import EpisodeClosedError, StorageError, ValidationError
from .memory import Memory
from .model.advice import Fixes, Playbook, Prediction, Suggestion
from .model.episode import Episode, Json, Outcome
from .model.learned import Learned
from .model.recall import Recall

P = ParamSpec("P")
R = TypeVar("R")


class Recorder:
    """One episode while it goes on; `Memory.episode` makes it.

    End it with `succeed`, `fail` or `partial`. Leaving the `with` block by an exception fails it with the exception's
    message and lets the exception pass; leaving without a word closes it as abandoned. Where `succeed`, `fail` or
    `partial` raise because the store failed, that says nothing about the task: the episode stays open, and
    `memory.complete(episode.id, outcome)` may end it later.
    """

    def __init__(self, memory: Memory, episode_id: str, task: str, asked: dict[str, Any]) -> None:
        self.memory = memory
        self.id = episode_id
        self.learned: Learned | None = None
        self._task = task
        self._asked = asked
        self._tools: list[str] = []
        self._not_stored: BaseException | None = None

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
        """`Memory.recall` for this episode's task and context and the steps it has taken.

        The answer is a receipt: the episode's ending credits what was used of it.
        """
        asked = {**self._asked, "steps": self._tools, "episode_id": self._open_id, **asked}
        return self.memory.recall(self._task if task is None else task, limit=limit, **asked)

    def suggest(self, *, limit: int = 5) -> Suggestion:
        """`Memory.suggest` for this episode's task, context and agent, after the steps it has taken; a receipt too."""
        steps = self._so_far().steps
        asked = {**self._who(), "episode_id": self._open_id}
        return self.memory.suggest(steps, task=self._task, limit=limit, **asked)

    def recover(self, error: str, *, tool: str | None = None, limit: int = 5) -> Fixes:
        """`Memory.recover` after the steps it has taken; `tool` may be left out where the last of them failed."""
        return self.memory.recover(error, tool=tool, steps=self._so_far().steps, limit=limit, **self._who())

    def predict(self) -> Prediction:
        """`Memory.predict` for this episode's task, context and agent."""
        return self.memory.predict(self._task, task_key=self._so_far().task_key, **self._who())

    def playbook(self, *, limit: int = 5) -> Playbook:
        """`Memory.playbook` for this episode's task, context and agent; a receipt too."""
        return self.memory.playbook(self._task, limit=limit, **self._who(), episode_id=self._open_id)

    @property
    def _open_id(self) -> str | None:
        """The episode whose receipts the answers are, while it goes on."""
        return self.id if self.learned is None else None

    def _so_far(self) -> Episode:
        return self.memory.get(self.id)

    def _who(self) -> dict[str, Any]:
        episode = self._so_far()
        return {"context": episode.context, "agent": episode.agent, "namespace": episode.namespace}

    def succeed(self, verdict: str | None = None, *, artifacts: Sequence[str] = ()) -> Learned:
        """Ends the episode as a success."""
        return self._complete(Outcome.success(verdict, artifacts=artifacts))

    def partial(
        self, verdict: str | None = None, *, completed: Sequence[str] = (), failed: Sequence[str] = ()
    ) -> Learned:
        """Ends the episode as a partial success."""
        return self._complete(Outcome.partial(verdict, completed=completed, failed=failed))

    def fail(self, reason: str, details: str | None = None) -> Learned:
        """Ends the episode as a failure."""
        return self._complete(Outcome.failure(reason, details))

    def _complete(self, outcome: Outcome) -> Learned:
        try:
            self.learned = self.memory.complete(self.id, outcome)
        except (StorageError, KeyboardInterrupt) as error:
            self._not_stored = error
            raise
        return self.learned

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.learned is not None or (error is not None and error is self._not_stored):
            return
        if error is None:
            self._complete(Outcome.abandoned())
        else:
            with suppress(EpisodeClosedError):  # an ending that was interrupted may have come about
                self._complete(Outcome.failure(_told(error)))


def recorded(
    memory: Memory, task: str | None = None, **head: Any
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that makes each call of a function an episode; of an `async def`, each that is awaited.

    The task is `task`, else the function's name; the call is one step of the tool that bears the function's name.
    Returning succeeds, raising fails and raises again. Takes what `Memory.start` takes. Raises `ValidationError` for
    a generator: its call returns before it has done anything.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ValidationError("function", "a function that returns, or an async def", "a generator")
        tool = function.__name__
        told = tool.replace("_", " ") if task is None else task

        @functools.wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            episode = memory.episode(told, **head)
            try:
                result = function(*arguments, **named)
            except BaseException as error:
                _end(episode, tool, error)
                raise
            _end(episode, tool)
            return result

        @functools.wraps(function)
        async def awaited(*arguments: P.args, **named: P.kwargs) -> Any:
            import asyncio

            episode = memory.episode(told, **head)
            try:
                result = await cast(Any, function(*arguments, **named))
            except BaseException as error:
                await asyncio.to_thread(_end, episode, tool, error)
                raise
            await asyncio.to_thread(_end, episode, tool)
            return result

        return cast(Callable[P, R], awaited) if inspect.iscoroutinefunction(function) else call

    return decorate


def _end(episode: Recorder, tool: str, error: BaseException | None = None) -> None:
    """The episode of one call: its only step, and how it ended."""
    if error is None:
        episode.log(tool, output=None)
        episode.succeed()
    else:
        episode.log(tool, error=_told(error))
        episode.fail(_told(error))


def _told(error: BaseException) -> str:
    """The exception in a line that fits where it is kept."""
    message = str(error)
    told = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return told.encode("utf-8", "replace").decode()[:10_000]
