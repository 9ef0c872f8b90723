"""A memory for runs of the OpenAI Agents SDK: `async with Experience(memory, task) as experience: ...`.

Needs `pip install 'tacit[openai-agents]'`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from ..aio import AsyncMemory
from ..importers.messages import parsed
from ..importers.run_builder import says_failure
from ..memory import Memory
from ..model.query import EpisodeHead
from .frameworks import framework_class, framework_module
from .runs import AgentRuns, ToolCall

if TYPE_CHECKING:
    from agents import RunHooks

    from ..judging import Judge

__all__ = ["Experience"]

_EXTRA = "openai-agents"
if not TYPE_CHECKING:
    RunHooks = framework_class("agents", "RunHooks", _EXTRA)

AgentT = TypeVar("AgentT")


class Experience(RunHooks):
    """The hooks of one run, which is one episode: it starts with what is known of tasks like its own.

    `advised` gives an agent the advice (at most `max_tokens` tokens, on the `limit` best episodes) behind its own
    instructions; as `hooks=` of the run it records each call of a tool as a step, and a tool's exception as its error,
    which the SDK hides from the model. Leaving the block ends the episode: `judge` decides, or a verdict that
    `memory.judge(experience.episode_id, ...)` gave, else the outcome is unknown. An exception fails the episode, a
    cancellation abandons it. Without a block the run's last agent ends the episode. Further keywords as of
    `Memory.start`.

    A failure of the memory never reaches the agent. Raises `ValidationError` without the SDK.

    Example:
        from agents import Runner

        async with Experience(memory, "Cancel order 17", domain="retail") as experience:
            await Runner.run(experience.advised(agent), experience.task, hooks=experience)
    """

    def __init__(
        self,
        memory: Memory | AsyncMemory,
        task: str,
        *,
        judge: Judge | None = None,
        limit: int = 5,
        max_tokens: int = 800,
        **head: Unpack[EpisodeHead],
    ) -> None:
        self.task = task
        self.episode_id: str | None = None
        """The id of the run's episode, once it has begun."""
        self._runs = AgentRuns(memory, head, judge=judge, limit=limit, max_tokens=max_tokens)
        self._tracing: Any = framework_module("agents.tracing", _EXTRA)
        self._has_begun = self._is_block = False
        self._advice: str | None = None
        self._calls: dict[str, ToolCall] = {}

    async def __aenter__(self) -> Experience:
        self._begin()
        self._is_block = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await asyncio.to_thread(self._runs.finish, self.episode_id)
        else:
            self._runs.finish(self.episode_id, error)

    def advised(self, agent: AgentT) -> AgentT:
        """A copy of the agent whose instructions end with the advice."""
        given = getattr(agent, "instructions", None)

        async def instructions(context: Any, agent: Any) -> str:
            own: Any = given(context, agent) if callable(given) else given
            if inspect.isawaitable(own):
                own = await own
            return "\n\n".join(text for text in (own, await self.advice()) if text)

        clone: Callable[..., AgentT] = agent.clone  # type: ignore[attr-defined]
        return clone(instructions=instructions)

    async def advice(self) -> str:
        """The text for the model; it is the same at each turn of the run. Empty if nothing comparable is known."""
        self._begin()
        if self._advice is None:
            self._advice = await asyncio.to_thread(self._runs.advice, self.episode_id)
        return self._advice

    async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
        """Begins a step."""
        self._begin()
        call = self._runs.begin(
            self.episode_id,
            getattr(context, "tool_name", tool.name),
            parameters=parsed(getattr(context, "tool_arguments", None)),
            call_id=getattr(context, "tool_call_id", None),
        )
        self._calls[_key(context, tool)] = call
        _see_exceptions(context, call)

    async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: object) -> None:
        """Ends a step. A text that stands for an error fails it: the SDK marks the span of the call."""
        call = self._calls.pop(_key(context, tool), None)
        if call is None:
            return
        span = self._tracing.get_current_span()
        failed = bool(getattr(span, "error", None)) or (isinstance(result, str) and says_failure(result))
        if failed:
            call.fail(str(result))
        else:
            call.end(result)

    async def on_agent_end(self, context: Any, agent: Any, output: Any) -> None:
        """Ends the episode of a run without a block."""
        if not self._is_block:
            await asyncio.to_thread(self._runs.finish, self.episode_id)

    def _begin(self) -> None:
        """Opens the episode: nothing is waited for."""
        if not self._has_begun:
            self._has_begun = True
            self.episode_id = self._runs.start(self.task)


def _key(context: Any, tool: Any) -> str:
    """Names a call: by its id, else by its tool (tools of the SDK's own have no id)."""
    return getattr(context, "tool_call_id", None) or f"tool {tool.name}"


def _see_exceptions(context: Any, call: ToolCall) -> None:
    """Notes the exception of a call that the SDK is about to replace by a text for the model.

    The formatter of errors belongs to the settings of the run; this call gets a copy of them.
    """
    settings = getattr(context, "run_config", None)
    if settings is None or not hasattr(settings, "tool_error_formatter"):
        return
    given = settings.tool_error_formatter

    def noting(arguments: Any) -> Any:
        error = getattr(arguments, "error", None)
        if error is not None:
            call.fail(error)
        return None if given is None else given(arguments)

    context.run_config = replace(settings, tool_error_formatter=noting)
