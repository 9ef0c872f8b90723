"""One episode -> findings: pure functions, registered by name."""

from .base import Extractor, TrajectoryExtractor, extractors
from .context_pattern import ContextPattern
from .decision_point import DecisionPoint
from .error_recovery import ErrorRecovery
from .hybrid import Hybrid
from .tool_sequence import ToolSequence

__all__ = [
    "ContextPattern",
    "DecisionPoint",
    "ErrorRecovery",
    "Extractor",
    "Hybrid",
    "ToolSequence",
    "TrajectoryExtractor",
    "extractors",
]
