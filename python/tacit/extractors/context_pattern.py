"""Which approach was taken to which kind of task."""

from __future__ import annotations

from .. import _native
from .._native import Findings, Trajectory
from ..model.episode import Episode
from .base import extractors
from .columns import trajectory_of


@extractors.register("context_pattern")
class ContextPattern:
    """The features of the context with the tools in the order of their first use.

    Content: `{"context": {"language", "framework", "task_type", "tags"}, "approach": [...]}`. The domain belongs to
    the evidence, so that one approach is one pattern in every domain.
    """

    def extract(self, episode: Episode) -> Findings:
        """One finding an episode with steps; ok is the outcome's share."""
        return self.extract_trajectory(trajectory_of(episode))

    def extract_trajectory(self, trajectory: Trajectory) -> Findings:
        """The same from the columns."""
        return _native.context_patterns(trajectory)
