"""Sending a request on to the server that holds the link of its workspace, and bringing its answer back.

The whole request goes, with the caller's own credentials: the other server checks it as it would check any, and the
answer is the one that it would give. It goes once: a server that gets it by way of another waits for the link itself.
What was perhaps begun there is never sent a second time.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from starlette.requests import HTTPConnection
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope
from starlette.websockets import WebSocket
from websockets.typing import Subprotocol

from taskyard.control.links import forwardable
from taskyard.errors import AgentUnreachable, HeldElsewhere, NotFound, ServerBusy
from taskyard.server.call import MAX_JSON_BYTES, Call, Handler, SocketHandler
from taskyard.server.draining import READING, STOPPING
from taskyard.server.peer_mark import HEADER, UNKNOWN_REASON, Mark, PeerKey, method_of, target_of
from taskyard.server.peer_sockets import CONNECT_S, connected, join
from taskyard.wire.base import NIL_UUID

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from websockets.asyncio.client import ClientConnection
    from yarl import URL

log = structlog.get_logger()

PATIENCE_S: Final = 8.0
"""Seconds for which a server that is said to hold a link is tried: one that was killed is back by then, or another one
has the link."""

RETRY_S: Final = 0.3
"""Seconds between two tries."""

REASON: Final = "X-Taskyard-Reason"

MOST_AT_ONCE: Final = 32
"""Requests of one user that other servers have in hand; more wait, so that slow ones hold up nobody else's."""

NOT_TAKEN: Final = frozenset({UNKNOWN_REASON, STOPPING})
"""Reasons of refusals after which nothing was done: the server is another one by now, or it stops."""

NOBODY: Final = "the server that holds its link cannot be reached, try again in a moment"
"""Why a workspace is out of reach."""

SILENCE_S: Final = 120.0
"""Seconds without a byte of the answer: what waits for a workspace there takes 60 at most, and streams give signs of life."""

PIECE_BYTES: Final = 64 * 1024
"""Largest piece of an answer that is passed on at once."""

SOCKET_BYTES: Final = 16 * 1024 * 1024
"""Largest message of a WebSocket that is passed on; ours have 2 MiB."""

HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    }
)
"""Headers of one connection, not of the request."""

UNSENT: Final = HOP | {"idempotency-key", HEADER.lower(), "expect"}
"""Headers that are not sent on: the key was seen to here, where its answer is kept."""

OWN: Final = frozenset(
    {
        "date",
        "server",
        "x-coder-build-version",
        "x-taskyard-version",
        "x-content-type-options",
        "x-taskyard-request-id",
    }
)
"""Headers of answers that each server writes itself."""


_TARGET: Final = re.compile(r"/[^\x00-\x20\x7f]*")
"""What can be sent on, whatever the parser of requests lets in: it stays behind the other server's address."""


class _NotTaken(Exception):
    """The other server did nothing about the request, which can be sent again."""


