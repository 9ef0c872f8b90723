"""From an episode's first step to what is stored of it."""

from .contrasts import Contrasts
from .draft import Draft, Recording, content_of, digest_of
from .effectiveness import Crediting
from .learner import Learner
from .lesson import Lesson, Staged, Taught
from .maintenance import Maintainer
from .receipts import Answer, RecallReceipt, corrected, recall_bytes, withdrawn
from .standing import Standings

__all__ = [
    "Answer",
    "Contrasts",
    "Crediting",
    "Draft",
    "Learner",
    "Lesson",
    "Maintainer",
    "RecallReceipt",
    "Recording",
    "Staged",
    "Standings",
    "Taught",
    "content_of",
    "corrected",
    "digest_of",
    "recall_bytes",
    "withdrawn",
]
