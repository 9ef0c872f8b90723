"""The results of writing episodes to a file, and of removing old ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Export:
    """The result of `Memory.export`.

    `bytes` counts the lines before they were packed. Rows that cannot be read are left out and counted by
    `tacit doctor`; open episodes are left out too.

    Example:
        >>> import pathlib, tempfile
        >>> from tacit import Memory, Outcome
        >>> memory = Memory()
        >>> _ = memory.complete(memory.start("Cancel order 17"), Outcome.success())
        >>> memory.export(pathlib.Path(tempfile.mkdtemp()) / "runs.jsonl.gz").exported
        1
    """

    path: str
    exported: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Retention:
    """The result of `Memory.retain`: the episodes that were removed, or would be after a dry run.

    Sizes are those of the episodes' records. `freed_bytes` is the space that the file gave back to the disk.

    Example:
        >>> from tacit import Memory, Outcome
        >>> memory = Memory()
        >>> for number in range(3):
        ...     _ = memory.complete(memory.start(f"Cancel order {number}"), Outcome.success())
        >>> report = memory.retain(max_episodes=1, dry_run=True)
        >>> len(report.removed), report.kept
        (2, 1)
    """

    removed: tuple[str, ...] = ()
    """The ids, newest first."""
    removed_bytes: int = 0
    kept: int = 0
    kept_bytes: int = 0
    freed_bytes: int = 0
    dry_run: bool = False
