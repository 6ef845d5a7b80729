"""The door to the apps of workspaces: an application of its own, on host names of its own, that knows no session.

Each app has a host name, which is all that says which app is meant. A ticket from the API becomes a cookie here, for
this host name and nothing else; what goes to the app holds neither that nor any token of the API.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import h11
import structlog
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from taskyard.control import apps
from taskyard.control.apps import ENTER, Seen
from taskyard.control.previews import AppHost
from taskyard.control.services import Services
from taskyard.errors import AppFailed, TaskyardError
from taskyard.lifecycle.template_model import Share
from taskyard.server.apps_exchange import Exchange, PassOn
from taskyard.server.apps_headers import (
    APP_COOKIE,
    APP_COOKIE_HTTPS,
    forwarded,
    request_headers,
    socket_headers,
    without_token,
)
from taskyard.server.apps_socket import serve_socket
from taskyard.server.draining import Drain
from taskyard.server.edge import respond
from taskyard.server.errors import problem
from taskyard.server.peer_mark import target_of
from taskyard.server.reach import Reach, host_of
from taskyard_agent.mux import LinkError, LinkLost, Mux, StreamRefused

log = structlog.get_logger()

MOST_AT_ONCE: Final = 64
"""Requests and WebSockets of one workspace's apps at once: a quarter of the streams that its link carries, so that its
bridge is always reached."""

RECHECK_S: Final = 5.0
"""Seconds after which whoever is still reading is asked for again: so long a right that was taken away goes on."""

MOST_FIELDS: Final = 8
"""Fields of a query with a ticket: there are two, and some are added by what links pass through."""

PAGE_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"

_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<h1>{title}</h1><p>{detail}</html>
"""


@dataclass(frozen=True, slots=True)
class _Visit:
    """A request to an app that may be made, while it is served."""

    scope: Scope
    host: AppHost
    seen: Seen
    mux: Mux

    @property
    def target(self) -> str:
        """Path and query, as the app gets them."""
        path, _, query = target_of(self.scope).encode("latin-1").partition(b"?")
        kept = without_token(query)
        return (path + (b"?" + kept if kept else b"")).decode("latin-1")

    @property
    def is_private(self) -> bool:
        """Whether the app is not for everybody."""
        return self.seen.share is not Share.PUBLIC


