"""Questions: keywords become a `Query`, and a query becomes the record that the models read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from ..config import Limits
from ..errors import ValidationError
from ..model.checks import (
    check_context,
    check_name,
    check_namespace,
    check_sequence,
    check_step,
    check_task,
    check_tool,
    check_type,
)
from ..model.episode import Episode, Json, Step
from ..model.query import ASKING, Asking, Query, check_keywords, context_of

_RECORDS = msgspec.msgpack.Encoder()
_EXPLICIT = {
    "recall": ("task", "steps", "limit", "episode_id"),
    "suggest": ("steps", "task", "state", "limit", "episode_id"),
    "choose": ("actions", "steps", "task", "state", "limit", "episode_id"),
    "recover": ("error", "tool", "steps", "limit"),
    "predict": ("task", "task_key"),
    "playbook": ("task", "limit", "arguments", "episode_id"),
}
"""The arguments of each verb beside the keywords of `Asking`."""
_NEEDS_TASK = ("recall", "predict", "playbook")


def query_of(
    verb: str,
    task: str | None,
    asking: Asking,
    *,
    namespace: str,
    limits: Limits,
    steps: Sequence[Step | str] = (),
    state: Json = None,
    task_key: str | None = None,
) -> Query:
    """The query of a verb. Raises `TypeError` for an unknown keyword and `ValidationError` that names the field."""
    check_keywords(verb, asking, ASKING, _EXPLICIT[verb])
    given_namespace, agent = asking.get("namespace"), asking.get("agent")
    if task is not None or verb in _NEEDS_TASK:
        check_task(task, limits)
    if given_namespace is not None:
        check_namespace(given_namespace, limits)
    context = context_of(asking)
    check_context(context, limits)
    check_name("agent", agent, limits)
    check_name("task_key", task_key, limits)
    check_sequence("steps", steps)
    for step in steps:
        _check_step(step)
    return Query(
        task=task or "",
        namespace=namespace if given_namespace is None else given_namespace,
        context=context,
        steps=tuple(steps),
        state=state,
        agent=agent,
        task_key=task_key,
    )


def _check_step(step: Step | str) -> None:
    if isinstance(step, str):
        check_tool("steps", step)
        return
    check_type("steps", step, Step)
    check_tool("steps", step.tool)
    check_step(step)
    for text in (step.action, step.error):
        if text is not None:
            check_type("steps", text, str)


def record_of(query: Query) -> bytes:
    """The record of an episode that has not ended, as the models read it.

    Raises `ValidationError` if a step holds something that is no JSON value.
    """
    episode = Episode(
        task=query.task,
        namespace=query.namespace,
        context=query.context,
        agent=query.agent,
        task_key=query.task_key,
        steps=tuple(map(_as_step, query.steps)),
    )
    try:
        return _RECORDS.encode(episode)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError("steps", "JSON values throughout", str(error)) from error


def json_bytes(field: str, value: Json) -> bytes | None:
    """A JSON value as msgpack; `None` for none. Raises `ValidationError` for anything else."""
    if value is None:
        return None
    try:
        return _RECORDS.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError(field, "JSON values throughout", str(error)) from error


def failing_at(query: Query, error: str, tool: str | None) -> tuple[Query, Step]:
    """The query whose last step failed with `error`, and that step.

    Raises `ValidationError` if neither `tool` nor the last step says which tool failed.
    """
    if not isinstance(error, str):
        raise ValidationError("error", "a text", type(error).__name__)
    last = _as_step(query.steps[-1]) if query.steps else None
    if tool is not None and (last is None or (last.tool, last.error) != (tool, error)):
        failed = Step(tool=tool, status="error", error=error)
        return replace(query, steps=(*query.steps, failed)), failed
    if last is None:
        raise ValidationError("tool", "the tool that failed, unless steps end with it", "None")
    failed = replace(last, status="error", error=error, output=None)
    return replace(query, steps=(*query.steps[:-1], failed)), failed


def _as_step(step: Step | str) -> Step:
    return Step(tool=step) if isinstance(step, str) else step
