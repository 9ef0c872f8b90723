"""The runner of the extractors."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .._native import Finding, Findings, Trajectory
from ..errors import ValidationError
from ..model.episode import Episode
from .base import FINDINGS_AN_EPISODE, Extractor, TrajectoryExtractor, extractors
from .columns import trajectory_of


@extractors.register("hybrid")
class Hybrid:
    """Runs the named extractors; where two find the same content, one finding names both."""

    def __init__(
        self,
        *,
        names: Iterable[str] = ("tool_sequence", "decision_point", "error_recovery", "context_pattern"),
    ) -> None:
        self.names = tuple(names)
        self._parts: list[tuple[str, Extractor]] = [(name, extractors.create(name)) for name in self.names]

    def extract(self, episode: Episode) -> Findings:
        """What all of them find in the episode."""
        return self.extract_with(trajectory_of(episode), lambda: episode)

    def extract_with(self, trajectory: Trajectory, episode: Callable[[], Episode]) -> Findings:
        """The same from the columns; `episode` is asked for only by extractors that need the value."""
        return Findings.merge([(name, _run(name, part, trajectory, episode)) for name, part in self._parts])


def _run(
    name: str, part: Extractor, trajectory: Trajectory, episode: Callable[[], Episode]
) -> Findings | list[Finding]:
    if isinstance(part, TrajectoryExtractor):
        return part.extract_trajectory(trajectory)
    found = list(part.extract(episode()))
    patterns = len({finding.pattern_id for finding in found})
    if patterns > FINDINGS_AN_EPISODE:
        raise ValidationError(f"extractor {name}", f"at most {FINDINGS_AN_EPISODE} patterns", str(patterns))
    return found