class AppsDoor:
    """The application that serves apps."""

    def __init__(
        self,
        services: Services,
        reach: Reach,
        drain: Drain | None = None,
        *,
        recheck_s: float = RECHECK_S,
    ) -> None:
        self._services = services
        self._reach = reach
        self._drain = drain or Drain()
        self._recheck_s = recheck_s
        self._under_way: Counter[UUID] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] not in ("http", "websocket"):
            return
        scope.setdefault("state", {}).setdefault("request_id", uuid4().hex)
        self._reach.believe(scope)
        await self._drain.serve(self._serve, scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive, send)
        except TaskyardError as error:
            answer = _away(scope, error)
        if answer is not None:
            await respond(answer, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """An answer of ours; None where the app has given its own."""
        host = self._host(scope)
        if host is None:
            return _refusal(scope, 421, "no_app", "No app of a workspace has this address.")
        if scope["path"] == ENTER:
            return await self._enter(scope, host)
        seen = await apps.visit(self._services, host, self._cookie(scope), now=self._services.now())
        if seen is None:
            return _refusal(
                scope,
                401,
                "app_closed",
                "This app does not run, or you have not been let in, or no longer.",
                detail="Open it from Taskyard, or ask for its address: taskyard task open TASK",
            )
        if seen.share is not Share.PUBLIC and _is_foreign(scope, self._origin(host)):
            return _refusal(
                scope, 403, "foreign_page", "A page of another address may not use this app."
            )
        if scope.get("method") in ("CONNECT", "TRACE"):
            return _refusal(scope, 405, "no_method", "Apps are not asked by that method.")
        return await self._visit((scope, receive, send), host, seen)

    def _host(self, scope: Scope) -> AppHost | None:
        try:
            name = host_of(scope)
        except ValueError:
            return None
        return None if name is None else self._services.previews.find(name)

    def _origin(self, host: AppHost) -> str:
        return self._services.previews.origin(host)

    @property
    def _cookie_name(self) -> str:
        return APP_COOKIE_HTTPS if self._services.previews.is_private_line else APP_COOKIE

    def _cookie(self, scope: Scope) -> str | None:
        return HTTPConnection(scope).cookies.get(self._cookie_name)

    async def _enter(self, scope: Scope, host: AppHost) -> Response:
        """A cookie for a ticket, and the way into the app."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return _refusal(scope, 405, "no_method", "A ticket is shown by opening its address.")
        ticket, path = _shown(scope)
        cookie = await apps.enter(self._services, host, ticket, now=self._services.now())
        if cookie is None or not apps.is_local_path(path):
            return _refusal(
                scope,
                401,
                "ticket_refused",
                "This ticket is not good here, or not any more.",
                detail="Each opens one app, once, within a minute. Open the app from Taskyard again.",
            )
        response = Response(None, 303, {"Location": path, "Cache-Control": "no-store"})
        response.headers["Referrer-Policy"] = "no-referrer"
        response.set_cookie(
            self._cookie_name,
            cookie,
            max_age=int(apps.VISIT_LIFE.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=self._services.previews.is_private_line,
        )
        return response

    async def _visit(
        self, asked: tuple[Scope, Receive, Send], host: AppHost, seen: Seen
    ) -> Response | None:
        scope, receive, send = asked
        with self._place(seen.agent_id) as is_free:
            if not is_free:
                return _refusal(
                    scope, 503, "app_busy", "Too much is asked of this workspace's apps at once."
                )
            visit = _Visit(scope, host, seen, await self._services.links.get(seen.agent_id))
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._pass_on(visit, receive, send))
                watching = group.create_task(self._until_barred(visit))
                await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
                serving.cancel()
                watching.cancel()
        return None if serving.cancelled() else serving.result()

    @contextlib.contextmanager
    def _place(self, agent_id: UUID) -> Iterator[bool]:
        """One of the places for what a workspace's apps are asked; False when all are taken."""
        if self._under_way[agent_id] >= MOST_AT_ONCE:
            yield False
            return
        self._under_way[agent_id] += 1
        try:
            yield True
        finally:
            self._under_way[agent_id] -= 1
            if not self._under_way[agent_id]:
                del self._under_way[agent_id]

    async def _until_barred(self, visit: _Visit) -> None:
        """Returns once the visitor may no longer see the app."""
        cookie = self._cookie(visit.scope)
        while True:
            await asyncio.sleep(self._recheck_s)
            with contextlib.suppress(
                TaskyardError
            ):  # a database that is away takes no right from anybody
                seen = await apps.visit(
                    self._services, visit.host, cookie, now=self._services.now()
                )
                if seen is None or seen.agent_id != visit.seen.agent_id:
                    return

    async def _pass_on(self, visit: _Visit, receive: Receive, send: Send) -> Response | None:
        """An answer of ours where the app gives none."""
        failed: Exception | None
        begun = False
        try:
            async with await visit.mux.open_stream(visit.seen.port) as stream:
                if visit.scope["type"] == "websocket":
                    socket = WebSocket(visit.scope, receive, send)
                    await serve_socket(socket, stream, visit.target, self._socket_headers(visit))
                    return None
                pass_on = PassOn(send, visit.seen.port, extra=[], private=visit.is_private)
                request, has_body = self._request(visit)
                failed = await Exchange(stream, receive, pass_on).run(request, has_body=has_body)
                begun = pass_on.begun
        except* (AppFailed, LinkError, h11.ProtocolError) as errors:
            failed = errors.exceptions[0]
        # What was begun is cut off: without its last piece no browser takes it for whole.
        return None if failed is None or begun else _broken(visit, failed)

    def _request(self, visit: _Visit) -> tuple[h11.Request, bool]:
        """The request as the app gets it, and whether it has a body. Raises h11.LocalProtocolError."""
        raw: list[tuple[bytes, bytes]] = list(visit.scope["headers"])
        length = [value for name, value in raw if name == b"content-length"]
        framed = [(b"content-length", value) for value in length[:1]]
        if any(name == b"transfer-encoding" for name, _ in raw):
            framed = [(b"transfer-encoding", b"chunked")]
        headers = [*self._headers(visit), *framed, (b"connection", b"close")]
        method = visit.scope["method"]
        return h11.Request(method=method, target=visit.target, headers=headers), bool(framed)

    def _headers(self, visit: _Visit) -> list[tuple[bytes, bytes]]:
        origin, client = self._origin(visit.host), visit.scope.get("client")
        told = forwarded(origin, client[0] if client else None)
        return [*request_headers(visit.scope["headers"], origin, visit.seen.port), *told]

    def _socket_headers(self, visit: _Visit) -> list[tuple[bytes, bytes]]:
        origin, client = self._origin(visit.host), visit.scope.get("client")
        told = forwarded(origin, client[0] if client else None)
        port = visit.seen.port
        host = (b"host", f"127.0.0.1:{port}".encode())
        return [host, *socket_headers(visit.scope["headers"], origin, port), *told]


def _shown(scope: Scope) -> tuple[str, str]:
    """The ticket that is shown, and the path to begin at; an empty ticket where there is none to be read."""
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MOST_FIELDS)
    except ValueError:
        return "", "/"
    return query.get("ticket", [""])[0], query.get("path", ["/"])[0]


def _is_foreign(scope: Scope, origin: str) -> bool:
    """Whether a page of another origin asks, other than by leading its reader here.

    Apps of one domain are one site to a browser, which then sends cookies along whoever asks.
    """
    headers = Headers(scope=scope)
    if (named := headers.get("origin")) is not None:
        return named != origin
    if headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none"):
        return False
    reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    return not (reads and headers.get("sec-fetch-mode") == "navigate")


def _broken(visit: _Visit, failed: Exception) -> Response:
    """Why an app gave no answer."""
    port = visit.seen.port
    match failed:
        case LinkLost():
            what = "The workspace went away."
        case StreamRefused():
            what = f"Nothing answers on port {port} of the workspace yet."
        case h11.ProtocolError():
            what = f"What answers on port {port} of the workspace does not speak HTTP."
        case _:
            what = f"The app on port {port} of the workspace broke off."
    log.info("app.failed", port=port, cause=repr(failed)[:200])
    return _refusal(
        visit.scope, 502, "app_failed", what, detail="Look whether the app runs: its log says it."
    )


def _away(scope: Scope, error: TaskyardError) -> Response:
    log.info("app.unreachable", cause=str(error)[:200])
    return _refusal(
        scope,
        502,
        "agent_unreachable",
        "The workspace of this app cannot be reached.",
        detail="Try again in a moment.",
    )


def _refusal(scope: Scope, status: int, reason: str, said: str, *, detail: str = "") -> Response:
    """An answer of ours on an app's host: a page for people, the usual body for programs."""
    if "text/html" in Headers(scope=scope).get("accept", ""):
        page = _PAGE.format(title=escape(said), detail=escape(detail))
        response = Response(page, status, {"X-Taskyard-Reason": reason}, "text/html")
    else:
        response = problem(status, reason, said, detail)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
