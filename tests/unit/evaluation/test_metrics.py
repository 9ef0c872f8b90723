from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.credit.plans import plan_similarity
from tacit.evaluation.metrics import (
    adjusted_rand,
    calibration,
    calibration_error,
    discounted_gain,
    hit,
    paired,
    reciprocal_rank,
    separations,
    separations_within,
    squared_errors,
    within,
)


def test_the_gain_of_a_ranking_is_discounted_by_place_and_held_against_the_best_order() -> None:
    found = [0.5, 1.0, 0.0]
    best = 1.0 + 0.5 / math.log2(3)
    assert discounted_gain(found, [0.5, 1.0, 0.0]) == pytest.approx((0.5 + 1 / math.log2(3)) / best)
    assert discounted_gain([1.0], [1.0, 0.0]) == 1.0
    assert discounted_gain([0.0], [0.0]) == 0.0


def test_no_more_than_ten_places_count() -> None:
    assert discounted_gain([0.0] * 10 + [1.0], [1.0]) == 0.0


def test_a_hit_is_a_full_gain_within_reach() -> None:
    assert [hit([0.5, 1.0], depth) for depth in (1, 2)] == [0.0, 1.0]
    assert reciprocal_rank([0.5, 0.0, 1.0]) == pytest.approx(1 / 3)
    assert reciprocal_rank([0.5]) == 0.0
    assert [within(["a", "b"], "b", depth) for depth in (1, 2)] == [0.0, 1.0]


def test_queries_of_one_task_are_one_observation() -> None:
    # Differences 1, 1, 0, 0 of two tasks: residual sums 1 and -1, so sqrt(2 / 1 * 2) / 4.
    together = paired([1, 1, 0, 0], [0, 0, 0, 0], ["a", "a", "b", "b"])
    assert (together.mean, together.standard_error) == pytest.approx((0.5, 0.5))
    # Each for itself: residuals of a half, sqrt(4 / 3 * 4 * .25) / 4.
    apart = paired([1, 1, 0, 0], [0, 0, 0, 0], ["a", "b", "c", "d"])
    assert apart.standard_error == pytest.approx(math.sqrt(4 / 3) / 4)
    assert not together.counts


def test_one_task_has_no_standard_error() -> None:
    assert math.isnan(paired([1, 0], [0, 0], ["a", "a"]).standard_error)


def test_within_groups_no_query_is_ranked_against_another_group() -> None:
    came, chances = [True, False, True, False], [0.9, 0.8, 0.2, 0.1]
    groups = ["sure", "sure", "doubtful", "doubtful"]
    assert math.fsum(separations(came, chances)) / 4 == pytest.approx(0.75)
    assert math.fsum(separations_within(came, chances, groups)) / 4 == pytest.approx(1.0)


def test_a_group_in_which_all_went_alike_says_nothing() -> None:
    values = separations_within([True, False, True], [0.2, 0.9, 0.5], ["a", "a", "b"])
    assert values == pytest.approx([0.0, 0.0, 0.0])
    assert all(math.isnan(value) for value in separations_within([True], [0.2], ["a"]))


def test_the_mean_of_separations_is_the_area_under_the_curve() -> None:
    # Of the four pairs of one that came and one that did not, 2.5 are in the right order.
    values = separations([True, True, False, False], [0.9, 0.4, 0.4, 0.6])
    assert sum(values) / 4 == pytest.approx(2.5 / 4)
    assert all(math.isnan(value) for value in separations([True, True], [0.1, 0.2]))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 0.5, 0.9])), min_size=2, max_size=30))
def test_separations_agree_with_counting_pairs(pairs: list[tuple[bool, float]]) -> None:
    truths, chances = [truth for truth, _ in pairs], [chance for _, chance in pairs]
    yes = [chance for truth, chance in pairs if truth]
    no = [chance for truth, chance in pairs if not truth]
    if yes and no:
        right = sum((a > b) + 0.5 * (a == b) for a in yes for b in no) / (len(yes) * len(no))
        assert math.fsum(separations(truths, chances)) / len(pairs) == pytest.approx(right)


def test_brier_and_calibration() -> None:
    assert squared_errors([True, False], [0.8, 0.4]) == pytest.approx([0.04, 0.16])
    bins = calibration([1, 0, 1], [0.81, 0.89, 0.1])
    assert [each for bin in bins for each in bin] == pytest.approx([0.1, 1.0, 1, 0.85, 0.5, 2])
    assert calibration_error([1, 0, 1], [0.81, 0.89, 0.1]) == pytest.approx((0.9 + 2 * 0.35) / 3)


def test_plans_are_as_similar_as_their_common_steps() -> None:
    assert plan_similarity(["a", "b", "c"], ["a", "c"]) == pytest.approx(4 / 5)
    assert plan_similarity([], []) == 1.0
    assert plan_similarity(["a"], ["b"]) == 0.0


def test_equal_groupings_agree_whatever_they_are_called() -> None:
    assert adjusted_rand([1, 1, 2, 2], ["x", "x", "y", "y"]) == 1.0
    # Hubert and Arabie: no pair in common of two and two, expected 2 * 2 / 6, (0 - 2/3) / (2 - 2/3).
    assert adjusted_rand([1, 1, 2, 2], [1, 2, 1, 2]) == pytest.approx(-0.5)
    assert adjusted_rand([1, 2, 3], [1, 1, 1]) == 0.0
