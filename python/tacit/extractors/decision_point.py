"""Choices of the next tool."""

from __future__ import annotations

from .. import _native
from .._native import Findings, Trajectory
from ..model.episode import Episode
from .base import FINDINGS_AN_EPISODE, extractors
from .columns import trajectory_of


@extractors.register("decision_point")
class DecisionPoint:
    """Each choice of a next tool in a state: after which tool, with which result, under which condition.

    Content: `{"after", "result", "condition", "choose"}`. `after` is None for the first choice, `choose` "<finish>"
    for the last; `result` is "ok", "none" or the class of the error; `condition` is the check or decision
    that the last step announced, or "failed again" after a second failure running.
    """

    def extract(self, episode: Episode) -> Findings:
        """Each choice as often as it was made; ok is the outcome's share."""
        return self.extract_trajectory(trajectory_of(episode))

    def extract_trajectory(self, trajectory: Trajectory) -> Findings:
        """The same from the columns."""
        return _native.decision_points(trajectory, limit=FINDINGS_AN_EPISODE)
