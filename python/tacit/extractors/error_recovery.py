"""Next steps after an error."""

from __future__ import annotations

from .. import _native
from .._native import Findings, Trajectory
from ..model.episode import Episode
from .base import FINDINGS_AN_EPISODE, extractors
from .columns import trajectory_of


@extractors.register("error_recovery")
class ErrorRecovery:
    """Each error with the tool that came next, tries with the same tool included.

    Content: `{"tool", "error", "next"}`; `error` is the class of the message, `next` is "<gave up>" if nothing
    followed. The steps until something worked are kept as detail.
    """

    def extract(self, episode: Episode) -> Findings:
        """Ok if the next step succeeded and the same error of the same tool did not come back."""
        return self.extract_trajectory(trajectory_of(episode))

    def extract_trajectory(self, trajectory: Trajectory) -> Findings:
        """The same from the columns."""
        return _native.error_recoveries(trajectory, limit=FINDINGS_AN_EPISODE)
