"""Frozen values: episodes, patterns, questions and answers."""
