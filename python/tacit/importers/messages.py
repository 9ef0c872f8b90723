"""Messages of a chat with tools, as OpenAI's and Anthropic's interfaces have them, as one episode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import ValidationError
from ..model.episode import Episode, Outcome
from ..rejections import is_rejection
from .decoding import decoded, listed
from .run_builder import RunBuilder, microseconds_of, says_failure

_CALL_TYPES = ("tool_use", "server_tool_use")


def from_messages(
    messages: Iterable[Mapping[str, Any]],
    *,
    outcome: Outcome | None = None,
    task: str | None = None,
    domain: str | None = None,
    agent: str | None = None,
    task_key: str | None = None,
    external_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Episode:
    """The episode that a list of chat messages tells: the first text of the user is its task, its tool calls are steps.

    Takes the messages of OpenAI (`tool_calls`, `tool_call_id`) and of Anthropic (`tool_use` and `tool_result` blocks).
    Calls of one message are a batch. A result is an error if its message says so (`is_error`, `error`), or if its
    text begins as errors do. Without `outcome` it is unknown, for `judge` to say later. Long texts are cut in the
    middle, and the step's `altered` says so. Raises `ValidationError` for messages that are no objects.

    Example:
        >>> from tacit import Memory, Outcome
        >>> from tacit.importers import from_messages
        >>> call = {"id": "c1", "function": {"name": "get_order", "arguments": '{"order_id": 17}'}}
        >>> messages = [
        ...     {"role": "user", "content": "Where is order 17?"},
        ...     {"role": "assistant", "tool_calls": [call]},
        ...     {"role": "tool", "tool_call_id": "c1", "content": "shipped"},
        ... ]
        >>> episode = from_messages(messages, outcome=Outcome.success())
        >>> episode.task, episode.steps[0].tool, episode.steps[0].parameters, episode.steps[0].output
        ('Where is order 17?', 'get_order', {'order_id': 17}, 'shipped')
        >>> Memory().add(episode).state
        'learned'
    """
    run = RunBuilder()
    said = read_messages(run, messages)
    return run.episode(
        said if task is None else task,
        external_id=external_id or "",
        outcome=outcome,
        domain=domain,
        agent=agent or model_of(messages),
        task_key=task_key,
        metadata=metadata,
    )


def read_messages(run: RunBuilder, messages: Iterable[Mapping[str, Any]]) -> str:
    """Adds the calls and results of the messages to the run; returns the first text of the user."""
    task = ""
    for number, message in enumerate(messages, 1):
        if not isinstance(message, Mapping):
            raise ValidationError(f"messages[{number - 1}]", "an object", type(message).__name__)
        role = message.get("role") or message.get("type")
        if role in ("user", "human") and not task:
            task = text_of(message.get("content"))
        _read_message(run, message, role, str(number))
    return task


def _read_message(run: RunBuilder, message: Mapping[str, Any], role: object, group: str) -> None:
    at = microseconds_of(message.get("timestamp") or message.get("created_at"))
    for call in listed(message.get("tool_calls")):
        _openai_call(run, call, group, at)
    if isinstance(called := message.get("function_call"), Mapping):  # OpenAI's first form, without ids
        run.call(called.get("name"), parsed(called.get("arguments")), group=group, at=at)
    for block in listed(message.get("content")):
        _anthropic_block(run, block, group, at)
    if role in ("tool", "function"):
        for result in listed(message.get("tool_messages")) or (message,):
            _openai_result(run, result, at)


def _openai_call(run: RunBuilder, call: Mapping[str, Any], group: str, at: int) -> None:
    inner = call.get("function")
    named = inner if isinstance(inner, Mapping) else call
    parameters = named.get("arguments", named.get("args"))
    metadata = {"actor": "user"} if call.get("requestor") == "user" else None
    run.call(named.get("name"), parsed(parameters), call_id=_id(call), group=group, at=at, metadata=metadata)


def _openai_result(run: RunBuilder, result: Mapping[str, Any], at: int) -> None:
    content = result.get("content")
    output = text_of(content) if isinstance(content, list) else parsed(content)
    call_id = result.get("tool_call_id") or result.get("id")
    answer(run, call_id, output, failed=result.get("error") or result.get("status") == "error", at=at)


def _anthropic_block(run: RunBuilder, block: Mapping[str, Any], group: str, at: int) -> None:
    kind = block.get("type")
    if kind in _CALL_TYPES:
        run.call(block.get("name"), block.get("input"), call_id=_id(block), group=group, at=at)
    elif kind == "tool_result":
        output = text_of(block.get("content"))
        answer(run, block.get("tool_use_id"), output, failed=block.get("is_error"), at=at)


def answer(run: RunBuilder, call_id: object, output: object, *, failed: object = None, at: int = 0) -> bool:
    """The result of a call, as an error if it `failed` or, where nothing says, if it speaks of a failure.

    A call that the user did not allow has none.
    """
    if failed is not False and isinstance(output, str) and is_rejection(output):
        return run.reject(call_id if isinstance(call_id, str) else None)
    is_error = bool(failed) if failed is not None and failed is not False else says_failure(output)
    id = call_id if isinstance(call_id, str) else None
    if not is_error:
        return run.answer(id, output=output, at=at)
    if isinstance(output, dict) and len(output) == 1:
        output = next(iter(output.values()))
    return run.answer(id, error=output if output not in (None, "") else "failed without a message", at=at)


def text_of(content: object) -> str:
    """The text of a message's content: a text, or the texts of its blocks. Other blocks are named."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, Sequence):
        return ""
    return "\n".join(filter(None, (_block_text(block) for block in content)))


def _block_text(block: object) -> str:
    if isinstance(block, str):
        return block
    if not isinstance(block, Mapping):
        return ""
    text = block.get("text")
    if isinstance(text, str):
        return text
    kind = block.get("type")
    return f"[{kind}]" if kind in ("image", "document", "image_url", "input_image") else ""


def parsed(value: object) -> object:
    """The JSON value that a text holds if it is an object or an array, else the value as it is."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        return decoded(value.encode("utf-8", "replace"))
    except ValueError:
        return value


def model_of(messages: Iterable[Mapping[str, Any]]) -> str | None:
    """The model that a message names; `None` if none does."""
    named = (message.get("model") for message in messages if isinstance(message, Mapping))
    return next((name for name in named if isinstance(name, str) and name), None)


def _id(call: Mapping[str, Any]) -> str | None:
    id = call.get("id")
    return id if isinstance(id, str) and id else None
