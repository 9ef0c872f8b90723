"""Episode -> Trajectory -> Reward."""

from __future__ import annotations

from . import _native
from ._native import Trajectory
from .config import RewardWeights
from .model.episode import Reward


class Scoring:
    """Scores episodes with fixed weights (docs/concepts/reward.md has the formula and its ranges)."""

    def __init__(self, weights: RewardWeights | None = None) -> None:
        self.weights: RewardWeights = weights or RewardWeights()
        self._scorer = _native.Scorer(self.weights)

    def score(
        self,
        trajectory: Trajectory,
        *,
        novelty: float = 0.0,
        usual_seconds: float | None = None,
        usual_steps: float | None = None,
    ) -> Reward:
        """The reward of an episode.

        `novelty` is the share of its patterns never seen before, within 0..1; `usual_seconds` and `usual_steps` are
        the medians of its domain's successes; `None` means the configured defaults.
        """
        seconds = self.weights.usual_seconds if usual_seconds is None else usual_seconds
        steps = self.weights.usual_steps if usual_steps is None else usual_steps
        row = self._scorer.score(trajectory, novelty=novelty, usual_seconds=seconds, usual_steps=steps)
        return Reward(*row, novelty=novelty, usual_seconds=seconds, usual_steps=steps)
