"""What to do next: suggestions, ways out of errors, predictions, playbooks."""

from .advisor import Advisor
from .question import failing_at

__all__ = ["Advisor", "failing_at"]
