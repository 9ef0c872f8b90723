"""From a task to a ranked, explained answer."""

from .retriever import Retriever

__all__ = ["Retriever"]
