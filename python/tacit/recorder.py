"""Recording an episode without naming its id: a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, Unpack, cast

from . import _native
from .current_episode import enter, leave
from .errors import EpisodeClosedError, EpisodeError, TacitError, ValidationError, is_failure
from .intake.conversion import cut_middle, error_text
from .intake.lenient_head import lenient_head
from .memory import Memory
from .model.advice import Fixes, Playbook, Prediction, Suggestion
from .model.checks import check_outcome
from .model.choice import Action, Choice
from .model.episode import Episode, Json, Outcome, Step
from .model.learned import Learned
from .model.query import ASKING, EPISODE_HEAD, Asking, EpisodeHead, check_keywords
from .model.recall import Recall
from .model.record import Receipt

if TYPE_CHECKING:
    from .judging import Judge

P = ParamSpec("P")
R = TypeVar("R")
_MAX_ERROR = 10_000
_MAX_PROBLEMS = 100
_UNSTORED = Receipt(0, 0, 0, "")


class Recorder:
    """One open episode; `Memory.episode` makes it.

    End it with `succeed`, `fail` or `partial`: the first verdict holds. A block that ends without a verdict ends as
    `judge` decides, else with an unknown outcome; `end` does the same. An `Exception` that leaves the `with` block
    fails the episode with the exception's message and passes; an interrupt, an exit or a cancellation abandons it.
    An episode that somebody else has ended by then stays as it is.

    The recorder never raises into the agent. Logged values are converted, cut or dropped, and `problems` and each
    step's `altered` say so. If the store fails, `succeed`, `fail` and `partial` return a `Learned` whose state is
    "unstored"; the episode stays open, is tried again with the next commit and at `Memory.close`, which raises if it
    still cannot be stored. Questions are answered with nothing and `degraded=("store",)`. With `strict=True` every
    verb raises as the plain verbs of `Memory` do.

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

    def __init__(
        self,
        memory: Memory,
        task: str,
        head: EpisodeHead,
        *,
        strict: bool = False,
        judge: Judge | None = None,
        replace: bool = False,
    ) -> None:
        self.strict = strict
        self._judge = judge
        self._replaces = replace
        self.learned: Learned | None = None
        """Everything the episode taught; `None` while it is open."""
        self._problems: list[str] = []
        self._tools: list[str] = []
        self._verdict: Outcome | None = None
        self._is_undecided = False
        """True if the block ended without a verdict of its own."""
        self.around: Recorder | None = None
        """The recorder that was current when the block began."""
        self.has_left: bool = False
        """True once the block has ended."""
        if not strict:
            task, head = self._mended(task, head, memory)
        namespace = head.get("namespace")
        self.memory: Memory = memory if namespace is None else memory.within(namespace)
        self.id: str = _native.new_id()
        self._task = task
        self._asking: Asking = {name: head[name] for name in ASKING & head.keys()}  # type: ignore[assignment, literal-required]
        with self._lenient("start"):
            self.id = self.memory.start(task, **head)

    @classmethod
    def of(
        cls, memory: Memory, episode: Episode, *, strict: bool = False, judge: Judge | None = None
    ) -> Recorder:
        """A recorder of an episode that is open in this memory; `Memory.resume` makes it."""
        recorder = cls.__new__(cls)
        recorder.strict, recorder.learned, recorder.memory, recorder.id = strict, None, memory, episode.id
        recorder._problems, recorder._verdict, recorder._is_undecided = [], None, False
        recorder.around, recorder.has_left = None, False
        recorder._judge, recorder._replaces = judge, False
        recorder._tools = [step.tool for step in episode.steps]
        recorder._task = episode.task
        recorder._asking = {"context": episode.context, "agent": episode.agent}
        return recorder

    def _mended(self, task: str, head: EpisodeHead, memory: Memory) -> tuple[str, EpisodeHead]:
        with self._lenient("head"):
            task, head, self._problems = lenient_head(task, head, memory.settings.limits)
            return task, head
        return "untitled task", {}

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that was altered, dropped or not stored, in words; empty if nothing was."""
        opens = self.memory._rooms.opened
        opened, loss = opens.by_id.get(self.id), opens.loss_of(self.id)
        of_steps = ((loss,) if loss else ()) if opened is None else opened.problems
        of_ending = () if self.learned is None else self.learned.problems
        return tuple(dict.fromkeys((*self._problems, *of_steps, *of_ending)))

    def log(
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
        """Appends a step and returns its number; as `Memory.log` with `strict=False`.

        0 means that the step could not be recorded, and `problems` says why.
        """
        step = (tool, action, parameters, output, error, timed_out, latency_ms, tokens, metadata)
        number, check_late = self._append(step, truncate, state)
        if check_late is not None:
            check_late()
        self._flush_full(number)
        return number

    def _flush_full(self, number: int, *, wait: bool = True) -> None:
        """Stores a batch that the step of this number fills; without `wait` the timer does it."""
        opened = self.memory._rooms.opened.by_id.get(self.id)
        if opened is None or number < opened.land_at:
            return
        with self._lenient("log"):
            if wait:
                self.memory._rooms.opened.flush_full(opened)
            else:
                self.memory._rooms.opened.wake()

    def _append(
        self, step: tuple[object, ...], truncate: str | None, state: Json
    ) -> tuple[int, Callable[[], None] | None]:
        """Appends a step without waiting for a lock.

        Gives its number, and for a strict recorder a check that raises if the step came too late; it may wait.
        """
        opened, number, is_late = None, 0, False
        with self._lenient("log"):
            opened, number, is_late = self.memory._append(self.id, step, truncate, state, self.strict)
        if number:
            self._tools.append(step[0] if isinstance(step[0], str) else type(step[0]).__name__)
        if is_late and self.strict and opened is not None:
            return number, functools.partial(self.memory._rooms.opened.refuse_late, opened, number)
        return number, None

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
        """Notes that a call begins; the returned `Call` takes its result. See `Memory.begin`."""
        call = Call(self, tool, _native.new_id() if call_id is None else call_id)
        with self._lenient("begin"):
            self.memory.begin(
                self.id,
                tool,
                action,
                parameters=parameters,
                call_id=call.id,
                metadata=metadata,
                state=state,
            )
        return call

    @contextmanager
    def step(
        self,
        tool: str,
        action: str | None = None,
        *,
        parameters: Json = None,
        metadata: dict[str, Json] | None = None,
        state: Json = None,
    ) -> Iterator[Call]:
        """A call that is in flight while the block runs.

        An exception fails it and passes. A block that gives no result ends the call with the output `None`.

        Example:
            >>> from tacit import Memory
            >>> memory = Memory()
            >>> with memory.episode("Find flights to Oslo") as episode:
            ...     with episode.step("search", parameters={"to": "Oslo"}) as call:
            ...         number = call.end(output=["SK 4423"])
            ...     learned = episode.succeed()
            >>> memory.get(episode.id).steps[0].output
            ['SK 4423']
        """
        call = self.begin(tool, action, parameters=parameters, metadata=metadata, state=state)
        try:
            yield call
        except BaseException as error:
            if not call.has_ended:
                call.fail(error)
            raise
        if not call.has_ended:
            call.end(output=None)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Every step that is logged or begun in the block belongs to one batch: the steps have no order."""
        opened = self.memory._rooms.opened.by_id.get(self.id)
        calls = None if opened is None else opened.in_flight()
        if calls is not None:
            calls.hold_batch()
        try:
            yield
        finally:
            if calls is not None:
                calls.release_batch()

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
        check_keywords("recall", asking, ASKING, ("task", "steps", "limit"))
        asked: Asking = {**self._asking, **asking}
        answer = Recall(_native.new_id(), self._task if task is None else task, degraded=("store",))
        with self._lenient("recall"):
            answer = self.memory.recall(
                self._task if task is None else task,
                steps=self._tools if steps is None else steps,
                limit=limit,
                episode_id=self._open_id,
                **asked,
            )
        return answer

    def suggest(self, *, state: Json = None, limit: int = 5) -> Suggestion:
        """`Memory.suggest` for this episode's task, context and agent after its steps so far; a receipt too."""
        answer = Suggestion(_native.new_id(), (), degraded=("store",))
        with self._lenient("suggest"):
            episode = self._so_far()
            answer = self.memory.suggest(
                episode.steps,
                task=self._task,
                state=state,
                limit=limit,
                episode_id=self._open_id,
                **_asking_of(episode),
            )
        return answer

    def choose(self, actions: Sequence[Action], *, state: Json = None, limit: int = 10) -> Choice:
        """`Memory.choose` for this episode's task, context and agent after its steps so far; a receipt too."""
        answer = Choice(_native.new_id(), (), degraded=("store",))
        with self._lenient("choose"):
            episode = self._so_far()
            answer = self.memory.choose(
                actions,
                steps=episode.steps,
                task=self._task,
                state=state,
                limit=limit,
                episode_id=self._open_id,
                **_asking_of(episode),
            )
        return answer

    def recover(self, error: str | BaseException, *, tool: str | None = None, limit: int = 5) -> Fixes:
        """`Memory.recover` after the steps so far; `tool` may be left out if the last of them failed."""
        text = error_text(error) if isinstance(error, BaseException) else error
        answer = Fixes("", tool, (), degraded=("store",))
        with self._lenient("recover"):
            episode = self._so_far()
            answer = self.memory.recover(
                text, tool=tool, steps=episode.steps, limit=limit, **_asking_of(episode)
            )
        return answer

    def predict(self) -> Prediction:
        """`Memory.predict` for this episode's task, context and agent."""
        answer = _UNKNOWN_ODDS
        with self._lenient("predict"):
            episode = self._so_far()
            answer = self.memory.predict(self._task, task_key=episode.task_key, **_asking_of(episode))
        return answer

    def playbook(self, *, limit: int = 5) -> Playbook:
        """`Memory.playbook` for this episode's task, context and agent; a receipt too."""
        answer = Playbook(_native.new_id(), self._task, (), _UNKNOWN_ODDS, degraded=("store",))
        with self._lenient("playbook"):
            asking = _asking_of(self._so_far())
            answer = self.memory.playbook(self._task, limit=limit, episode_id=self._open_id, **asking)
        return answer

    @property
    def _open_id(self) -> str | None:
        """The episode's id while it is open: its answers are receipts."""
        return self.id if self.learned is None else None

    def _so_far(self) -> Episode:
        return self.memory.get(self.id)

    def succeed(self, verdict: str | None = None, *, artifacts: Sequence[str] = ()) -> Learned:
        """Ends the episode as a success."""
        return self._complete(self._success(verdict, artifacts))

    def partial(
        self, verdict: str | None = None, *, completed: Sequence[str] = (), failed: Sequence[str] = ()
    ) -> Learned:
        """Ends the episode as a partial success."""
        return self._complete(self._partial(verdict, completed, failed))

    def fail(self, reason: str | BaseException, details: str | None = None) -> Learned:
        """Ends the episode as a failure; `reason` is a text or the exception that was the reason."""
        return self._complete(self._failure(reason, details))

    def end(self) -> Learned:
        """Ends the episode without a verdict, as the end of its block does: as `judge` decides, else unknown.

        An episode that has ended before stays as it is.
        """
        return self._end(None) if self.learned is None else self.learned

    def _success(self, verdict: str | None, artifacts: Sequence[str]) -> Outcome:
        with self._lenient("outcome"):
            return Outcome.success(verdict, artifacts=artifacts)
        return Outcome("success", verdict)

    def _partial(self, verdict: str | None, completed: Sequence[str], failed: Sequence[str]) -> Outcome:
        with self._lenient("outcome"):
            return Outcome.partial(verdict, completed=completed, failed=failed)
        return Outcome("partial", verdict)

    def _failure(self, reason: str | BaseException, details: str | None) -> Outcome:
        return Outcome.failure(_described(reason) if isinstance(reason, BaseException) else reason, details)

    def _decide(self, outcome: Outcome) -> Outcome:
        """The verdict of the episode: the first one that was given; a strict recorder lets its store refuse others."""
        if self._verdict is None or self.strict:
            self._is_undecided = self._is_undecided and outcome is self._verdict
            self._verdict = outcome
        elif outcome != self._verdict:
            given = f"the episode has ended as {self._verdict.kind}"
            self._note(outcome.kind, ValidationError("verdict", "given once", given))
        return self._verdict

    def _decide_ending(self, error: BaseException | None) -> None:
        """Decides the outcome of a block that ends now without a verdict, before anything is waited for."""
        if self._verdict is None and not isinstance(error, TacitError):
            self._verdict = Outcome.unknown() if self._was_judged() else _ending_of(error)
            self._is_undecided = True

    def _was_judged(self) -> bool:
        """Returns True if `Memory.judge` gave the open episode a verdict: an ending without an outcome takes it."""
        opened = self.memory._rooms.opened.by_id.get(self.id)
        return opened is not None and opened.verdict is not None

    def _take_given_verdict(self) -> bool:
        """Lets a block without a verdict of its own take one that any process gave; returns True if there is one."""
        if not self._is_undecided:
            return False
        is_given = False
        with self._lenient("judge"):
            opens = self.memory._rooms.opened
            opened = opens.by_id.get(self.id)
            is_given = opened is not None and self.memory._rooms.endings.verdict_of(opened) is not None
        if is_given:
            self._verdict = Outcome.unknown()  # which takes the given one
        return is_given

    def _ask_judge(self, judge: Judge) -> Outcome:
        """The outcome that a judge gives the closed episode; unknown if it cannot tell or fails.

        An episode that has ended meanwhile is not judged.
        """
        try:
            episode = self._so_far()
            is_open = episode.outcome is None
            outcome = judge(replace(episode, ended_at=self.memory._now())) if is_open else None
            if outcome is not None:
                check_outcome(outcome, self.memory.settings.limits)
                return outcome
        except BaseException as error:
            if not is_failure(error):
                raise
            self._note("judge", error)
        return Outcome.unknown()

    def _complete(self, outcome: Outcome) -> Learned:
        """Ends the episode; completing twice with one verdict is safe, so an interrupted commit may be repeated."""
        verdict = self._decide(outcome)
        try:
            self.learned = self._complete_as(verdict)
        except BaseException as error:
            if self.strict or not is_failure(error):
                raise
            self._note("complete", error)
            self.learned = self._completed_plainly(error)
        return self.learned

    def _complete_as(self, verdict: Outcome) -> Learned:
        """Completes the episode; a block without a verdict of its own leaves one that has ended as it is."""
        return self.memory._complete(self.id, verdict, replaces=self._replaces, only_open=self._is_undecided)

    def _completed_plainly(self, error: BaseException) -> Learned:
        """Completes once more with an outcome that surely keeps its limits, if the first one broke them."""
        if _is_of_outcome(error) and self._verdict is not None:
            reason = "unreadable reason" if self._verdict.kind == "failure" else None
            self._verdict = Outcome(self._verdict.kind, reason=reason)
            try:
                return self._complete_as(self._verdict)
            except BaseException as refused_again:
                if not is_failure(refused_again):
                    raise
                error = refused_again
                self._note("complete", error)
        return self._unstored(error)

    def _unstored(self, error: BaseException) -> Learned:
        """The episode stays open, and the memory tries again with its next commit and when it is closed."""
        if not isinstance(error, EpisodeError) and self._verdict is not None:
            self.memory._rooms.intake.keep_unstored(
                self.id,
                self._verdict,
                self.memory.namespace,
                replaces=self._replaces,
                only_open=self._is_undecided,
            )
        return Learned(self.id, "unstored", _UNSTORED, problems=self.problems)

    def __enter__(self) -> Recorder:
        around = enter(self)
        if around is not self:
            self.around = around
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        if self.learned is not None or isinstance(error, TacitError):
            return
        try:
            learned = self._end(error)
        except TacitError as failure:
            if error is None:
                raise
            if not isinstance(failure, EpisodeClosedError):  # an interrupted ending may have come about
                error.add_note(f"tacit could not store the episode {self.id}: {failure}")
        else:
            if error is not None and learned.state == "unstored":
                error.add_note(f"tacit could not store the episode {self.id}: {learned.problems[-1]}")

    def _end(self, error: BaseException | None) -> Learned:
        """Ends a block that gave no verdict."""
        self._decide_ending(error)
        assert self._verdict is not None
        is_unjudged = error is None and self._verdict.kind == "unknown"
        if not self._take_given_verdict() and is_unjudged and self._judge is not None:
            self._verdict = self._ask_judge(self._judge)
        return self._complete(self._verdict)

    def _leave(self) -> None:
        """Makes the episode around this one current again."""
        self.has_left = True
        leave(self)

    @contextmanager
    def _lenient(self, verb: str) -> Iterator[None]:
        """Keeps failures inside tacit from the agent and notes them, unless the recorder is strict."""
        try:
            yield
        except BaseException as error:
            if self.strict or not is_failure(error):
                raise
            self._note(verb, error)

    def _note(self, verb: str, error: BaseException) -> None:
        problem = f"{verb}: {cut_middle(error_text(error), 500)}"
        if problem not in self._problems and len(self._problems) < _MAX_PROBLEMS:
            self._problems.append(problem)


