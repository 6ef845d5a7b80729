"""One request on its way through the edge: what a handler gets and what it may answer with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.websockets import WebSocket

from taskyard.control.actors import Actor, AgentActor
from taskyard.control.keys import Session
from taskyard.control.services import Services
from taskyard.errors import BodyInvalid, Forbidden, NotFound
from taskyard.server.bodies import room_for_body
from taskyard.server.deps import agent_actor, session_of
from taskyard.wire.reading import read_json, read_query
from taskyard.wire.routes import Auth, Route

T = TypeVar("T")

MAX_JSON_BYTES = 8 * 1024 * 1024
"""Largest JSON body. A task's input has no limit of its own, but everybody waits while a body is parsed: one of
this size takes a tenth of a second."""

OPEN_JSON_BYTES = 64 * 1024
"""Largest JSON body from somebody who has shown no token: a sign-in takes some hundred bytes."""

BODY_PAUSE_S = 30.0
"""Seconds until the next piece of a body must come."""

RECHECK_S = 2.0
"""Seconds a body may take before its sender is asked for again: so long a key that was removed still brings one in."""

BODY_S = 600.0
"""Seconds a whole body may take: ten minutes for the largest archive over the slowest line worth serving."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with more to say than its body: another status, headers, or a media type.

    body is encoded as JSON unless it is bytes, or pieces of them that are sent as they come; None sends no body.
    """

    body: object
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its route, the time it arrived and who asks.

    session is set on session routes, agent on agent routes; the properties raise on the others. sent is the body
    where it was read before the handler; null where it still comes.
    """

    services: Services
    route: Route
    connection: HTTPConnection
    now: datetime
    session: Session | None
    workspace_agent: AgentActor | None
    sent: bytes | None = None

    @property
    def actor(self) -> Actor:
        """Who asks, on a session route."""
        if self.session is None:
            raise TypeError(f"{self.route.operation} is not a session route")
        return self.session.actor

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

    def query(self, kind: type[T]) -> T:
        """The query as the Struct that the route declares, the last value of each key; raises QueryInvalid."""
        return read_query(self.connection.query_params, kind)

    async def raw(self, limit: int) -> bytes:
        """The whole body; raises BodyInvalid once it is longer than limit bytes, or does not come.

        Raises ServerBusy, and Unauthenticated, UserSuspended, Forbidden where the caller lost rights while it came.
        """
        if self.sent is not None:
            if len(self.sent) > limit:
                raise BodyInvalid(_too_large(limit))
            return self.sent
        clock = asyncio.get_running_loop().time
        began = clock()
        body = await self._whole(limit, began + BODY_S)
        self.connection.state.body = body  # another server may have to be asked the same
        if clock() - began >= RECHECK_S:
            await self.renewed()
        return body

    async def renewed(self) -> "Call":
        """The request as it would be if it came now. Raises Unauthenticated, UserSuspended, Forbidden."""
        now, session, agent = self.services.now(), self.session, self.workspace_agent
        if session is not None:
            session = await session_of(self.services, self.connection, now)
        elif agent is not None:
            agent = await agent_actor(self.services, self.connection, now)
        before = None if self.session is None else self.session.actor
        if (session and session.actor, agent) != (before, self.workspace_agent):
            raise Forbidden("go on with rights that changed while the request was on its way")
        return replace(self, now=now, session=session, workspace_agent=agent)

    async def _whole(self, limit: int, end: float) -> bytes:
        """The body, which must be whole by then on the clock of the event loop."""
        clock = asyncio.get_running_loop().time
        body = bytearray()
        try:
            with room_for_body() as hold:
                async with asyncio.timeout(BODY_PAUSE_S) as pause:
                    async for part in self._parts():
                        body += part
                        hold(len(body))
                        if len(body) > limit:
                            raise BodyInvalid(_too_large(limit))
                        pause.reschedule(min(clock() + BODY_PAUSE_S, end))
        except TimeoutError as error:
            raise BodyInvalid("the rest of the body did not come in time") from error
        except ClientDisconnect as error:
            raise BodyInvalid("the client hung up before the body was whole") from error
        return bytes(body)

    async def body(self, kind: type[T]) -> T:
        """The body as `kind`; raises BodyInvalid."""
        is_open = self.route.auth is Auth.NONE
        return read_json(await self.raw(OPEN_JSON_BYTES if is_open else MAX_JSON_BYTES), kind)

    def _parts(self) -> AsyncIterator[bytes]:
        assert isinstance(self.connection, Request)
        return self.connection.stream()

    def uuid(self, name: str) -> UUID:
        """A path segment that must be a UUID; raises UuidInvalid."""
        return parse_uuid(self.path(name))


def _too_large(limit: int) -> str:
    return f"the body is larger than the {limit} bytes that are taken here"


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
