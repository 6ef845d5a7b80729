"""The AgentAPI routes of the bridge. Source: agentapi 1."""

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from taskyard_agent.bridge.body import message_request
from taskyard_agent.bridge.errors import (
    Problem,
    problem_response,
    refused_problem,
    schema_link,
    schema_url,
)
from taskyard_agent.bridge.events import EventStream, Messages, Screen, screen_of
from taskyard_agent.bridge.guard import Guard
from taskyard_agent.bridge.prompts import PromptOrder
from taskyard_agent.bridge.served import Served
from taskyard_agent.bridge.session import Refused
from taskyard_agent.bridge.shapes import (
    Message,
    MessageResponse,
    MessagesResponse,
    Shape,
    StatusResponse,
    UploadResponse,
)
from taskyard_agent.bridge.streams import EVENT_HEADERS

PROMPT_HEADER = "X-Taskyard-Prompt-Id"
"""Names a prompt, so that the same one sent again is not worked on again."""

AFTER_HEADER = "X-Taskyard-Prompt-After"
"""With a prompt that may have been sent before: the number that the transcript had then."""

PROMPT_ID_CHARS = 128
"""Characters of the longest prompt id: a thousand of them are kept, and a UUID has 36."""

LATER = ("/v2/{rest:path}", "/docs", "/healthz", "/readyz", "/metrics")
"""What AgentAPI does not have, but for `/docs`."""

DOCUMENTS = ("openapi.json", "openapi.yaml", "openapi-3.0.json", "openapi-3.0.yaml")
"""The OpenAPI document in its two versions and two notations."""


class Routes:
    """The handlers, over one session."""

    def __init__(self, served: Served) -> None:
        self._session = served.session
        self._prompts = served.prompts
        self._agent_type = served.agent_type
        self._uploads = served.uploads
        self._limits = served.options.limits
        self._streams = served.streams
        self._chat = served.options.chat_base

    async def status(self, request: Request) -> Response:
        """Whether the agent takes a message."""
        url = schema_url(request, "StatusResponse")
        status = self._session.record.status
        return _json(
            "StatusResponse", StatusResponse(url, status, self._agent_type, self._session.transport)
        )

    async def messages(self, request: Request) -> Response:
        """The whole conversation."""
        shown = [
            Message(message.id, message.content, message.role, message.time)
            for message in self._session.record.conversation.messages
        ]
        url = schema_url(request, "MessagesResponse")
        return _json("MessagesResponse", MessagesResponse(url, shown))

    async def message(self, request: Request) -> Response:
        """Takes a prompt, or interrupts the agent."""
        asked = await message_request(request, self._limits.body_bytes)
        if asked.type == "raw":
            await self._raw(asked.content)
        else:
            headers = request.headers
            await self._prompt(
                asked.content, headers.get(PROMPT_HEADER), headers.get(AFTER_HEADER, "")
            )
        url = schema_url(request, "MessageResponse")
        return _json("MessageResponse", MessageResponse(url, ok=True))

    async def _prompt(self, content: str, prompt_id: str | None, after: str) -> None:
        if prompt_id is not None and len(prompt_id) > PROMPT_ID_CHARS:
            raise Problem(
                422, "invalid", f"A prompt's id has {PROMPT_ID_CHARS} characters at most."
            )
        try:
            if prompt_id is None:
                await self._session.prompt(content, None)
            else:
                seq = int(after) if after.isascii() and after.isdecimal() else None
                await self._prompts.add(PromptOrder(prompt_id, content, None, "reject", None, seq))
        except Refused as refused:
            raise refused_problem(refused) from refused

    async def _raw(self, keys: str) -> None:
        try:
            await self._session.raw(keys)
        except Refused as refused:
            location = "body.content" if refused.code == "raw_needs_terminal" else UNSET
            shown = keys if location else None
            raise refused_problem(refused, location, shown) from refused

    async def upload(self, request: Request) -> Response:
        """Stores a file where the agent can read it."""
        path = await self._uploads.store(request)
        url = schema_url(request, "UploadResponse")
        return _json("UploadResponse", UploadResponse(url, ok=True, file_path=str(path)))

    async def events(self, _: Request) -> Response:
        """Messages, status and errors as they come."""
        return self._stream(Messages(self._session.record, self._agent_type))

    async def screen(self, _: Request) -> Response:
        """The screen, or the answer as it comes."""
        return self._stream(Screen(screen_of(self._session)))

    def _stream(self, source: Messages | Screen) -> Response:
        feed = EventStream(self._session.record, source).feed
        return self._streams.stream(EVENT_HEADERS, feed)

    async def root(self, _: Request) -> Response:
        """Leads to the chat page."""
        return RedirectResponse(f"{self._chat}/embed", 307)


def _json(name: str, body: Shape) -> Response:
    return Response(msgspec.json.encode(body), 200, schema_link(name), "application/json")


async def _document(request: Request) -> Response:
    # Imported here: it is asked for seldom, and an idle bridge need not hold it.
    from taskyard_agent.bridge.openapi import file_of, media_type_of

    name = request.url.path.removeprefix("/")
    return Response(file_of(name), media_type=media_type_of(name))


async def _schema(request: Request) -> Response:
    # Imported here: as above.
    from taskyard_agent.bridge.openapi import schema_file_of

    found = schema_file_of(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return Response(found, media_type="application/json")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(request, error)


async def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return PlainTextResponse("404 page not found", 404)
    return Response(status_code=error.status_code, headers=error.headers)


async def _on_bug(request: Request, _: Exception) -> Response:
    problem = Problem(500, "internal", "The bridge could not do this. Its log says why.")
    return problem_response(request, problem)


def _route(method: str, path: str, handler: Callable[[Request], Awaitable[Response]]) -> Route:
    """A route for that verb alone: HEAD is not answered for GET, and would never end on a stream."""
    route = Route(path, handler, methods=[method])
    route.methods = {method}
    return route


class _Later:
    """An app that is imported and made when somebody first asks for it: a start does not wait for it."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            # Imported here: see above.
            from taskyard_agent.bridge.v2.app import make_v2

            self._app = make_v2(self._served)
        await self._app(scope, receive, send)


def make_app(served: Served) -> ASGIApp:
    """The app; who may call it is checked before anything else. Raises BadEntry."""
    routes = Routes(served)
    later = _Later(served)
    app = Starlette(
        routes=[
            _route("GET", "/status", routes.status),
            _route("GET", "/messages", routes.messages),
            _route("POST", "/message", routes.message),
            _route("POST", "/upload", routes.upload),
            _route("GET", "/events", routes.events),
            _route("GET", "/internal/screen", routes.screen),
            *(_route("GET", f"/{name}", _document) for name in DOCUMENTS),
            _route("GET", "/schemas/{name}.json", _schema),
            Route("/", routes.root, methods=[]),  # none named: any will do
            *(Route(path, later) for path in LATER),
        ],
        exception_handlers={
            Problem: _on_problem,
            HTTPException: _on_http_error,
            Exception: _on_bug,
        },
    )
    app.router.redirect_slashes = False
    options = served.options
    return Guard(app, options.hosts, options.origins, options.token)
