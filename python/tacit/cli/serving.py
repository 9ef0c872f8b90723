"""`tacit serve` and `tacit dashboard`: the memory as an MCP server, and as pages in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..environment import named_database
from ..errors import ValidationError, missing_extra
from .console import note
from .options import Database, Namespace, configured, memory_at

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    http: Annotated[
        bool, typer.Option("--http", help="Serve HTTP at /mcp instead of standard input and output.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="The address of --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="The port of --http.")] = 8765,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens", metavar="FILE", help="TOKEN NAMESPACE a line: who may ask, and for which tenant."
        ),
    ] = None,
    all_tools: Annotated[
        bool,
        typer.Option("--all-tools", help="List every tool from the start, for hosts that do not look again."),
    ] = False,
    install: Annotated[
        str | None,
        typer.Option(
            "--install",
            metavar="HOST",
            help="Enter this server in the settings of claude-code, codex or cursor, and stop.",
            show_default=False,
        ),
    ] = None,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Serve a memory to MCP hosts: Claude Code, Codex, Cursor and others.

    Six tools are listed; search_tools brings more. Needs `pip install 'tacit[mcp]'`.
    """
    if install is not None:
        _install(install, database, namespace)
        return
    from ..serve import make_server

    chosen = configured(database)
    keys = _tokens(tokens)
    if http and not keys and host not in _LOOPBACK:
        raise ValidationError("tokens", "given for a host that others can reach", f"none for {host}")
    with memory_at(database, namespace, writes=True) as memory:
        server = make_server(memory, all_tools=all_tools)
        if not http:
            server.run()
            return
        import uvicorn

        note(f"serving {chosen.database} at http://{host}:{port}/mcp")
        app = server.http_app(host=host, port=port, tokens=keys)
        uvicorn.run(app, host=host, port=port, log_level="warning")


def dashboard(
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="The port on this machine.")] = 8766,
    database: Database = None,
    namespace: Namespace = None,
) -> None:
    """Look at a memory in the browser.

    Success over time, by domain and agent, what was learned lately, patterns, answers and their use, health. The pages
    write nothing, and answer this machine alone. Needs `pip install 'tacit[dashboard]'`.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise missing_extra("dashboard") from error
    from ..dashboard import make_dashboard

    with memory_at(database, namespace) as memory:
        note(f"the dashboard is at http://127.0.0.1:{port}; Ctrl-C ends it")
        uvicorn.run(make_dashboard(memory), host="127.0.0.1", port=port, log_level="warning")


def _tokens(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    from ..serve.http import tokens_of

    try:
        return tokens_of(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError("tokens", "a readable file", f"{path}: {error}") from error


def _install(host: str, database: str | None, namespace: str | None) -> None:
    from ..serve.install import enter

    # The host may run without the variable that names the memory here.
    change = enter(host, database or named_database(), namespace)
    note(change)
