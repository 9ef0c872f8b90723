"""Waits and the retry budget, against the same arithmetic in plain Python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit._native import Backoff, RetryBudget
from tacit.errors import ValidationError


def reference_shares(seed: int, count: int) -> list[float]:
    """SplitMix64, the first `count` numbers in 0..1."""
    mask, shares = (1 << 64) - 1, []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        mixed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        shares.append(((mixed ^ (mixed >> 31)) >> 11) / (1 << 53))
    return shares


@given(
    seed=st.integers(0, 2**64 - 1),
    tries=st.integers(1, 12),
    first_s=st.floats(0.001, 1),
    growth=st.floats(1, 4),
)
def test_waits_are_a_share_of_a_growing_ceiling(seed: int, tries: int, first_s: float, growth: float) -> None:
    backoff = Backoff(tries=tries, first_s=first_s, longest_s=2.0, growth=growth, seed=seed)
    ceilings = [min(first_s * growth**number, 2.0) for number in range(tries - 1)]
    shares = reference_shares(seed, tries - 1)
    expected = [ceiling * share for ceiling, share in zip(ceilings, shares, strict=True)]
    assert [backoff.wait() for _ in range(tries - 1)] == pytest.approx(expected, abs=1e-6)
    assert backoff.wait() is None


def test_a_wait_that_would_use_up_the_time_left_is_not_begun() -> None:
    assert Backoff().wait(remaining_s=1.0, retry_after_s=2.0) is None
    assert Backoff().wait(remaining_s=1_000.0, retry_after_s=2.0) == 2.0


def test_two_callers_do_not_wait_equally_long() -> None:
    assert Backoff().wait() != Backoff().wait()


@given(
    calls=st.lists(st.booleans(), max_size=60),
    share=st.sampled_from([0.0, 0.25, 1.0]),
    reserve=st.integers(0, 3),
)
def test_the_budget_is_never_overdrawn(calls: list[bool], share: float, reserve: int) -> None:
    budget, balance = RetryBudget(share=share, reserve=reserve), float(reserve)
    for is_first_try in calls:
        if is_first_try:
            budget.earn()
            balance = min(balance + share, reserve)
        else:
            assert budget.spend() == (balance >= 1)
            balance -= balance >= 1


def test_waits_that_shrink_are_refused() -> None:
    with pytest.raises(ValidationError, match="growth"):
        Backoff(growth=0.5)
