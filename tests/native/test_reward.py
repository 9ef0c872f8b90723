"""The reward kernel beside the formula, written once more in a few lines of Python."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit import _native
from tacit.config import RewardWeights
from tacit.errors import ValidationError
from tacit.extractors.columns import trajectory_of
from tacit.model.context import COMPLEXITIES, TaskContext
from tacit.model.episode import Episode, Outcome, Step
from tacit.scoring import Scoring

COLUMNS = {
    "base": np.float64,
    "seconds": np.float64,
    "steps": np.uint32,
    "failed": np.uint32,
    "succeeded": np.uint32,
    "distinct_tools": np.uint32,
    "recovered": np.bool_,
    "complexity": np.uint8,
    "artifacts": np.uint32,
    "names_tests": np.bool_,
    "test_coverage": np.float64,
    "lint_warnings": np.float64,
    "novelty": np.float64,
    "usual_seconds": np.float64,
    "usual_steps": np.float64,
}


def oracle(row: dict[str, float]) -> tuple[float, ...]:
    """behaviour of docs/concepts/reward.md, one line a rule."""
    times = 1 if row["seconds"] < 0 else row["seconds"] / max(row["usual_seconds"], 1e-6)
    duration = 0.5 + math.exp(-times / 2)
    length = 0.5 + math.exp(-row["steps"] / max(row["usual_steps"], 1) / 2) if row["steps"] else 0.5
    efficiency = 0.5 * duration + 0.5 * length
    complexity = (1.0, 1.1, 1.2, 1.1)[int(row["complexity"])]
    quality = 1.0
    if row["base"] == 1:
        quality += 0.1 * row["names_tests"] + 0.05 * (row["artifacts"] >= 3)
    coverage = row["test_coverage"]
    quality += 0.15 if coverage > 80 else 0.1 if coverage > 60 else 0
    quality += 0.05 * (row["lint_warnings"] == 0)
    failed, steps, ok = row["failed"], row["steps"], row["succeeded"]
    quality += -0.2 if failed > 0.3 * steps else -0.1 if failed > 0.1 * steps else 0.1 * (failed == 0 < steps)
    bonus = 0.3 * row["novelty"]
    bonus += 0.15 if row["distinct_tools"] >= 5 else 0.1 * (row["distinct_tools"] >= 3 and steps >= 3)
    bonus += 0.15 * row["recovered"]
    bonus += 0.2 if steps >= 5 and ok > 0.9 * steps else 0.15 * (steps >= 3 and ok == steps)
    bonus += 0.1 * (0 <= row["seconds"] < 30 and 1 <= steps <= 9)
    bonus = min(0.5, bonus)
    total = row["base"] * (efficiency * complexity * quality + bonus)
    return total, row["base"], efficiency, complexity, quality, bonus


nan_or = lambda numbers: st.one_of(st.just(math.nan), numbers)  # noqa: E731
rows = st.fixed_dictionaries(
    {
        "base": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        "seconds": st.floats(-1, 1e4),
        "ok_steps": st.integers(0, 60),
        "failed": st.integers(0, 60),
        "silent": st.integers(0, 3),
        "distinct_tools": st.integers(0, 8),
        "recovered": st.booleans(),
        "complexity": st.integers(0, 3),
        "artifacts": st.integers(0, 4),
        "names_tests": st.booleans(),
        "test_coverage": nan_or(st.floats(0, 100)),
        "lint_warnings": nan_or(st.integers(0, 2).map(float)),
        "novelty": st.floats(0, 1),
        "usual_seconds": st.floats(0.001, 1e4),
        "usual_steps": st.floats(0, 100),
    }
)


@given(st.lists(rows, min_size=1, max_size=20))
def test_the_batch_agrees_with_the_formula(drawn: list[dict[str, float]]) -> None:
    for row in drawn:
        row["succeeded"] = row.pop("ok_steps")
        row["steps"] = row["succeeded"] + row["failed"] + row.pop("silent")
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in drawn], dtype=kind) for name, kind in COLUMNS.items()
    }
    scores = _native.Scorer(RewardWeights()).score_columns(**columns)
    assert scores.shape == (len(drawn), 6)
    np.testing.assert_allclose(scores, [oracle(row) for row in drawn], rtol=1e-12, atol=1e-15)


steps = st.lists(
    st.builds(
        Step,
        tool=st.sampled_from(["a", "b", "c", "d", "e", "f"]),
        status=st.sampled_from(["ok", "ok", "error", "timeout", None]),
    ),
    max_size=15,
)
episodes = st.builds(
    Episode,
    task=st.just("do it"),
    context=st.builds(TaskContext, complexity=st.sampled_from(COMPLEXITIES)),
    started_at=st.just(1),
    ended_at=st.one_of(st.none(), st.integers(1, 10**10)),
    steps=steps.map(tuple),
    outcome=st.one_of(
        st.builds(Outcome.success, artifacts=st.lists(st.sampled_from(["report", "tests.py"]), max_size=4)),
        st.builds(
            Outcome.partial,
            completed=st.lists(st.just("x"), max_size=3),
            failed=st.lists(st.just("y"), max_size=3),
        ),
        st.builds(Outcome.failure, reason=st.just("no")),
    ),
    metadata=st.fixed_dictionaries(
        {}, optional={"test_coverage": st.integers(0, 100), "lint_warnings": st.integers(0, 2)}
    ),
)


def summary(episode: Episode) -> dict[str, float]:
    ok = [step.ok for step in episode.steps]
    failed_tools: set[str] = set()
    recovered = False
    for step in episode.steps:
        recovered |= step.ok is True and step.tool in failed_tools
        failed_tools |= {step.tool} if step.ok is False else set()
    assert episode.outcome is not None
    artifacts = episode.outcome.artifacts
    return {
        "base": episode.outcome.share or 0.0,
        "seconds": -1.0 if episode.duration_s is None else episode.duration_s,
        "steps": len(ok),
        "failed": ok.count(False),
        "succeeded": ok.count(True),
        "distinct_tools": len({step.tool for step in episode.steps}),
        "recovered": recovered,
        "complexity": COMPLEXITIES.index(episode.context.complexity),
        "artifacts": len(artifacts),
        "names_tests": any("test" in artifact or "coverage" in artifact for artifact in artifacts),
        "test_coverage": episode.metadata.get("test_coverage", math.nan),
        "lint_warnings": episode.metadata.get("lint_warnings", math.nan),
    }


@given(episodes, st.floats(0, 1), st.floats(0.001, 1e4), st.floats(0, 100))
def test_one_episode_scores_as_the_formula_and_the_batch_say(
    episode: Episode, novelty: float, seconds: float, length: float
) -> None:
    reward = Scoring().score(
        trajectory_of(episode), novelty=novelty, usual_seconds=seconds, usual_steps=length
    )
    row = {**summary(episode), "novelty": novelty, "usual_seconds": seconds, "usual_steps": length}
    single = (
        reward.total,
        reward.base,
        reward.efficiency,
        reward.complexity_bonus,
        reward.quality_multiplier,
        reward.learning_bonus,
    )
    assert single == pytest.approx(oracle(row), rel=1e-12)
    columns: dict[str, Any] = {name: np.array([row[name]], dtype=kind) for name, kind in COLUMNS.items()}
    assert tuple(_native.Scorer(RewardWeights()).score_columns(**columns)[0]) == single


def test_weights_are_what_is_scored_with() -> None:
    episode = Episode("do it", steps=(Step("a", status="ok"),), outcome=Outcome.success())
    plain = Scoring().score(trajectory_of(episode))
    without = Scoring(replace(RewardWeights(), no_errors=0.0)).score(trajectory_of(episode))
    assert plain.quality_multiplier - without.quality_multiplier == pytest.approx(0.1)


def test_columns_of_different_lengths_are_refused_by_name() -> None:
    columns: dict[str, Any] = {name: np.zeros(2, dtype=kind) for name, kind in COLUMNS.items()}
    columns["novelty"] = np.zeros(3)
    with pytest.raises(ValidationError, match="novelty must be as long as base: 2; got 3"):
        _native.Scorer(RewardWeights()).score_columns(**columns)
