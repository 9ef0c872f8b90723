"""The command line. Nothing else of tacit imports this, so typer and rich cost nobody else anything."""

from __future__ import annotations

import sys
from io import TextIOWrapper

__all__ = ["main"]


def main() -> None:
    """Runs the command that the process was called with.

    A character that the terminal cannot show becomes a question mark.
    """
    from .app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="tacit")
