"""One request on its way through the edge: what a handler gets and what it may answer with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from starlette.requests import HTTPConnection, Request
from starlette.websockets import WebSocket

from taskyard.control.actors import Actor, AgentActor
from taskyard.control.services import Services
from taskyard.errors import BodyInvalid, NotFound
from taskyard.wire.base import read_json
from taskyard.wire.routes import Route

T = TypeVar("T")

MAX_JSON_BYTES = 64 * 1024 * 1024
"""Largest JSON body; a task's input has no limit of its own on the wire, memory has."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with more to say than its body: another status, headers, or a media type.

    body is encoded as JSON unless it is bytes; None sends no body.
    """

    body: object
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its route, the time it arrived and who asks.

    actor is set on session routes, agent on agent routes; the properties raise on the others.
    """

    services: Services
    route: Route
    connection: HTTPConnection
    now: datetime
    session: Actor | None
    workspace_agent: AgentActor | None

    @property
    def actor(self) -> Actor:
        """Who asks, on a session route."""
        if self.session is None:
            raise TypeError(f"{self.route.operation} is not a session route")
        return self.session

    @property
    def agent(self) -> AgentActor:
        """The workspace agent that asks, on an agent route."""
        if self.workspace_agent is None:
            raise TypeError(f"{self.route.operation} is not an agent route")
        return self.workspace_agent

    def path(self, name: str) -> str:
        """A segment of the path, decoded; raises NotFound for one that can be the name of nothing."""
        raw = str(self.connection.path_params[name])
        if "\0" in raw:
            raise NotFound("a name with U+0000")
        return raw

    def query(self, name: str) -> str | None:
        """The first value of a query key; None when it is absent."""
        return self.connection.query_params.get(name)

    def query_map(self) -> dict[str, str]:
        """The query keys, each with its last value."""
        return dict(self.connection.query_params)

    async def raw(self, limit: int) -> bytes:
        """The whole body; raises BodyInvalid once it is longer than limit bytes."""
        assert isinstance(self.connection, Request)
        parts: list[bytes] = []
        size = 0
        async for part in self.connection.stream():
            size += len(part)
            if size > limit:
                raise BodyInvalid(f"the body is larger than the {limit} bytes that are taken here")
            parts.append(part)
        return b"".join(parts)

    async def body(self, kind: type[T]) -> T:
        """The body as `kind`; raises BodyInvalid."""
        return read_json(await self.raw(MAX_JSON_BYTES), kind)

    def uuid(self, name: str) -> UUID:
        """A path segment that must be a UUID; raises UuidInvalid."""
        return parse_uuid(self.path(name))


class UuidInvalid(NotFound):
    """A path segment that should be a UUID is none."""

    def __init__(self, raw: str) -> None:
        super().__init__(f"{raw!r} is not a UUID")
        self.raw = raw


def parse_uuid(raw: str) -> UUID:
    """A UUID in any of its usual spellings; raises UuidInvalid."""
    try:
        return UUID(raw)
    except ValueError as error:
        raise UuidInvalid(raw) from error


Handler = Callable[[Call], Awaitable[object]]
"""Returns the body of the route's success status, or an Answer."""

SocketHandler = Callable[[Call, WebSocket], Awaitable[None]]
"""Accepts and serves a WebSocket; errors raised before accept become the usual responses."""
