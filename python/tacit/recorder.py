"""Recording an episode without naming its id: a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import EllipsisType, TracebackType
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, cast

from .errors import EpisodeClosedError, StorageError, ValidationError
from .memory import Memory
from .model.advice import Fixes, Playbook, Prediction, Suggestion
from .model.episode import Episode, Json, Outcome, Step
from .model.learned import Learned
from .model.query import EPISODE_HEAD, Asking, EpisodeHead, check_keywords
from .model.recall import Recall

P = ParamSpec("P")
R = TypeVar("R")


class Recorder:
    """One episode while it goes on; `Memory.episode` makes it.

    End it with `succeed`, `fail` or `partial`. An exception that leaves the `with` block fails it with the
    exception's message and passes; a block that ends without a verdict closes it as abandoned. If `succeed`, `fail`
    or `partial` raise because the store failed, that says nothing about the task: the episode stays open, and
    `memory.complete(episode.id, outcome)` may end it later.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> with memory.episode("Cancel order 17", domain="retail") as episode:
        ...     advice = episode.recall(limit=5)
        ...     number = episode.log("cancel_order", parameters={"order_id": 17}, output="cancelled")
        ...     learned = episode.succeed("refunded to the card")
        >>> learned.state
        'learned'
    """

    def __init__(self, memory: Memory, episode_id: str, task: str, asking: Asking) -> None:
        self.memory = memory
        self.id = episode_id
        self.learned: Learned | None = None
        """Everything the episode taught; `None` while it goes on."""
        self._task = task
        self._asking = asking
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
        truncate: Literal["observation"] | None = None,
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

    def recall(
        self,
        task: str | None = None,
        *,
        steps: Sequence[Step | str] | None = None,
        limit: int = 5,
        **asking: Unpack[Asking],
    ) -> Recall:
        """`Memory.recall` for this episode's task and context after its steps so far.

        `task`, `steps` and the keywords of `Memory.recall` override those of the episode. The answer is a receipt:
        the episode's ending credits the memories that were used.
        """
        asked: Asking = {**self._asking, **asking}
        return self.memory.recall(
            self._task if task is None else task,
            steps=self._tools if steps is None else steps,
            limit=limit,
            episode_id=self._open_id,
            **asked,
        )

    def suggest(self, *, limit: int = 5) -> Suggestion:
        """`Memory.suggest` for this episode's task, context and agent after its steps so far; a receipt too."""
        episode = self._so_far()
        return self.memory.suggest(
            episode.steps, task=self._task, limit=limit, episode_id=self._open_id, **_asking_of(episode)
        )

    def recover(self, error: str, *, tool: str | None = None, limit: int = 5) -> Fixes:
        """`Memory.recover` after the steps so far; `tool` may be left out if the last of them failed."""
        episode = self._so_far()
        return self.memory.recover(error, tool=tool, steps=episode.steps, limit=limit, **_asking_of(episode))

    def predict(self) -> Prediction:
        """`Memory.predict` for this episode's task, context and agent."""
        episode = self._so_far()
        return self.memory.predict(self._task, task_key=episode.task_key, **_asking_of(episode))

    def playbook(self, *, limit: int = 5) -> Playbook:
        """`Memory.playbook` for this episode's task, context and agent; a receipt too."""
        asking = _asking_of(self._so_far())
        return self.memory.playbook(self._task, limit=limit, episode_id=self._open_id, **asking)

    @property
    def _open_id(self) -> str | None:
        """The episode's id while it goes on: its answers are receipts."""
        return self.id if self.learned is None else None

    def _so_far(self) -> Episode:
        return self.memory.get(self.id)

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
                self._complete(Outcome.failure(_described(error)))


def _asking_of(episode: Episode) -> Asking:
    return {"context": episode.context, "agent": episode.agent, "namespace": episode.namespace}


def recorded(
    memory: Memory, task: str | None = None, **head: Unpack[EpisodeHead]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that makes each call of a function an episode; of an `async def`, each that is awaited.

    The task is `task`, else the function's name; the call is one step, and its tool has the function's name.
    Returning succeeds, raising fails and raises again. Takes the keywords of `Memory.start`. Raises
    `ValidationError` for a generator: its call returns before it has done anything.

    Example:
        >>> import tacit
        >>> memory = tacit.Memory()
        >>> @tacit.recorded(memory, domain="arithmetic")
        ... def add(a: int, b: int) -> int:
        ...     return a + b
        >>> add(1, 2)
        3
        >>> [episode.task for episode in memory.episodes()]
        ['add']
    """
    check_keywords("recorded", head, EPISODE_HEAD, ("memory", "task"))

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ValidationError("function", "a function that returns, or an async def", "a generator")
        tool = function.__name__
        text = tool.replace("_", " ") if task is None else task

        @functools.wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            episode = memory.episode(text, **head)
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

            episode = memory.episode(text, **head)
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
        episode.log(tool, error=_described(error))
        episode.fail(_described(error))


def _described(error: BaseException) -> str:
    """The exception in a line, cut to 10,000 characters."""
    message = str(error)
    line = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return line.encode("utf-8", "replace").decode()[:10_000]
