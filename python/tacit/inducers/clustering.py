"""Successes that went about it alike."""

from __future__ import annotations

from .._native import ClusterRow, Finding
from ..model.ids import as_text
from ..model.pattern import Cluster
from .base import History, inducers


@inducers.register("clustering")
class Clustering:
    """Groups of successes with similar plans, the largest first; a plan is the tools of an episode's steps, in order.

    Two plans are as far apart as 1 less twice their longest common subsequence by their lengths together. Groups
    grow from plans with at least `min_points` episodes within `eps` (DBSCAN); other plans are in no group. The
    `newest` successes with steps are looked at; each cluster says how many older ones were left out.

    With `families` it is at most so many groups of successes that used tools in like proportions (k-means), whatever
    their order: a coarse division in which every success has a place.
    """

    def __init__(
        self, *, eps: float = 0.1, min_points: int = 3, newest: int = 2_000, families: int = 0
    ) -> None:
        self.eps = eps
        self.min_points = min_points
        self.newest = newest
        self.families = families

    def induce(self, history: History) -> tuple[Cluster, ...]:
        """Of equally large groups the one with the earlier medoid comes first."""
        return tuple(cluster for cluster, _ in self.groups(history))

    def groups(self, history: History) -> list[tuple[Cluster, tuple[bytes, ...]]]:
        """The same, each with the ids of its episodes, ascending."""
        rows, looked_at, left_out = history.index.clusters(
            history.namespace,
            history.domain,
            eps=self.eps,
            min_points=self.min_points,
            newest=self.newest,
            groups=self.families,
        )
        rows.sort(key=lambda row: (-len(row), row.medoid))
        return [(_cluster(row, looked_at, left_out), tuple(row.members)) for row in rows]


def _cluster(row: ClusterRow, looked_at: int, left_out: int) -> Cluster:
    return Cluster(
        id=Finding("cluster", {"plan": row.plan}).pattern_id,
        plan=tuple(row.plan),
        episodes=len(row),
        share=len(row) / looked_at,
        medoid=as_text(row.medoid),
        domains=tuple(row.domains),
        looked_at=looked_at,
        left_out=left_out,
    )
