"""The namespace of a working folder: one for a repository, with all its worktrees."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
_GITDIR = "gitdir:"


def namespace_of(folder: str | Path) -> str:
    """The name of the repository's folder and a short hash of its path; the folder's own without a repository.

    Example:
        >>> namespace_of("/nowhere/shop").startswith("shop-")
        True
    """
    path = Path(folder).expanduser().resolve()
    root = _common_folder(path) or path
    name = _ODD.sub("-", root.name).strip("-") or "root"
    return f"{name[:80]}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


def repository_of(folder: str | Path) -> Path:
    """The folder of the working tree that a folder lies in; the folder itself without a repository."""
    path = Path(folder).expanduser().resolve()
    for place in (path, *path.parents):
        if (place / ".git").exists():
            return place
    return path


def is_excluded(folder: str, patterns: Sequence[str]) -> bool:
    """True if the folder, or one above it, matches a pattern such as `~/private/*`.

    Example:
        >>> is_excluded("/srv/private/shop/src", ["/srv/private/*"])
        True
    """
    if not patterns or not folder:
        return False
    from fnmatch import fnmatchcase

    path = Path(folder).expanduser().absolute()
    wanted = [str(Path(pattern).expanduser()) for pattern in patterns]
    return any(fnmatchcase(str(place), each) for place in (path, *path.parents) for each in wanted)


def _common_folder(folder: Path) -> Path | None:
    """The folder that holds the `.git` of a repository, the main one for a worktree; `None` outside of one."""
    for place in (folder, *folder.parents):
        git = place / ".git"
        try:
            if git.is_dir():
                return place
            if git.is_file():
                return _main_of_worktree(git) or place
        except OSError:
            return None
    return None


def _main_of_worktree(git: Path) -> Path | None:
    """The main folder that the `.git` file of a worktree points into: `MAIN/.git/worktrees/NAME`."""
    text = git.read_text(errors="replace")[:4_096].strip()
    if not text.startswith(_GITDIR):
        return None
    inside = (git.parent / text.removeprefix(_GITDIR).strip()).resolve()
    if inside.parent.name == "worktrees":
        return inside.parent.parent.parent
    return None
