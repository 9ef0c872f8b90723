"""JSON values of recorded calls: their types, the places within results, and the ones that may be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from ..model.episode import Json
from ..redaction import MARKER

Path: TypeAlias = tuple[str | int, ...]

_SHOWN_CHARACTERS = 60
"""The longest text that becomes an example or an enum value."""
_MOST_PLACES = 500
_DEEPEST = 6
_LONGEST_JSON = 50_000
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def json_type(value: Json) -> str:
    """The JSON type of a value."""
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, (list, tuple)) else _NAMES.get(type(value), "string")


def key_of(value: Json) -> bytes:
    """Equal values have equal keys; 1 and true have different ones."""
    return msgspec.msgpack.encode(value, order="deterministic")


def may_be_shown(value: Json) -> bool:
    """True for a short scalar without control characters and without a redacted part."""
    if isinstance(value, str):
        return 0 < len(value) <= _SHOWN_CHARACTERS and value.isprintable() and MARKER not in value
    return isinstance(value, (bool, int, float))


def is_redacted(value: Json) -> bool:
    """True if a part of the value was replaced by the redactor."""
    return MARKER.encode() in key_of(value)


def opened(result: Any) -> Any:
    """The result as a value: a text that holds a JSON object or array is read."""
    if isinstance(result, str) and result[:1] in ("{", "[") and len(result) <= _LONGEST_JSON:
        try:
            return msgspec.json.decode(result)
        except (msgspec.DecodeError, RecursionError):
            return result
    return result


def value_at(result: Any, path: Path) -> Json:
    """The value at a path. Raises `LookupError` if there is none."""
    value = opened(result)
    for part in path:
        if not isinstance(value, (dict, list, tuple)):
            raise LookupError(part)
        try:
            value = value[part]  # type: ignore[index]
        except TypeError as error:
            raise LookupError(part) from error
    return value


def places(result: Any) -> Iterator[tuple[Path, Json]]:
    """Paths of the texts and numbers of a result, the shallow ones first; bounded."""
    level: Sequence[tuple[Path, Any]] = [((), opened(result))]
    left = _MOST_PLACES
    for _ in range(_DEEPEST + 1):
        below: list[tuple[Path, Any]] = []
        for path, value in level:
            if isinstance(value, dict):
                below += [((*path, str(key)), each) for key, each in value.items()]
            elif isinstance(value, (list, tuple)):
                below += [((*path, number), each) for number, each in enumerate(value)]
            elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
                yield path, value
        level = below[:left]
        left -= len(level)
