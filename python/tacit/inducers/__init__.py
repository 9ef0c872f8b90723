"""A history -> what its episodes have in common: pure functions, registered by name."""

from .base import History, Induced, Inducer, inducers
from .clustering import Clustering

__all__ = ["Clustering", "History", "Induced", "Inducer", "inducers"]
