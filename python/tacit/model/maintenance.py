"""What maintenance makes of a namespace: which patterns are one, which are proven, what the rules and groups are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .pattern import Cluster, Heuristic, PatternState

FIRST_ERROR = "<first error>"
ANY_ERROR = "<any error>"
"""What rules are found by beside the class of an error: no class has such a name."""


@dataclass(frozen=True, slots=True)
class Merge:
    """A near-duplicate: from now on `survivor` stands for `merged` too. Both are ids of patterns, with their texts."""

    survivor: str
    merged: str
    similarity: float
    kind: str
    survivor_text: str = ""
    merged_text: str = ""


@dataclass(frozen=True, slots=True)
class StateChange:
    """A pattern whose state changed, with its text."""

    pattern: str
    before: PatternState
    after: PatternState
    text: str = ""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What maintenance did, or would do where `dry_run`.

    `id` names its audit entry, for `undo`; None where nothing was decided or nothing written. `merges` and `changed`
    are the decisions: near-duplicates, and patterns that were promoted, retired or brought back. `clusters` and
    `heuristics` are those there are now, `new_heuristics` and `gone_heuristics` count what differs from before.
    `unchanged` means that nothing had to change.
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
    """What maintenance left of a namespace; patterns by their 16 bytes.

    `digest` stands for the episodes that clusters and heuristics were made of: where the index has another one, they
    are no longer fresh. `kept` are patterns that are not to be merged, `held` those whose state is not to change:
    someone took that back.
    """

    version: bytes = b""
    digest: int | None = None
    settings: bytes = b""
    survivors: Mapping[bytes, bytes] = field(default_factory=dict)
    kept: frozenset[bytes] = frozenset()
    states: Mapping[bytes, PatternState] = field(default_factory=dict)
    held: frozenset[bytes] = frozenset()
    heuristics: tuple[Heuristic, ...] = ()
    clusters: tuple[StoredCluster, ...] = ()
    merged: Mapping[bytes, tuple[str, ...]] = field(default_factory=dict)
    """By survivor, the ids of what it stands for."""
    rules: Mapping[tuple[str | None, str | None], tuple[Heuristic, ...]] = field(default_factory=dict)
    """The rules worth recalling, by the last tool and what came of it."""

    def state(self, pattern: bytes) -> PatternState:
        """Of a pattern; a candidate where nothing was decided."""
        return self.states.get(pattern, "candidate")


@dataclass(frozen=True, slots=True)
class Relearning:
    """How far a relearning has come: `relearned` of `total` episodes now have facts of `version`."""

    relearned: int
    total: int
    version: int
