"""Sending a request on to the server that holds the link of its workspace, and bringing its answer back.

The whole request goes, with the caller's own credentials: the other server checks it as it would check any, and the
answer is the one that it would give. It goes once: a server that gets it by way of another waits for the link itself.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from starlette.requests import HTTPConnection
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope
from starlette.websockets import WebSocket
from websockets.typing import Subprotocol

from taskyard.control.links import forwardable
from taskyard.errors import AgentUnreachable, HeldElsewhere
from taskyard.server.call import MAX_JSON_BYTES, Call, Handler, SocketHandler
from taskyard.server.draining import STOPPING
from taskyard.server.peer_mark import HEADER, UNKNOWN_REASON, Mark, PeerKey, method_of, target_of
from taskyard.server.peer_sockets import CONNECT_S, connected, join

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
        self._sessions: dict[str, ClientSession] = {}
        self._open = AsyncExitStack()

    async def close(self) -> None:
        """Hangs up everywhere."""
        await self._open.aclose()

    async def here_or_there(self, call: Call, handler: Handler) -> object:
        """What the handler gives, or the answer of the server that holds the link it needs.

        Raises what the handler raises, and AgentUnreachable when that server cannot be asked for PATIENCE_S.
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
                if method_of(scope) in ("GET", "HEAD"):
                    return _streamed(response, stack.pop_all())
                return _whole(response, await response.read())
            except (ClientError, OSError, TimeoutError) as error:
                # Without its body a request changes nothing; what has none is done twice as well as once.
                if isinstance(error, ClientConnectorError) or not body.is_sent:
                    raise _NotTaken(str(error) or repr(error)) from error
                raise _unreachable(place, error) from error

    async def socket_here_or_there(
        self, call: Call, socket: WebSocket, handler: SocketHandler
    ) -> None:
        """Serves a WebSocket by its handler, or by the server that holds the link it needs.

        Raises what the handler raises, and AgentUnreachable when that server cannot be asked.
        """
        try:
            # What a workspace agent connects for is always done here.
            with forwardable() if call.session else contextlib.nullcontext():
                await handler(call, socket)
        except HeldElsewhere as place:
            await self._pass_on(socket, place)

    async def _pass_on(self, socket: WebSocket, place: HeldElsewhere) -> None:
        # Imported on use, as above.
        from websockets.exceptions import InvalidHandshake, InvalidStatus

        try:
            there = await self._connected(socket, place)
        except InvalidStatus as error:
            answer = error.response
            await socket.send_denial_response(
                Response(
                    bytes(answer.body),
                    answer.status_code,
                    _kept(answer.headers.raw_items()),
                )
            )
            return
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise _unreachable(place, error) from error
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
            f"{'wss' if is_tls else 'ws'}://{host}{target_of(socket.scope)}",
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
        connector = UnixConnector(parts.path) if parts.scheme == "unix" else TCPConnector()
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


def _address(url: str, scope: Scope) -> "URL":
    """Where the request goes, spelled as it came."""
    # Imported on use: it comes with the client.
    from yarl import URL

    base = "http://taskyard" if urlsplit(url).scheme == "unix" else url
    return URL(base + target_of(scope), encoded=True)


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
