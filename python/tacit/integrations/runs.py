"""The runs of an agent as episodes: the part that every integration shares. It needs no framework."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..aio import AsyncMemory
from ..errors import is_failure
from ..memory import Memory
from ..model.episode import Outcome
from ..model.query import EPISODE_HEAD, EpisodeHead, check_keywords
from ..recorder import Call, Recorder

if TYPE_CHECKING:
    from ..judging import Judge

__all__ = ["AgentRuns", "ToolCall", "kept_from_the_agent"]

_LOGGER = logging.getLogger("tacit")
_UNTITLED = "untitled task"


class ToolCall:
    """A call of a tool that is in flight; the first result holds. It does nothing where no episode takes the step."""

    def __init__(self, call: Call | None) -> None:
        self._call = call

    @property
    def has_ended(self) -> bool:
        """True once the call has a result."""
        return self._call is None or self._call.has_ended

    def end(self, output: Any) -> None:
        """Ends the call with its output."""
        if self._call is not None:
            self._call.end(output=output)

    def fail(self, error: str | BaseException) -> None:
        """Ends the call with an error."""
        if self._call is not None:
            self._call.fail(error)


class AgentRuns:
    """The episodes of an agent's runs, found by their ids: two runs at once never meet.

    No method raises a failure of the memory: it is logged to the logger "tacit", and the agent works on without advice
    or record. `head` has the keywords of `Memory.start`; a misspelt one is a `TypeError`.
    """

    def __init__(
        self,
        memory: Memory | AsyncMemory,
        head: EpisodeHead,
        *,
        judge: Judge | None = None,
        limit: int = 5,
        max_tokens: int = 800,
    ) -> None:
        check_keywords("Experience", head, EPISODE_HEAD, ("memory", "judge", "limit", "max_tokens"))
        self._given = memory
        self._head = head
        self._judge = judge
        self._limit = limit
        self._max_tokens = max_tokens
        self._recorders: dict[str, Recorder] = {}
        self._calls: dict[str, list[ToolCall]] = {}

    @property
    def memory(self) -> Memory:
        """The memory behind the one that was given."""
        return self._given.memory if isinstance(self._given, AsyncMemory) else self._given

    def start(self, task: str) -> str | None:
        """Opens the episode of a run and returns its id; `None` means that the memory failed."""
        with kept_from_the_agent("start"):
            recorder = self.memory.episode(task or _UNTITLED, judge=self._judge, **self._head)
            self._recorders[recorder.id] = recorder
            return recorder.id
        return None

    def advice(self, episode_id: str | None) -> str:
        """The text for the model: what is known of tasks like this run's. Empty if nothing comparable is known.

        The answer is a receipt of the episode: its end credits the memories that were used.
        """
        recorder = self.recorder(episode_id)
        if recorder is not None:
            with kept_from_the_agent("recall"):
                return recorder.recall(limit=self._limit).to_prompt(max_tokens=self._max_tokens)
        return ""

    @contextmanager
    def tool_call(
        self,
        episode_id: str | None,
        tool: str,
        *,
        parameters: Any = None,
        call_id: str | None = None,
        pauses: tuple[type[BaseException], ...] = (),
    ) -> Iterator[ToolCall]:
        """A step of the run while the block runs. An exception fails it and passes; `pauses` leave it in flight."""
        call = self.begin(episode_id, tool, parameters=parameters, call_id=call_id)
        try:
            yield call
        except BaseException as error:
            if not call.has_ended and not isinstance(error, pauses):
                call.fail(error)
            raise

    def begin(
        self, episode_id: str | None, tool: str, *, parameters: Any = None, call_id: str | None = None
    ) -> ToolCall:
        """Begins a step of the run."""
        recorder = self.recorder(episode_id)
        if recorder is None:
            return ToolCall(None)
        call = ToolCall(recorder.begin(tool, parameters=parameters, call_id=call_id))
        earlier = self._calls.get(recorder.id, [])
        self._calls[recorder.id] = [*(each for each in earlier if not each.has_ended), call]
        return call

    def finish(self, episode_id: str | None, error: BaseException | None = None) -> None:
        """Ends the episode of a run and learns from it.

        Without an error `judge` decides, else the outcome is unknown. An exception is a failure; a cancellation or an
        interrupt abandons the episode; calls in flight fail with it. A run that went on after an exception seemed to
        end it loses that verdict.
        """
        recorder = self.recorder(episode_id)
        with kept_from_the_agent("complete"):
            if recorder is not None:
                for call in self._calls.pop(recorder.id, ()):
                    if error is not None:
                        call.fail(error)
                recorder.__exit__(None if error is None else type(error), error, None)
                self._recorders.pop(recorder.id, None)
            elif episode_id is not None and error is None:
                self._withdraw_failure(episode_id)

    def recorder(self, episode_id: str | None) -> Recorder | None:
        """The recorder of a run, which another process may have begun; `None` if its episode has ended."""
        if episode_id is None:
            return None
        recorder = self._recorders.get(episode_id)
        if recorder is None:
            with kept_from_the_agent("resume"):
                recorder = self._attach(episode_id)
        return recorder

    def _attach(self, episode_id: str) -> Recorder | None:
        """A recorder of an episode that another object began: a paused or cancelled run continues here."""
        memory = self.memory
        episode = memory.get(episode_id)
        if episode.outcome is not None:
            if episode.outcome.kind != "abandoned":
                return None
            memory.resume(episode_id)
        recorder = Recorder.of(memory, episode, judge=self._judge)
        return self._recorders.setdefault(episode_id, recorder)

    def _withdraw_failure(self, episode_id: str) -> None:
        episode = self.memory.get(episode_id)
        if episode.outcome is not None and episode.outcome.kind == "failure":
            outcome = None if self._judge is None else self._judge(episode)
            self.memory.judge(episode_id, outcome or Outcome.unknown(), by="agent")


@contextmanager
def kept_from_the_agent(verb: str) -> Iterator[None]:
    """Logs a failure of the memory instead of raising it."""
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        _LOGGER.warning(
            "the agent works without its memory: %s failed: %s: %s", verb, type(error).__name__, error
        )
