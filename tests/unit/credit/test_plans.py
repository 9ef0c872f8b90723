"""How alike two plans are, in tools."""

from __future__ import annotations

import pytest

from tacit.credit.plans import plan_similarity


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", 1.0),
        ("", "a", 0.0),
        ("a", "", 0.0),
        ("ab", "ab", 1.0),
        ("ab", "cd", 0.0),
        ("abc", "axc", 2 * 2 / 6),
        ("abcd", "bd", 2 * 2 / 6),
    ],
)
def test_likeness_is_twice_the_common_subsequence_by_both_lengths(
    one: str, other: str, expected: float
) -> None:
    assert plan_similarity(list(one), list(other)) == pytest.approx(expected)
