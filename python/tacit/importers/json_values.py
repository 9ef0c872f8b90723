"""JSON text of any length, cut into its values in one pass: lines, the items of an array, the members of an object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..deferred import dataclass

_CHUNK = 1 << 18
_COMPACT_AT = 1 << 20
_OUTSIDE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_AFTER_SCALAR = re.compile(rb"[,\]}\s]")
_BLANK = re.compile(rb"[^\s,]")
_QUOTE, _ESCAPE, _COLON = b'"\\:'
_OPENERS, _CLOSERS = b"{[", b"}]"


@dataclass(frozen=True, slots=True)
class JsonText:
    """The text of one JSON value and the line on which it begins, counted from 1.

    `key` is the member of the surrounding object that holds the value, or an item of it that is a list. `content` is
    `None` for a value beyond the limit, which was skipped.
    """

    line: int
    key: str | None
    content: bytes | None


def json_texts(
    read: Callable[[int], bytes], *, limit: int, opens_objects: bool = False
) -> Iterator[JsonText]:
    """The values that stand one after another in a stream, in one pass and with no more than `limit` bytes held.

    Items of an outermost array count as values. With `opens_objects` so do the members of an outermost object, and
    the items of a member that is an array. A value that the end of the stream cuts off is given as far as it goes.

    Example:
        >>> import io
        >>> [each.content for each in json_texts(io.BytesIO(b'[1, {"a": 2}] "x"').read, limit=100)]
        [b'1', b'{"a": 2}', b'"x"']
    """
    return _Splitter(read, limit).values(opens_objects)


class _Splitter:
    """A window on the stream: `_at` is the place in it that is read next."""

    def __init__(self, read: Callable[[int], bytes], limit: int) -> None:
        self._read = read
        self._limit = limit
        self._window = bytearray()
        self._at = 0
        self._line = 1

    def values(self, opens_objects: bool) -> Iterator[JsonText]:
        while (byte := self._next()) >= 0:
            if byte == _OPENERS[1]:
                yield from self._items(None)
            elif byte == _OPENERS[0] and opens_objects:
                yield from self._members()
            else:
                yield self._value(None)

    def _items(self, key: str | None) -> Iterator[JsonText]:
        self._at += 1
        while (byte := self._next()) >= 0 and byte not in _CLOSERS:
            yield self._value(key)
        self._at += 1

    def _members(self) -> Iterator[JsonText]:
        self._at += 1
        while (byte := self._next()) >= 0 and byte not in _CLOSERS:
            name = self._value(None).content or b""
            if self._next() == _COLON:
                self._at += 1
            key = name[1:-1].decode("utf-8", "replace")
            first = self._next()
            if first < 0:
                return
            if first == _OPENERS[1]:
                yield from self._items(key)
            else:
                yield self._value(key)
        self._at += 1

    def _next(self) -> int:
        """The byte at the next place that is neither blank nor a comma; -1 at the end of the stream."""
        while True:
            found = _BLANK.search(self._window, self._at)
            end = found.start() if found else len(self._window)
            self._line += self._window.count(b"\n", self._at, end)
            self._at = end
            if found:
                return self._window[self._at]
            if not self._fill():
                return -1

    def _fill(self) -> bool:
        if self._at > _COMPACT_AT:
            del self._window[: self._at]
            self._at = 0
        chunk = self._read(_CHUNK)
        self._window += chunk
        return bool(chunk)

    def _value(self, key: str | None) -> JsonText:
        """The value that begins here. A stray closing bracket is a value of its own: its reader refuses it."""
        line, byte = self._line, self._window[self._at]
        is_long = self._pass_nested(byte) if byte in b'{["' else self._pass_scalar()
        return JsonText(line, key, None if is_long else self._taken())

    def _taken(self) -> bytes:
        start, self._at = self._at, self._end
        self._line += self._window.count(b"\n", start, self._end)
        return bytes(self._window[start : self._end])

    def _pass_scalar(self) -> bool:
        self._end = self._at + 1
        while (found := _AFTER_SCALAR.search(self._window, self._end)) is None:
            self._end = len(self._window)
            if self._end - self._at > self._limit or not self._more():
                break
        else:
            self._end = found.start()
        return self._end - self._at > self._limit and self._skip()

    def _pass_nested(self, first: int) -> bool:
        """Finds the end of an object, an array or a text; returns True if it is beyond the limit, and was skipped."""
        depth, in_string, is_long = int(first != _QUOTE), first == _QUOTE, False
        self._end = self._at + 1
        while depth or in_string:
            pattern = _IN_STRING if in_string else _OUTSIDE
            found = pattern.search(self._window, self._end)
            if found is None:
                self._end = max(self._end, len(self._window))
                if self._end - self._at > self._limit:
                    is_long = self._skip()
                if not self._more():
                    break
                continue
            byte, self._end = self._window[found.start()], found.end()
            if byte == _QUOTE:
                in_string = not in_string
            elif byte == _ESCAPE:
                self._end += 1
            else:
                depth += 1 if byte in _OPENERS else -1
        self._end = min(self._end, len(self._window))
        if is_long or self._end - self._at > self._limit:
            return self._skip()
        return False

    def _skip(self) -> bool:
        """Drops what was passed of a value beyond the limit."""
        over = max(0, self._end - len(self._window))
        stop = self._end - over
        self._line += self._window.count(b"\n", self._at, stop)
        del self._window[self._at : stop]
        self._end = self._at + over
        return True

    def _more(self) -> bool:
        """As `_fill`, keeping the distance between the two marks."""
        before = self._at
        filled = self._fill()
        self._end -= before - self._at
        return filled
