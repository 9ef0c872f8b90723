"""Groups keep their ids as episodes come and go."""

from __future__ import annotations

from tacit.maintenance.clusters import match_stored_groups
from tacit.model.maintenance import StoredCluster
from tacit.model.pattern import Cluster, Finding


def group(plan: str, *members: int) -> tuple[Cluster, tuple[bytes, ...]]:
    ids = tuple(number.to_bytes(16, "big") for number in members)
    id = Finding("cluster", {"plan": list(plan)}).pattern_id
    return Cluster(id, tuple(plan), len(ids), 0.5, ids[0].hex(), ("retail",), 10), ids


def stored(cluster: tuple[Cluster, tuple[bytes, ...]]) -> StoredCluster:
    return match_stored_groups([cluster], [])[0]


def ids_of(groups: list[StoredCluster]) -> list[str]:
    return [each.cluster.id for each in groups]


def test_a_new_group_is_named_after_its_plan() -> None:
    first = group("ab", 1, 2, 3)
    assert ids_of(match_stored_groups([first], [])) == [first[0].id]


def test_a_group_whose_typical_plan_moved_on_keeps_its_id() -> None:
    old = stored(group("ab", 1, 2, 3))
    (again,) = match_stored_groups([group("abc", 1, 2, 3, 4)], [old])
    assert (again.cluster.id, again.cluster.plan) == (old.cluster.id, ("a", "b", "c"))
    assert len(again.members) == 4


def test_of_a_group_that_fell_apart_the_largest_part_keeps_the_id() -> None:
    old = stored(group("ab", 1, 2, 3, 4, 5))
    large, small = match_stored_groups([group("abc", 1, 2, 3), group("abd", 4, 5)], [old])
    assert large.cluster.id == old.cluster.id
    assert small.cluster.id == group("abd", 4)[0].id


def test_a_group_without_a_common_member_is_known_by_its_plan() -> None:
    old = stored(group("ab", 1, 2))
    moved = match_stored_groups([group("abc", 1, 2)], [old])[0]
    (again,) = match_stored_groups([group("abc", 8, 9)], [moved])
    assert again.cluster.id == old.cluster.id


def test_a_new_group_never_takes_the_id_of_one_that_moved_on() -> None:
    moved = match_stored_groups([group("abc", 1, 2)], [stored(group("ab", 1, 2))])[0]
    again = match_stored_groups([group("abc", 1, 2), group("ab", 8, 9)], [moved])
    assert again[0].cluster.id == moved.cluster.id
    assert len({*ids_of(again)}) == 2


def test_the_same_groups_are_the_same_again() -> None:
    groups = [group("ab", 1, 2, 3), group("cd", 4, 5)]
    first = match_stored_groups(groups, [])
    assert match_stored_groups(groups, first) == first


def test_a_group_is_the_stored_one_if_both_share_half_of_the_smaller() -> None:
    old = stored(group("ab", 1, 2, 3, 4))
    (half,) = match_stored_groups([group("cd", 1, 2, *range(10, 18))], [old])
    assert half.cluster.id == old.cluster.id
    (less,) = match_stored_groups([group("cd", 1, *range(10, 18))], [old])
    assert less.cluster.id != old.cluster.id


def test_a_stored_group_gives_its_id_to_one_group_only() -> None:
    old = stored(group("ab", 1, 2, 3, 4))
    one, other = match_stored_groups([group("cd", 1, 2), group("ef", 3, 4)], [old])
    assert one.cluster.id == old.cluster.id != other.cluster.id


def test_a_group_takes_the_id_of_one_stored_group_only() -> None:
    one, other = stored(group("ab", 1, 2, 3)), stored(group("cd", 4, 5))
    (joined,) = match_stored_groups([group("ef", 1, 2, 3, 4, 5)], [one, other])
    assert joined.cluster.id == one.cluster.id
