"""Files and folders that their owner alone may open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def create_private(path: Path) -> BinaryIO:
    """Creates a file that its owner alone may read and write, and opens it. Raises `FileExistsError` if it exists."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    return os.fdopen(descriptor, "w+b")


def make_private_folder(path: Path) -> None:
    """Creates a folder and its missing parents, which their owner alone may open; one that exists keeps its mode."""
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
