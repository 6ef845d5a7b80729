"""The ASGI application, built from wire/routes.py: every route has a handler, every handler a route."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, WebSocketRoute
from starlette.routing import Route as HttpRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from taskyard.control.services import Services
from taskyard.errors import TaskyardError
from taskyard.server import deps
from taskyard.server.call import Answer, Call, Handler, SocketHandler
from taskyard.server.draining import Drain
from taskyard.server.edge import Edge, options, respond
from taskyard.server.errors import problem, render
from taskyard.server.event_stream import Events, EventStream
from taskyard.server.forwarding import Forwarder
from taskyard.server.idempotency import once
from taskyard.server.meta import front_page
from taskyard.server.page import Site
from taskyard.server.places import place_for
from taskyard.server.reach import Reach
from taskyard.server.streamed import Parts, Streamed
from taskyard.wire.base import encode
from taskyard.wire.routes import Auth, Route

log = structlog.get_logger()

JSON = "application/json; charset=utf-8"


def build_app(
    services: Services,
    routes: Iterable[Route],
    handlers: Mapping[str, Handler],
    sockets: Mapping[str, SocketHandler],
    *,
    reach: Reach | None = None,
    forwarder: Forwarder | None = None,
    drain: Drain | None = None,
    site: Site | None = None,
) -> ASGIApp:
    """An application that serves these routes; raises LookupError when one has no handler.

    reach says who may come in, and that people may, who find some words at `/`; without it whoever gets here may.
    forwarder is the way to other servers; without it this one alone can be asked. drain ends what is under way.
    site is what people find instead, and at all addresses that are no route's.
    """
    by_path: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {}
    mounted: list[BaseRoute] = []
    for route in routes:
        if route.operation in sockets:
            mounted.extend(
                WebSocketRoute(
                    p, _socket_endpoint(services, route, sockets[route.operation], forwarder)
                )
                for p in route.paths
            )
        if route.operation in handlers:
            for path in route.paths:
                endpoint = _endpoint(services, route, handlers[route.operation], forwarder)
                by_path.setdefault(path, {})[route.method] = endpoint
        elif route.operation not in sockets:
            raise LookupError(f"no handler for {route.operation}")
    mounted.extend(_http_route(path, methods) for path, methods in by_path.items())
    if reach is not None:
        mounted.append(HttpRoute("/", front_page(services) if site is None else site.front))
    app = Starlette(routes=mounted, exception_handlers={HTTPException: _http_error, 500: _crashed})
    app.router.redirect_slashes = False
    app.router.default = _no_route(site)
    return Edge(app, reach, services.meters, drain)


def _http_route(
    path: str, methods: dict[str, Callable[[Request], Awaitable[Response]]]
) -> HttpRoute:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await methods[method](request)

    return HttpRoute(path, endpoint, methods=list(methods))


def _endpoint(
    services: Services, route: Route, handler: Handler, forwarder: Forwarder | None
) -> Callable[[Request], Awaitable[Response]]:
    async def work(call: Call) -> Response:
        if forwarder is None:
            return _respond(route, await handler(call))
        result = await forwarder.here_or_there(call, handler)
        return result if isinstance(result, Response) else _respond(route, result)

    async def endpoint(request: Request) -> Response:
        try:
            call = await _authenticated(services, route, request)
            return await once(call, work, _respond_to)
        except TaskyardError as error:
            return _rendered(error)

    return endpoint


def _socket_endpoint(
    services: Services, route: Route, handler: SocketHandler, forwarder: Forwarder | None
) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(socket: WebSocket) -> None:
        try:
            call = await _authenticated(services, route, socket)
            with place_for(call.actor.user_id) if call.session else contextlib.nullcontext():
                if forwarder is None:
                    await handler(call, socket)
                else:
                    await forwarder.socket_here_or_there(call, socket, handler)
        except TaskyardError as error:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.send_denial_response(_rendered(error))

    return endpoint


async def _authenticated(services: Services, route: Route, connection: HTTPConnection) -> Call:
    now = services.now()
    session = agent = None
    if route.auth is Auth.SESSION:
        session = await deps.session_of(services, connection, now)
    elif route.auth is Auth.AGENT:
        agent = await deps.agent_actor(services, connection, now)
    else:
        deps.refuse_foreign_page(connection, services.settings)
    if session is not None:
        connection.state.user_id = str(session.actor.user_id)
    return Call(services, route, connection, now, session, agent)


def _respond_to(call: Call, result: object) -> Response:
    return _respond(call.route, result)


def _respond(route: Route, result: object) -> Response:
    answer = result if isinstance(result, Answer) else Answer(result)
    status = answer.status or route.status
    if isinstance(answer.body, Parts):
        return Streamed(answer.body, status, answer.headers)
    if isinstance(answer.body, Events):
        return EventStream(answer.body, status, answer.headers)
    if isinstance(answer.body, AsyncIterator):
        return StreamingResponse(answer.body, status, answer.headers, answer.media_type)
    if isinstance(answer.body, bytes):
        return Response(answer.body, status, answer.headers, answer.media_type)
    if answer.body is None and (route.response is None or status == 204):
        return Response(None, status, answer.headers)
    return Response(encode(answer.body), status, answer.headers, JSON)


def _rendered(error: TaskyardError) -> Response:
    response = render(error)
    if response.status_code == 500:
        log.error("request.failed", exc_info=error)
    elif response.status_code > 500:
        log.warning("request.failed", status=response.status_code, cause=str(error))
    return response


def _no_route(site: Site | None) -> ASGIApp:
    """What answers where no route does: the page for people at its addresses, else 404."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        found = None if site is None else await site.find(scope)
        response = found or problem(
            404, "no_route", "There is no such route.", "Check the path and the version of the API."
        )
        await respond(response, scope, receive, send)

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        methods = _methods(request)
        if request.method == "OPTIONS":
            return options(request.scope, methods)
        response = problem(405, "no_method", "This route does not take that method.")
        response.headers["Allow"] = ", ".join(sorted(methods | {"OPTIONS"}))
        return response
    return problem(error.status_code, "http", error.detail)


def _methods(request: Request) -> set[str]:
    """Every method that the path of a request takes, by whichever of its routes."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, HttpRoute) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


async def _crashed(_request: Request, error: Exception) -> Response:
    log.error("request.crashed", exc_info=error)
    return problem(500, "internal", "Something went wrong in the server. Its log has the cause.")