class Call:
    """A call in flight; `Recorder.begin` makes it. The first result holds.

    Example:
        >>> from tacit import Memory
        >>> memory = Memory()
        >>> with memory.episode("Compare two shops") as episode:
        ...     calls = [episode.begin("search", parameters={"shop": shop}) for shop in (1, 2)]
        ...     numbers = [call.end(output="found") for call in calls]
        ...     learned = episode.succeed()
        >>> len({step.batch for step in memory.get(episode.id).steps})
        1
    """

    def __init__(self, recorder: Recorder, tool: str, call_id: str) -> None:
        self.id: str = call_id
        self.tool: str = tool
        self.has_ended: bool = False
        self._recorder = recorder

    def end(
        self,
        *,
        output: Json = None,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
    ) -> int:
        """Ends the call with its output and returns the step's number; 0 means that it could not be recorded."""
        return self._end(output=output, tokens=tokens, metadata=metadata)

    def fail(self, error: str | BaseException) -> int:
        """Ends the call with an error, a text or an exception."""
        return self._end(error=error)

    def timed_out(self) -> int:
        """Ends the call as timed out."""
        return self._end(timed_out=True)

    def _end(
        self,
        *,
        output: Json | EllipsisType = ...,
        error: str | BaseException | None = None,
        timed_out: bool = False,
        tokens: int | None = None,
        metadata: dict[str, Json] | None = None,
    ) -> int:
        if self.has_ended:
            return 0
        self.has_ended = True
        number, recorder = 0, self._recorder
        with recorder._lenient("end"):
            number = recorder.memory.end(
                recorder.id,
                call_id=self.id,
                output=output,
                error=error,
                timed_out=timed_out,
                tokens=tokens,
                metadata=metadata,
                strict=recorder.strict,
            )
        if number:
            recorder._tools.append(self.tool if isinstance(self.tool, str) else type(self.tool).__name__)
        return number


