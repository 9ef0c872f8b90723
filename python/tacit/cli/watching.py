"""The loop of `tacit import --watch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..errors import ValidationError
from ..importers.detecting import files_below
from . import console

INTERVAL_S = 2.0
"""The time between two looks at the files."""


def watch(paths: Iterable[str], read: Callable[[str], object]) -> None:
    """Reads every file that is new or was written since the last look, until the command is interrupted.

    A file that cannot be read is named once for each time that it was written.
    """
    seen: dict[Path, tuple[int, int]] = {}
    try:
        while True:
            for file in _files(paths):
                status = file.stat()
                mark = status.st_size, status.st_mtime_ns
                if seen.get(file) != mark:
                    seen[file] = mark
                    _read(file, read)
            time.sleep(INTERVAL_S)
    except KeyboardInterrupt:
        return


def _read(file: Path, read: Callable[[str], object]) -> None:
    try:
        read(str(file))
    except ValidationError as error:
        console.note(f"{file}: {error}")


def _files(paths: Iterable[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(files_below(path))
        elif path.is_file():
            yield path
