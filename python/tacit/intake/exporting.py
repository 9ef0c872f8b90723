"""Export: the ended episodes of a namespace as lines of a file that an import reads."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import msgspec

from ..errors import StorageError, ValidationError
from ..model.episode import Episode
from ..model.lines import episode_line
from ..model.record import Filters
from ..model.transfer import Export
from ..storage.base import Store

_PAGE = 16
"""Episodes that are held at once: one may have 10 MB."""
_EPISODES = msgspec.msgpack.Decoder(Episode)


def export_episodes(store: Store, path: str, namespace: str, *, since: int | None = None) -> Export:
    """Writes the episodes that ended at `since` or later, in the order of their ids; see `Memory.export`."""
    exported = size = 0
    with _opened(path) as file:
        for episode in _episodes(store, namespace):
            if since is not None and (episode.ended_at or episode.started_at) < since:
                continue
            line = episode_line(episode) + b"\n"
            file.write(line)
            exported += 1
            size += len(line)
    return Export(path, exported, size)


def _episodes(store: Store, namespace: str) -> Iterator[Episode]:
    after: bytes | None = None
    filters = Filters(namespace=namespace)
    while page := store.scan("episode", after=after, limit=_PAGE, filters=filters):
        yield from (_EPISODES.decode(payload) for _, payload in page)
        after = page[-1][0]


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """The file to write to, packed as its name says; it takes its name once it is complete and on the disk."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path).expanduser()
    if target.exists():
        raise ValidationError("path", "a file that does not exist", str(target))
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(draft, "xb", opener=_private) as raw:
            with _packed(target.name, raw) as file:
                yield file
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(draft, target)
    except OSError as error:
        raise StorageError(f"no export at {target}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read: it holds everything that the memory knows."""
    return os.open(path, flags, 0o600)


@contextmanager
def _packed(name: str, raw: BinaryIO) -> Iterator[IO[bytes]]:
    """The writer that a name asks for: gzip, zstd, or none."""
    if name.endswith(".gz"):
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
            yield cast(IO[bytes], file)
    elif name.endswith(".zst"):
        with _zstd(raw) as file:
            yield file
    else:
        yield raw


def _zstd(raw: BinaryIO) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError:
        pass
    else:
        return zstd.ZstdFile(raw, "w")
    try:
        import zstandard  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        rule = (
            "a name that ends with .jsonl or .jsonl.gz, or Python needs to pack zstd: pip install zstandard"
        )
        raise ValidationError("path", rule, "a .zst file") from None
    return zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
