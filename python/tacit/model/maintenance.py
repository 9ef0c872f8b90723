"""Maintenance of a namespace: merged patterns, promoted and retired ones, heuristics and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from ..deferred import dataclass
from .pattern import Cluster, Heuristic, PatternState

FIRST_ERROR = "<first error>"
ANY_ERROR = "<any error>"
"""Keys of heuristics beside the classes of errors; no class has such a name."""


@dataclass(frozen=True, slots=True)
class Merge:
    """A near-duplicate: from now on `survivor` stands for `merged` too. Both are ids of patterns, with their texts.

    Example:
        >>> from tacit import Merge
        >>> Merge("0a" * 16, "0b" * 16, similarity=0.97, kind="error_recovery").similarity
        0.97
    """

    survivor: str
    merged: str
    similarity: float
    kind: str
    survivor_text: str = ""
    merged_text: str = ""


@dataclass(frozen=True, slots=True)
class StateChange:
    """A pattern whose state changed, with its text.

    Example:
        >>> from tacit import StateChange
        >>> StateChange("0a" * 16, before="candidate", after="proven").after
        'proven'
    """

    pattern: str
    before: PatternState
    after: PatternState
    text: str = ""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """The report of a maintenance run; with `dry_run` nothing was written.

    `id` names its audit entry, for `undo`; `None` means that nothing was decided or written. `merges` and `changed`
    are the decisions: near-duplicates, and patterns that were promoted, retired or brought back. `clusters` and
    `heuristics` are those there are now, `new_heuristics` and `gone_heuristics` count the differences.
    `abandoned` are the ids of open episodes that were ended because nobody works on them: `resume` opens them again.
    `learned` counts pending episodes that were learned from, `pending` those that still wait. `unchanged` means that
    there was nothing to do. `given_up` is the failure for which not every pending episode was tried: three in a row
    failed alike, and the newest one too. `None` means that every one was.

    Example:
        >>> from tacit import Memory
        >>> report = Memory().maintain()
        >>> report.unchanged, report.merges
        (True, ())
    """

    namespace: str
    id: str | None = None
    dry_run: bool = False
    kind: Literal["maintenance", "undo"] = "maintenance"
    merges: tuple[Merge, ...] = ()
    changed: tuple[StateChange, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    heuristics: tuple[Heuristic, ...] = ()
    new_heuristics: int = 0
    gone_heuristics: int = 0
    learned: int = 0
    pending: int = 0
    given_up: str | None = None
    abandoned: tuple[str, ...] = ()
    unchanged: bool = True
    elapsed_ms: float = field(default=0.0, compare=False)

    @property
    def promoted(self) -> tuple[StateChange, ...]:
        """Patterns that became proven, or pitfalls."""
        return tuple(each for each in self.changed if each.after in ("proven", "pitfall"))

    @property
    def retired(self) -> tuple[StateChange, ...]:
        """Patterns that were not seen for long."""
        return tuple(each for each in self.changed if each.after == "retired")


@dataclass(frozen=True, slots=True)
class StoredCluster:
    """A group with its members, by which it is known again."""

    cluster: Cluster
    members: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class MaintenanceState:
    """The state of a namespace after maintenance; patterns by their 16 bytes.

    `digest` stands for the episodes behind clusters and heuristics: they are fresh while the index has the same one.
    `never_merge` are patterns whose merge was undone, `pinned` those whose change of state was undone.
    """

    version: bytes = b""
    digest: int | None = None
    settings: bytes = b""
    survivors: Mapping[bytes, bytes] = field(default_factory=dict)
    never_merge: frozenset[bytes] = frozenset()
    states: Mapping[bytes, PatternState] = field(default_factory=dict)
    pinned: frozenset[bytes] = frozenset()
    heuristics: tuple[Heuristic, ...] = ()
    clusters: tuple[StoredCluster, ...] = ()
    merged: Mapping[bytes, tuple[str, ...]] = field(default_factory=dict)
    """By survivor, the ids of the patterns merged into it."""
    rules: Mapping[tuple[str | None, str | None], tuple[Heuristic, ...]] = field(default_factory=dict)
    """Heuristics worth recalling, by the last tool and its result."""

    def state(self, pattern: bytes) -> PatternState:
        """The state of a pattern, "candidate" by default."""
        return self.states.get(pattern, "candidate")


@dataclass(frozen=True, slots=True)
class Relearning:
    """How far a relearning has come: `relearned` of `total` episodes now have facts of `version`.

    `pending` counts the episodes from which a part failed to learn: `maintain` tries them again. `problems` are the
    failures in words. If three episodes in a row failed alike, and the newest too, the rest keeps its earlier facts.
    """

    relearned: int
    total: int
    version: int
    pending: int = 0
    problems: tuple[str, ...] = ()
