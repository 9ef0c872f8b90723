"""The actions under a condition, against one pass over all episodes in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tacit._native import ConditionEvidence, EpisodeColumns, odds_ratio, p_value
from tacit.errors import ValidationError

Integers = NDArray[np.int64]

RANDOM = np.random.default_rng(3)
EPISODES = 200
OUTCOMES = RANDOM.choice([0.0, 0.5, 1.0], EPISODES)
FEATURES = RANDOM.integers(-1, 4, (EPISODES, 2)).astype(np.int64)
STRATA = RANDOM.integers(0, 9, EPISODES).astype(np.int64)
EPISODE = np.sort(RANDOM.integers(0, EPISODES, 500)).astype(np.int64)
ACTION = RANDOM.integers(0, 5, 500).astype(np.int64)
SUCCESS = RANDOM.choice([0.0, 1.0], 500)


def condition() -> ConditionEvidence:
    return ConditionEvidence(EpisodeColumns(OUTCOMES, FEATURES), STRATA, EPISODE, ACTION, SUCCESS)


def reference_odds(own: NDArray[np.bool_], passes: NDArray[np.bool_]) -> tuple[float, ...]:
    """`passes` has one element an episode."""
    _, first = np.unique(EPISODE, return_index=True)
    first = first[passes[EPISODE[first]]]
    rows = []
    for stratum in np.unique(STRATA):
        chosen = first[STRATA[EPISODE[first]] == stratum]
        did, share = own[chosen], OUTCOMES[EPISODE[chosen]]
        rows.append(
            [(did * share).sum(), (did * (1 - share)).sum(), (~did * share).sum(), (~did * (1 - share)).sum()]
        )
    strata = np.array(rows)
    return *odds_ratio(strata), p_value(strata)


def test_each_action_has_the_evidence_of_its_occurrences() -> None:
    found = condition().actions(1)
    assert [each.trials for each in found] == sorted((each.trials for each in found), reverse=True)
    assert sorted(each.action for each in found) == [0, 1, 2, 3, 4]
    for each in found:
        own = np.equal(ACTION, each.action)
        episodes = np.unique(EPISODE[own])
        assert (each.trials, each.successes) == (own.sum(), SUCCESS[own].sum())
        assert (each.episodes, each.outcomes) == (len(episodes), OUTCOMES[episodes].sum())
        means = [SUCCESS[own & (episode == EPISODE)].mean() for episode in episodes]
        assert each.by_episode == pytest.approx(sum(means))
        assert each.odds == pytest.approx(reference_odds(own, np.ones(EPISODES, bool)), rel=1e-12)
    assert condition().actions(501) == []


def test_a_split_compares_within_a_value_and_outside_it() -> None:
    own = ACTION == 2
    splits = condition().splits(own, 1, 5)
    assert splits
    for value, inside, outside in splits:
        assert inside == pytest.approx(reference_odds(own, FEATURES[:, 1] == value), rel=1e-12)
        assert outside == pytest.approx(reference_odds(own, FEATURES[:, 1] != value), rel=1e-12)
    assert condition().splits(own, 1, EPISODES) == []


def test_values_are_those_of_the_action_without_the_negative_ones() -> None:
    evidence = condition()
    found = next(each for each in evidence.actions(1) if each.action == 3)
    values = np.unique(FEATURES[EPISODE[ACTION == 3], 0])
    assert evidence.values_among(found, 0, 100) == [int(value) for value in values if value >= 0]
    assert len(evidence.values_among(found, 0, 2)) == 2


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (lambda: EpisodeColumns(OUTCOMES, FEATURES[:5]), "features"),
        (
            lambda: ConditionEvidence(
                EpisodeColumns(OUTCOMES, FEATURES), STRATA, EPISODE[::-1].copy(), ACTION, SUCCESS
            ),
            "episode",
        ),
        (
            lambda: ConditionEvidence(
                EpisodeColumns(OUTCOMES, FEATURES), STRATA, EPISODE + EPISODES, ACTION, SUCCESS
            ),
            "episode",
        ),
        (lambda: condition().of_some(np.ones(3, bool), SUCCESS), "own"),
        (lambda: condition().of_some(ACTION == 1, SUCCESS[:3].copy()), "success"),
        (lambda: condition().splits(ACTION == 1, 2, 1), "feature"),
        (lambda: condition().values_among(condition().actions(1)[0], 7, 1), "feature"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(broken: Callable[[], object], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        broken()
