"""The extractor protocol and the registry of extractors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from .._native import Finding, Findings, Trajectory
from ..model.episode import Episode
from ..registry import Registry

FINDINGS_AN_EPISODE = 32
"""The most patterns of one kind that one episode may bring: a long episode cannot flood the store."""


@runtime_checkable
class Extractor(Protocol):
    """Finds one kind of pattern in one episode: a pure function, whose attributes are its parameters."""

    def extract(self, episode: Episode) -> Iterable[Finding]:
        """At most 32 patterns, each as often as it occurs; the same episode always gives the same findings."""
        ...


@runtime_checkable
class TrajectoryExtractor(Protocol):
    """An extractor that needs the columns only: the episode is then never decoded for it."""

    def extract_trajectory(self, trajectory: Trajectory) -> Findings:
        """The same findings as `extract`, packed."""
        ...


extractors: Registry[Extractor] = Registry("extractor", Extractor)
"""Extractors by name; those of other distributions come through the entry points `tacit.extractors`."""
