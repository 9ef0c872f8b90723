"""From an ended episode to what is stored of it."""

from .learner import Draft, Learner, Lesson

__all__ = ["Draft", "Learner", "Lesson"]
