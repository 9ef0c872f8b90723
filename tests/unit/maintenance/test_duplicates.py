"""Which patterns say nearly the same, and which of them survives."""

from __future__ import annotations

from typing import Any

import pytest

from tacit.maintenance.duplicates import Described, merges, similarity

NEXT_ID = iter(range(1, 10_000))


def pattern(
    kind: str, episodes: int = 1, domains: tuple[str, ...] = ("retail",), **content: Any
) -> Described:
    return Described(next(NEXT_ID).to_bytes(16, "big"), kind, content, frozenset(domains), episodes)


def sequence(tools: str, **said: Any) -> Described:
    return pattern("tool_sequence", tools=list(tools), **said)


def recovery(error: str, next: str = "look", tool: str = "book", **said: Any) -> Described:
    return pattern("error_recovery", tool=tool, error=error, next=next, **said)


def decision(result: str, condition: str | None = None, choose: str = "look") -> Described:
    return pattern("decision_point", after="book", result=result, condition=condition, choose=choose)


def approach(tools: str, **context: Any) -> Described:
    known = {"language": None, "framework": None, "task_type": "other", "tags": [], **context}
    return pattern("context_pattern", approach=list(tools), context=known)


def test_equal_patterns_in_equal_contexts_are_wholly_alike() -> None:
    for make in (
        lambda: sequence("abc"),
        lambda: recovery("no table"),
        lambda: decision("ok"),
        lambda: approach("abc"),
    ):
        assert similarity(make(), make()) == 1.0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (sequence("abcd"), sequence("abce"), 0.7 * 0.75 + 0.3),
        (sequence("ab"), sequence("ab", domains=("air",)), 0.7),
        (recovery("table lost"), recovery("table last"), 0.4 * 0.9 + 0.6),
        (recovery("table lost"), recovery("table lost", next="wait"), 0.6),
        (recovery("table lost"), recovery("table lost", tool="pay"), 0.6),
        (decision("ok"), decision("ok", "failed again"), 0.6),
        (decision("ok"), decision("ok", choose="wait"), 0.6),
        (approach("abcde"), approach("abcdf"), 0.6 + 0.4 * 0.8),
        (approach("ab", tags=["a", "b"]), approach("ab", tags=["a"]), 0.6 * 2 / 3 + 0.4),
        (sequence("ab"), approach("ab"), 0.0),
    ],
)
def test_each_kind_is_compared_by_what_it_says(one: Described, other: Described, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)
    assert similarity(other, one) == pytest.approx(expected)


def test_the_pattern_that_more_episodes_show_survives() -> None:
    rare, usual = (
        recovery("validation error for payment"),
        recovery("validation errors for payment", episodes=9),
    )
    (merge,) = merges([rare, usual], 0.95)
    assert (merge.survivor, merge.merged, merge.kind) == (usual.id.hex(), rare.id.hex(), "error_recovery")
    assert merge.similarity == pytest.approx(similarity(rare, usual))


def test_likeness_is_not_handed_on() -> None:
    chain = [recovery("a" * 20 + "b" * n + "c" * (9 - n), episodes=n + 1) for n in range(6)]
    found = merges(chain, 0.98)
    assert found
    assert {merge.survivor for merge in found}.isdisjoint(merge.merged for merge in found)
    assert all(merge.similarity >= 0.98 for merge in found)


def test_the_order_of_the_patterns_does_not_matter() -> None:
    patterns = [recovery("a" * 20 + "b" * n, episodes=3) for n in range(8)]
    assert merges(patterns, 0.95) == merges(patterns[::-1], 0.95)


def test_ways_out_with_different_tools_are_never_merged() -> None:
    assert merges([recovery("no table", next="look"), recovery("no table", next="wait")], 0.5) == []
    assert merges([sequence("abcd"), sequence("abce")], 0.95) == []
    assert len(merges([sequence("abcd"), sequence("abce")], 0.8)) == 1


def test_a_strangers_kind_is_left_alone() -> None:
    assert merges([pattern("habit", text="a"), pattern("habit", text="a")], 0.5) == []
