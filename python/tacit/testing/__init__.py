"""Checks that hold for every part of a kind, and doubles for tests: ours and yours use the same ones."""

from .clock import Clock
from .embedders import check_embedder
from .extractors import check_extractor, example_episodes
from .faulty import FaultyStore
from .inducers import check_inducer, example_history
from .redactors import check_redactor
from .stores import check_store, episode_record

__all__ = [
    "Clock",
    "FaultyStore",
    "check_embedder",
    "check_extractor",
    "check_inducer",
    "check_redactor",
    "check_store",
    "episode_record",
    "example_episodes",
    "example_history",
]
