"""The application: every page is read-only, made on the server, and answered to this machine's own names alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import TacitError, UnknownEpisodeError, missing_extra
from ..memory import Memory
from ..model.query import Asking
from . import pages
from .figures import answer_uses, answers_of, health, overview
from .style import STYLE

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["make_dashboard"]

_PAGE_SIZE = 50
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def make_dashboard(memory: Memory) -> Starlette:
    """The dashboard of a memory as an ASGI application. It writes nothing.

    Requests whose `Host` is not this machine's are refused, so that a page elsewhere cannot read it under a name of its
    own. Raises `ValidationError` without Starlette.

    Example:
        >>> from tacit import Memory
        >>> from tacit.dashboard import make_dashboard
        >>> [route.path for route in make_dashboard(Memory()).routes][:2]
        ['/', '/episodes']
    """
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.routing import Route
    except ImportError as error:
        raise missing_extra("dashboard") from error

    site = _Site(memory)
    routes: Mapping[str, Callable[[Request], Response]] = {
        "/": site.overview,
        "/episodes": site.episodes,
        "/episodes/{id}": site.episode,
        "/patterns": site.patterns,
        "/answers": site.answers,
        "/recall": site.recall,
        "/health": site.health,
        "/style.css": site.style,
    }
    return Starlette(
        routes=[Route(path, endpoint, methods=["GET"]) for path, endpoint in routes.items()],
        middleware=[Middleware(_OwnHosts)],
        exception_handlers={TacitError: site.refused},
    )


class _Site:
    """The pages by their paths. Starlette runs them on threads: a memory may be used from many."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def overview(self, request: Request) -> Response:
        return self._page("Overview", request, pages.overview_page(overview(self._memory)))

    def episodes(self, request: Request) -> Response:
        after = request.query_params.get("after")
        found = self._memory.episodes(limit=_PAGE_SIZE, after=after)
        opened = () if after else self._memory.open_episodes()
        return self._page("Episodes", request, pages.episodes_page(found, size=_PAGE_SIZE, opened=opened))

    def episode(self, request: Request) -> Response:
        episode = self._memory.get(request.path_params["id"])
        return self._page(
            episode.task, request, pages.episode_page(episode, answers_of(self._memory, episode))
        )

    def patterns(self, request: Request) -> Response:
        kind = request.query_params.get("kind") or None
        found = self._memory.patterns(kind=kind, limit=100)
        return self._page("Patterns", request, pages.patterns_page(found, kind))

    def answers(self, request: Request) -> Response:
        return self._page("Answers", request, pages.answers_page(answer_uses(self._memory)))

    def recall(self, request: Request) -> Response:
        task = request.query_params.get("task", "").strip()
        domain = request.query_params.get("domain") or None
        asking: Asking = {} if domain is None else {"domain": domain}
        answer = self._memory.recall(task, **asking) if task else None
        return self._page("Ask", request, pages.recall_page(task, domain, answer))

    def health(self, request: Request) -> Response:
        return self._page("Health", request, pages.health_page(health(self._memory)))

    def style(self, request: Request) -> Response:
        from starlette.responses import Response

        return Response(STYLE, media_type="text/css", headers=_HEADERS)

    def refused(self, request: Request, error: Exception) -> Response:
        status = 404 if isinstance(error, UnknownEpisodeError) else 400
        return self._page("Not here", request, pages.missing_page(str(error)), status=status)

    def _page(self, title: str, request: Request, content: object, *, status: int = 200) -> Response:
        from starlette.responses import HTMLResponse

        home = getattr(self._memory._store, "path", None) or "in memory"
        about = f"{home}, namespace {self._memory.namespace}"
        path = request.url.path
        return HTMLResponse(pages.page(title, path, about, content), status, headers=_HEADERS)


class _OwnHosts:
    """Refuses requests to names that are not this machine's."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _host_of(scope) not in _LOOPBACK:
            from starlette.responses import PlainTextResponse

            refusal = PlainTextResponse("this dashboard answers to localhost only", 421, headers=_HEADERS)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host_of(scope: Any) -> str:
    """The name in the `Host` header, without its port."""
    given = (
        next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    )
    name, _, port = given.rpartition(":")
    return name if name and port.isdigit() else given