class _Body:
    """A body that goes out once the other server asks for it, which it does when it works on the request."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.is_sent = False

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What says how long it is."""
        return [("content-length", str(len(self.content)))] if self.content else []

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, in one piece."""
        self.is_sent = True
        yield self.content


class Forwarder:
    """The way to the other servers of this database; connections are kept open for the next request."""

    def __init__(self, key: PeerKey) -> None:
        self._key = key
        self._gates: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()
        self._sessions: dict[str, ClientSession] = {}
        self._open = AsyncExitStack()

    async def close(self) -> None:
        """Hangs up everywhere."""
        await self._open.aclose()

    async def here_or_there(self, call: Call, handler: Handler) -> object:
        """What the handler gives, or the answer of the server that holds the link it needs.

        Raises what the handler raises, AgentUnreachable when that server cannot be asked for PATIENCE_S, and ServerBusy
        when it is asked for too much already.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + PATIENCE_S
        while True:
            try:
                with forwardable():
                    return await handler(call)
            except HeldElsewhere as place:
                call = replace(call, sent=await _body(call))
                try:
                    return await self._ask(call, place)
                except _NotTaken as error:
                    if clock() >= until:
                        raise _unreachable(place, error) from error
            await asyncio.sleep(RETRY_S)

    async def _ask(self, call: Call, place: HeldElsewhere) -> Response:
        """The other server's answer. Raises _NotTaken where it did nothing about the request, AgentUnreachable."""
        # Imported on use: it takes a tenth of a second, and most servers have no others beside them.
        from aiohttp import ClientConnectorError, ClientError

        scope = call.connection.scope
        session = await self._session(place.url)
        body = _Body(call.sent or b"")
        headers = self._headers(call.connection, place.server_id)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._place(call))
            try:
                response = await stack.enter_async_context(
                    session.request(
                        method_of(scope),
                        _address(place.url, scope),
                        headers=[*headers, *body.headers],
                        data=body.pieces() if body.content else None,
                        expect100=bool(body.content),
                        allow_redirects=False,
                    )
                )
                if response.headers.get(REASON) in NOT_TAKEN:
                    raise _NotTaken(f"it answers {response.headers[REASON]}")
                if method_of(scope) in READING:
                    return _streamed(response, stack.pop_all())
                return _whole(response, await response.read())
            except (ClientError, OSError, TimeoutError) as error:
                if isinstance(error, ClientConnectorError) or _is_unbegun(call, body):
                    raise _NotTaken(str(error) or repr(error)) from error
                raise _unreachable(place, error) from error

    @asynccontextmanager
    async def _place(self, call: Call) -> AsyncIterator[None]:
        """One of the places that each user has for requests that are sent on. Raises ServerBusy."""
        user_id = NIL_UUID if call.session is None else call.actor.user_id
        gate = self._gates.setdefault(user_id, asyncio.Semaphore(MOST_AT_ONCE))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await gate.acquire()
        except TimeoutError as error:
            raise ServerBusy from error
        try:
            yield
        finally:
            gate.release()

    async def socket_here_or_there(
        self, call: Call, socket: WebSocket, handler: SocketHandler
    ) -> None:
        """Serves a WebSocket by its handler, or by the server that holds the link it needs.

        Raises what the handler raises, and AgentUnreachable when that server cannot be asked for PATIENCE_S.
        """
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while not await self._is_served(call, socket, handler, until):
            pass

    async def _is_served(
        self, call: Call, socket: WebSocket, handler: SocketHandler, until: float
    ) -> bool:
        """Whether it was served; False, a moment later, where another server has not let it in, which may until then."""
        try:
            # What a workspace agent connects for is always done here.
            with forwardable() if call.session else contextlib.nullcontext():
                await handler(call, socket)
        except HeldElsewhere as place:
            try:
                await self._pass_on(socket, place)
            except _NotTaken as error:
                if asyncio.get_running_loop().time() >= until:
                    raise _unreachable(place, error) from error
            else:
                return True
            await asyncio.sleep(RETRY_S)
            return False
        return True

    async def _pass_on(self, socket: WebSocket, place: HeldElsewhere) -> None:
        """Serves it by the other server. Raises _NotTaken where that has not let it in."""
        # Imported on use, as above.
        from websockets.exceptions import InvalidHandshake, InvalidStatus

        try:
            there = await self._connected(socket, place)
        except InvalidStatus as error:
            answer = error.response
            if answer.headers.get(REASON) in NOT_TAKEN:
                raise _NotTaken(f"it answers {answer.headers[REASON]}") from error
            await socket.send_denial_response(
                Response(
                    bytes(answer.body),
                    answer.status_code,
                    _kept(answer.headers.raw_items()),
                )
            )
            return
        except (OSError, TimeoutError, InvalidHandshake) as error:
            # Before it is let in, nothing is done by a WebSocket.
            raise _NotTaken(str(error) or repr(error)) from error
        async with there:
            await socket.accept(there.subprotocol)
            await join(socket, there)

    async def _connected(self, socket: WebSocket, place: HeldElsewhere) -> "ClientConnection":
        """The same WebSocket at the other server."""
        # Imported on use, as above.
        from websockets.asyncio.client import connect

        headers = self._headers(socket, place.server_id)
        host = dict(headers).get("host", "taskyard")
        sock = await connected(place.url)
        is_tls = urlsplit(place.url).scheme == "https"
        return await connect(
            f"{'wss' if is_tls else 'ws'}://{host}{_target(socket.scope)}",
            sock=sock,
            server_hostname=urlsplit(place.url).hostname if is_tls else None,
            additional_headers=[
                (name, value)
                for name, value in headers
                if name != "host" and not name.startswith("sec-websocket")
            ],
            subprotocols=[Subprotocol(word) for word in socket.scope["subprotocols"]] or None,
            compression=None,
            open_timeout=SILENCE_S,
            max_size=SOCKET_BYTES,
            user_agent_header=None,
            proxy=None,
        )

    def _headers(self, connection: HTTPConnection, to: UUID) -> list[tuple[str, str]]:
        """The caller's headers, with the mark that says who it was."""
        scope = connection.scope
        client = scope.get("client")
        mark = Mark(
            to=to,
            at=self._key.clock(),
            method=method_of(scope),
            target=target_of(scope),
            client=client[0] if client else None,
            scheme=scope["scheme"],
            request_id=connection.state.request_id,
            claim=getattr(connection.state, "claim", None),
        )
        kept = [(name, value) for name, value in connection.headers.items() if name not in UNSENT]
        return [*kept, (HEADER.lower(), self._key.written(mark))]

    async def _session(self, url: str) -> "ClientSession":
        """Connections to one server."""
        if (known := self._sessions.get(url)) is not None:
            return known
        # Imported on use, as above.
        from aiohttp import (
            ClientSession,
            ClientTimeout,
            DummyCookieJar,
            TCPConnector,
            UnixConnector,
        )

        parts = urlsplit(url)
        connector = (
            UnixConnector(parts.path, limit=0)
            if parts.scheme == "unix"
            else TCPConnector(limit=0)  # each user has a limit
        )
        session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S),
        )
        self._sessions[url] = await self._open.enter_async_context(session)
        return session


