"""What went well, what to improve and what was learned: from one episode and from history."""

from .history import History, Recovery
from .reflect import Reflecting, reflect

__all__ = ["History", "Recovery", "Reflecting", "reflect"]
