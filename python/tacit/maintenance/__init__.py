"""Maintenance: merging near-duplicates, promotion, retirement, stored clusters and heuristics."""

from .maintainer import Maintainer
from .state import MaintenanceStates

__all__ = ["Maintainer", "MaintenanceStates"]
