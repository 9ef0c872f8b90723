"""Files that past sessions touched and that were changed since: what was true of them then may not be so now."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..model.episode import Step
from ..model.recall import Hit
from .repositories import repository_of

_NAMES = ("file_path", "filePath", "path", "notebook_path", "absolute_path")
"""Parameters that name a file, in the tools of Claude Code, opencode, Gemini CLI and Codex."""
_MOST_FILES = 200
_SLACK_US = 2_000_000
"""A session writes its own files until it ends."""
_NAMED = 3


def changed_files(hits: Iterable[Hit], folder: str | Path) -> tuple[list[str], int]:
    """The files below the repository of `folder` that were changed or removed since a hit touched them.

    Gives their names within the repository, the latest change first, and how many files the hits touched.
    """
    root = repository_of(folder)
    touched: dict[Path, int] = {}
    for hit in hits:
        for run in hit.runs:
            for file in files_of(run.steps, Path(folder)):
                if file.is_relative_to(root) and len(touched) < _MOST_FILES:
                    touched[file] = max(touched.get(file, 0), hit.ended_at)
    changes = {file: _changed_at(file) for file in touched}
    changed = [file for file, seen in touched.items() if changes[file] > seen + _SLACK_US]
    changed.sort(key=lambda file: (-changes[file], str(file)))
    return [str(file.relative_to(root)) for file in changed], len(touched)


def files_of(steps: Iterable[Step], folder: Path) -> Iterator[Path]:
    """The files that calls named which went well."""
    for step in steps:
        if step.ok and isinstance(step.parameters, dict):
            for name in _NAMES:
                value = step.parameters.get(name)
                if isinstance(value, str) and value and "\0" not in value:
                    yield Path(os.path.normpath(folder / value))


def _changed_at(file: Path) -> float:
    """When a file was written last, in microseconds since 1970; a removed one counts as changed now, a folder never."""
    try:
        status = file.stat()
    except OSError:
        return float("inf")
    return status.st_mtime_ns / 1_000 if file.is_file() else 0.0


def changed_line(hits: Iterable[Hit], folder: str | Path) -> str:
    """A line for a prompt; empty if no file was changed.

    Example:
        >>> changed_line([], "/nowhere")
        ''
    """
    changed, touched = changed_files(hits, folder)
    if not changed:
        return ""
    named = ", ".join(changed[:_NAMED]) + (", …" if len(changed) > _NAMED else "")
    return f"{len(changed)} of {touched} files that these sessions touched changed since: {named}"
