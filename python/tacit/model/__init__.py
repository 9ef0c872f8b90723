"""Frozen values: what episodes, patterns and answers are made of."""
