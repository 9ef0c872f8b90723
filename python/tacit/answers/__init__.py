"""Journey two: a task or a situation is asked about and gets a ranked, explained answer."""

from .advisor import Advisor
from .contrasts import Contrasts
from .question import failing_at, query_of
from .retriever import Retriever

__all__ = ["Advisor", "Contrasts", "Retriever", "failing_at", "query_of"]
