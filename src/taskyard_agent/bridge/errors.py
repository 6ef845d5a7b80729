"""How the bridge says no: problem documents with a stable code."""

from http import HTTPStatus

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.shapes import ErrorDetail, ErrorModel

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


def refused_problem(refused: Refused) -> Problem:
    """The problem that answers a prompt which the session refused."""
    status = REFUSED_STATUS.get(refused.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    detail = "The message was not taken."
    return Problem(status, refused.code, detail, ErrorDetail(str(refused)))


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
