"""A memory as pages in the browser: `tacit dashboard`. Needs `pip install 'tacit[dashboard]'`."""

from __future__ import annotations

from .app import make_dashboard

__all__ = ["make_dashboard"]
