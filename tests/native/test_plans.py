"""Groups of similar plans against a few lines of Python that look at every episode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit import Episode, Outcome, Step, TaskContext
from tacit._native import kmeans
from tacit.errors import ValidationError
from tacit.inducers import History
from tacit.testing import example_history

PLANS = st.lists(st.text("abc", min_size=1, max_size=6), max_size=14)
LIMITS = st.tuples(st.sampled_from([0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5]), st.integers(1, 4))


def success(plan: str, domain: str = "general") -> Episode:
    steps = tuple(Step(tool, status="ok") for tool in plan)
    return Episode("a task", context=TaskContext(domain=domain), steps=steps, outcome=Outcome.success())


def groups_in(
    history: History, eps: float, min_points: int, newest: int = 100
) -> list[tuple[list[int], str]]:
    """The members of each group, by their place in the history, and its plan."""
    rows, _, _ = history.index.clusters(
        history.namespace, history.domain, eps=eps, min_points=min_points, newest=newest
    )
    return [([number_of(member) for member in row.members], "".join(row.plan)) for row in rows]


def number_of(id: bytes) -> int:
    return int.from_bytes(id[8:], "big") - 0x8000_0000_0000_0000


def distance(a: str, b: str) -> float:
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            rows[i + 1][j + 1] = rows[i][j] + 1 if x == y else max(rows[i][j + 1], rows[i + 1][j])
    return (len(a) + len(b) - 2 * rows[-1][-1]) / (len(a) + len(b))


def grouped(plans: list[str], eps: float, min_points: int) -> list[tuple[list[int], str]]:
    """Every episode is a point; one that is not dense belongs to the first dense one it is near."""
    distances = [[distance(a, b) for b in plans] for a in plans]
    near = [[other for other, far in enumerate(row) if far <= eps] for row in distances]
    dense = [len(others) >= min_points for others in near]
    root = list(range(len(plans)))
    for _ in plans:
        for point in filter(dense.__getitem__, range(len(plans))):
            root[point] = min(root[other] for other in near[point] if dense[other])
    members: dict[int, list[int]] = {}
    for point, others in enumerate(near):
        neighbour = point if dense[point] else next(filter(dense.__getitem__, others), None)
        if neighbour is not None:
            members.setdefault(root[neighbour], []).append(point)
    return sorted((group, plans[medoid(group, distances)]) for group in members.values())


def medoid(group: list[int], distances: list[list[float]]) -> int:
    return min(group, key=lambda point: sum(float(np.float32(distances[point][other])) for other in group))


@given(PLANS, LIMITS)
def test_groups_are_those_of_the_textbook(plans: list[str], limits: tuple[float, int]) -> None:
    history = example_history([success(plan) for plan in plans])
    assert groups_in(history, *limits) == grouped(plans, *limits)


@given(PLANS, PLANS, st.text("abc", min_size=1, max_size=6), LIMITS)
def test_a_further_episode_changes_no_group_that_is_unlike_it(
    plans: list[str], others: list[str], further: str, limits: tuple[float, int]
) -> None:
    unlike = [success(plan.upper()) for plan in others]
    before = groups_in(example_history([*unlike, *map(success, plans)]), *limits)
    after = groups_in(example_history([*unlike, *map(success, [*plans, further])]), *limits)
    assert [group for group in before if group[1].isupper()] == [
        group for group in after if group[1].isupper()
    ]


def test_the_first_of_those_with_the_typical_plan_stands_for_the_group() -> None:
    history = example_history([success(plan) for plan in ("abcde", "abcdef", "abcdef", "abcdefg")])
    (row,), _, _ = history.index.clusters("default", eps=0.1, min_points=2, newest=10)
    assert (number_of(row.medoid), "".join(row.plan), len(row)) == (1, "abcdef", 4)


def test_only_successes_with_steps_have_a_plan() -> None:
    failed = Episode("a task", steps=(Step("a"),), outcome=Outcome.failure("no"))
    partly = Episode("a task", steps=(Step("a"),), outcome=Outcome.partial(completed=["x"], failed=["y"]))
    idle = Episode("a task", outcome=Outcome.success())
    history = example_history([failed, partly, idle, success("a")])
    rows, looked_at, left_out = history.index.clusters("default", eps=0, min_points=1, newest=10)
    assert ([len(row) for row in rows], looked_at, left_out) == ([1], 1, 0)


def test_the_oldest_are_left_out_and_counted() -> None:
    history = example_history([success("a"), success("a"), success("b"), success("b"), success("b")])
    rows, looked_at, left_out = history.index.clusters("default", eps=0, min_points=1, newest=4)
    assert [("".join(row.plan), len(row)) for row in rows] == [("a", 1), ("b", 3)]
    assert (looked_at, left_out) == (4, 1)


def test_a_domain_is_looked_at_by_itself() -> None:
    history = example_history([success("ab", "x"), success("ab", "y"), success("ab", "x")])
    index = history.index
    (both,), _, _ = index.clusters("default", eps=0, min_points=1, newest=9)
    (one,), looked_at, _ = index.clusters("default", "x", eps=0, min_points=1, newest=9)
    assert (both.domains, one.domains, len(one), looked_at) == (["x", "y"], ["x"], 2, 2)
    for nothing in (("default", "z"), ("elsewhere", None), ("default", "a")):
        assert index.clusters(*nothing, eps=0, min_points=1, newest=9) == ([], 0, 0)


@pytest.mark.parametrize("wrong", [{"eps": -0.1}, {"eps": float("nan")}, {"min_points": 0}, {"newest": 0}])
def test_what_makes_no_sense_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError) as refused:
        example_history().index.clusters("default", **{"eps": 0.1, "min_points": 3, "newest": 9} | wrong)  # type: ignore[arg-type]
    assert refused.value.field == next(iter(wrong))


@given(PLANS, st.integers(1, 4))
def test_families_are_k_means_over_the_proportions_of_the_tools(plans: list[str], groups: int) -> None:
    history = example_history([success(plan) for plan in plans])
    rows, looked_at, _ = history.index.clusters("default", eps=0.1, min_points=3, newest=100, groups=groups)
    members = [[number_of(member) for member in row.members] for row in rows]
    assert sorted(place for family in members for place in family) == list(range(looked_at))
    if plans:
        tools = sorted({tool for plan in plans for tool in plan})
        counts = np.array([[plan.count(tool) for tool in tools] for plan in plans], np.float32)
        counts /= np.linalg.norm(counts, axis=1, keepdims=True)
        labels, _ = kmeans(counts, min(groups, len(plans)), seed=0)
        expected = [np.flatnonzero(labels == label).tolist() for label in range(int(labels.max()) + 1)]
        assert members == expected
    assert all(plans[number_of(row.medoid)] == "".join(row.plan) for row in rows)
