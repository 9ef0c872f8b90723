"""The two lines of the official MCP SDK, 1.28 and later and 2.x, behind the few calls that the server makes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import missing_extra

__all__ = [
    "IS_V2",
    "Context",
    "ToolError",
    "announce_changes",
    "http_app",
    "notify_tools_changed",
    "opened",
    "tool_hints",
]


def _sdk() -> tuple[bool, Any, Any, Any]:
    """True for the second line, and its classes of a server, of a call's context and of a tool's refusal."""
    for is_v2, module, server in ((True, "mcpserver", "MCPServer"), (False, "fastmcp", "FastMCP")):
        try:
            found = import_module(f"mcp.server.{module}")
            errors = import_module(f"mcp.server.{module}.exceptions")
        except ImportError:
            continue
        return is_v2, getattr(found, server), found.Context, errors.ToolError
    raise missing_extra("mcp")


IS_V2: bool
_MCPServer: Any
Context: Any
ToolError: Any
IS_V2, _MCPServer, Context, ToolError = _sdk()


def opened(name: str, *, instructions: str, version: str) -> Any:
    """A server without tools. Its logs go to standard error: standard output belongs to the protocol."""
    if IS_V2:
        return _MCPServer(name, instructions=instructions, version=version, log_level="WARNING")
    server = _MCPServer(
        name, instructions=instructions, log_level="WARNING", stateless_http=True, json_response=True
    )
    server._mcp_server.version = version
    return server


def announce_changes(server: Any) -> None:
    """Declares to clients that the list of tools may change: the SDK does not by default."""
    from mcp.server.lowlevel.server import NotificationOptions

    lowlevel = server._lowlevel_server if IS_V2 else server._mcp_server
    original = lowlevel.create_initialization_options

    def with_changes(*given: Any, **named: Any) -> Any:
        return original(NotificationOptions(tools_changed=True), *given[1:], **named)

    lowlevel.create_initialization_options = with_changes


def tool_hints(title: str, *, reads: bool, destroys: bool = False, repeats: bool = True) -> Any:
    """The hints of a tool for its host: it only reads, it destroys, it may be repeated. None leaves the machine."""
    hints = import_module("mcp.types").ToolAnnotations
    return hints(
        title=title,
        readOnlyHint=reads,
        destructiveHint=destroys,
        idempotentHint=repeats,
        openWorldHint=False,
    )


async def notify_tools_changed(context: Any) -> None:
    """Tells the client of a call that there are more tools now."""
    if IS_V2:
        await context.notify_tools_changed()
    await context.session.send_tool_list_changed()


def http_app(server: Any, *, host: str, port: int, body_bytes: int, hosts: list[str]) -> Any:
    """The server as an ASGI application at `/mcp` that answers only to its own names."""
    from mcp.server.transport_security import TransportSecuritySettings

    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=hosts,
        allowed_origins=[f"{scheme}://{name}" for name in hosts for scheme in ("http", "https")],
    )
    if IS_V2:
        return server.streamable_http_app(
            json_response=True,
            stateless_http=True,
            max_request_body_size=body_bytes,
            transport_security=security,
            host=host,
        )
    server.settings.transport_security = security
    server.settings.max_request_body_size = body_bytes
    server.settings.host, server.settings.port = host, port
    return server.streamable_http_app()
