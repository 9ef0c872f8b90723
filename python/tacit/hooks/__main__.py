"""`python -m tacit.hooks`: one event on standard input, at most one object on standard output."""

from __future__ import annotations

from .entry import main

main()
