"""The head of an episode for a recorder that never raises: bad fields are mended or dropped, and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..config import Limits
from ..errors import ValidationError
from ..model.checks import TAG
from ..model.episode import Episode
from ..model.query import EpisodeHead
from .conversion import to_json_value
from .heads import checked_head

_UNTITLED = "untitled task"


def lenient_head(task: object, head: EpisodeHead, limits: Limits) -> tuple[str, EpisodeHead, list[str]]:
    """The task and the keywords that `Memory.start` accepts, and the alterations, in words."""
    problems: list[str] = []
    text = _task(task, limits, problems)
    fields: dict[str, Any] = dict(head)
    _mend_tags(fields, problems)
    _mend_metadata(fields, problems)
    # Each refusal names a field; without it the next field is looked at.
    while (refusal := _refusal(text, fields, limits)) is not None:
        name = refusal.field.split(".")[-1].split("[")[0]
        dropped = name if name in fields else "context" if "context" in fields else None
        if dropped is None:
            problems.append(f"all keywords: dropped, {refusal}")
            return text, {}, problems
        del fields[dropped]
        problems.append(f"{dropped}: dropped, {refusal}")
    return text, cast(EpisodeHead, fields), problems


def _task(task: object, limits: Limits, problems: list[str]) -> str:
    """A text within the limit: the beginning of a longer one, since a task begins with its subject."""
    converted = to_json_value(task).value
    text = converted if isinstance(converted, str) else "" if converted is None else str(converted)
    if text != task:
        problems.append("task: became text")
    if not text:
        problems.append(f"task: empty, recorded as {_UNTITLED!r}")
        return _UNTITLED
    size = len(text.encode())
    if size > limits.task_bytes:
        problems.append(f"task: cut from {size:,} to {limits.task_bytes:,} bytes")
        text = text.encode()[: limits.task_bytes].decode("utf-8", "ignore")
    return text


def _mend_tags(fields: dict[str, Any], problems: list[str]) -> None:
    given = fields.get("tags")
    if not given:
        fields.pop("tags", None)
        return
    tags = [given] if isinstance(given, str) else list(given) if isinstance(given, list | tuple | set) else []
    kept = [tag for tag in tags if isinstance(tag, str) and TAG.fullmatch(tag)]
    if len(kept) != len(tags) or not tags:
        bad = [tag for tag in tags if tag not in kept]
        problems.append(f"tags: dropped {', '.join(map(repr, bad))[:200] or repr(given)[:200]}")
    fields["tags"] = tuple(kept)


def _mend_metadata(fields: dict[str, Any], problems: list[str]) -> None:
    given = fields.get("metadata")
    if given is None:
        return
    converted = to_json_value(given)
    fields["metadata"] = (
        converted.value if isinstance(converted.value, Mapping) else {"value": converted.value}
    )
    problems += [f"metadata: {change}" for change in converted.altered]


def _refusal(task: str, fields: Mapping[str, Any], limits: Limits) -> ValidationError | None:
    try:
        checked_head(Episode(task=task), cast(EpisodeHead, fields), limits)
    except ValidationError as refusal:
        return refusal
    except TypeError as error:
        return ValidationError("context", "made of texts", str(error))
    return None
