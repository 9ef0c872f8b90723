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
    """Runs several extractors; if two find the same content, one finding names both.

    `parts` are names, tables with a name and parameters, or extractors.
    """

    def __init__(
        self,
        *,
        parts: Iterable[object] = (
            "tool_sequence",
            "decision_point",
            "error_recovery",
            "context_pattern",
        ),
    ) -> None:
        self.parts: tuple[object, ...] = tuple(parts)
        named = [(extractors.name_of(part), extractors.resolve(part)) for part in self.parts]
        self._runs = [(name, _runner(name, extractor)) for name, extractor in named]

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which findings say who found them."""
        return tuple(name for name, _ in self._runs)

    def extract(self, episode: Episode) -> Findings:
        """The findings of all extractors in the episode."""
        return self.extract_with(trajectory_of(episode), lambda: episode)

    def extract_with(self, trajectory: Trajectory, episode: Callable[[], Episode]) -> Findings:
        """The same from the columns; `episode` is asked for only by extractors that need the value."""
        return Findings.merge([(name, _found(name, run, trajectory, episode)) for name, run in self._runs])

    def teach_with(self, trajectory: Trajectory, episode: Callable[[], Episode]) -> Findings:
        """The findings that an episode teaches: all of them, or while its outcome is unknown its recoveries alone.

        The steps show whether a recovery worked.
        """
        if trajectory.base is not None:
            return self.extract_with(trajectory, episode)
        runs = ((name, _found(name, run, trajectory, episode)) for name, run in self._runs)
        return Findings.merge(
            [(name, [each for each in found if each.kind in _VISIBLE]) for name, found in runs]
        )


_VISIBLE = ("error_recovery",)
"""The kinds whose success does not depend on the outcome."""
_Run = Callable[[Trajectory, Callable[[], Episode]], Findings | list[Finding]]


def _runner(name: str, extractor: Extractor) -> _Run:
    """The way to run an extractor, decided once: by the columns if it can, else by the value."""
    if isinstance(extractor, TrajectoryExtractor):
        by_columns = extractor.extract_trajectory
        return lambda trajectory, _: by_columns(trajectory)
    return lambda _, episode: _checked(name, extractor.extract(episode()))


def _found(
    name: str, run: _Run, trajectory: Trajectory, episode: Callable[[], Episode]
) -> Findings | list[Finding]:
    """The findings of one extractor; a note on its exception names it."""
    try:
        return run(trajectory, episode)
    except Exception as error:
        error.add_note(f"in extractor {name}")
        raise


def _checked(name: str, findings: Iterable[Finding]) -> list[Finding]:
    found = list(findings)
    patterns = len({finding.pattern_id for finding in found})
    if patterns > FINDINGS_AN_EPISODE:
        raise ValidationError(
            f"patterns of extractor {name}", f"at most {FINDINGS_AN_EPISODE:,}", f"{patterns:,}"
        )
    return found
