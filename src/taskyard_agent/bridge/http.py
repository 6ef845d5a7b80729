"""The AgentAPI routes of the bridge. Source: agentapi 1."""

from datetime import datetime

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from taskyard_agent.bridge.body import message_request
from taskyard_agent.bridge.errors import (
    ErrorDetail,
    Problem,
    problem_response,
    refused_problem,
    schema_link,
    schema_url,
)
from taskyard_agent.bridge.events import EventStream, Messages, Screen
from taskyard_agent.bridge.guard import Guard
from taskyard_agent.bridge.session import Refused, Session
from taskyard_agent.bridge.upload import Uploads

PROMPT_HEADER = "X-Taskyard-Prompt-Id"
"""Names a prompt, so that the same one sent again is not worked on again."""

PROMPT_ID_CHARS = 128
"""Characters of the longest prompt id: a thousand of them are kept, and a UUID has 36."""

INTERRUPTS = frozenset({"\x1b", "\x03"})
"""Raw input that means something without a terminal: Escape and Ctrl-C. Source: N10."""

MAX_STREAMS = 256
"""Event streams open at once. Source: N41."""

TRANSPORT = "acp"


class _Status(msgspec.Struct, frozen=True):
    schema: str = msgspec.field(name="$schema")
    status: str
    agent_type: str
    transport: str


class _Message(msgspec.Struct, frozen=True):
    id: int
    content: str
    role: str
    time: datetime


class _Messages(msgspec.Struct, frozen=True):
    schema: str = msgspec.field(name="$schema")
    messages: list[_Message]


class _Taken(msgspec.Struct, frozen=True):
    schema: str = msgspec.field(name="$schema")
    ok: bool


class _Uploaded(msgspec.Struct, frozen=True):
    schema: str = msgspec.field(name="$schema")
    ok: bool
    file_path: str = msgspec.field(name="filePath")


class Routes:
    """The handlers, over one session."""

    def __init__(self, session: Session, agent_type: str, uploads: Uploads) -> None:
        self._session = session
        self._agent_type = agent_type
        self._uploads = uploads
        self._streams = 0

    async def status(self, request: Request) -> Response:
        """Whether the agent takes a message."""
        url = schema_url(request, "StatusResponse")
        status = self._session.record.status
        return _json("StatusResponse", _Status(url, status, self._agent_type, TRANSPORT))

    async def messages(self, request: Request) -> Response:
        """The whole conversation."""
        shown = [
            _Message(message.id, message.content, message.role, message.time)
            for message in self._session.record.conversation.messages
        ]
        url = schema_url(request, "MessagesResponse")
        return _json("MessagesResponse", _Messages(url, shown))

    async def message(self, request: Request) -> Response:
        """Takes a prompt, or interrupts the agent."""
        asked = await message_request(request)
        if asked.type == "raw":
            await self._raw(asked.content)
        else:
            await self._prompt(asked.content, request.headers.get(PROMPT_HEADER))
        return _json("MessageResponse", _Taken(schema_url(request, "MessageResponse"), ok=True))

    async def _prompt(self, content: str, prompt_id: str | None) -> None:
        if prompt_id is not None and len(prompt_id) > PROMPT_ID_CHARS:
            raise Problem(
                422, "invalid", f"A prompt's id has {PROMPT_ID_CHARS} characters at most."
            )
        try:
            await self._session.prompt(content, prompt_id)
        except Refused as refused:
            raise refused_problem(refused) from refused

    async def _raw(self, keys: str) -> None:
        if keys not in INTERRUPTS:
            detail = "Raw input needs a terminal, and this agent has none."
            error = ErrorDetail("Only Escape and Ctrl-C are understood.", "body.content", keys)
            raise Problem(422, "invalid", detail, error)
        await self._session.cancel()

    async def upload(self, request: Request) -> Response:
        """Stores a file where the agent can read it."""
        path = await self._uploads.store(request)
        url = schema_url(request, "UploadResponse")
        return _json("UploadResponse", _Uploaded(url, ok=True, file_path=str(path)))

    async def events(self, _: Request) -> Response:
        """Messages, status and errors as they come."""
        return self._stream(Messages(self._session.record, self._agent_type))

    async def screen(self, _: Request) -> Response:
        """The answer as it comes."""
        return self._stream(Screen(self._session.record))

    def _stream(self, source: Messages | Screen) -> Response:
        if self._streams >= MAX_STREAMS:
            raise Problem(503, "queue_full", f"{MAX_STREAMS} event streams are open; close one.")
        return _Counted(EventStream(self._session.record, source), self)

    def count(self, change: int) -> None:
        """One stream more or less."""
        self._streams += change


class _Counted(Response):
    def __init__(self, stream: EventStream, routes: Routes) -> None:
        super().__init__()
        self._stream = stream
        self._routes = routes

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        self._routes.count(1)
        try:
            await self._stream.run(receive, send)
        finally:
            self._routes.count(-1)


def _json(name: str, body: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(body), 200, schema_link(name), "application/json")


async def _root(_: Request) -> Response:
    return RedirectResponse("/chat/embed", 307)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem_response(request, error)


async def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return PlainTextResponse("404 page not found", 404)
    return Response(status_code=error.status_code, headers=error.headers)


def make_app(session: Session, agent_type: str, uploads: Uploads) -> ASGIApp:
    """The app; who may call it is checked before anything else."""
    routes = Routes(session, agent_type, uploads)
    app = Starlette(
        routes=[
            Route("/status", routes.status, methods=["GET"]),
            Route("/messages", routes.messages, methods=["GET"]),
            Route("/message", routes.message, methods=["POST"]),
            Route("/upload", routes.upload, methods=["POST"]),
            Route("/events", routes.events, methods=["GET"]),
            Route("/internal/screen", routes.screen, methods=["GET"]),
            Route("/", _root, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        ],
        exception_handlers={Problem: _on_problem, HTTPException: _on_http_error},
    )
    app.router.redirect_slashes = False
    return Guard(app)
