"""Each baseline on data small enough to work out its answer by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.evaluation.baselines import (
    CHAIN,
    Attempts,
    Known,
    NextTools,
    Plans,
    known_task,
    similarities,
    unseen_task,
)
from tacit.evaluation.chains import by_domain, everywhere, interpolated, markov
from tacit.evaluation.positions import Position, Scores, positions_of, tools_after
from tacit.model.advice import FINISH
from tests.unit.evaluation.toy import CLEAN, FETCH, episode


def scored(scores: Scores, row: int = 0) -> dict[str, float]:
    return dict(zip(scores.tools, scores.values[row].tolist(), strict=True))


# --- hits ---


def test_equal_scores_share_the_places_they_stand_on() -> None:
    scores = Scores(("a", "b", "c", "d"), np.array([[0.4, 0.2, 0.2, 0.2]] * 4))
    assert scores.hits(["a", "b", "c", "x"], 1) == [1.0, 0.0, 0.0, 0.0]
    assert scores.hits(["a", "b", "c", "x"], 3) == [1.0, pytest.approx(2 / 3), pytest.approx(2 / 3), 0.0]


def test_who_says_nothing_is_right_as_often_as_a_random_rank() -> None:
    scores = Scores(("a", "b", "c", "d"), np.zeros((1, 4)))
    assert scores.hits(["c"], 1) == [0.25]
    assert scores.hits(["c"], 3) == [0.75]


def test_every_position_of_an_episode_is_asked_for_and_the_last_is_its_end() -> None:
    positions = positions_of([episode("x", ["a", "b"])])
    assert [position.tool for position in positions] == ["a", "b", FINISH]


# --- chains ---


def test_a_markov_chain_falls_back_to_a_shorter_history_where_the_longer_never_came() -> None:
    known = positions_of(
        [episode("x", ["a", "b", "c"]), episode("y", ["a", "b", "c"]), episode("z", ["c", "b"])]
    )
    asked = [
        Position(episode("q", ["a", "b"]), 2),  # followed twice by c
        Position(episode("q", ["b", "b"]), 2),  # unknown: after b alone came c twice, then the end once
        Position(episode("q", ["x", "y"]), 2),  # neither is known: any position
    ]
    found = [scored(markov(known, asked), row) for row in range(3)]
    assert found[0]["c"] == pytest.approx(1.0, abs=0.01)
    assert found[1]["c"] == pytest.approx(2 / 3, abs=0.01)
    assert found[1][FINISH] == pytest.approx(1 / 3, abs=0.01)
    assert found[2]["a"] == pytest.approx(2 / 11, abs=0.01)


def test_smoothing_is_that_of_witten_and_bell() -> None:
    known = positions_of([episode("x", ["a"]), episode("y", ["a"]), episode("z", ["b"])])
    asked = [Position(episode("q", ["a"]), 1)]
    everywhere_alone = scored(interpolated(known, asked, (everywhere,)))
    uniform = 1 / 3
    any_history = (3 + 3 * uniform) / (6 + 3)
    after_a = (2 + 1 * any_history) / (2 + 1)
    after_start_a = (2 + 1 * after_a) / (2 + 1)  # the two longer histories: the start, then a
    assert everywhere_alone[FINISH] == pytest.approx((2 + 1 * after_start_a) / (2 + 1))
    assert sum(everywhere_alone.values()) == pytest.approx(1.0)


def test_a_chain_by_domain_tells_domains_apart() -> None:
    known = positions_of([episode("x", ["a"], domain="one"), episode("y", ["b"], domain="two")])
    asked = [Position(episode("q", ["a"], domain=domain), 0) for domain in ("one", "two", "three")]
    scores = interpolated(known, asked, (everywhere, by_domain))
    assert scores.best()[:2] == ["a", "b"]
    assert scored(scores, 2)["a"] == scored(scores, 2)["b"]


# --- all next tools ---


def ambiguous() -> list[Position]:
    """After "find" only the task's words say how it continues."""
    kinds = [("fetch parcel", FETCH), ("clean kitchen", CLEAN)] * 8
    return positions_of(episode(f"{text} {number}", tools) for number, (text, tools) in enumerate(kinds))


def test_what_reads_the_task_knows_what_a_chain_cannot() -> None:
    pytest.importorskip("sklearn")
    positions = ambiguous()
    half = len(positions) // 2
    known, asked = np.arange(half), np.arange(half, len(positions))
    scores = NextTools(positions).train().scores(known, asked)
    after_find = [row for row in range(half) if positions[half + row].taken == 1]
    truths = [positions[half + row].tool for row in after_find]
    for name, found in scores.items():
        here = Scores(found.tools, found.values[after_find])
        reads = name.startswith(("logistic", "nearest", "sum"))
        assert np.mean(here.hits(truths, 1)) == pytest.approx(1.0 if reads else 0.5), name


