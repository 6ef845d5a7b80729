"""Who may call the bridge from a browser: allowed host names and origins. Source: A1-A5."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALLOWED_HOSTS = ("localhost", "127.0.0.1", "[::1]")
ALLOWED_ORIGINS = ("http://localhost:3284", "http://localhost:3000", "http://localhost:3001")
"""Defaults of AgentAPI. Source: agentapi 3."""

ALLOWED_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "OPTIONS"})
ALLOWED_HEADERS = frozenset({"accept", "authorization", "content-type", "x-csrf-token", "origin"})

PREFLIGHT_S = 300
"""Seconds that a browser may remember the answer to a preflight. Source: A5."""

_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def bare_host(header: str) -> str:
    """A Host header without its port and brackets, in lower case. Source: A1."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


class Guard:
    """Middleware: refuses foreign Host headers, answers preflights, adds CORS headers."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: tuple[str, ...] = ALLOWED_HOSTS,
        origins: tuple[str, ...] = ALLOWED_ORIGINS,
    ) -> None:
        self._app = app
        self._shown = ", ".join(host.strip("[]") for host in hosts)
        self._hosts = frozenset(host.strip("[]").lower() for host in hosts)
        self._origins = frozenset(origin.lower() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on when its host is allowed."""
        headers = Headers(scope=scope)
        if bare_host(headers.get("host", "")) not in self._hosts:
            text = f"Invalid host header. Allowed hosts: {self._shown}"
            await PlainTextResponse(text, 400)(scope, receive, send)
            return
        asked = headers.get("access-control-request-method")
        if scope["method"] == "OPTIONS" and asked is not None:
            await self._preflight(headers, asked)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_cors(headers.get("origin"), MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _is_allowed(self, origin: str | None) -> bool:
        return origin is not None and origin.lower() in self._origins

    def _add_cors(self, origin: str | None, answer: MutableHeaders) -> None:
        answer.add_vary_header("Origin")
        if self._is_allowed(origin):
            assert origin is not None
            answer["Access-Control-Allow-Origin"] = origin
            answer["Access-Control-Allow-Credentials"] = "true"
            answer["Access-Control-Expose-Headers"] = "Link"

    def _preflight(self, headers: Headers, method: str) -> Response:
        origin = headers.get("origin")
        asked = headers.get("access-control-request-headers", "")
        names = {name.strip().lower() for name in asked.split(",") if name.strip()}
        answer = Response(headers={"Vary": _PREFLIGHT_VARY})
        fine = method.upper() in ALLOWED_METHODS and names <= ALLOWED_HEADERS
        if fine and self._is_allowed(origin):
            assert origin is not None
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Allow-Methods"] = method.upper()
            if asked:
                answer.headers["Access-Control-Allow-Headers"] = asked
            answer.headers["Access-Control-Allow-Credentials"] = "true"
            answer.headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
        return answer
