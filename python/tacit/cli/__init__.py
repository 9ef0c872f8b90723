"""The command line. Nothing else of tacit imports this, so typer and rich cost nobody else anything."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Runs the command that the process was called with."""
    from .app import app

    app(prog_name="tacit")
