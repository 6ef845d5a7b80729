"""The routes that AgentAPI does not have; imported and made when somebody first asks for one."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from taskyard_agent.bridge.errors import Problem, problem_response, v2_response
from taskyard_agent.bridge.served import Served
from taskyard_agent.bridge.v2.acting import Acting
from taskyard_agent.bridge.v2.follow import Follow
from taskyard_agent.bridge.v2.probes import Probes
from taskyard_agent.bridge.v2.view import View

Handler = Callable[[Request], Awaitable[Response]]


def make_v2(served: Served) -> ASGIApp:
    """The app of `/v2`, the probes and the page of the API."""
    app = Starlette(
        routes=[_route(method, path, handler) for method, path, handler in _routes(served)],
        exception_handlers={
            Problem: _on_problem,
            HTTPException: _on_http_error,
            Exception: _on_bug,
        },
    )
    app.router.redirect_slashes = False
    return app


def _routes(served: Served) -> list[tuple[str, str, Handler]]:
    view, follow, acting, probes = View(served), Follow(served), Acting(served), Probes(served)
    return [
        ("GET", "/v2/session", view.session),
        ("GET", "/v2/transcript", view.transcript),
        ("GET", "/v2/events", follow.events),
        ("POST", "/v2/prompts", acting.prompt),
        ("GET", "/v2/prompts/{id:path}", acting.prompt_state),
        ("DELETE", "/v2/prompts/{id:path}", acting.drop_prompt),
        ("POST", "/v2/cancel", acting.cancel),
        ("GET", "/v2/permissions", acting.permissions),
        ("POST", "/v2/permissions/{id:path}", acting.answer),
        ("GET", "/v2/screen", view.screen),
        ("POST", "/v2/terminal/input", acting.type_keys),
        ("POST", "/v2/terminal/resize", acting.resize),
        ("GET", "/v2/terminal/log", acting.log),
        ("GET", "/v2/snapshot", view.snapshot),
        ("POST", "/v2/checkpoint", view.checkpoint),
        ("POST", "/v2/report", acting.report),
        ("POST", "/v2/hook", acting.hook),
        ("GET", "/v2/openapi.json", _document),
        ("GET", "/docs", _docs),
        ("GET", "/healthz", probes.health),
        ("GET", "/readyz", probes.ready),
        ("GET", "/metrics", probes.metrics),
    ]


def _route(method: str, path: str, handler: Handler) -> Route:
    """A route for that verb alone: HEAD is not answered for GET, and would never end on a stream."""
    route = Route(path, handler, methods=[method])
    route.methods = {method}
    return route


async def _document(_: Request) -> Response:
    # Imported here: it is asked for seldom, and an idle bridge need not hold it.
    from taskyard_agent.bridge.v2.openapi import document_file

    return Response(document_file(), media_type="application/vnd.oai.openapi+json")


async def _docs(_: Request) -> Response:
    # Imported here: as above.
    from taskyard_agent.bridge.v2.docs_page import HEADERS, page

    return HTMLResponse(page(), headers=HEADERS)


def _below_v2(request: Request) -> bool:
    return request.url.path.startswith("/v2/")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return v2_response(error) if _below_v2(request) else problem_response(request, error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Response(status_code=405, headers=error.headers)
    if not _below_v2(request):
        return PlainTextResponse("404 page not found", 404)
    return v2_response(Problem(404, "not_found", f"There is no {request.url.path}."))


async def _on_bug(request: Request, _: Exception) -> Response:
    problem = Problem(500, "internal", "The bridge could not do this. Its log says why.")
    return await _on_problem(request, problem)
