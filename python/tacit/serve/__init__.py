"""The memory as an MCP server: `tacit serve`. Needs `pip install 'tacit[mcp]'`."""

from __future__ import annotations

from .server import Server, make_server

__all__ = ["Server", "make_server"]
