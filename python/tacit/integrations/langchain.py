"""A memory for agents of LangChain and LangGraph: `create_agent(model, tools, middleware=[Experience(memory)])`.

Needs `pip install 'tacit[langchain]'`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict, TypeVar, Unpack

from ..aio import AsyncMemory
from ..importers.messages import parsed, text_of
from ..memory import Memory
from ..model.query import EpisodeHead
from .frameworks import framework_class, framework_module
from .runs import AgentRuns, ToolCall

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware

    from ..judging import Judge

__all__ = ["EPISODE", "Experience"]

R = TypeVar("R")
_EXTRA = "langchain"
_TYPES = "langchain.agents.middleware.types"
if not TYPE_CHECKING:
    AgentMiddleware = framework_class(_TYPES, "AgentMiddleware", _EXTRA)

EPISODE = "tacit_episode"
"""The key of the agent's state that holds the id of the run's episode: `memory.judge(answer[EPISODE], ...)`."""
_ADVICE = "tacit_advice"


class Experience(AgentMiddleware):
    """Middleware: each run of the agent is an episode, and starts with what is known of tasks like its own.

    The task is the newest message of the user. The advice (at most `max_tokens` tokens, on the `limit` best episodes)
    is added to the system message; each call of a tool is a step. `judge` gives a run that ends its verdict; without it
    the outcome is unknown until `memory.judge` says it: the answer has the episode's id under "tacit_episode". An
    exception fails the episode, a cancellation abandons it, a human in the loop pauses it. Further keywords as of
    `Memory.start`.

    Put it first, so that it sees the exceptions that end the run and not those that other middleware handles. A failure
    of the memory never reaches the agent. Raises `ValidationError` without LangChain.

    Example:
        from langchain.agents import create_agent

        agent = create_agent(model, tools, middleware=[Experience(memory, domain="retail")])
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
        super().__init__()
        self._runs = AgentRuns(memory, head, judge=judge, limit=limit, max_tokens=max_tokens)
        self._pauses = (framework_module("langgraph.errors", _EXTRA).GraphBubbleUp,)
        self._system_message: Any = framework_module("langchain_core.messages", _EXTRA).SystemMessage
        self.state_schema: Any = _state_schema()

    @property
    def name(self) -> str:
        """The name of the middleware's nodes in the graph."""
        return "tacit"

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """Opens the run's episode and asks for advice; both are kept in the state."""
        episode_id = self._runs.start(task_of(state["messages"]))
        return {EPISODE: episode_id, _ADVICE: self._runs.advice(episode_id)}

    async def abefore_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        """As `before_agent`; the question waits on a thread."""
        episode_id = self._runs.start(task_of(state["messages"]))
        try:
            advice = await asyncio.to_thread(self._runs.advice, episode_id)
        except asyncio.CancelledError as error:
            self._runs.finish(episode_id, error)
            raise
        return {EPISODE: episode_id, _ADVICE: advice}

    def wrap_model_call(self, request: Any, handler: Callable[[Any], R]) -> R:
        """Adds the advice to the system message."""
        try:
            return handler(self._advised(request))
        except BaseException as error:
            self._end_at(error, request)
            raise

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[R]]) -> R:
        """As `wrap_model_call`."""
        try:
            return await handler(self._advised(request))
        except BaseException as error:
            self._end_at(error, request)
            raise

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], R]) -> R:
        """Records the call of a tool as a step."""
        call = self._begun(request)
        try:
            result = handler(request)
        except BaseException as error:
            self._end_at(error, request, call)
            raise
        _end_call(call, result)
        return result

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[R]]) -> R:
        """As `wrap_tool_call`."""
        call = self._begun(request)
        try:
            result = await handler(request)
        except BaseException as error:
            self._end_at(error, request, call)
            raise
        _end_call(call, result)
        return result

    def after_agent(self, state: Any, runtime: Any) -> None:
        """Ends the run's episode and learns from it."""
        self._runs.finish(state.get(EPISODE))

    async def aafter_agent(self, state: Any, runtime: Any) -> None:
        """As `after_agent`; the commit waits on a thread."""
        await asyncio.to_thread(self._runs.finish, state.get(EPISODE))

    def _advised(self, request: Any) -> Any:
        advice = request.state.get(_ADVICE)
        if not advice:
            return request
        content = with_advice(request.system_message and request.system_message.content, advice)
        return request.override(system_message=self._system_message(content=content))

    def _begun(self, request: Any) -> ToolCall:
        call = request.tool_call
        return self._runs.begin(
            request.state.get(EPISODE), call["name"], parameters=call["args"], call_id=call["id"]
        )

    def _end_at(self, error: BaseException, request: Any, call: ToolCall | None = None) -> None:
        """Ends the run at an exception that leaves it, unless it only pauses: the call ends when it is resumed."""
        if isinstance(error, self._pauses):
            return
        if call is not None:
            call.fail(error)
        self._runs.finish(request.state.get(EPISODE), error)


def _state_schema() -> Any:
    """The keys of the state: the answer shows the episode's id, the advice is the middleware's own."""
    types = framework_module(_TYPES, _EXTRA)
    fields = {
        EPISODE: NotRequired[Annotated[str | None, types.OmitFromSchema(input=True, output=False)]],
        _ADVICE: NotRequired[Annotated[str, types.OmitFromSchema(input=True, output=True)]],
    }
    return TypedDict("ExperienceState", fields)  # type: ignore[operator]


def task_of(messages: Sequence[Any]) -> str:
    """The text of the newest message of the user: a message object, or a role with a content."""
    for message in reversed(messages):
        role = getattr(message, "type", None) or (message.get("role") if isinstance(message, Mapping) else "")
        if role in ("human", "user"):
            content = message.get("content") if isinstance(message, Mapping) else message.content
            return text_of(content).strip()
    return ""


def with_advice(content: Any, advice: str) -> str | list[Any]:
    """The content of a system message, a text or a list of blocks, with the advice behind it."""
    if not content:
        return advice
    if isinstance(content, str):
        return f"{content}\n\n{advice}"
    return [*content, {"type": "text", "text": advice}]


def _end_call(call: ToolCall, result: Any) -> None:
    """Gives a call its result: the content of its message, or of those within a `Command`."""
    messages = getattr(result, "update", None)
    if isinstance(messages, Mapping):
        messages = messages.get("messages") or ()
        result = next((each for each in messages if hasattr(each, "tool_call_id")), None)
    text = text_of(getattr(result, "content", ""))
    if getattr(result, "status", "success") == "error":
        call.fail(text)
    else:
        call.end(parsed(text))
