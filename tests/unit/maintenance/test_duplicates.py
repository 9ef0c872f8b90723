"""Which patterns say nearly the same, and which of them survives."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.maintenance.duplicates import Described, merges, similarity
from tacit.model.maintenance import Merge

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
        (sequence("ab"), sequence("abcd"), 0.7 * (1 - 2 / 4) + 0.3),
        (sequence("abc"), sequence("xbcy"), 0.7 * (1 - 2 / 4) + 0.3),
        (sequence("abcd"), sequence("bcda"), 0.7 * (1 - 2 / 4) + 0.3),
        (sequence("ab"), sequence("ab", domains=("air", "retail")), 0.7 + 0.3 / 2),
        (recovery("ab"), recovery("abab"), 0.6),
        (recovery("ab"), recovery("aba"), 0.4 * 2 / 3 + 0.6),
        (decision("table lost"), decision("table last"), 0.4 * 0.9 + 0.6),
        (decision("table lost", "late now"), decision("table last", "late nor"), 0.4 * 0.9 * 7 / 8 + 0.6),
        (approach("ab", language="de"), approach("ab", language="en"), 0.6 / 3 + 0.4),
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


domains = st.sampled_from([("retail",), ("air",), ("air", "retail")])
episodes = st.integers(1, 3)
few = st.text("ab", min_size=2, max_size=5)
errors = st.sampled_from(["payment was refused", "payments was refused", "payment was refuse", "no table"])
described = st.one_of(
    st.builds(lambda tools, n, where: sequence(tools, episodes=n, domains=where), few, episodes, domains),
    st.builds(
        lambda error, next, n, where: recovery(error, next=next, episodes=n, domains=where),
        errors,
        st.sampled_from(["look", "wait"]),
        episodes,
        domains,
    ),
    st.builds(
        decision, st.one_of(errors, st.sampled_from(["ok", "none"])), st.sampled_from([None, "x", "xy"])
    ),
    st.builds(lambda tools: approach("".join(dict.fromkeys(tools))), st.text("abcdef", max_size=8)),
)


def by_comparing_all(patterns: list[Described], threshold: float, standing: set[bytes]) -> list[Merge]:
    """Every pair is compared, and merged from the most similar on; short patterns are never near-duplicates."""

    def is_long_enough(each: Described) -> bool:
        if each.kind == "tool_sequence":
            return 1 - 0.7 / len(each.content["tools"]) >= threshold
        return each.kind != "context_pattern" or 1 - 0.4 / max(1, len(each.content["approach"])) >= threshold

    def rank(each: Described) -> tuple[int, bytes]:
        return -each.episodes, each.id

    pairs = combinations(sorted(filter(is_long_enough, patterns), key=rank), 2)
    alike = [(-similarity(one, other), rank(one), rank(other), one, other) for one, other in pairs]
    merged: dict[bytes, Merge] = {}
    for likeness, *_, one, other in sorted(alike, key=lambda each: each[:3]):
        if -likeness >= threshold and not {one.id, other.id} & merged.keys() and other.id not in standing:
            standing.add(one.id)
            merged[other.id] = Merge(one.id.hex(), other.id.hex(), -likeness, one.kind)
    return sorted(merged.values(), key=lambda merge: merge.merged)


@given(st.lists(described, max_size=12, unique_by=lambda each: repr((each.kind, each.content))), st.data())
def test_comparing_within_blocks_finds_the_same_as_comparing_all_pairs(
    patterns: list[Described], data: st.DataObject
) -> None:
    threshold = data.draw(st.sampled_from([0.86, 0.9, 0.95]))
    standing = data.draw(st.sets(st.sampled_from([each.id for each in patterns]))) if patterns else set()
    assert merges(patterns, threshold, standing) == by_comparing_all(patterns, threshold, set(standing))


@given(st.lists(described, max_size=12, unique_by=lambda each: repr((each.kind, each.content))), st.data())
def test_after_a_round_of_merges_only_pairs_with_a_survivor_can_be_new(
    patterns: list[Described], data: st.DataObject
) -> None:
    threshold = data.draw(st.sampled_from([0.86, 0.9, 0.95]))
    first = merges(patterns, threshold)
    into = {bytes.fromhex(each.merged): bytes.fromhex(each.survivor) for each in first}
    parts = {each.id: [other for other in patterns if into.get(other.id) == each.id] for each in patterns}
    grown = [
        replace(
            each,
            domains=each.domains.union(*(part.domains for part in parts[each.id])),
            episodes=each.episodes + sum(part.episodes for part in parts[each.id]),
        )
        for each in patterns
        if each.id not in into
    ]
    survivors = frozenset(into.values())
    again = merges(grown, threshold, survivors, survivors)
    assert again == merges(grown, threshold, survivors)


def test_a_likeness_of_exactly_the_threshold_merges() -> None:
    one, other = sequence("abcde"), sequence("abcdf")
    assert len(merges([one, other], similarity(one, other))) == 1


def test_decisions_under_a_condition_or_after_an_error_may_be_near_duplicates() -> None:
    assert len(merges([decision("ok", "late now"), decision("ok", "late nor")], 0.9)) == 1
    assert len(merges([decision("table lost"), decision("table last")], 0.9)) == 1
    assert merges([decision("ok", "late now"), decision("ok", "late nor", choose="wait")], 0.5) == []
