"""Intervals, contrasts and decay, against series and sums in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit._native import benjamini_hochberg, beta_interval, decay, lift, odds_ratio, p_value
from tacit.errors import ValidationError

COUNTS = st.tuples(*[st.integers(0, 30) | st.integers(0, 300).map(lambda tenths: tenths / 10)] * 4)


def reference_distribution(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its series of positive terms."""
    term = total = 1.0
    n = 0
    while term > 1e-17 * total:
        term *= (a + b + n) / (a + 1 + n) * x
        total += term
        n += 1
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(a * math.log(x) + b * math.log1p(-x) + logarithm) * total / a


def reference_lower_bound(a: float, b: float) -> float:
    low, high = 0.0, a / (a + b)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if reference_distribution(a, b, middle) < 0.025 else (low, middle)
    return (low + high) / 2


def reference_odds_ratio(strata: list[tuple[float, ...]]) -> tuple[float, float, float]:
    """Mantel and Haenszel's ratio with the interval of Robins, Breslow and Greenland."""
    comparing = [(a, b, c, d) for a, b, c, d in strata if a + b > 0 and c + d > 0]
    if not comparing:
        return math.nan, 0.0, math.inf
    if min(sum(a * d / (a + b + c + d) for a, b, c, d in comparing),
           sum(b * c / (a + b + c + d) for a, b, c, d in comparing)) <= 0:  # fmt: skip
        comparing = [(a + 0.5, b + 0.5, c + 0.5, d + 0.5) for a, b, c, d in comparing]
    terms = [
        ((a + d) / n, (b + c) / n, a * d / n, b * c / n) for a, b, c, d in comparing for n in [a + b + c + d]
    ]
    r, s = sum(t[2] for t in terms), sum(t[3] for t in terms)
    variance = (
        sum(p * ri for p, _, ri, _ in terms) / (2 * r * r)
        + sum(p * si + q * ri for p, q, ri, si in terms) / (2 * r * s)
        + sum(q * si for _, q, _, si in terms) / (2 * s * s)
    )
    margin = 1.959963984540054 * math.sqrt(variance)
    return r / s, r / s * math.exp(-margin), r / s * math.exp(margin)


@given(trials=st.integers(0, 2_000) | st.floats(0, 2_000), share=st.floats(0, 1))
def test_bounds_are_right_to_the_ninth_place(trials: float, share: float) -> None:
    successes = min(trials * share, trials)
    mean, low, high = beta_interval(successes, trials)
    a, b = successes + 0.5, trials - successes + 0.5
    assert mean == pytest.approx(a / (a + b), abs=1e-12)
    assert low == pytest.approx(reference_lower_bound(a, b), abs=1e-9)
    assert high == pytest.approx(1 - reference_lower_bound(b, a), abs=1e-9)


@given(st.lists(COUNTS, max_size=6))
def test_the_odds_ratio_is_that_of_the_reference(strata: list[tuple[float, ...]]) -> None:
    counts = np.array(strata, dtype=np.float64).reshape(-1, 4)
    assert odds_ratio(counts) == pytest.approx(reference_odds_ratio(strata), rel=1e-9, nan_ok=True)


@given(st.lists(COUNTS, max_size=6))
def test_lift_is_the_weighted_difference_of_the_shares(strata: list[tuple[float, ...]]) -> None:
    gained = weight = 0.0
    for a, b, c, d in strata:
        if a + b > 0 and c + d > 0:
            compared = (a + b) * (c + d) / (a + b + c + d)
            gained += compared * (a / (a + b) - c / (c + d))
            weight += compared
    expected = gained / weight if weight else 0.0
    assert lift(np.array(strata, dtype=np.float64).reshape(-1, 4)) == pytest.approx(expected, abs=1e-9)


@given(age_s=st.floats(0, 1e9), half_life_s=st.floats(1e-3, 1e9))
def test_evidence_counts_half_after_each_half_life(age_s: float, half_life_s: float) -> None:
    assert decay(age_s, half_life_s) == pytest.approx(0.5 ** (age_s / half_life_s), rel=1e-6, abs=1e-300)


def test_more_successes_than_trials_are_refused() -> None:
    for successes, trials in [(2.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (0.0, math.inf), (0.0, math.nan)]:
        with pytest.raises(ValidationError):
            beta_interval(successes, trials)


def test_strata_of_another_shape_or_sign_are_refused() -> None:
    for strata in [np.ones((1, 3)), -np.ones((1, 4)), np.full((1, 4), np.nan)]:
        with pytest.raises(ValidationError, match="strata"):
            odds_ratio(strata)


def test_a_half_life_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="half_life_s"):
        decay(1.0, 0.0)


def reference_chance(strata: list[tuple[float, ...]]) -> float:
    """Mantel and Haenszel's test with the correction for continuity, two-sided."""
    excess = variance = 0.0
    for a, b, c, d in strata:
        n = a + b + c + d
        if a + b > 0 and c + d > 0 and n > 1:
            excess += a - (a + b) * (a + c) / n
            variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
    if variance <= 0:
        return 1.0
    return math.erfc(max(abs(excess) - 0.5, 0.0) / math.sqrt(2 * variance))


@given(st.lists(COUNTS, max_size=8))
def test_the_chance_of_a_difference_is_that_of_mantel_and_haenszels_test(
    strata: list[tuple[float, ...]],
) -> None:
    found = p_value(np.array(strata, float).reshape(-1, 4))
    assert found == pytest.approx(reference_chance(strata), rel=1e-5, abs=1e-300)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_the_share_of_false_discoveries_is_the_smallest_level_that_takes_a_comparison_in(
    p_values: list[float],
) -> None:
    ranked = sorted(p_values)
    expected = [
        min(other * len(ranked) / rank for rank, other in enumerate(ranked, 1) if other >= each)
        for each in p_values
    ]
    assert benjamini_hochberg(np.array(p_values, float)) == pytest.approx([min(1, e) for e in expected])


@pytest.mark.parametrize("p_values", [[-0.1], [1.1], [math.nan]])
def test_a_chance_outside_0_to_1_is_refused(p_values: list[float]) -> None:
    with pytest.raises(ValidationError, match="p_values"):
        benjamini_hochberg(np.array(p_values))
