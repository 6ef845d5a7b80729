"""What every method of the asyncio client goes through: one request, or one followed log."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import aiohttp
import msgspec
from yarl import URL

from taskyard.sdk.calls import (
    CONNECT_TIMEOUT_S,
    DEFAULT_TIMEOUT_S,
    PathPart,
    Query,
    Raw,
    Reply,
    Request,
    Tries,
    check,
    parse_address,
    prepare,
    understand,
)
from taskyard.sdk.errors import Unreachable
from taskyard.sdk.transport import is_final, reason

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

T = TypeVar("T")


class AsyncCaller:
    """A connection to one server with one token, for one event loop; close it, or use it in `async with`.

    url is http, https or `unix:///path/of/socket`. timeout_s is how long to wait for a byte of an
    answer. tls replaces the system's trust. Raises ValueError for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = parse_address(url)
        self._token = token
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=timeout_s)
        self._kept: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return self._address.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections that are kept for the next call; the client can go on being used."""
        if self._kept is not None:
            await self._kept.close()
            self._kept = None

    async def request(
        self,
        wanted: type[T],
        operation: str,
        *path: PathPart,
        query: Query | None = None,
        body: msgspec.Struct | Raw | None = None,
    ) -> T:
        """The answer to any operation as the wanted type; path parts in the order of its path.

        Raises ApiError, Unreachable, AnswerInvalid.
        """
        request = self._prepared(operation, path, query, body)
        return understand(wanted, request, await self._answer(request), self.url)

    async def exchange(
        self,
        operation: str,
        *path: PathPart,
        query: Query | None = None,
        body: msgspec.Struct | Raw | None = None,
    ) -> Reply:
        """The good answer to any operation as it came. Raises ApiError, Unreachable."""
        request = self._prepared(operation, path, query, body)
        reply = await self._answer(request)
        check(request, reply, self.url)
        return reply

    def follow(
        self, wanted: type[T], operation: str, *path: PathPart, after: int | None = None
    ) -> AsyncIterator[T]:
        """Messages of an operation's WebSocket, those with ids after the given one, until it ends.

        A connection that breaks is taken up again after the last message that came, so that none is
        missed and none comes twice. Raises ApiError, Unreachable, AnswerInvalid.
        """
        # Imported on use: websockets takes a tenth of a second, which most programs never need.
        from taskyard.sdk.aio.sockets import follow

        return follow(
            self._address,
            lambda query: self._prepared(operation, path, query, None),
            wanted,
            after,
            tls=self._tls,
        )

    async def open_socket(
        self, operation: str, *path: PathPart, query: Query | None = None
    ) -> "ClientConnection":
        """An operation's WebSocket, open. Raises ApiError, Unreachable."""
        # Imported on use, for the same reason as in follow.
        from taskyard.sdk.aio.sockets import open_socket

        request = self._prepared(operation, path, query, None)
        return await open_socket(self._address, request, self._tls)

    async def _answer(self, request: Request) -> Reply:
        """The answer, whatever its status; what may be sent again is, on a new connection."""
        tries = Tries(request)
        while True:
            try:
                reply = await self._once(request)
            except (OSError, aiohttp.ClientError) as error:
                cause = _cause(error)
                pause = None if is_final(cause) else tries.broken()
                if pause is None:
                    raise Unreachable(self.url, reason(cause)) from error
            else:
                if (pause := tries.answered(reply)) is None:
                    return reply
            await asyncio.sleep(pause)

    async def _pieces(self, request: Request, silence_s: float) -> AsyncGenerator[bytes, None]:
        """A good answer in pieces as they come; no byte for so long is an error. Raises ApiError, Unreachable."""
        response = await self._opened(request, silence_s)
        try:
            async with response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                is_good = 200 <= response.status < 300
                body = b"" if is_good else await response.read()
                check(request, Reply(response.status, headers, body), self.url)
                async for piece in response.content.iter_any():
                    yield piece
        except (OSError, aiohttp.ClientError) as error:
            raise Unreachable(self.url, reason(_cause(error))) from error

    async def _opened(self, request: Request, silence_s: float) -> aiohttp.ClientResponse:
        """An answer that still comes; a kept connection may be over, so another one is tried. Raises Unreachable."""
        pauses = iter(request.pauses_s)
        while True:
            try:
                return await self._session().request(
                    request.method,
                    self._url_of(request),
                    headers=request.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s
                    ),
                )
            except (OSError, aiohttp.ClientError) as error:
                cause = _cause(error)
                pause = None if is_final(cause) else next(pauses, None)
                if pause is None:
                    raise Unreachable(self.url, reason(cause)) from error
            await asyncio.sleep(pause)

    def _url_of(self, request: Request) -> URL:
        address = self._address
        scheme = "https" if address.secure else "http"
        return URL(f"{scheme}://{address.host_header}:{address.port}{request.target}", encoded=True)

    async def _once(self, request: Request) -> Reply:
        async with self._session().request(
            request.method,
            self._url_of(request),
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, headers, await response.read())

    def _session(self) -> aiohttp.ClientSession:
        """The connections that are kept; made on first use, because they belong to the running loop."""
        if self._kept is None:
            self._kept = aiohttp.ClientSession(
                connector=self._connector(),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=[_send_once],
            )
        return self._kept

    def _connector(self) -> aiohttp.BaseConnector:
        if self._address.socket is not None:
            return aiohttp.UnixConnector(self._address.socket)
        return aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)

    def _prepared(
        self,
        operation: str,
        path: tuple[PathPart, ...],
        query: Query | None,
        body: msgspec.Struct | Raw | None,
    ) -> Request:
        prefix, token = self._address.prefix, self._token
        return prepare(operation, path, token=token, prefix=prefix, query=query, body=body)


async def _send_once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """The answer; a broken connection raises what aiohttp does not take as a reason to send again.

    By itself it would, and not only what reads: deletions too. Trying again is `_answer`'s business.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError from error


def _cause(error: BaseException) -> BaseException:
    """What the operating system said, out of what aiohttp wrapped around it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorError():
            return error.os_error
        case TimeoutError():
            return error
        case aiohttp.ServerDisconnectedError():
            return ConnectionResetError()
        case aiohttp.ClientConnectionError() if error.__cause__ is not None:
            return _cause(error.__cause__)
        case _:
            return error
