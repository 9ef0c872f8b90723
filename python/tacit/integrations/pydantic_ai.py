"""A memory for agents of Pydantic AI: `Agent(..., capabilities=[Experience(memory)])`.

Needs `pip install 'tacit[pydantic-ai]'`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from ..aio import AsyncMemory
from ..memory import Memory
from ..model.query import EpisodeHead
from .frameworks import framework_class, framework_module
from .runs import AgentRuns

if TYPE_CHECKING:
    from pydantic_ai.capabilities import AbstractCapability

    from ..judging import Judge

__all__ = ["Experience"]

_EXTRA = "pydantic-ai"
if not TYPE_CHECKING:
    AbstractCapability = framework_class("pydantic_ai.capabilities", "AbstractCapability", _EXTRA)

R = TypeVar("R")
_REMEMBERED_RUNS = 10_000


class Experience(AbstractCapability):
    """A capability: each run of the agent is an episode, and starts with what is known of tasks like its own.

    The task is the prompt. The advice (at most `max_tokens` tokens, on the `limit` best episodes) joins the agent's
    instructions. Each call of a tool is a step; one that asks the model to try again is a failed step. `judge` gives a
    run that ends its verdict; without it the outcome is unknown until `memory.judge(experience.episode_of(result),
    ...)`. An exception fails the episode, a cancellation abandons it. Further keywords as of `Memory.start`.

    A failure of the memory never reaches the agent. Raises `ValidationError` without Pydantic AI.

    Example:
        from pydantic_ai import Agent

        agent = Agent("openai:gpt-5", tools=tools, capabilities=[Experience(memory, domain="retail")])
    """

    def __init__(
        self,
        memory: Memory | AsyncMemory,
        *,
        judge: Judge | None = None,
        limit: int = 5,
        max_tokens: int = 800,
        **head: Unpack[EpisodeHead],
    ) -> None:
        self._runs = AgentRuns(memory, head, judge=judge, limit=limit, max_tokens=max_tokens)
        errors = framework_module("pydantic_ai.exceptions", _EXTRA)
        self._pauses = (errors.CallDeferred, errors.ApprovalRequired, errors.SkipToolExecution)
        self._episode_id: str | None = None
        self._advice = ""
        self._episodes: dict[str, str] = {}

    def episode_of(self, result: Any) -> str | None:
        """The id of the episode of a run by its result; `None` for one that is not among the last 10,000."""
        return self._episodes.get(result.run_id)

    async def for_run(self, ctx: Any) -> Experience:
        """A copy for one run: it holds the id of the episode."""
        run = copy.copy(self)
        run._episode_id, run._advice = None, ""
        return run

    def get_instructions(self) -> Callable[[], str]:
        """The advice, which is known once the run has begun."""
        return self._instructions

    def _instructions(self) -> str:
        return self._advice

    async def wrap_run(self, ctx: Any, *, handler: Callable[[], Awaitable[R]]) -> R:
        """Opens the run's episode, asks for advice, and ends the episode with the run."""
        episode_id = self._episode_id = self._runs.start(task_of(ctx.prompt))
        self._remember(ctx.run_id, episode_id)
        try:
            self._advice = await asyncio.to_thread(self._runs.advice, episode_id)
            result = await handler()
        except BaseException as error:
            self._runs.finish(episode_id, error)
            raise
        await asyncio.to_thread(self._runs.finish, episode_id)
        return result

    def _remember(self, run_id: str | None, episode_id: str | None) -> None:
        """Keeps the ids of the newest runs: every run's copy shares them."""
        if run_id is not None and episode_id is not None:
            self._episodes[run_id] = episode_id
            if len(self._episodes) > _REMEMBERED_RUNS:
                self._episodes.pop(next(iter(self._episodes)), None)

    async def wrap_tool_execute(
        self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        """Records the call of a tool as a step."""
        step = self._runs.tool_call(
            self._episode_id,
            call.tool_name,
            parameters=args,
            call_id=call.tool_call_id,
            pauses=self._pauses,
        )
        with step as recorded:
            try:
                result = await handler(args)
            except Exception as error:
                if (text := signal_text(error)) is not None:
                    recorded.fail(text)
                raise
            recorded.end(getattr(result, "return_value", result))
        return result


def task_of(prompt: Any) -> str:
    """The text of a prompt: a text, or the texts among its parts."""
    if isinstance(prompt, str):
        return prompt.strip()
    if not isinstance(prompt, Sequence):
        return ""
    texts = (part if isinstance(part, str) else getattr(part, "content", None) for part in prompt)
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def signal_text(error: Exception) -> str | None:
    """The text that a signal to the model holds (a retry, a failure of the tool); `None` for any other exception."""
    part = getattr(error, "tool_retry", None) or getattr(error, "tool_failed", None)
    if part is None:
        return None
    content = getattr(part, "content", "")
    return content if isinstance(content, str) else str(content)
