"""Packed and recoded files: read as the UTF-8 text inside, by their first bytes, with a bound on what unpacks."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, cast

from ..errors import ValidationError

_ALWAYS_ALLOWED = 64_000_000
"""Bytes that any file may unpack to."""
_MOST_TIMES = 200
"""How many times its own size a larger file may unpack to: real runs stay below 60."""
_CHUNK = 1 << 18
_ZIP = b"PK\x03\x04"
_SQLITE = b"SQLite format 3\x00"


class UnpackError(OSError):
    """A packed file holds too much, or what it holds is not what its first bytes say."""


class Readable(Protocol):
    """Something that gives the next bytes, none at the end."""

    def read1(self, size: int, /) -> bytes:
        """At most `size` bytes, those that are ready first."""
        ...


def unpacked(raw: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
    """The content of a file: unpacked if it is gzip, bzip2, xz or zstd, and as UTF-8 if it is UTF-16."""
    start = raw.peek(6)[:6]
    for magic, unpack in _UNPACKERS:
        if start.startswith(magic):
            content = io.BufferedReader(Bounded(unpack(raw), lambda: _told(raw)), _CHUNK)
            return _recoded(content, content.peek(2)[:2])
    return _recoded(raw, start[:2])


def _told(raw: io.BufferedReader[Any]) -> int | None:
    try:
        return raw.tell()
    except OSError:  # a pipe does not tell
        return None


def is_zip(start: bytes) -> bool:
    """Returns True for the first bytes of a zip archive."""
    return start.startswith(_ZIP)


def is_sqlite(start: bytes) -> bool:
    """Returns True for the first bytes of a SQLite database."""
    return start.startswith(_SQLITE)


def _recoded(content: io.BufferedReader[Any], start: bytes) -> io.BufferedReader[Any]:
    coding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(start)
    if coding is None:
        return content
    content.read(2)
    return io.BufferedReader(_Recoded(content, coding), _CHUNK)


def _zstd(raw: BinaryIO) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError:
        pass
    else:
        return zstd.ZstdFile(raw)
    try:
        import zstandard  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        rule = "plain, or packed in a way this Python can unpack: pip install zstandard"
        raise ValidationError("path", rule, "a zstd file") from None
    return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)


_UNPACKERS: tuple[tuple[bytes, Callable[[BinaryIO], Any]], ...] = (
    (b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _zstd),
)


class Bounded(io.RawIOBase):
    """The unpacked bytes of a file, as long as they are no more than a real file would hold.

    `taken` gives the bytes that were read of the packed file; `None` if that is not known.
    """

    def __init__(self, content: Readable, taken: Callable[[], int | None]) -> None:
        self._content = content
        self._taken = taken
        self._given = 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Raises `UnpackError` for a file that is damaged or that holds too much."""
        try:
            chunk = self._content.read1(len(buffer))
        except (EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            raise UnpackError(str(error)) from error
        self._given += len(chunk)
        taken = self._taken()
        if taken is not None and self._given > max(_ALWAYS_ALLOWED, _MOST_TIMES * taken):
            raise UnpackError(f"it unpacks to more than {_MOST_TIMES} times its size")
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Recoded(io.RawIOBase):
    """UTF-16 text as UTF-8; what is no text becomes U+FFFD."""

    def __init__(self, content: io.BufferedReader[Any], coding: str) -> None:
        self._content = content
        self._decoder = codecs.getincrementaldecoder(coding)("replace")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._ready:
            chunk = self._content.read(_CHUNK)
            self._ready = self._decoder.decode(chunk, final=not chunk).encode()
            if not chunk:
                break
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


def buffered(stream: BinaryIO) -> io.BufferedReader[Any]:
    """The stream with a look ahead."""
    if isinstance(stream, io.BufferedReader):
        return stream
    return io.BufferedReader(cast(io.RawIOBase, stream))
