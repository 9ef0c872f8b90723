"""The choices of episodes, their comparison, and merging, against a few lines of Python over the episodes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit import Episode, Finding, Outcome, Step, TaskContext
from tacit._native import Index, odds_ratio
from tacit.extractors import Hybrid
from tacit.inducers import History
from tacit.testing import example_history

STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["ok", "lost", "shut", None])), max_size=5
).map(tuple)
EPISODES = st.lists(
    st.builds(
        lambda task, steps, agent, complexity, domain, ended: Episode(
            task,
            agent=agent,
            context=TaskContext(domain=domain, complexity=complexity),
            steps=tuple(step(tool, result) for tool, result in steps),
            outcome=ended,
        ),
        st.sampled_from(["a task", "another task"]),
        STEPS,
        st.sampled_from([None, "strong", "weak"]),
        st.sampled_from(["simple", "complex"]),
        st.sampled_from(["air", "retail"]),
        st.sampled_from([Outcome.success(), Outcome.failure("no"), Outcome.partial()]),
    ),
    max_size=8,
)


def step(tool: str, result: str | None) -> Step:
    status = {"ok": "ok", None: None}.get(result, "error")
    return Step(tool, status=status, error=result if status == "error" else None)  # type: ignore[arg-type]


def result_of(step: Step) -> str:
    return "none" if step.ok is None else "ok" if step.ok else str(step.error)


def share_of(episode: Episode) -> float:
    assert episode.outcome is not None
    return episode.outcome.share or 0.0


def contrast(pattern: str, history: History) -> tuple[float, float, float] | None:
    rows = history.index.patterns(history.namespace, limit=10_000)
    return next(row.odds for row in rows if row.id.hex() == pattern)


@settings(max_examples=25)
@given(EPISODES)
def test_every_choice_stands_in_its_row(episodes: list[Episode]) -> None:
    choices = example_history(episodes).index.choices("default")
    names = [*choices.names, None]
    expected = []
    for number, episode in enumerate(episodes):
        steps = episode.steps
        for place in range(len(steps) + 1 if steps else 0):
            last, next = (steps[place - 1] if place else None), (steps[place] if place < len(steps) else None)
            expected.append(
                (
                    number,
                    place,
                    last and last.tool,
                    None if last is None or last.ok is None else "ok" if last.ok else last.error,
                    sum(each.ok is False for each in steps[:place]),
                    place > 1 and steps[place - 1].ok is False and steps[place - 2].ok is False,
                    next and next.tool,
                    next and next.ok,
                    last is not None
                    and last.ok is False
                    and any((each.tool, each.error) == (last.tool, last.error) for each in steps[place:]),
                )
            )
    found = [
        (
            episode,
            place,
            names[after],
            "ok" if result == -2 else names[result],
            errors,
            bool(again),
            names[choose],
            None if ok == -1 else bool(ok),
            bool(came_back),
        )
        for episode, place, after, result, errors, again, choose, ok, came_back in choices.rows.tolist()
    ]
    assert found == expected
    assert choices.outcomes.tolist() == [share_of(episode) for episode in episodes]
    approaches = [choices.approaches[place] for place in choices.episodes[:, 6]]
    assert approaches == [list(dict.fromkeys(each.tool for each in episode.steps)) for episode in episodes]
    agents = [names[place] for place in choices.episodes[:, 4]]
    assert agents == [episode.agent for episode in episodes]
    assert choices.names == sorted(choices.names)


def circumstances(episode: Episode) -> tuple[object, ...]:
    return (
        episode.task_key or episode.task,
        episode.context.domain,
        episode.agent,
        episode.context.complexity,
    )


def repeated(episode: Episode, episodes: list[Episode]) -> str | None:
    """The task of an episode if its agent tried it twice or more in this domain at this difficulty."""
    attempts = sum(circumstances(other) == circumstances(episode) for other in episodes)
    return (episode.task_key or episode.task) if attempts > 1 else None


@settings(max_examples=25)
@given(EPISODES)
def test_a_recovery_is_compared_with_the_other_ways_that_were_taken_first(episodes: list[Episode]) -> None:
    firsts: defaultdict[tuple[str, str], list[tuple[str, Episode]]] = defaultdict(list)
    for episode in episodes:
        seen = set()
        for place, each in enumerate(episode.steps):
            if each.ok is False and (each.tool, each.error) not in seen:
                seen.add((each.tool, each.error))
                following = episode.steps[place + 1].tool if place + 1 < len(episode.steps) else "<gave up>"
                firsts[each.tool, str(each.error)].append((following, episode))
    history = example_history(episodes)
    for (tool, error), ways in firsts.items():
        for way in {way for way, _ in ways}:
            strata: defaultdict[object, list[float]] = defaultdict(lambda: [0.0] * 4)
            for other, episode in ways:
                cell = strata[episode.agent, episode.context.complexity, repeated(episode, episodes)]
                column = 0 if other == way else 2
                cell[column] += share_of(episode)
                cell[column + 1] += 1 - share_of(episode)
            expected = odds_ratio(np.array(list(strata.values())))
            pattern = Finding("error_recovery", {"tool": tool, "error": error, "next": way}).pattern_id
            found = contrast(pattern, history)
            assert (found or (np.nan, 0.0, np.inf)) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=25)
@given(EPISODES)
def test_another_pattern_is_compared_with_the_episodes_of_its_domain_without_it(
    episodes: list[Episode],
) -> None:
    history = example_history(episodes)
    shown = [set(Hybrid(parts=["tool_sequence"]).extract(episode).pattern_ids) for episode in episodes]
    for pattern in set().union(*shown):
        strata: defaultdict[object, list[float]] = defaultdict(lambda: [0.0] * 4)
        for patterns, episode in zip(shown, episodes, strict=True):
            task = repeated(episode, episodes)
            cell = strata[episode.context.domain, episode.agent, episode.context.complexity, task]
            column = 0 if pattern in patterns else 2
            cell[column] += share_of(episode)
            cell[column + 1] += 1 - share_of(episode)
        expected = odds_ratio(np.array(list(strata.values())))
        id = pattern if isinstance(pattern, str) else pattern.hex()
        assert (contrast(id, history) or (np.nan, 0.0, np.inf)) == pytest.approx(expected, nan_ok=True)


def evidence(index: Index) -> dict[bytes, tuple[object, ...]]:
    return {
        row.id: (row.trials, row.successes, row.episodes, row.outcomes, row.odds)
        for row in index.patterns("default", limit=10_000)
    }


@settings(max_examples=25)
@given(EPISODES, st.randoms(use_true_random=False))
def test_merging_counts_an_episode_once_and_parting_leaves_no_trace(
    episodes: list[Episode], random: object
) -> None:
    history = example_history(episodes)
    before = evidence(history.index)
    ids = sorted(before)
    if len(ids) < 2:
        return
    merged, survivor = random.sample(ids, 2)  # type: ignore[attr-defined]
    history.index.merge("default", [(merged, survivor)])
    after = evidence(history.index)
    shown = [set(Hybrid().extract(episode).pattern_ids) for episode in episodes]
    as_bytes = [{bytes.fromhex(id) if isinstance(id, str) else id for id in each} for each in shown]
    both = [
        episode for patterns, episode in zip(as_bytes, episodes, strict=True) if patterns & {merged, survivor}
    ]
    trials, successes, count, outcomes, _ = after[survivor]
    assert merged not in after
    assert (trials, successes) == pytest.approx(
        (before[merged][0] + before[survivor][0], before[merged][1] + before[survivor][1])  # type: ignore[operator]
    )
    assert (count, outcomes) == (len(both), pytest.approx(sum(map(share_of, both))))
    history.index.merge("default", [])
    assert evidence(history.index) == before


def test_an_episode_that_comes_after_a_merge_counts_for_the_survivor() -> None:
    run = Episode("a task", steps=(step("a", "ok"), step("b", "ok")), outcome=Outcome.success())
    history = example_history([run] * 3)
    row = next(row for row in history.index.patterns("default", kind="tool_sequence"))
    other = bytes(range(16))
    history.index.merge("default", [(row.id, other)])
    fresh = example_history([run] * 3)
    fresh.index.merge("default", [(row.id, other)])
    assert evidence(history.index) == evidence(fresh.index)
    assert history.index.knows("default", row.id)
    nearest = [(bytes(8) + (0x8000_0000_0000_0000 + n).to_bytes(8, "big"), 1.0) for n in range(3)]
    worked, _ = history.index.supporting_patterns("default", nearest)
    assert row.id not in {each.id for each in worked}


@given(EPISODES)
def test_the_same_episodes_have_the_same_digest(episodes: list[Episode]) -> None:
    one, other = example_history(episodes), example_history(episodes)
    assert one.index.digest("default") == other.index.digest("default")
    assert one.index.digest("elsewhere") == 0
    if episodes:
        changed = [replace(episodes[0], steps=(*episodes[0].steps, step("z", "ok"))), *episodes[1:]]
        assert example_history(changed).index.digest("default") != one.index.digest("default")
