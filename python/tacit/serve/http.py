"""Bearer tokens before the server on HTTP: each is the key of one namespace."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

from ..errors import ValidationError

BODY_BYTES = 4_000_000
"""The largest body of a request."""
_LEAST_TOKEN = 16
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


def guarded(app: App, tokens: dict[str, str], namespace: ContextVar[str | None]) -> App:
    """The application behind bearer tokens: `tokens` maps each to the namespace that it opens.

    Without tokens every request means the memory's own namespace: the server is bound to this machine then. A request
    without a known token is answered with 401. Raises `ValidationError` for a token of less than 16 characters.
    """
    for token in tokens:
        if len(token) < _LEAST_TOKEN:
            raise ValidationError("token", f"at least {_LEAST_TOKEN} characters", f"{len(token)}")
    if not tokens:
        return app

    async def guard(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        opened = _namespace_of(scope, tokens)
        if opened is None:
            await _refuse(send)
            return
        before = namespace.set(opened)
        try:
            await app(scope, receive, send)
        finally:
            namespace.reset(before)

    return guard


def _namespace_of(scope: Scope, tokens: dict[str, str]) -> str | None:
    """The namespace of the request's token; every token is compared, in constant time."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    kind, _, token = given.partition(b" ")
    if kind.lower() != b"bearer":
        return None
    found = None
    for known, opened in tokens.items():
        if hmac.compare_digest(known.encode(), token.strip()):
            found = opened
    return found


async def _refuse(send: Any) -> None:
    headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b'Bearer realm="tacit"')]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"a known bearer token is needed\n"})


def tokens_of(lines: str) -> dict[str, str]:
    """The tokens of a file: one `TOKEN NAMESPACE` a line; blank lines and lines that begin with # are passed over.

    Raises `ValidationError` that names the line, never the token.
    """
    tokens: dict[str, str] = {}
    for number, line in enumerate(lines.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise ValidationError(f"tokens: line {number}", "TOKEN NAMESPACE", f"{len(words)} words")
        tokens[words[0]] = words[1]
    return tokens
