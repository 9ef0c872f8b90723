"""From an episode's first step to what is stored of it."""

from .draft import Draft, Recording, digest_of
from .learner import Learner
from .lesson import Lesson, Staged, Taught

__all__ = ["Draft", "Learner", "Lesson", "Recording", "Staged", "Taught", "digest_of"]
