"""What surrounds every request: who it came from, under which name, what every answer carries, and one line of log."""

import re
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from taskyard.control.meters import Meters
from taskyard.server.draining import Drain
from taskyard.server.errors import problem
from taskyard.server.headers import defaults_for
from taskyard.server.reach import Reach, host_of
from taskyard_agent import __version__

log = structlog.get_logger()

COMPATIBLE_VERSION: Final = "v2.34.0"
"""The version clients are told: the last line that had the Tasks API."""

EXPOSED: Final = (
    "Idempotency-Replayed, Retry-After, X-Coder-Build-Version, X-Taskyard-Next-Page, X-Taskyard-Reason, X-Taskyard-Request-Id, "
    "X-Taskyard-Version"
)
"""Headers of answers that a page of another origin may read."""

TAKEN: Final = (
    "Accept, Authorization, Coder-Session-Token, Content-Type, Idempotency-Key, Last-Event-ID, Traceparent, "
    "X-Request-Id"
)
"""Headers that a page of another origin may send."""

PREFLIGHT_S: Final = "600"
"""Seconds for which a browser remembers what such a page may do: long enough that it rarely asks, short for a mistake."""

QUIET: Final = frozenset({"/healthz", "/metrics", "/assets/{file}"})
"""Routes that are asked every few seconds, or twenty times a visit, and logged for debugging only."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Request:
    """One request while it is served. status 0: no answer was begun."""

    scope: Scope
    began: float
    status: int = 0
    over: bool = False


class Edge:
    """An application with everything around it. reach None: whoever gets here is let in, under any name."""

    def __init__(
        self,
        app: ASGIApp,
        reach: Reach | None = None,
        meters: Meters | None = None,
        drain: Drain | None = None,
    ) -> None:
        self._app = app
        self._drain = drain or Drain()
        self._reach = reach
        self._meters = meters or Meters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Request(scope, time.monotonic())
        # One that another server sent on keeps the id that it has there.
        request_id = scope.setdefault("state", {}).setdefault("request_id", uuid4().hex)
        if self._reach is not None:
            self._reach.believe(scope)
        extra = [*OURS, (b"x-taskyard-request-id", request_id.encode()), *self._shared(scope)]

        async def reply(message: Message) -> None:
            if request.over:
                return
            await send(_noted(request, message, extra))

        with structlog.contextvars.bound_contextvars(request_id=request_id, **_sent_ids(scope)):
            try:
                await self._serve(scope, receive, reply)
            finally:
                self._note(request)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            scope["path"] = _one_spelling(scope["path"])
            await self._drain.serve(self._app, scope, receive, send)
        else:
            await respond(refusal, scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """Why the request is not looked at any further; null when it is."""
        if not (_is_utf8(scope.get("raw_path", b"")) and _is_utf8(scope["query_string"])):
            return problem(400, "invalid_url", "The path and the query must be UTF-8.")
        return None if self._reach is None else _refused_host(scope, self._reach)

    def _shared(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """What lets a page of another origin read the answer, if it may."""
        if self._reach is None or not self._reach.origins:
            return []
        origin = Headers(scope=scope).get("origin", "")
        if origin not in self._reach.origins:
            return [(b"vary", b"Origin")]
        return [
            (b"vary", b"Origin"),
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-expose-headers", EXPOSED.encode()),
        ]

    def _note(self, request: _Request) -> None:
        """Logs and counts a request that is over."""
        scope, seconds = request.scope, time.monotonic() - request.began
        route = getattr(scope.get("route"), "path", "-")
        method = scope.get("method", "WEBSOCKET")
        method = method if method in _METHODS or scope["type"] == "websocket" else "OTHER"
        if (
            scope["type"] == "http"
        ):  # a socket may live for days: no figure of how quick answers are
            self._meters.request(method, route, request.status, seconds)
        client = scope.get("client")
        (log.debug if route in QUIET else log.info)(
            "request.served",
            method=method,
            route=route,
            status=request.status,
            ms=round(seconds * 1000, 1),
            ip=client[0] if client else None,
            user_id=scope["state"].get("user_id"),
        )


async def respond(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request, or an asked-for WebSocket, that is not let any further."""
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


def options(scope: Scope, methods: set[str]) -> Response:
    """The answer to OPTIONS on a path that takes these methods, also for browsers that ask before they call."""
    allow = ", ".join(sorted(methods | {"OPTIONS"}))
    headers = {"Allow": allow}
    if "access-control-request-method" in Headers(scope=scope):
        # Without the one header that names its origin, which the edge adds, a page can do nothing with these.
        headers |= {
            "Access-Control-Allow-Methods": allow,
            "Access-Control-Allow-Headers": TAKEN,
            "Access-Control-Max-Age": PREFLIGHT_S,
        }
    return Response(None, 204, headers)


def _refused_host(scope: Scope, reach: Reach) -> Response | None:
    """Why a request may not call us by the name it uses; null where it may, or is too old to use one."""
    try:
        name = host_of(scope)
    except ValueError:
        return problem(400, "invalid_host", "The header Host must hold one host name.")
    if name is None and scope.get("http_version") != "1.0":
        return problem(400, "invalid_host", "The header Host is missing.")
    if name is None or reach.admits(name):
        return None
    return problem(
        421,
        "unknown_host",
        f"This server does not answer to the name {name}.",
        "Whoever runs it can add the name with --allowed-hosts, or as part of --access-url.",
    )


def _noted(request: _Request, message: Message, extra: list[tuple[bytes, bytes]]) -> Message:
    """The message as it is sent: with our headers, and without a body for HEAD, even one that never ends."""
    kind = message["type"]
    if kind in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
        request.status = message.get("status", 101)
        own = list(message.get("headers", []))
        told = [] if kind == "websocket.accept" else defaults_for(request.scope, own)
        return {**message, "headers": [*own, *told, *extra]}
    if kind == "websocket.close" and not request.status:
        request.status = 403
    if kind == "http.response.body" and request.scope["method"] == "HEAD":
        request.over = True
        return {"type": kind, "body": b"", "more_body": False}
    return message


def _sent_ids(scope: Scope) -> dict[str, str]:
    """What the client calls its request, to find it by: kept in the log beside our own id, never in its place."""
    headers = Headers(scope=scope)
    found: dict[str, str] = {}
    if _REQUEST_ID.fullmatch(text := headers.get("x-request-id", "")):
        found["client_request_id"] = text
    if trace := _TRACEPARENT.fullmatch(headers.get("traceparent", "")):
        found["trace_id"] = trace[1]
    return found


def _is_utf8(raw: bytes) -> bool:
    if b"%" not in raw and raw.isascii():
        return True
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return False
    return True


def _one_spelling(path: str) -> str:
    """Doubled slashes and one at the end are tolerated. Source: clients 4, wire 12."""
    while "//" in path:
        path = path.replace("//", "/")
    return path.rstrip("/") or "/"


OURS: Final = (
    (b"x-coder-build-version", COMPATIBLE_VERSION.encode()),
    (b"x-taskyard-version", __version__.encode()),
    (b"x-content-type-options", b"nosniff"),
)
"""What every answer carries."""