async def _body(call: Call) -> bytes:
    """The body of a request, which the handler may have read already."""
    read: bytes | None = getattr(call.connection.state, "body", None)
    if call.sent is not None or read is not None:
        return call.sent or read or b""
    return (
        b""
        if method_of(call.connection.scope) in ("GET", "HEAD")
        else await call.raw(MAX_JSON_BYTES)
    )


def _is_unbegun(call: Call, body: _Body) -> bool:
    """Whether a request has changed nothing so far: it only reads, or the body that it is about has not left."""
    if method_of(call.connection.scope) in READING:
        return True
    return call.route.request is not None and bool(body.content) and not body.is_sent


def _address(url: str, scope: Scope) -> "URL":
    """Where the request goes, spelled as it came."""
    # Imported on use: it comes with the client.
    from yarl import URL

    base = "http://taskyard" if urlsplit(url).scheme == "unix" else url
    return URL(base + _target(scope), encoded=True)


def _target(scope: Scope) -> str:
    """Path and query as they came; raises NotFound for what, behind a server's address, would name another one."""
    if not _TARGET.fullmatch(target := target_of(scope)):
        raise NotFound(f"{target!r} is no path")
    return target


def _kept(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers of an answer that are passed on."""
    found = [(name.lower(), value) for name, value in headers]
    return {name: value for name, value in found if name not in HOP | OWN}


def _whole(response: "ClientResponse", body: bytes) -> Response:
    return Response(body, response.status, _kept(response.headers.items()))


def _streamed(response: "ClientResponse", stack: AsyncExitStack) -> Response:
    """The answer as it comes; the connection to the other server ends with it."""

    async def pieces() -> AsyncIterator[bytes]:
        async with stack:
            async for piece in response.content.iter_chunked(PIECE_BYTES):
                yield piece

    passed = StreamingResponse(pieces(), response.status, _kept(response.headers.items()))
    if (length := response.headers.get("content-length")) is not None:
        passed.headers["content-length"] = length
    return passed


def _unreachable(place: HeldElsewhere, error: Exception) -> AgentUnreachable:
    log.warning("peer.unreachable", url=place.url, cause=str(error) or repr(error))
    return AgentUnreachable(place.agent_id, NOBODY)
