"""Journey one: an episode is logged, closed, learned from and committed."""

from .commit_item import CommitItem, LearnedRecord, Staged
from .learner import Learner
from .open_episodes import OpenEpisode, content_of, digest_of

__all__ = [
    "CommitItem",
    "LearnedRecord",
    "Learner",
    "OpenEpisode",
    "Staged",
    "content_of",
    "digest_of",
]
