"""The same memory for asyncio: the same verbs, awaited."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar

from .memory import Memory
from .model.advice import Fixes, Playbook, Prediction, Suggestion
from .model.episode import Episode, Outcome, Step
from .model.learned import Learned
from .model.maintenance import Maintenance
from .model.pattern import Cluster, Contrast, Heuristic, Pattern
from .model.recall import Recall
from .model.usage import Usage
from .recorder import Recorder

T = TypeVar("T")


class AsyncMemory:
    """A `Memory` whose verbs are awaited; takes what `Memory` takes.

    What waits for a disk (`complete`, `add`, `recall`...) runs on threads of its own, so the event loop goes on;
    `start` and `log` only touch memory and are done at once. A cancelled `complete` goes on in its thread: repeating
    it with the same outcome is safe.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.memory: Memory = Memory(*arguments, **named)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="tacit")

    async def start(self, task: str, **head: Any) -> str:
        """As `Memory.start`."""
        return self.memory.start(task, **head)

    async def log(self, episode_id: str, tool: str, action: str | None = None, **step: Any) -> int:
        """As `Memory.log`."""
        return self.memory.log(episode_id, tool, action, **step)

    async def complete(self, episode_id: str, outcome: Outcome) -> Learned:
        """As `Memory.complete`."""
        return await self._run(self.memory.complete, episode_id, outcome)

    async def add(self, episode: Episode) -> Learned:
        """As `Memory.add`."""
        return await self._run(self.memory.add, episode)

    async def add_many(self, episodes: Iterable[Episode]) -> tuple[Learned, ...]:
        """As `Memory.add_many`, all at once."""
        return await self._run(lambda: tuple(self.memory.add_many(episodes)))

    async def forget(self, episode_id: str) -> None:
        """As `Memory.forget`."""
        await self._run(self.memory.forget, episode_id)

    async def recall(self, task: str, **asked: Any) -> Recall:
        """As `Memory.recall`."""
        return await self._run(self.memory.recall, task, **asked)

    async def feedback(self, recall_id: str, *, helped: Mapping[str, bool]) -> None:
        """As `Memory.feedback`."""
        await self._run(self.memory.feedback, recall_id, helped=helped)

    async def usage(self, memory_id: str, *, namespace: str | None = None) -> Usage:
        """As `Memory.usage`."""
        return await self._run(self.memory.usage, memory_id, namespace=namespace)

    async def suggest(self, steps: Sequence[Step | str] = (), **asked: Any) -> Suggestion:
        """As `Memory.suggest`."""
        return await self._run(self.memory.suggest, steps, **asked)

    async def recover(self, error: str, **asked: Any) -> Fixes:
        """As `Memory.recover`."""
        return await self._run(self.memory.recover, error, **asked)

    async def predict(self, task: str, **asked: Any) -> Prediction:
        """As `Memory.predict`."""
        return await self._run(self.memory.predict, task, **asked)

    async def playbook(self, task: str, **asked: Any) -> Playbook:
        """As `Memory.playbook`."""
        return await self._run(self.memory.playbook, task, **asked)

    async def get(self, episode_id: str) -> Episode:
        """As `Memory.get`."""
        return await self._run(self.memory.get, episode_id)

    async def episodes(self, **asked: Any) -> tuple[Episode, ...]:
        """As `Memory.episodes`."""
        return await self._run(self.memory.episodes, **asked)

    async def patterns(self, **asked: Any) -> tuple[Pattern, ...]:
        """As `Memory.patterns`."""
        return await self._run(self.memory.patterns, **asked)

    async def clusters(self, **asked: Any) -> tuple[Cluster, ...]:
        """As `Memory.clusters`."""
        return await self._run(self.memory.clusters, **asked)

    async def heuristics(self, **asked: Any) -> tuple[Heuristic, ...]:
        """As `Memory.heuristics`."""
        return await self._run(self.memory.heuristics, **asked)

    async def contrasts(self, task: str | None = None, **asked: Any) -> tuple[Contrast, ...]:
        """As `Memory.contrasts`."""
        return await self._run(self.memory.contrasts, task, **asked)

    async def maintain(self, **asked: Any) -> Maintenance:
        """As `Memory.maintain`."""
        return await self._run(self.memory.maintain, **asked)

    async def undo(self, audit_id: str) -> Maintenance:
        """As `Memory.undo`."""
        return await self._run(self.memory.undo, audit_id)

    async def score(self, episode: Episode) -> float | None:
        """As `Memory.score`."""
        return await self._run(self.memory.score, episode)

    async def stats(self) -> dict[str, Any]:
        """As `Memory.stats`."""
        return await self._run(self.memory.stats)

    async def close(self) -> None:
        """As `Memory.close`; waits for what is under way."""
        await self._run(self.memory.close)
        self._threads.shutdown(wait=False)

    @asynccontextmanager
    async def episode(self, task: str, **head: Any) -> AsyncIterator[AsyncRecorder]:
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
        """What the episode taught; None while it goes on."""
        return self.recorder.learned

    async def log(self, tool: str, action: str | None = None, **step: Any) -> int:
        """As `Recorder.log`."""
        return self.recorder.log(tool, action, **step)

    async def recall(self, task: str | None = None, **asked: Any) -> Recall:
        """As `Recorder.recall`."""
        return await self.memory._run(self.recorder.recall, task, **asked)

    async def suggest(self, **asked: Any) -> Suggestion:
        """As `Recorder.suggest`."""
        return await self.memory._run(self.recorder.suggest, **asked)

    async def recover(self, error: str, **asked: Any) -> Fixes:
        """As `Recorder.recover`."""
        return await self.memory._run(self.recorder.recover, error, **asked)

    async def predict(self) -> Prediction:
        """As `Recorder.predict`."""
        return await self.memory._run(self.recorder.predict)

    async def playbook(self, **asked: Any) -> Playbook:
        """As `Recorder.playbook`."""
        return await self.memory._run(self.recorder.playbook, **asked)

    async def succeed(self, verdict: str | None = None, **ending: Any) -> Learned:
        """As `Recorder.succeed`."""
        return await self.memory._run(self.recorder.succeed, verdict, **ending)

    async def partial(self, verdict: str | None = None, **ending: Any) -> Learned:
        """As `Recorder.partial`."""
        return await self.memory._run(self.recorder.partial, verdict, **ending)

    async def fail(self, reason: str, details: str | None = None) -> Learned:
        """As `Recorder.fail`."""
        return await self.memory._run(self.recorder.fail, reason, details)
