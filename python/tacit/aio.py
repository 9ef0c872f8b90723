"""The same memory for asyncio: the same verbs, awaited."""

from __future__ import annotations

import asyncio
import copy
import functools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import Any, Literal, TypeVar, Unpack

from .config import Settings
from .memory import Memory
from .model.advice import Fixes, Playbook, Prediction, Suggestion
from .model.context import Complexity
from .model.episode import Episode, Json, Outcome, Step
from .model.learned import Learned
from .model.maintenance import Maintenance, Relearning
from .model.pattern import Cluster, Contrast, Heuristic, Pattern, PatternKind
from .model.query import Asking, EpisodeHead
from .model.recall import Recall
from .model.usage import Usage
from .observing import Observer
from .recorder import Recorder
from .redaction import Redactor
from .registry import Part
from .storage import Store

T = TypeVar("T")


class AsyncMemory:
    """A `Memory` whose verbs are awaited, with the same arguments.

    Verbs that wait for a disk (`complete`, `add`, `recall`...) run on threads of its own, so the event loop goes on;
    `start` and `log` only touch memory and are done at once. A cancelled `complete` goes on in its thread: repeating
    it with the same outcome is safe.

    Example:
        >>> import asyncio, tacit
        >>> async def main() -> str:
        ...     async with tacit.AsyncMemory() as memory, memory.episode("Cancel order 17") as episode:
        ...         await episode.log("cancel_order", output="cancelled")
        ...         return (await episode.succeed()).state
        >>> asyncio.run(main())
        'learned'
    """

    def __init__(
        self,
        database: str | Path | None = None,
        *,
        namespace: str = "default",
        settings: Settings | None = None,
        store: Store | None = None,
        redactor: Part[Redactor] | Sequence[Part[Redactor]] | EllipsisType | None = ...,
        observers: Iterable[Part[Observer]] = (),
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.memory: Memory = Memory(
            database,
            namespace=namespace,
            settings=settings,
            store=store,
            redactor=redactor,
            observers=observers,
            clock=clock,
        )
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="tacit")

    def within(self, namespace: str) -> AsyncMemory:
        """As `Memory.within`."""
        view = copy.copy(self)
        view.memory = self.memory.within(namespace)
        return view

    async def start(self, task: str, **head: Unpack[EpisodeHead]) -> str:
        """As `Memory.start`."""
        return self.memory.start(task, **head)

    async def log(
        self,
        episode_id: str,
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
        namespace: str | None = None,
    ) -> int:
        """As `Memory.log`."""
        return self.memory.log(
            episode_id,
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
            namespace=namespace,
        )

    async def complete(self, episode_id: str, outcome: Outcome, *, namespace: str | None = None) -> Learned:
        """As `Memory.complete`."""
        return await self._run(self.memory.complete, episode_id, outcome, namespace=namespace)

    async def add(self, episode: Episode) -> Learned:
        """As `Memory.add`."""
        return await self._run(self.memory.add, episode)

    async def add_many(self, episodes: Iterable[Episode]) -> tuple[Learned, ...]:
        """As `Memory.add_many`, all at once."""
        return await self._run(lambda: tuple(self.memory.add_many(episodes)))

    async def forget(self, episode_id: str, *, namespace: str | None = None) -> None:
        """As `Memory.forget`."""
        await self._run(self.memory.forget, episode_id, namespace=namespace)

    async def recall(
        self,
        task: str,
        *,
        steps: Sequence[Step | str] = (),
        limit: int = 5,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Recall:
        """As `Memory.recall`."""
        return await self._run(
            self.memory.recall, task, steps=steps, limit=limit, episode_id=episode_id, **asking
        )

    async def suggest(
        self,
        steps: Sequence[Step | str] = (),
        *,
        task: str | None = None,
        limit: int = 5,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Suggestion:
        """As `Memory.suggest`."""
        return await self._run(
            self.memory.suggest, steps, task=task, limit=limit, episode_id=episode_id, **asking
        )

    async def recover(
        self,
        error: str,
        *,
        tool: str | None = None,
        steps: Sequence[Step | str] = (),
        limit: int = 5,
        **asking: Unpack[Asking],
    ) -> Fixes:
        """As `Memory.recover`."""
        return await self._run(self.memory.recover, error, tool=tool, steps=steps, limit=limit, **asking)

    async def predict(
        self, task: str, *, task_key: str | None = None, **asking: Unpack[Asking]
    ) -> Prediction:
        """As `Memory.predict`."""
        return await self._run(self.memory.predict, task, task_key=task_key, **asking)

    async def playbook(
        self,
        task: str,
        *,
        limit: int = 5,
        arguments: bool = True,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Playbook:
        """As `Memory.playbook`."""
        return await self._run(
            self.memory.playbook, task, limit=limit, arguments=arguments, episode_id=episode_id, **asking
        )

    async def feedback(
        self, recall_id: str, *, helped: Mapping[str, bool], namespace: str | None = None
    ) -> None:
        """As `Memory.feedback`."""
        await self._run(self.memory.feedback, recall_id, helped=helped, namespace=namespace)

    async def usage(self, memory_id: str, *, namespace: str | None = None) -> Usage:
        """As `Memory.usage`."""
        return await self._run(self.memory.usage, memory_id, namespace=namespace)

    async def get(self, episode_id: str, *, namespace: str | None = None) -> Episode:
        """As `Memory.get`."""
        return await self._run(self.memory.get, episode_id, namespace=namespace)

    async def episodes(
        self,
        *,
        domain: str | None = None,
        agent: str | None = None,
        task_key: str | None = None,
        limit: int = 20,
        after: str | None = None,
        namespace: str | None = None,
    ) -> tuple[Episode, ...]:
        """As `Memory.episodes`."""
        return await self._run(
            self.memory.episodes,
            domain=domain,
            agent=agent,
            task_key=task_key,
            limit=limit,
            after=after,
            namespace=namespace,
        )

    async def patterns(
        self,
        *,
        kind: PatternKind | str | None = None,
        domain: str | None = None,
        agent: str | None = None,
        complexity: Complexity | None = None,
        order: str = "confidence",
        min_trials: int = 1,
        limit: int = 20,
        namespace: str | None = None,
    ) -> tuple[Pattern, ...]:
        """As `Memory.patterns`."""
        return await self._run(
            self.memory.patterns,
            kind=kind,
            domain=domain,
            agent=agent,
            complexity=complexity,
            order=order,
            min_trials=min_trials,
            limit=limit,
            namespace=namespace,
        )

    async def clusters(
        self, *, domain: str | None = None, limit: int = 10, namespace: str | None = None
    ) -> tuple[Cluster, ...]:
        """As `Memory.clusters`."""
        return await self._run(self.memory.clusters, domain=domain, limit=limit, namespace=namespace)

    async def heuristics(
        self,
        *,
        domain: str | None = None,
        agent: str | None = None,
        min_confidence: float = 0.0,
        limit: int = 20,
        namespace: str | None = None,
    ) -> tuple[Heuristic, ...]:
        """As `Memory.heuristics`."""
        return await self._run(
            self.memory.heuristics,
            domain=domain,
            agent=agent,
            min_confidence=min_confidence,
            limit=limit,
            namespace=namespace,
        )

    async def contrasts(
        self,
        task: str | None = None,
        *,
        domain: str | None = None,
        task_key: str | None = None,
        limit: int = 5,
        namespace: str | None = None,
    ) -> tuple[Contrast, ...]:
        """As `Memory.contrasts`."""
        return await self._run(
            self.memory.contrasts, task, domain=domain, task_key=task_key, limit=limit, namespace=namespace
        )

    async def relearn(self, *, progress: Callable[[Relearning], None] | None = None) -> Relearning:
        """As `Memory.relearn`; `progress` is called on another thread."""
        return await self._run(self.memory.relearn, progress=progress)

    async def maintain(self, *, dry_run: bool = False, namespace: str | None = None) -> Maintenance:
        """As `Memory.maintain`."""
        return await self._run(self.memory.maintain, dry_run=dry_run, namespace=namespace)

    async def undo(self, audit_id: str, *, namespace: str | None = None) -> Maintenance:
        """As `Memory.undo`."""
        return await self._run(self.memory.undo, audit_id, namespace=namespace)

    async def score(self, episode: Episode) -> float | None:
        """As `Memory.score`."""
        return await self._run(self.memory.score, episode)

    async def stats(self) -> dict[str, Any]:
        """As `Memory.stats`."""
        return await self._run(self.memory.stats)

    async def close(self) -> None:
        """As `Memory.close`; waits for calls under way."""
        await self._run(self.memory.close)
        if not self.memory.is_view:
            self._threads.shutdown(wait=False)

    @asynccontextmanager
    async def episode(self, task: str, **head: Unpack[EpisodeHead]) -> AsyncIterator[AsyncRecorder]:
        """As `Memory.episode`, with `async with`."""
        recorder = AsyncRecorder(self, self.memory.episode(task, **head))
        try:
            yield recorder
        except BaseException as error:
            await self._run(recorder.recorder.__exit__, type(error), error, None)
            raise
        await self._run(recorder.recorder.__exit__, None, None, None)

    async def __aenter__(self) -> AsyncMemory:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(call, *arguments, **named))


class AsyncRecorder:
    """One episode while it goes on; `AsyncMemory.episode` makes it."""

    def __init__(self, memory: AsyncMemory, recorder: Recorder) -> None:
        self.memory = memory
        self.recorder = recorder
        self.id: str = recorder.id

    @property
    def learned(self) -> Learned | None:
        """Everything the episode taught; `None` while it goes on."""
        return self.recorder.learned

    async def log(
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
        """As `Recorder.log`."""
        return self.recorder.log(
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

    async def recall(
        self,
        task: str | None = None,
        *,
        steps: Sequence[Step | str] | None = None,
        limit: int = 5,
        **asking: Unpack[Asking],
    ) -> Recall:
        """As `Recorder.recall`."""
        return await self.memory._run(self.recorder.recall, task, steps=steps, limit=limit, **asking)

    async def suggest(self, *, limit: int = 5) -> Suggestion:
        """As `Recorder.suggest`."""
        return await self.memory._run(self.recorder.suggest, limit=limit)

    async def recover(self, error: str, *, tool: str | None = None, limit: int = 5) -> Fixes:
        """As `Recorder.recover`."""
        return await self.memory._run(self.recorder.recover, error, tool=tool, limit=limit)

    async def predict(self) -> Prediction:
        """As `Recorder.predict`."""
        return await self.memory._run(self.recorder.predict)

    async def playbook(self, *, limit: int = 5) -> Playbook:
        """As `Recorder.playbook`."""
        return await self.memory._run(self.recorder.playbook, limit=limit)

    async def succeed(self, verdict: str | None = None, *, artifacts: Sequence[str] = ()) -> Learned:
        """As `Recorder.succeed`."""
        return await self.memory._run(self.recorder.succeed, verdict, artifacts=artifacts)

    async def partial(
        self, verdict: str | None = None, *, completed: Sequence[str] = (), failed: Sequence[str] = ()
    ) -> Learned:
        """As `Recorder.partial`."""
        return await self.memory._run(self.recorder.partial, verdict, completed=completed, failed=failed)

    async def fail(self, reason: str, details: str | None = None) -> Learned:
        """As `Recorder.fail`."""
        return await self.memory._run(self.recorder.fail, reason, details)
