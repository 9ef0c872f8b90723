"""Groups that keep their names as episodes arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from .._native import Finding
from ..model.maintenance import StoredCluster
from ..model.pattern import Cluster

_SHARED = 0.5
"""How much of the smaller of two groups both have, to be the same group."""
_MOST_MEMBERS = 20_000
"""By how many of its newest members a group is known again."""

Group = tuple[Cluster, tuple[bytes, ...]]


def match_stored_groups(groups: Sequence[Group], stored: Sequence[StoredCluster]) -> list[StoredCluster]:
    """The groups, each under the id of the stored one with which it shares the most members, or else the plan.

    Of a group that fell apart the largest part keeps the id. A new one is named after its plan.
    """
    ids = dict(_by_members(groups, stored))
    ids |= dict(_by_plan(groups, stored, ids))
    taken = set(ids.values())
    named = []
    for place, (cluster, members) in enumerate(groups):
        id = ids.get(place) or _new_id(cluster, taken)
        taken.add(id)
        named.append(StoredCluster(replace(cluster, id=id), frozenset(members[-_MOST_MEMBERS:])))
    return named


def _by_members(groups: Sequence[Group], stored: Sequence[StoredCluster]) -> Iterator[tuple[int, str]]:
    homes: dict[bytes, list[int]] = {}
    for number, old in enumerate(stored):
        for member in old.members:
            homes.setdefault(member, []).append(number)
    shared: dict[tuple[int, int], int] = {}
    for place, (_, members) in enumerate(groups):
        for number in (number for member in members for number in homes.get(member, ())):
            shared[place, number] = shared.get((place, number), 0) + 1
    places: set[int] = set()
    numbers: set[int] = set()
    for (place, number), count in sorted(shared.items(), key=lambda each: (-each[1], each[0])):
        smaller = min(len(groups[place][1]), len(stored[number].members))
        if count >= _SHARED * smaller and place not in places and number not in numbers:
            places.add(place)
            numbers.add(number)
            yield place, stored[number].cluster.id


def _by_plan(
    groups: Sequence[Group], stored: Iterable[StoredCluster], known: dict[int, str]
) -> Iterator[tuple[int, str]]:
    taken = set(known.values())
    ids = {old.cluster.plan: old.cluster.id for old in stored if old.cluster.id not in taken}
    for place, (cluster, _) in enumerate(groups):
        if place not in known and cluster.plan in ids:
            yield place, ids.pop(cluster.plan)


def _new_id(cluster: Cluster, taken: set[str]) -> str:
    """An id made from the plan; from its medoid too if a cluster that has moved on holds that id."""
    if cluster.id not in taken:
        return cluster.id
    return Finding("cluster", {"plan": list(cluster.plan), "medoid": cluster.medoid}).pattern_id
