"""Journey one: an episode is logged, closed, learned from and committed."""

from .committer import Committer
from .intake import Intake
from .learner import Learner
from .open_episodes import OpenEpisode, OpenEpisodes
from .values import episode_of

__all__ = ["Committer", "Intake", "Learner", "OpenEpisode", "OpenEpisodes", "episode_of"]
