"""Runs of tools."""

from __future__ import annotations

from .. import _native
from .._native import Findings, Trajectory
from ..model.episode import Episode
from .base import FINDINGS_AN_EPISODE, extractors
from .columns import trajectory_of


@extractors.register("tool_sequence")
class ToolSequence:
    """Runs of `min_length` to `max_length` tools anywhere in the episode, with at most one step passed over.

    Content: `{"tools": [...]}`; the names of the parameters are kept as detail.
    """

    def __init__(self, *, min_length: int = 2, max_length: int = 5, max_skipped: int = 1) -> None:
        self.min_length = min_length
        self.max_length = max_length
        self.max_skipped = max_skipped

    def extract(self, episode: Episode) -> Findings:
        """Each run as often as it starts at a step; ok is the outcome's share."""
        return self.extract_trajectory(trajectory_of(episode))

    def extract_trajectory(self, trajectory: Trajectory) -> Findings:
        """The same from the columns."""
        return _native.tool_sequences(
            trajectory,
            min_length=self.min_length,
            max_length=self.max_length,
            max_skipped=self.max_skipped,
            limit=FINDINGS_AN_EPISODE,
        )