def _is_of_outcome(error: BaseException) -> bool:
    """Returns True for the refusal of an outcome that has a field of a wrong type or beyond its limit."""
    if isinstance(error, ValidationError):
        return re.split(r"[.\[]", error.field)[0] in _OUTCOME_FIELDS
    return isinstance(error, TypeError)


_OUTCOME_FIELDS = {"outcome", *(field.name for field in fields(Outcome))}
_UNKNOWN_ODDS = Prediction(
    success=0.5,
    low=0.0,
    high=1.0,
    base_rate=0.5,
    steps=None,
    steps_low=None,
    steps_high=None,
    reward=None,
    support=0.0,
    reasons=(),
    degraded=("store",),
)


def _ending_of(error: BaseException | None) -> Outcome:
    """The outcome of a block without a verdict: unknown, or a failure if the agent's code raised.

    An interrupted block is abandoned.
    """
    if error is None:
        return Outcome.unknown()
    if isinstance(error, Exception) and type(error).__name__ != "CancelledError":
        return Outcome.failure(_described(error))
    return Outcome.abandoned()


def _asking_of(episode: Episode) -> Asking:
    return {"context": episode.context, "agent": episode.agent, "namespace": episode.namespace}


def recorded(
    memory: Memory, task: str | None = None, *, judge: Judge | None = None, **head: Unpack[EpisodeHead]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that makes each call of a function an episode; of an `async def`, each that is awaited.

    The task is `task`, else the function's name; the call is one step, and its tool has the function's name.
    Returning succeeds, or ends as `judge` decides; raising fails and raises again. Takes the keywords of
    `Memory.start`. Raises `ValidationError` for a generator: its call returns before it has done anything.

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
    check_keywords("recorded", head, EPISODE_HEAD, ("memory", "task", "judge"))

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ValidationError("function", "a function that returns, or an async def", "a generator")
        tool = function.__name__
        text = tool.replace("_", " ") if task is None else task

        @functools.wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> R:
            episode = memory.episode(text, judge=judge, **head)
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

            episode = memory.episode(text, judge=judge, **head)
            try:
                result = await cast(Any, function(*arguments, **named))
            except GeneratorExit as error:  # a closed coroutine must not wait for anything
                _end(episode, tool, error)
                raise
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
        if episode._judge is None:
            episode.succeed()
        else:
            episode.__exit__(None, None, None)
    else:
        episode.log(tool, error=_described(error))
        episode.__exit__(type(error), error, None)


def _described(error: BaseException) -> str:
    """The exception in a line of at most 10,000 characters."""
    return cut_middle(error_text(error).encode("utf-8", "replace").decode(), _MAX_ERROR)
