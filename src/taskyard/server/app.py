"""The ASGI application, built from wire/routes.py: every route has a handler, every handler a route."""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from uuid import uuid4

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from taskyard.control.services import Services
from taskyard.errors import TaskyardError
from taskyard.server import deps
from taskyard.server.call import Answer, Call, Handler, SocketHandler
from taskyard.server.errors import problem, render
from taskyard.server.meta import COMPATIBLE_VERSION
from taskyard.wire.base import encode
from taskyard.wire.routes import Auth, Route

log = structlog.get_logger()

JSON = "application/json; charset=utf-8"


def build_app(
    services: Services,
    routes: Iterable[Route],
    handlers: Mapping[str, Handler],
    sockets: Mapping[str, SocketHandler],
) -> ASGIApp:
    """An application that serves these routes; raises LookupError when one has no handler."""
    by_path: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {}
    mounted: list[BaseRoute] = []
    for route in routes:
        if route.operation in sockets:
            mounted.extend(
                WebSocketRoute(p, _socket_endpoint(services, route, sockets[route.operation]))
                for p in route.paths
            )
        if route.operation in handlers:
            for path in route.paths:
                endpoint = _endpoint(services, route, handlers[route.operation])
                by_path.setdefault(path, {})[route.method] = endpoint
        elif route.operation not in sockets:
            raise LookupError(f"no handler for {route.operation}")
    mounted.extend(_http_route(path, methods) for path, methods in by_path.items())
    app = Starlette(routes=mounted, exception_handlers={HTTPException: _http_error, 500: _crashed})
    app.router.redirect_slashes = False
    return Edge(app)


class Edge:
    """What every response has: our headers and a request id; what every path gets: one spelling."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["path"] = _one_spelling(scope["path"])
        request_id = uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        extra = [
            (b"x-coder-build-version", COMPATIBLE_VERSION.encode()),
            (b"x-taskyard-request-id", request_id.encode()),
        ]

        async def send_more(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_more)


def _one_spelling(path: str) -> str:
    """Doubled slashes and one at the end are tolerated. Source: clients 4, wire 12."""
    while "//" in path:
        path = path.replace("//", "/")
    return path.rstrip("/") or "/"


def _http_route(
    path: str, methods: dict[str, Callable[[Request], Awaitable[Response]]]
) -> HttpRoute:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await methods[method](request)

    return HttpRoute(path, endpoint, methods=list(methods))


def _endpoint(
    services: Services, route: Route, handler: Handler
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            call = await _authenticated(services, route, request)
            return _respond(route, await handler(call))
        except TaskyardError as error:
            return _rendered(error)

    return endpoint


def _socket_endpoint(
    services: Services, route: Route, handler: SocketHandler
) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(socket: WebSocket) -> None:
        try:
            call = await _authenticated(services, route, socket)
            await handler(call, socket)
        except TaskyardError as error:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.send_denial_response(_rendered(error))

    return endpoint


async def _authenticated(services: Services, route: Route, connection: HTTPConnection) -> Call:
    now = services.now()
    session = agent = None
    if route.auth is Auth.SESSION:
        session = await deps.session_actor(services, connection, now)
    elif route.auth is Auth.AGENT:
        agent = await deps.agent_actor(services, connection, now)
    else:
        deps.refuse_foreign_page(connection)
    return Call(services, route, connection, now, session, agent)


def _respond(route: Route, result: object) -> Response:
    answer = result if isinstance(result, Answer) else Answer(result)
    status = answer.status or route.status
    if isinstance(answer.body, bytes):
        return Response(answer.body, status, answer.headers, answer.media_type)
    if answer.body is None and route.response is None:
        return Response(None, status, answer.headers)
    return Response(encode(answer.body), status, answer.headers, JSON)


def _rendered(error: TaskyardError) -> Response:
    response = render(error)
    if response.status_code == 500:
        log.error("request.failed", exc_info=error)
    elif response.status_code > 500:
        log.warning("request.failed", status=response.status_code, cause=str(error))
    return response


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(
            404, "no_route", "There is no such route.", "Check the path and the version of the API."
        )
    if error.status_code == 405:
        response = problem(405, "no_method", "This route does not take that method.")
        response.headers["Allow"] = (error.headers or {}).get("Allow", "")
        return response
    return problem(error.status_code, "http", error.detail)


async def _crashed(_request: Request, error: Exception) -> Response:
    log.error("request.crashed", exc_info=error)
    return problem(500, "internal", "Something went wrong in the server. Its log has the cause.")
