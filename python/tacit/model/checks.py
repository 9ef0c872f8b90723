"""Rules for values: each check raises `ValidationError` with the field, the rule and the value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..config import Limits
from ..errors import TooLargeError, ValidationError
from .context import COMPLEXITIES, TASK_TYPES, TaskContext
from .episode import Episode, Outcome, Step

TOOL_CHARACTERS = 256
STATUSES = ("ok", "error", "timeout")
OUTCOMES = ("success", "partial", "failure", "unknown", "abandoned")
_MOST = 2**32 - 1
_TYPE_NAMES: dict[type, str] = {
    str: "a text",
    Mapping: "a mapping",
    Episode: "an Episode",
    Outcome: "an Outcome",
}
TAG = re.compile(r"[A-Za-z0-9_-]{2,100}")


def check_head(episode: Episode, limits: Limits) -> None:
    """An episode without its steps and its outcome."""
    check_task(episode.task, limits)
    check_namespace(episode.namespace, limits)
    check_context(episode.context, limits)
    check_task_type(episode.task_type)
    check_timed(episode.timed)
    check_tags("tags", episode.tags)
    for name in ("task_key", "agent", "source", "external_id"):
        check_name(name, getattr(episode, name), limits)


def check_task(task: object, limits: Limits) -> None:
    """A task is a text of 1 to `limits.task_bytes` bytes."""
    _check_text("task", task, limits.task_bytes)


def check_namespace(namespace: object, limits: Limits) -> None:
    """A namespace is a text of 1 to 128 characters."""
    _check_characters("namespace", namespace, limits.namespace_characters)


def check_name(field: str, name: object, limits: Limits) -> None:
    """A name (of a domain, an agent, a source...) is None or a text of 1 to `limits.name_bytes` bytes."""
    if name is not None:
        _check_text(field, name, limits.name_bytes)


def check_tool(field: str, tool: object) -> None:
    """The name of a tool is a text of 1 to 256 characters."""
    _check_characters(field, tool, TOOL_CHARACTERS)


def check_truncate(truncate: object) -> None:
    """`truncate` names the field that may be cut: "observation" is the only one."""
    if truncate != "observation":
        raise ValidationError("truncate", "None or 'observation'", repr(truncate))


def check_call_id(call_id: object) -> str:
    """A call id is a text of 1 to 256 characters."""
    _check_characters("call_id", call_id, TOOL_CHARACTERS)
    assert isinstance(call_id, str)
    return call_id


def check_timed(timed: object) -> None:
    """True if the times are the run's own, else False."""
    if not isinstance(timed, bool):
        raise ValidationError("timed", "True or False", _type_name(timed))


def check_tags(field: str, tags: object) -> None:
    """Tags are texts of 2 to 100 characters of letters, digits, `-` and `_`."""
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        raise ValidationError(field, "a sequence of tags", _type_name(tags))
    for tag in tags:
        if not isinstance(tag, str) or not TAG.fullmatch(tag):
            given = repr(tag)[:60] if isinstance(tag, str) else _type_name(tag)
            raise ValidationError(field, "2 to 100 characters of letters, digits, '-' and '_' each", given)


def check_context(context: object, limits: Limits) -> None:
    """Every field of a context."""
    if not isinstance(context, TaskContext):
        raise ValidationError("context", "a TaskContext", _type_name(context))
    _check_text("domain", context.domain, limits.name_bytes)
    check_name("language", context.language, limits)
    check_name("framework", context.framework, limits)
    _check_choice("complexity", context.complexity, COMPLEXITIES)
    check_tags("context.tags", context.tags)


def check_task_type(task_type: object) -> None:
    """One of the task types."""
    _check_choice("task_type", task_type, TASK_TYPES)


def check_step(step: Step) -> None:
    """A known status, and no error in a step that went well."""
    if step.status is not None:
        _check_choice("status", step.status, STATUSES)
    if step.status == "ok" and step.error is not None:
        raise ValidationError("error", "None in a step with status ok", repr(step.error)[:80])


def check_outcome(outcome: object, limits: Limits) -> None:
    """An outcome of a known kind, with texts within their limit."""
    if not isinstance(outcome, Outcome):
        raise ValidationError("outcome", "an Outcome", _type_name(outcome))
    _check_choice("outcome.kind", outcome.kind, OUTCOMES)
    for field in ("verdict", "reason", "details"):
        text = getattr(outcome, field)
        if text is not None:
            _check_text(field, text, limits.artifact_bytes, empty=True)
    for field in ("artifacts", "completed", "failed"):
        check_sequence(field, getattr(outcome, field))
        for place, text in enumerate(getattr(outcome, field)):
            _check_text(f"{field}[{place}]", text, limits.artifact_bytes, empty=True)


def _check_choice(field: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValidationError(field, f"one of {', '.join(choices)}", repr(value)[:80])


def check_type(field: str, value: object, kind: type) -> None:
    """A value of a type."""
    if not isinstance(value, kind):
        raise ValidationError(field, _TYPE_NAMES.get(kind, f"a {kind.__name__}"), _type_name(value))


def check_sequence(field: str, values: object) -> None:
    """A sequence; a text is not one."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ValidationError(field, "a sequence", _type_name(values))


def check_count(field: str, count: object, least: int, most: int) -> None:
    """A whole number within bounds."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise ValidationError(field, "a whole number", _type_name(count))
    if not least <= count <= most:
        raise ValidationError(
            field, f"at least {least:,}" if most >= _MOST else f"{least:,} to {most:,}", f"{count:,}"
        )


def check_share(field: str, share: object) -> None:
    """A number from 0 to 1."""
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise ValidationError(field, "a number", _type_name(share))
    if not 0.0 <= share <= 1.0:
        raise ValidationError(field, "0 to 1", f"{share:,}")


def _check_characters(field: str, text: object, limit: int) -> None:
    if isinstance(text, str) and not 1 <= len(text) <= limit:
        _check_not_empty(field, text)
        raise TooLargeError(field, f"at most {limit:,} characters", f"{len(text):,}")
    _check_text(field, text, 4 * limit)


def _check_text(field: str, text: object, limit: int, *, empty: bool = False) -> None:
    if not isinstance(text, str):
        raise ValidationError(field, "a text", _type_name(text))
    if not empty:
        _check_not_empty(field, text)
    if len(text) * 4 > limit:
        _check_size(field, text, limit)
    if not text.isascii():
        _check_unicode(field, text)


def _check_not_empty(field: str, text: str) -> None:
    if not text:
        raise ValidationError(field, "not be empty", "")


def _type_name(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _check_size(field: str, text: str, limit: int) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise TooLargeError(field, f"at most {limit:,} bytes", f"{size:,}")


def _check_unicode(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError(field, "valid Unicode", "a lone surrogate") from None
