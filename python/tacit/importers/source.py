"""Lines of an untrusted file."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, cast

from ..errors import ValidationError

LINE_BYTES = 40_000_000
"""The longest line that is looked at: an episode of the greatest size, escaped."""
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One line and its number, counted from 1."""

    number: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that could not be used, and why. `line` counts from 1 in the file `path`."""

    line: int
    reason: str
    path: str


class Source:
    """A file of lines, plain or gzipped by its first bytes, read one line at a time; "-" is standard input.

    Raises `ValidationError` for a file that cannot be opened.
    """

    def __init__(self, path: str | Path, *, line_bytes: int = LINE_BYTES) -> None:
        self.path: str = str(path)
        self.size: int = 0
        """The file's bytes; 0 if they are not known."""
        self._line_bytes = line_bytes
        self._raw = self._open()
        self._lines: IO[bytes] = self._raw
        if self._raw.peek(2)[:2] == _GZIP:
            self._lines = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw))

    def _open(self) -> BufferedReader:
        if self.path == "-":
            return _buffered(sys.stdin.buffer)
        try:
            self.size = Path(self.path).stat().st_size
            return open(self.path, "rb")
        except OSError as error:
            raise ValidationError("path", "a readable file", f"{self.path}: {error.strerror}") from error

    @property
    def position(self) -> int:
        """The bytes of the file that were read."""
        return self._raw.tell() if self.size else 0

    def lines(self) -> Iterator[Line | Refusal]:
        """Every line with content; a refusal for a line that is too long, and for an early end of reading."""
        number = 0
        while True:
            number += 1
            try:
                content = self._next(first=number == 1)
            except (EOFError, OSError, zlib.error) as error:
                yield self.refusal(number, f"cannot be read from here on: {error}")
                return
            if content is None:
                yield self.refusal(number, f"at most {self._line_bytes:,} bytes a line, got more")
            elif not content:
                return
            elif not content.isspace():
                yield Line(number, content)

    def _next(self, *, first: bool) -> bytes | None:
        """The next line, empty at the end, `None` if it is too long."""
        content = self._lines.readline(self._line_bytes + 1)
        if len(content) > self._line_bytes:
            while content and not content.endswith(b"\n"):
                content = self._lines.readline(1_000_000)
            return None
        return content.removeprefix(_BYTE_ORDER_MARK) if first else content

    def refusal(self, line: int, reason: str) -> Refusal:
        """A line of this file that cannot be used."""
        return Refusal(line, reason, self.path)

    def close(self) -> None:
        """Closes the file."""
        if self.path != "-":
            self._lines.close()
            self._raw.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def check_readable(path: str | Path) -> None:
    """Raises `ValidationError` for a file that cannot be opened.

    A pipe is not opened: that would lose the bytes that its other end has written.
    """
    if str(path) != "-" and not Path(path).is_fifo():
        Source(path).close()


def _buffered(stream: BinaryIO) -> BufferedReader:
    return stream if isinstance(stream, BufferedReader) else BufferedReader(cast(RawIOBase, stream))
