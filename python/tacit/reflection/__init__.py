"""Reflections: successes, improvements and insights, from one episode and from history."""

from .history import History, Recovery, Reflecting
from .reflect import reflect

__all__ = ["History", "Recovery", "Reflecting", "reflect"]
