"""The same memory for asyncio: the same verbs, awaited."""

from __future__ import annotations

import asyncio
import copy
import functools
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, Unpack

from .config import Settings
from .errors import EpisodeError, StorageError, TacitError
from .memory import Memory
from .model.advice import Fixes, Playbook, Prediction, Suggestion
from .model.choice import Action, Choice
from .model.context import Complexity
from .model.episode import Episode, Json, Outcome, Step
from .model.learned import DeadLetter, Learned
from .model.maintenance import Maintenance, Relearning
from .model.pattern import Cluster, Contrast, Heuristic, Pattern, PatternKind
from .model.query import EPISODE_HEAD, Asking, EpisodeHead, check_keywords
from .model.recall import Recall
from .model.transfer import Export, Retention
from .model.usage import Usage
from .observing import Observer
from .recorder import Call, Recorder
from .redaction import Redactor
from .registry import Part
from .storage import Store

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from .judging import Judge
    from .tools.generated import GeneratedTool

P = ParamSpec("P")
T = TypeVar("T")


class AsyncMemory:
    """A `Memory` whose verbs are awaited, with the same arguments.

    Verbs that wait for a disk (`complete`, `add`, `recall`...) run on threads of its own, and so does opening the
    files, so the event loop stays free; `start` and `log` only touch memory and are done at once. Cancelling a waiter
    withdraws nothing: a `complete` that was handed over is carried out, and repeating it is safe. After `close` every
    verb raises `StorageError`.

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
        read_only: bool = False,
        settings: Settings | None = None,
        store: Store | None = None,
        redactor: Part[Redactor] | Sequence[Part[Redactor]] | EllipsisType | None = ...,
        observers: Iterable[Part[Observer]] = (),
        clock: Callable[[], int] = time.time_ns,
        to_json: Callable[[object], object] | None = None,
        auth_token: str | None = None,
        learning: Literal["caller", "background"] | None = None,
    ) -> None:
        # Answers have threads of their own: they do not queue behind commits.
        self._commits = ThreadPoolExecutor(max_workers=8, thread_name_prefix="tacit-commit")
        self._answers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="tacit-answer")
        self._namespace: str | None = None
        self._closed = threading.Event()  # shared by the views of `within`
        self._closing: asyncio.Future[None] | None = None
        make = functools.partial(
            Memory,
            database,
            namespace=namespace,
            read_only=read_only,
            settings=settings,
            store=store,
            redactor=redactor,
            observers=observers,
            clock=clock,
            to_json=to_json,
            auth_token=auth_token,
            learning=learning,
        )
        opening = functools.partial(_open, make)
        self._opening: Future[Memory] = _resolved(opening) if _no_loop() else self._commits.submit(opening)

    @property
    def memory(self) -> Memory:
        """The memory behind this one. It waits if its files are still being opened."""
        memory = self._opening.result()
        return memory if self._namespace is None else memory.within(self._namespace)

    def within(self, namespace: str) -> AsyncMemory:
        """As `Memory.within`."""
        view = copy.copy(self)
        view._namespace = namespace
        return view

    async def start(self, task: str, **head: Unpack[EpisodeHead]) -> str:
        """As `Memory.start`."""
        return (await self._ready()).start(task, **head)

    async def log(
        self,
        episode_id: str,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        output: Json | EllipsisType = ...,
        error: str | BaseException | None = None,
        timed_out: bool = False,
        latency_ms: float | None = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
        truncate: Literal["observation"] | None = None,
        namespace: str | None = None,
        strict: bool = True,
    ) -> int:
        """As `Memory.log`. It waits on a thread if the episode is another process's, or is just being completed."""
        memory = await self._prepared(episode_id, namespace)
        step = (tool, action, parameters, output, error, timed_out, latency_ms, tokens, metadata)
        opened, number, is_late = memory._append(episode_id, step, truncate, state, strict, namespace)
        if is_late and strict:
            await self._run(functools.partial(memory._rooms.opened.refuse_late, opened, number))
        if number >= opened.land_at:
            memory._rooms.opened.wake()
        return number

    async def begin(
        self,
        episode_id: str,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        call_id: str | None = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
        namespace: str | None = None,
    ) -> str:
        """As `Memory.begin`."""
        memory = await self._prepared(episode_id, namespace)
        return memory.begin(
            episode_id,
            tool,
            action,
            parameters=parameters,
            call_id=call_id,
            tokens=tokens,
            metadata=metadata,
            state=state,
            namespace=namespace,
        )

    async def end(
        self,
        episode_id: str,
        *,
        call_id: str,
        output: Json | EllipsisType = ...,
        error: str | BaseException | None = None,
        timed_out: bool = False,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        namespace: str | None = None,
        strict: bool = True,
    ) -> int:
        """As `Memory.end`. It waits on a thread as `log` does."""
        memory = await self._prepared(episode_id, namespace)
        result = (output, error, timed_out, tokens, metadata)
        try:
            opened, number, is_late = memory._end(episode_id, call_id, result, namespace, strict)
        except TacitError as refusal:
            memory._observers.refused("end", memory.namespace, refusal)
            raise
        if is_late and strict:
            await self._run(functools.partial(memory._rooms.opened.refuse_late, opened, number))
        return number

    async def complete(
        self,
        episode_id: str,
        outcome: Outcome | None = None,
        *,
        replace: bool = False,
        namespace: str | None = None,
    ) -> Learned:
        """As `Memory.complete`."""
        return await self._call(Memory.complete, episode_id, outcome, replace=replace, namespace=namespace)

    async def resume(
        self, episode_id: str, *, force: bool = False, strict: bool = False, namespace: str | None = None
    ) -> AsyncRecorder:
        """As `Memory.resume`."""
        recorder = await self._call(
            Memory.resume, episode_id, force=force, strict=strict, namespace=namespace
        )
        return AsyncRecorder.of(self, recorder)

    async def flush(self) -> None:
        """As `Memory.flush`."""
        await self._call(Memory.flush)

    async def judge(
        self, episode_id: str, outcome: Outcome, *, by: str = "user", namespace: str | None = None
    ) -> Learned:
        """As `Memory.judge`."""
        return await self._call(Memory.judge, episode_id, outcome, by=by, namespace=namespace)

    async def add(self, episode: Episode, *, replace: bool = False) -> Learned:
        """As `Memory.add`."""
        return await self._call(Memory.add, episode, replace=replace)

    async def add_many(self, episodes: Iterable[Episode], *, replace: bool = False) -> tuple[Learned, ...]:
        """As `Memory.add_many`, all at once."""
        return await self._call(_add_all, episodes, replace=replace)

    async def forget(self, episode_id: str, *, namespace: str | None = None) -> None:
        """As `Memory.forget`."""
        await self._call(Memory.forget, episode_id, namespace=namespace)

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
        return await self._call(
            Memory.recall, task, steps=steps, limit=limit, episode_id=episode_id, **asking
        )

    async def suggest(
        self,
        steps: Sequence[Step | str] = (),
        *,
        task: str | None = None,
        state: Json = None,
        limit: int = 5,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Suggestion:
        """As `Memory.suggest`."""
        return await self._call(
            Memory.suggest, steps, task=task, state=state, limit=limit, episode_id=episode_id, **asking
        )

    async def choose(
        self,
        actions: Sequence[Action],
        *,
        steps: Sequence[Step | str] = (),
        task: str | None = None,
        state: Json = None,
        limit: int = 10,
        episode_id: str | None = None,
        **asking: Unpack[Asking],
    ) -> Choice:
        """As `Memory.choose`."""
        return await self._call(
            Memory.choose,
            actions,
            steps=steps,
            task=task,
            state=state,
            limit=limit,
            episode_id=episode_id,
            **asking,
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
        return await self._call(Memory.recover, error, tool=tool, steps=steps, limit=limit, **asking)

    async def predict(
        self, task: str, *, task_key: str | None = None, **asking: Unpack[Asking]
    ) -> Prediction:
        """As `Memory.predict`."""
        return await self._call(Memory.predict, task, task_key=task_key, **asking)

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
        return await self._call(
            Memory.playbook, task, limit=limit, arguments=arguments, episode_id=episode_id, **asking
        )

    async def feedback(
        self, recall_id: str, *, helped: Mapping[str, bool], namespace: str | None = None
    ) -> None:
        """As `Memory.feedback`."""
        await self._call(Memory.feedback, recall_id, helped=helped, namespace=namespace)

    async def usage(self, memory_id: str, *, namespace: str | None = None) -> Usage:
        """As `Memory.usage`."""
        return await self._call(Memory.usage, memory_id, namespace=namespace)

    async def get(self, episode_id: str, *, namespace: str | None = None) -> Episode:
        """As `Memory.get`."""
        return await self._call(Memory.get, episode_id, namespace=namespace)

    async def find(self, external_id: str, *, namespace: str | None = None) -> Episode | None:
        """As `Memory.find`."""
        return await self._call(Memory.find, external_id, namespace=namespace)

    async def namespaces(self) -> dict[str, tuple[int, int]]:
        """As `Memory.namespaces`."""
        return await self._call(Memory.namespaces)

    async def was_forgotten(self, external_id: str, *, namespace: str | None = None) -> bool:
        """As `Memory.was_forgotten`."""
        return await self._call(Memory.was_forgotten, external_id, namespace=namespace)

    async def open_episodes(self, *, limit: int = 20, namespace: str | None = None) -> tuple[Episode, ...]:
        """As `Memory.open_episodes`."""
        return await self._call(Memory.open_episodes, limit=limit, namespace=namespace)

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
        return await self._call(
            Memory.episodes,
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
        return await self._call(
            Memory.patterns,
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
        return await self._call(Memory.clusters, domain=domain, limit=limit, namespace=namespace)

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
        return await self._call(
            Memory.heuristics,
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
        return await self._call(
            Memory.contrasts, task, domain=domain, task_key=task_key, limit=limit, namespace=namespace
        )

    async def tools(
        self,
        task: str | None = None,
        *,
        domain: str | None = None,
        withdrawn: bool = False,
        limit: int = 20,
        namespace: str | None = None,
    ) -> tuple[GeneratedTool, ...]:
        """As `Memory.tools`."""
        return await self._call(
            Memory.tools, task, domain=domain, withdrawn=withdrawn, limit=limit, namespace=namespace
        )

    async def relearn(self, *, progress: Callable[[Relearning], None] | None = None) -> Relearning:
        """As `Memory.relearn`; `progress` is called on another thread."""
        return await self._call(Memory.relearn, progress=progress)

    async def maintain(self, *, dry_run: bool = False, namespace: str | None = None) -> Maintenance:
        """As `Memory.maintain`."""
        return await self._call(Memory.maintain, dry_run=dry_run, namespace=namespace)

    async def undo(self, audit_id: str, *, namespace: str | None = None) -> Maintenance:
        """As `Memory.undo`."""
        return await self._call(Memory.undo, audit_id, namespace=namespace)

    async def retain(
        self,
        *,
        older_than: timedelta | None = None,
        max_episodes: int | None = None,
        max_bytes: int | None = None,
        tag: str | None = None,
        dry_run: bool = False,
        namespace: str | None = None,
    ) -> Retention:
        """As `Memory.retain`."""
        return await self._call(
            Memory.retain,
            older_than=older_than,
            max_episodes=max_episodes,
            max_bytes=max_bytes,
            tag=tag,
            dry_run=dry_run,
            namespace=namespace,
        )

    async def export(
        self, path: str | Path, *, since: datetime | int | None = None, namespace: str | None = None
    ) -> Export:
        """As `Memory.export`."""
        return await self._call(Memory.export, path, since=since, namespace=namespace)

    async def drain(self, timeout: float | None = 60.0) -> int:
        """As `Memory.drain`."""
        return await self._call(Memory.drain, timeout)

    async def dead_letters(self, *, limit: int = 20, namespace: str | None = None) -> tuple[DeadLetter, ...]:
        """As `Memory.dead_letters`."""
        return await self._call(Memory.dead_letters, limit=limit, namespace=namespace)

    async def replay(self, episode_id: str | None = None, *, namespace: str | None = None) -> int:
        """As `Memory.replay`."""
        return await self._call(Memory.replay, episode_id, namespace=namespace)

    async def score(self, episode: Episode) -> float | None:
        """As `Memory.score`."""
        return await self._call(Memory.score, episode)

    async def stats(self) -> dict[str, Any]:
        """As `Memory.stats`."""
        return await self._call(Memory.stats)

    async def close(self) -> None:
        """As `Memory.close`; waits for calls under way. Later calls raise `StorageError`."""
        if self._namespace is not None:
            return
        if self._closing is None:
            self._closed.set()
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        """Goes on to its end, also if the one who asked for it is cancelled."""
        loop = asyncio.get_running_loop()
        memory = await asyncio.shield(asyncio.wrap_future(self._opening))
        for threads in (self._answers, self._commits):
            await asyncio.shield(loop.run_in_executor(None, threads.shutdown))
        await asyncio.shield(loop.run_in_executor(None, memory.close))

    def episode(
        self,
        task: str,
        *,
        strict: bool = False,
        judge: Judge | None = None,
        replace: bool = False,
        **head: Unpack[EpisodeHead],
    ) -> AsyncRecorder:
        """As `Memory.episode`, with `async with`."""
        check_keywords("episode", head, EPISODE_HEAD, ("task", "strict", "judge", "replace"))
        return AsyncRecorder(self, task, head, strict=strict, judge=judge, replace=replace)

    async def __aenter__(self) -> AsyncMemory:
        await self._ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except StorageError as failure:
            if error is None:
                raise
            error.add_note(f"tacit: {failure}")

    async def _ready(self) -> Memory:
        """The memory, once its files are open. The event loop stays free meanwhile."""
        if not self._opening.done():
            await asyncio.shield(asyncio.wrap_future(self._opening))
        return self.memory

    async def _prepared(self, episode_id: str, namespace: str | None) -> Memory:
        """The memory; an open episode of another process was looked up on a thread."""
        memory = await self._ready()
        opened = memory._rooms.opened
        if episode_id not in opened.by_id and not self._closed.is_set():
            await self._run(functools.partial(opened.prepare, episode_id, namespace or memory.namespace))
        return memory

    async def _call(self, verb: Callable[Concatenate[Memory, P], T], *given: P.args, **named: P.kwargs) -> T:
        """Calls a verb of the memory on a thread."""
        memory = await self._ready()
        return await self._run(functools.partial(verb, memory, *given, **named), verb.__name__ in _COMMITS)

    async def _run(self, call: Callable[[], T], commits: bool = True) -> T:
        """Runs the call on a thread. Cancelling the waiter withdraws nothing: the call is carried out."""
        if self._closed.is_set():
            raise StorageError("the memory is closed")
        threads = self._commits if commits else self._answers
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(threads, call))

    def _hand_over(self, call: Callable[[], object]) -> None:
        """Has the call carried out on a thread without waiting for it; at once if there is no thread any more."""
        try:
            self._commits.submit(call)
        except RuntimeError:
            call()


_COMMITS = frozenset(
    {
        "complete",
        "judge",
        "add",
        "_add_all",
        "forget",
        "feedback",
        "maintain",
        "undo",
        "relearn",
        "replay",
        "retain",
    }
)
"""Verbs that wait for the disk."""


def _add_all(memory: Memory, episodes: Iterable[Episode], *, replace: bool) -> tuple[Learned, ...]:
    return tuple(memory.add_many(episodes, replace=replace))


def _open(make: Callable[[], Memory]) -> Memory:
    """A memory whose open episodes are at hand: the loop does not wait for a thread that sets up another room."""
    memory = make()
    _ = memory._rooms.opened
    return memory


def _no_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _resolved(make: Callable[[], Memory]) -> Future[Memory]:
    future: Future[Memory] = Future()
    future.set_result(make())
    return future


class AsyncRecorder:
    """One open episode; `AsyncMemory.episode` makes it, `async with` starts it. As `Recorder`, awaited.

    The first verdict holds, also if the task that gave it is cancelled before the commit.

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
        memory: AsyncMemory,
        task: str,
        head: EpisodeHead,
        *,
        strict: bool = False,
        judge: Judge | None = None,
        replace: bool = False,
    ) -> None:
        self.memory = memory
        self._start = functools.partial(
            Recorder, task=task, head=head, strict=strict, judge=judge, replace=replace
        )
        self._recorder: Recorder | None = None

    @classmethod
    def of(cls, memory: AsyncMemory, recorder: Recorder) -> AsyncRecorder:
        """The awaited twin of a recorder whose episode is open; `AsyncMemory.resume` makes it."""
        awaited = cls.__new__(cls)
        awaited.memory, awaited._recorder = memory, recorder
        return awaited

    @property
    def recorder(self) -> Recorder:
        """The recorder behind this one. Raises `EpisodeError` before `async with` has started the episode."""
        if self._recorder is None:
            raise EpisodeError("the episode starts with `async with memory.episode(...)`")
        return self._recorder

    @property
    def id(self) -> str:
        """The episode's id."""
        return self.recorder.id

    @property
    def learned(self) -> Learned | None:
        """Everything the episode taught; `None` while it is open."""
        return self.recorder.learned

    @property
    def problems(self) -> tuple[str, ...]:
        """As `Recorder.problems`."""
        return self.recorder.problems

    async def __aenter__(self) -> AsyncRecorder:
        if self._recorder is None:
            self._recorder = self._start(await self.memory._ready())
        self._recorder.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        recorder = self.recorder
        recorder._leave()
        recorder._decide_ending(error)
        leave = functools.partial(recorder.__exit__, kind, error, traceback)
        if isinstance(error, GeneratorExit):  # a closed coroutine must not wait for anything
            self.memory._hand_over(leave)
        else:
            await self._on_thread(leave)

    async def log(
        self,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        output: Json | EllipsisType = ...,
        error: str | BaseException | None = None,
        timed_out: bool = False,
        latency_ms: float | None = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
        truncate: Literal["observation"] | None = None,
    ) -> int:
        """As `Recorder.log`."""
        step = (tool, action, parameters, output, error, timed_out, latency_ms, tokens, metadata)
        number, check_late = self.recorder._append(step, truncate, state)
        if check_late is not None:
            await self._on_thread(check_late)
        self.recorder._flush_full(number, wait=False)
        return number

    def begin(
        self,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        call_id: str | None = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
    ) -> Call:
        """As `Recorder.begin`; the call is not awaited, nor are its endings: they only touch memory."""
        return self.recorder.begin(
            tool,
            action,
            parameters=parameters,
            call_id=call_id,
            metadata=metadata,
            state=state,
        )

    def step(
        self,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
    ) -> AbstractContextManager[Call]:
        """As `Recorder.step`, with a plain `with`."""
        return self.recorder.step(tool, action, parameters=parameters, metadata=metadata, state=state)

    def batch(self) -> AbstractContextManager[None]:
        """As `Recorder.batch`, with a plain `with`."""
        return self.recorder.batch()

    async def recall(
        self,
        task: str | None = None,
        *,
        steps: Sequence[Step | str] | None = None,
        limit: int = 5,
        **asking: Unpack[Asking],
    ) -> Recall:
        """As `Recorder.recall`."""
        ask = functools.partial(self.recorder.recall, task, steps=steps, limit=limit, **asking)
        return await self._on_thread(ask, commits=False)

    async def suggest(self, *, state: Json = None, limit: int = 5) -> Suggestion:
        """As `Recorder.suggest`."""
        return await self._on_thread(
            functools.partial(self.recorder.suggest, state=state, limit=limit), commits=False
        )

    async def choose(self, actions: Sequence[Action], *, state: Json = None, limit: int = 10) -> Choice:
        """As `Recorder.choose`."""
        ask = functools.partial(self.recorder.choose, actions, state=state, limit=limit)
        return await self._on_thread(ask, commits=False)

    async def recover(self, error: str | BaseException, *, tool: str | None = None, limit: int = 5) -> Fixes:
        """As `Recorder.recover`."""
        ask = functools.partial(self.recorder.recover, error, tool=tool, limit=limit)
        return await self._on_thread(ask, commits=False)

    async def predict(self) -> Prediction:
        """As `Recorder.predict`."""
        return await self._on_thread(self.recorder.predict, commits=False)

    async def playbook(self, *, limit: int = 5) -> Playbook:
        """As `Recorder.playbook`."""
        return await self._on_thread(functools.partial(self.recorder.playbook, limit=limit), commits=False)

    async def succeed(self, verdict: str | None = None, *, artifacts: Sequence[str] = ()) -> Learned:
        """As `Recorder.succeed`."""
        return await self._end(self.recorder._success(verdict, artifacts))

    async def partial(
        self, verdict: str | None = None, *, completed: Sequence[str] = (), failed: Sequence[str] = ()
    ) -> Learned:
        """As `Recorder.partial`."""
        return await self._end(self.recorder._partial(verdict, completed, failed))

    async def fail(self, reason: str | BaseException, details: str | None = None) -> Learned:
        """As `Recorder.fail`."""
        return await self._end(self.recorder._failure(reason, details))

    async def end(self) -> Learned:
        """As `Recorder.end`."""
        self.recorder._decide_ending(None)
        return await self._on_thread(self.recorder.end)

    async def _end(self, outcome: Outcome) -> Learned:
        self.recorder._decide(outcome)
        return await self._on_thread(functools.partial(self.recorder._complete, outcome))

    async def _on_thread(self, call: Callable[[], T], *, commits: bool = True) -> T:
        if self.memory._closed.is_set():  # the recorder itself says what a closed memory cannot do
            return await asyncio.to_thread(call)
        return await self.memory._run(call, commits)
