"""Foreign JSON, decoded: NaN and infinities become null, lone surrogates are kept for the conversion to mend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec


def decoded(content: bytes) -> Any:
    """The value of a JSON text. Raises `ValueError` with the reason for what is none.

    Example:
        >>> decoded(b'{"score": NaN}')
        {'score': None}
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as refusal:
        return _leniently(content, refusal)


def _leniently(content: bytes, refusal: Exception) -> Any:
    """As Python's own `json` reads it, which writes NaN, Infinity and lone surrogates."""
    try:
        return json.loads(content.decode("utf-8", "replace"), parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nests too deep") from None
    except ValueError:
        reason = str(refusal).removeprefix("JSON is malformed: ")
        raise ValueError(f"is not JSON: {reason}") from None


def decoded_object(content: bytes) -> dict[str, Any]:
    """As `decoded`; also raises `ValueError` for a value that is no object."""
    value = decoded(content)
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object; got {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return {list: "an array", str: "a text", bool: "true or false", type(None): "null"}.get(
        type(value), "a number"
    )


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; none of anything else."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
