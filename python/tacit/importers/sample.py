"""The beginning of a file: it shows the form."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .decoding import decoded
from .json_values import json_texts

_VALUES = 50
_LIMIT = 1 << 18


@dataclass(frozen=True)
class Sample:
    """The first bytes of a file, and the values in them. `name` is the file's own name, in small letters.

    Example:
        >>> Sample("runs.jsonl", b'{"task": "a"}').keys
        frozenset({'task'})
    """

    name: str
    head: bytes

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """The first whole values: of lines, or else of the items of an array."""
        lines = [line for line in self.head.splitlines()[:_VALUES] if line.strip()]
        if lines and lines[0].strip() not in (b"{", b"["):
            found = [value for line in lines if (value := _value(line)) is not None]
            if any(isinstance(value, dict) for value in found):
                return tuple(found)
        texts = json_texts(io.BytesIO(self.head).read, limit=_LIMIT)
        values = (_value(text.content) for text, _ in zip(texts, range(_VALUES), strict=False))
        return tuple(value for value in values if value is not None)

    @cached_property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """The values that are objects."""
        return tuple(value for value in self.values if isinstance(value, dict))

    @cached_property
    def members(self) -> Mapping[str, Any]:
        """The members of the first object, however long it is: of a list its first item."""
        if self.objects:
            return self.objects[0]
        start = self.head.lstrip(b"[ \t\r\n")
        members: dict[str, Any] = {}
        for text in json_texts(io.BytesIO(start).read, limit=_LIMIT, opens_objects=True):
            if text.key is not None:
                members.setdefault(text.key, _value(text.content))
        return members

    @property
    def keys(self) -> frozenset[str]:
        """The names of the first object's members."""
        return frozenset(self.members)

    def any_has(self, *names: str) -> bool:
        """Returns True if an object of the sample has all of these members."""
        wanted = frozenset(names)
        return any(wanted <= each.keys() for each in (*self.objects, dict(self.members)))

    def describe(self) -> str:
        """The look of the file, in a few words."""
        if not self.head.strip():
            return "an empty file"
        if not self.keys:
            return "no JSON" if not self.values else "JSON without objects"
        names = ", ".join(sorted(self.keys)[:8])
        return f"JSON objects with the members {names}"


def _value(content: bytes | None) -> Any:
    if not content or not content.strip():
        return None
    try:
        return decoded(content)
    except ValueError:
        return None
