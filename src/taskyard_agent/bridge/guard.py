"""Who may call the bridge: allowed host names and origins, and who has its token. Source: A1-A5, N7."""

import re
import secrets
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskyard_agent.bridge.errors import Problem, problem_response, v2_response
from taskyard_agent.bridge.options import ALLOWED_HOSTS, ALLOWED_ORIGINS

ALLOWED_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "OPTIONS"})
ALLOWED_HEADERS = frozenset({"accept", "authorization", "content-type", "x-csrf-token", "origin"})

PREFLIGHT_S = 300
"""Seconds that a browser may remember the answer to a preflight. Source: A5."""

_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""What any page may ask for: it changes nothing, and a foreign page does not see the answer."""

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What needs no token: it tells whether the bridge is up, and nothing else."""

NEW_PATHS = "/v2/"
"""Where problems have the shape of `/v2`."""

ANY = "*"
"""Allows every host, or every origin; inside an origin it stands for any text."""

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::\d*)?")
_ORIGIN = re.compile(r"([^:/]+://[^/?#]+)")


class BadEntry(ValueError):
    """A list of allowed hosts or origins cannot be used; str() says why."""


def bare_host(header: str) -> str:
    """A Host header without its port and brackets, in lower case; empty when it is none. Source: A1."""
    found = _HOST.fullmatch(header.strip().lower())
    return "" if found is None else found[1] or found[2] or ""


def host_names(entries: Sequence[str]) -> frozenset[str] | None:
    """The allowed names as bare_host() has them; null allows all. Raises BadEntry. Source: A2."""
    if ANY in _filled(entries):
        return None
    for entry in entries:
        _check_text(entry)
        if entry.startswith(("http://", "https://")):
            raise BadEntry(f"The allowed host {entry!r} is a URL; write its host name only.")
        if not bare_host(entry) or (":" in entry and not entry.endswith("]")):
            raise BadEntry(f"The allowed host {entry!r} must be a name without a port.")
    return frozenset(map(bare_host, entries))


def origin_patterns(entries: Sequence[str]) -> tuple[str, ...] | None:
    """The allowed origins in lower case, with `*` for any text; null allows all. Raises BadEntry.

    An entry is cut after its host and port; one without a scheme could never match. Source: A3, D13.
    """
    if ANY in _filled(entries):
        return None
    return tuple(map(_origin_pattern, entries))


def _origin_pattern(entry: str) -> str:
    _check_text(entry)
    found = _ORIGIN.match(entry.lower())
    if found is None:
        raise BadEntry(f"The allowed origin {entry!r} needs a scheme and a host: http://{entry}")
    if found[0].count(ANY) > 1:
        raise BadEntry(f"The allowed origin {entry!r} has more than one {ANY}.")
    return found[0]


def _filled(entries: Sequence[str]) -> Sequence[str]:
    if not entries:
        raise BadEntry(f"A list of allowed hosts or origins is empty; {ANY} would allow all.")
    return entries


def _check_text(entry: str) -> None:
    if not entry or any(letter.isspace() or letter == "," for letter in entry):
        raise BadEntry(
            f"{entry!r} is no allowed host or origin: it is empty, or has a blank or comma."
        )


def _matches(origin: str, pattern: str) -> bool:
    start, star, end = pattern.partition(ANY)
    if not star:
        return origin == pattern
    fits = len(origin) >= len(start) + len(end)
    return fits and origin.startswith(start) and origin.endswith(end)


def _answer(scope: Scope, problem: Problem) -> Response:
    if scope["path"].startswith(NEW_PATHS):
        return v2_response(problem)
    return problem_response(Request(scope), problem)


class Guard:
    """Middleware: refuses foreign Host headers and pages, answers preflights, adds CORS headers, wants the token.

    Raises BadEntry.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Sequence[str] = ALLOWED_HOSTS,
        origins: Sequence[str] = ALLOWED_ORIGINS,
        token: str | None = None,
    ) -> None:
        self._app = app
        self._shown = ", ".join(host.strip("[]") for host in hosts)
        self._hosts = host_names(hosts)
        self._origins = origin_patterns(origins)
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on when its host is allowed."""
        headers = Headers(scope=scope)
        host = bare_host(headers.get("host", ""))
        if not host or (self._hosts is not None and host not in self._hosts):
            text = f"The Host header names none of the allowed hosts. Allowed hosts: {self._shown}"
            await PlainTextResponse(text, 400)(scope, receive, send)
            return
        asked = headers.get("access-control-request-method")
        if scope["method"] == "OPTIONS" and asked:
            await self._preflight(headers, asked)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_cors(headers.get("origin"), MutableHeaders(scope=message))
            await send(message)

        refused = self._refusal(scope, headers)
        app = self._app if refused is None else _answer(scope, refused)
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Problem | None:
        origin = headers.get("origin")
        foreign = origin is not None and not self._is_ours(origin, headers.get("host", ""))
        if foreign and scope["method"] not in SAFE_METHODS:
            return Problem(403, "foreign_origin", f"Pages of {origin} may not do this.")
        if self._token is None or scope["path"] in OPEN_PATHS:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        right = secrets.compare_digest(given.strip().encode("latin-1"), self._token)
        if kind.lower() == "bearer" and right:
            return None
        told = "Send the bridge's token: `Authorization: Bearer …`."
        return Problem(401, "unauthorized", told)

    def _is_ours(self, origin: str, host: str) -> bool:
        """Whether a page is allowed here, or comes from here."""
        own = origin.lower().partition("://")[2] == host.lower()
        return own or self._allowed(origin) is not None

    def _allowed(self, origin: str | None) -> str | None:
        """What Access-Control-Allow-Origin is to say; null: nothing. Source: A4."""
        if not origin:
            return None
        if self._origins is None:
            return ANY
        known = any(_matches(origin.lower(), pattern) for pattern in self._origins)
        return origin if known else None

    def _add_cors(self, origin: str | None, answer: MutableHeaders) -> None:
        answer.add_vary_header("Origin")
        if allowed := self._allowed(origin):
            answer["Access-Control-Allow-Origin"] = allowed
            answer["Access-Control-Allow-Credentials"] = "true"
            answer["Access-Control-Expose-Headers"] = "Link"

    def _preflight(self, headers: Headers, method: str) -> Response:
        asked = headers.get("access-control-request-headers", "")
        names = {name.strip().lower() for name in asked.split(",") if name.strip()}
        answer = Response(headers={"Vary": _PREFLIGHT_VARY})
        fine = method.upper() in ALLOWED_METHODS and names <= ALLOWED_HEADERS
        if fine and (allowed := self._allowed(headers.get("origin"))):
            answer.headers["Access-Control-Allow-Origin"] = allowed
            answer.headers["Access-Control-Allow-Methods"] = method.upper()
            if asked:
                answer.headers["Access-Control-Allow-Headers"] = asked
            answer.headers["Access-Control-Allow-Credentials"] = "true"
            answer.headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
        return answer
