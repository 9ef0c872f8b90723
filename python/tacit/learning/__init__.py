"""From an episode's first step to what is stored of it."""

from .contrasts import Contrasts
from .draft import Draft, Recording, digest_of
from .learner import Learner
from .lesson import Lesson, Staged, Taught
from .maintenance import Maintainer
from .standing import Standings

__all__ = [
    "Contrasts",
    "Draft",
    "Learner",
    "Lesson",
    "Maintainer",
    "Recording",
    "Staged",
    "Standings",
    "Taught",
    "digest_of",
]
