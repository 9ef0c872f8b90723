"""Success is compared among attempts at one task: a hard task makes no habit a cause, and a cause is found."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tacit import Episode, Memory
from tests.null_worlds import EFFECT, NULL_WORLDS, effect, is_effect_found, null_world, tasks

WORLDS = 10


@pytest.mark.parametrize("kind", NULL_WORLDS)
def test_nothing_is_promoted_proven_or_a_pitfall_in_worlds_without_effects(kind: str) -> None:
    fooled = [seed for seed in range(WORLDS) if null_world(kind, seed)]
    assert len(fooled) <= 1


def test_a_step_that_helps_within_tasks_is_found() -> None:
    assert sum(map(is_effect_found, range(WORLDS))) >= 0.8 * WORLDS
    assert sum(is_effect_found(seed, anywhere=True) for seed in range(WORLDS)) >= 0.8 * WORLDS


Comparison = tuple[float | None, float | None, float | None]


def comparisons(memory: Memory) -> dict[str, Comparison]:
    patterns = memory.patterns(limit=10_000)
    return {each.id: (each.odds_ratio, each.odds_low, each.odds_high) for each in patterns}


def of_episodes(episodes: Iterable[Episode]) -> dict[str, Comparison]:
    with Memory() as memory:
        list(memory.add_many(episodes))
        return comparisons(memory)


@pytest.mark.parametrize("kept", [1, 13, 40])
def test_the_comparison_is_that_of_the_episodes_that_are_left_in_whatever_order_they_came(kept: int) -> None:
    chance = random.Random(kept)
    episodes = [
        replace(episode, agent=chance.choice(["one", "other"]), ended_at=chance.choice([None, 1_760_000_000_000_000]))
        for episode in effect(chance)[:60]
    ]  # fmt: skip
    with Memory() as memory:
        ids = [learned.episode_id for learned in memory.add_many(episodes)]
        places = chance.sample(range(60), 60)
        for place in places[kept:]:
            memory.forget(ids[place])
        left = comparisons(memory)
    assert left == of_episodes(episodes[place] for place in places[:kept])


def test_a_task_key_makes_attempts_of_different_texts_one_task() -> None:
    episodes = tasks(random.Random(0))
    named = [
        replace(episode, task=f"{episode.task}, case {number}", task_key=episode.task)
        for number, episode in enumerate(episodes)
    ]
    other = [replace(episode, task_key=None) for episode in named]
    assert of_episodes(named) == of_episodes(episodes)
    assert of_episodes(other) != of_episodes(episodes)


def test_an_agents_only_attempt_at_a_task_is_compared_with_its_other_tasks() -> None:
    episodes = [
        replace(episode, task=f"{episode.task}, case {number // 2}", agent=("one", "other")[number % 2])
        for number, episode in enumerate(effect(random.Random(0)))
    ]
    with Memory() as memory:
        list(memory.add_many(episodes))
        compared = [each for each in memory.patterns(limit=10_000) if EFFECT in each.text and each.odds_ratio]
    assert max(each.odds_low or 0.0 for each in compared) > 1
