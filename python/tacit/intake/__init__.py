"""Journey one: an episode is logged, closed, learned from and committed."""

from .committer import Committer
from .facts_version import FactsReader
from .intake import Intake
from .learner import Learner
from .open_episodes import OpenEpisode, OpenEpisodes
from .relearning import Relearner
from .values import episode_of

__all__ = [
    "Committer",
    "FactsReader",
    "Intake",
    "Learner",
    "OpenEpisode",
    "OpenEpisodes",
    "Relearner",
    "episode_of",
]
