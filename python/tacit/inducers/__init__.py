"""Inducers: pure functions of a history, registered by name."""

from .base import History, Induced, Inducer, inducers
from .clustering import Clustering
from .heuristic import Heuristics

__all__ = ["Clustering", "Heuristics", "History", "Induced", "Inducer", "inducers"]
