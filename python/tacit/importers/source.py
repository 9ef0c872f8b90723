"""An untrusted file: its lines, or its JSON values, one at a time."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from ..config import Limits
from ..deferred import dataclass
from ..errors import ValidationError
from .decoding import decoded
from .json_values import JsonText, json_texts
from .opening import Bounded, Readable, UnpackError, buffered, is_zip, unpacked

LINE_BYTES = 40_000_000
"""The longest line or JSON value that is looked at: an episode of the greatest size, escaped."""
_HEAD_BYTES = 1 << 18
_BLANK_LINES = 100_000
"""Blank lines in a row that a file of runs may have."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BROKEN = (EOFError, OSError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class Line:
    """One line and its number, counted from 1."""

    number: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that could not be used, and why. `line` counts from 1 in the file `path`.

    Lines that are refused for the same reason are one refusal: `line` is the first of `count`.
    """

    line: int
    reason: str
    path: str
    count: int = 1


class Source:
    """A file of runs, read one line or one JSON value at a time; "-" is standard input.

    It is unpacked by its first bytes (gzip, bzip2, xz, zstd) and read as UTF-8, or as UTF-16 with its mark. `content`
    is read instead of the file, if it is given: `path` is its name then. `limits` are those of the memory that the
    runs are meant for. Raises `ValidationError` for a file that cannot be opened.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        content: io.BufferedReader[Any] | None = None,
        limits: Limits | None = None,
        line_bytes: int = LINE_BYTES,
    ) -> None:
        self.path: str = str(path)
        self.limits: Limits = Limits() if limits is None else limits
        self.size: int = 0
        """The file's bytes; 0 if they are not known."""
        self._line_bytes = line_bytes
        self._raw = self._open() if content is None else content
        try:
            self._content = unpacked(self._raw)
            self._broken: str | None = None
        except UnpackError as error:
            self._content, self._broken = buffered(io.BytesIO()), str(error)
        except ValidationError:
            self._raw.close()
            raise
        self._head: bytes | None = None

    def _open(self) -> io.BufferedReader[Any]:
        if self.path == "-":
            return buffered(sys.stdin.buffer)
        try:
            self.size = Path(self.path).stat().st_size
            return open(self.path, "rb")
        except OSError as error:
            raise ValidationError("path", "a readable file", f"{self.path}: {error.strerror}") from error

    @property
    def position(self) -> int:
        """The bytes of the file that were read."""
        return self._raw.tell() if self.size else 0

    def head(self) -> bytes:
        """The first 256 KB of the content, or less; reading still starts at the beginning."""
        if self._head is None:
            ahead = bytearray()
            try:
                while len(ahead) < _HEAD_BYTES and (chunk := self._content.read1(_HEAD_BYTES - len(ahead))):
                    ahead += chunk
            except _BROKEN as error:
                self._broken = str(error)
            self._head = bytes(ahead)
            self._content = io.BufferedReader(_Rejoined(self._head, self._content))
        return self._head.removeprefix(_BYTE_ORDER_MARK)

    def lines(self) -> Iterator[Line | Refusal]:
        """Every line with content; a refusal for a line that is too long, and for an early end of reading."""
        number = blank = 0
        while True:
            number += 1
            blank += 1
            if blank > _BLANK_LINES:
                yield self._cut_off(number, f"more than {_BLANK_LINES:,} blank lines")
                return
            try:
                content = self._next(first=number == 1)
            except _BROKEN as error:
                yield self._cut_off(number, error)
                return
            if content is None:
                yield self.refusal(number, f"at most {self._line_bytes:,} bytes a line, got more")
            elif not content:
                if self._broken is not None:
                    yield self._cut_off(number, self._broken)
                return
            elif not content.isspace():
                blank = 0
                yield Line(number, content)

    def values(self, *, opens_objects: bool = False) -> Iterator[JsonText | Refusal]:
        """Every JSON value, be it one a line, an item of one array, or the whole document; refusals as by `lines`.

        With `opens_objects` the members of an object are given one by one, and the items of a member that is an
        array: documents may be larger than memory then.
        """
        if self._is_lines():
            yield from self._values_of_lines(opens_objects)
            return
        line = 1
        try:
            if self._content.peek(3)[:3] == _BYTE_ORDER_MARK:
                self._content.read(3)
            for text in json_texts(self._content.read1, limit=self._line_bytes, opens_objects=opens_objects):
                line = text.line
                if text.content is None:
                    yield self.refusal(line, f"at most {self._line_bytes:,} bytes a value, got more")
                else:
                    yield text
        except _BROKEN as error:
            yield self._cut_off(line, error)
            return
        if self._broken is not None:
            yield self._cut_off(line, self._broken)

    def _is_lines(self) -> bool:
        """Returns True if the first line is a JSON object: a broken line loses none of its neighbours then."""
        first = self.head().lstrip().partition(b"\n")[0]
        try:
            return isinstance(decoded(first), dict)
        except ValueError:
            return False

    def _values_of_lines(self, opens_objects: bool) -> Iterator[JsonText | Refusal]:
        for line in self.lines():
            if isinstance(line, Refusal):
                yield line
            elif not opens_objects:
                yield JsonText(line.number, None, line.content)
            else:
                members = json_texts(
                    io.BytesIO(line.content).read, limit=self._line_bytes, opens_objects=True
                )
                for member in members:
                    yield JsonText(line.number, member.key, member.content)

    def _next(self, *, first: bool) -> bytes | None:
        """The next line, empty at the end, `None` if it is too long."""
        content = self._content.readline(self._line_bytes + 1)
        if len(content) > self._line_bytes:
            while content and not content.endswith(b"\n"):
                content = self._content.readline(1_000_000)
            return None
        return content.removeprefix(_BYTE_ORDER_MARK) if first else content

    def _cut_off(self, line: int, reason: object) -> Refusal:
        return self.refusal(line, f"cannot be read from here on: {reason}")

    def refusal(self, line: int, reason: str) -> Refusal:
        """A line of this file that cannot be used."""
        return Refusal(line, reason, self.path)

    def close(self) -> None:
        """Closes the file."""
        if self.path != "-":
            self._content.close()
            self._raw.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Rejoined(io.RawIOBase):
    """The bytes that were read ahead, and then the rest."""

    def __init__(self, ahead: bytes, rest: io.BufferedReader[Any]) -> None:
        self._ahead = memoryview(ahead)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        assert isinstance(buffer, memoryview)
        if not self._ahead:
            return self._rest.readinto1(buffer)
        size = min(len(buffer), len(self._ahead))
        buffer[:size] = self._ahead[:size]
        self._ahead = self._ahead[size:]
        return size

    def close(self) -> None:
        self._rest.close()
        super().close()


def sources_of(path: str | Path, limits: Limits) -> Iterator[Source]:
    """The file, or every file of a zip archive. Raises `ValidationError` for one that cannot be opened."""
    source = Source(path, limits=limits)
    if str(path) == "-" or not is_zip(source.head()):
        with source:
            yield source
        return
    source.close()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                name = f"{path}/{member.filename}"
                with (
                    archive.open(member) as content,
                    Source(name, content=_inside(content, member), limits=limits) as inside,
                ):
                    yield inside
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValidationError("path", "a zip archive that can be read", f"{path}: {error}") from error


def _inside(content: IO[bytes], member: zipfile.ZipInfo) -> io.BufferedReader[Any]:
    return io.BufferedReader(Bounded(cast(Readable, content), lambda: member.compress_size))


def check_readable(path: str | Path) -> None:
    """Raises `ValidationError` for a file that cannot be opened.

    A pipe is not opened: that would lose the bytes that its other end has written.
    """
    if str(path) != "-" and not Path(path).is_fifo():
        Source(path).close()