def test_without_training_only_those_that_count_are_there() -> None:
    positions = ambiguous()
    known, asked = np.arange(10), np.arange(10, 20)
    baselines = NextTools(positions)
    assert set(baselines.scores(known, asked)) == {"Markov-2", "chain by domain", CHAIN}
    most = baselines.most_frequent(known, asked)
    assert most.tools == tools_after(positions[:10])
    assert most.best() == [FINISH] * 10 or most.best() == ["find"] * 10


# --- plans ---


def test_the_similarity_of_plans_is_that_of_their_longest_common_subsequence() -> None:
    found = similarities([("a", "b", "c"), ("a", "c"), (), ("x",)])
    assert found[0].tolist() == [1.0, 0.8, 0.0, 0.0]
    assert found[2].tolist() == [0.0, 0.0, 1.0, 0.0]


def test_a_plan_comes_from_another_task() -> None:
    pytest.importorskip("sklearn")
    plans = Plans(
        Known(
            tasks=("1", "2", "3", "4"),
            domains=("d", "d", "e", "e"),
            texts=("fetch the red ball", "fetch the red box", "clean the old cup", "fetch some water"),
            plans=(("a", "b"), ("a", "b", "c"), ("x", "y"), ("x", "y")),
        )
    )
    found = plans.scores("1")
    assert found["nearest by words"] == pytest.approx(0.8)
    assert found["nearest in the domain"] == pytest.approx(0.8)
    assert found["medoid of all"] == 0.0
    assert found["medoid of the domain"] == pytest.approx(0.8)
    assert plans.most_frequent("1") == 0.0
    assert plans.best_of_all("3") == 1.0
    assert plans.scores("3")["medoid of the domain"] == 1.0


# --- outcomes ---


def attempts(rows: list[tuple[str, str, str, float]]) -> Attempts:
    tasks, agents, texts, came = zip(*rows, strict=True)
    return Attempts(tasks, agents, ("d",) * len(rows), texts, np.array(came))


def test_an_attempt_at_a_known_task_is_judged_by_the_others_alone() -> None:
    known = attempts([("t", "b", "", 1.0), ("u", "a", "", 0.0), ("u", "b", "", 0.0)])
    found = known_task(known, attempts([("t", "a", "", 1.0)]))
    # A third of all succeeded; of its task (1 + 1/3) / 2, of its agent (0 + 1/3) / 2.
    assert found["task + agent"][0] == pytest.approx(2 / 3 + 1 / 6 - 1 / 3)
    assert found["task, agent, averaged"][0] == pytest.approx((2 / 3 + 1 / 6) / 2)


def test_the_outcome_that_is_asked_about_does_not_turn_ties_against_the_baseline() -> None:
    known = attempts([(f"t{n}", "a", "", float(n % 2)) for n in range(10)])
    asked = attempts([("new", "a", "", 1.0), ("newer", "a", "", 0.0)])
    for succeeded, failed in known_task(known, asked).values():
        assert succeeded == failed


def test_an_unseen_task_is_judged_by_the_agent_and_by_tasks_like_it() -> None:
    pytest.importorskip("sklearn")
    known = [(f"{kind}{n}", agent, f"{kind} it", float(kind == "good")) for kind in ("good", "bad") for n in range(6)
             for agent in ("x", "y")]  # fmt: skip
    asked = attempts(
        [("new", "x", "good one", 1.0), ("newer", "x", "bad one", 0.0), ("other", "z", "good", 1.0)]
    )
    found = unseen_task(attempts(known), asked)
    assert found["agent"].tolist() == pytest.approx([0.5, 0.5, 0.5])
    near = (2 + 0.5) / 3
    assert found["nearest 5 tasks + agent"][0] == pytest.approx(near)
    assert found["nearest 5 tasks, agent, averaged"][1] == pytest.approx((1 - near + 0.5) / 2)
    assert found["logistic"][0] > 0.5 > found["logistic"][1]
    wordless = attempts([("t", "x", "?", 1.0), ("u", "y", "!", 0.0)])
    assert all(len(chances) == 2 for chances in unseen_task(wordless, wordless).values())
    assert found["own nearest 5, agent, averaged"][0] == pytest.approx(0.75)
