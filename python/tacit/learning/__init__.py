"""From an ended episode to what is stored of it."""

from .learner import Draft, DraftHead, Learner, Lesson

__all__ = ["Draft", "DraftHead", "Learner", "Lesson"]
