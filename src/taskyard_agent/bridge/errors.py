"""How the bridge says no: problem documents with a stable code."""

from http import HTTPStatus

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.shapes import ErrorDetail, ErrorModel, V2Problem

CODE_HEADER = "X-Agentapi-Code"
"""Names the reason of a refusal, so that nobody has to read its text. Source: N40."""

PROBLEM = "application/problem+json"


class Problem(Exception):
    """A request that is refused. The compat routes answer 500 where upstream does. Source: agentapi 1.2, N37."""

    def __init__(self, status: int, code: str, detail: str, *errors: ErrorDetail) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors


REFUSED_STATUS = {
    "shutting_down": HTTPStatus.SERVICE_UNAVAILABLE,
    "raw_needs_terminal": HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Refusals of a prompt that are not a plain 500 on the compat route. Source: N10, N20, N40."""


CODE_STATUS = {
    "busy": HTTPStatus.CONFLICT,
    "empty": HTTPStatus.UNPROCESSABLE_ENTITY,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "not_ready": HTTPStatus.SERVICE_UNAVAILABLE,
    "dialog_open": HTTPStatus.CONFLICT,
    "agent_exited": HTTPStatus.GONE,
    "timeout": HTTPStatus.GATEWAY_TIMEOUT,
    "queue_full": HTTPStatus.TOO_MANY_REQUESTS,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "shutting_down": HTTPStatus.SERVICE_UNAVAILABLE,
    "agent_error": HTTPStatus.BAD_GATEWAY,
    "raw_needs_terminal": HTTPStatus.CONFLICT,
    "no_terminal": HTTPStatus.CONFLICT,
    "text_only": HTTPStatus.UNPROCESSABLE_ENTITY,
    "queue_elsewhere": HTTPStatus.CONFLICT,
    "sent": HTTPStatus.CONFLICT,
    "lost": HTTPStatus.CONFLICT,
    "answered": HTTPStatus.CONFLICT,
    "nothing_runs": HTTPStatus.CONFLICT,
    "unknown": HTTPStatus.NOT_FOUND,
    "no_such_option": HTTPStatus.UNPROCESSABLE_ENTITY,
    "not_stored": HTTPStatus.INSUFFICIENT_STORAGE,
}
"""What a refusal is on `/v2`, by its code. Source: N37."""


def plain_problem(refused: Refused) -> Problem:
    """The problem that answers on `/v2` what the session refused."""
    status = CODE_STATUS.get(refused.code, HTTPStatus.CONFLICT)
    return Problem(status, refused.code, str(refused))


def refused_problem(
    refused: Refused, location: str | UnsetType = UNSET, value: str | None = None
) -> Problem:
    """The problem that answers a message which the session refused."""
    status = REFUSED_STATUS.get(refused.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    detail = "The message was not taken."
    return Problem(status, refused.code, detail, ErrorDetail(str(refused), location, value))


def schema_url(request: Request, name: str) -> str:
    """Where the schema of a component would be, seen from the caller. Source: agentapi 1.1."""
    host = request.headers.get("host", "")
    scheme = "http" if host.startswith(("localhost", "127.0.0.1")) else "https"
    return f"{scheme}://{host}/schemas/{name}.json"


def schema_link(name: str) -> dict[str, str]:
    """The header that names the schema of the body."""
    return {"Link": f'</schemas/{name}.json>; rel="describedBy"'}


def problem_response(request: Request, problem: Problem) -> Response:
    """The answer to a refused request."""
    document = ErrorModel(
        schema=schema_url(request, "ErrorModel"),
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=[_encodable(error) for error in problem.errors] or UNSET,
    )
    headers = schema_link("ErrorModel") | {CODE_HEADER: problem.code}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(document), problem.status, headers, PROBLEM)


def v2_response(problem: Problem) -> Response:
    """The answer to a refused request on `/v2`."""
    document = V2Problem(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        errors=[_encodable(error) for error in problem.errors] or UNSET,
    )
    headers = {CODE_HEADER: problem.code}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(document), problem.status, headers, PROBLEM)


def _encodable(error: ErrorDetail) -> ErrorDetail:
    """The same, without what JSON can carry to us but not back: half a surrogate pair, too deep a nesting."""
    location = error.location
    if location is not UNSET:
        location = location.encode(errors="replace").decode()
    try:
        value = None if error.value is None else msgspec.Raw(msgspec.json.encode(error.value))
    except (ValueError, RecursionError):
        value = None
    return ErrorDetail(error.message, location, value)
